"""Test episodes of the deterministic policy in the training environment, which afterwards is as before."""

from __future__ import annotations

import math
from typing import Callable, Dict

import torch

from parc_core.envs.vec_env import VecEnv
from parc_core.learning.agent import Agent
from parc_core.system.world import ONE_PROCESS, World


@torch.no_grad()
def run_test_episodes(
    env: VecEnv,
    agent: Agent,
    episodes: int,
    heartbeat: Callable[[], None],
    world: World = ONE_PROCESS,
) -> Dict[str, float]:
    """Mean return and length of `episodes` episodes, spread evenly over the environments.

    As in the reference every environment of all processes plays ceil(episodes / their number) episodes to their end,
    for counting the first that finish would prefer short ones. The environment's state (its random numbers included) is
    put back, so that testing changes nothing in the training.

    Args:
        heartbeat: called every step.
        world: whose processes play them together; all must call it.

    Returns:
        Test_Return, Test_Episode_Length (steps), Test_Episodes.
    """
    saved = env.state_dict()
    per_env = math.ceil(episodes / (env.num_envs * world.size))
    obs = env.reset()
    finished = torch.zeros(env.num_envs, dtype=torch.int64, device=env.device)
    running = torch.zeros(2, env.num_envs, device=env.device)  # return and length of the running episode
    totals = torch.zeros(2, dtype=torch.float64, device=env.device)
    while int(finished.min()) < per_env:
        _, reward, done, _ = env.step(agent.act_mode(obs))
        running[0] += reward
        running[1] += 1
        ended = done != 0
        counted = ended & (finished < per_env)
        totals += (running * counted).sum(1)
        running.masked_fill_(ended, 0.0)
        finished += ended
        obs = env.reset_done()
        heartbeat()
    env.load_state_dict(saved)
    count = per_env * env.num_envs * world.size
    test_return, length = (world.sum_(totals) / count).tolist()
    return {"Test_Return": test_return, "Test_Episode_Length": length, "Test_Episodes": float(count)}
