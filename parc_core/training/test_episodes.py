"""Test episodes of the deterministic policy in the training environment, which afterwards is as before."""

from __future__ import annotations

import math
from typing import Callable, Dict

import torch

from parc_core.envs.vec_env import VecEnv
from parc_core.learning.agent import Agent


@torch.no_grad()
def run_test_episodes(
    env: VecEnv, agent: Agent, episodes: int, heartbeat: Callable[[], None]
) -> Dict[str, float]:
    """Mean return and length of `episodes` episodes, spread evenly over the environments.

    As in the reference every environment plays ceil(episodes / num_envs) episodes to their end, for
    counting the first that finish would prefer short ones. The environment's state (its random numbers
    included) is put back, so that testing changes nothing in the training.

    Args:
        heartbeat: called every step.

    Returns:
        Test_Return, Test_Episode_Length (steps), Test_Episodes.
    """
    saved = env.state_dict()
    per_env = math.ceil(episodes / env.num_envs)
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
    count = per_env * env.num_envs
    test_return, length = (totals / count).tolist()
    return {"Test_Return": test_return, "Test_Episode_Length": length, "Test_Episodes": float(count)}
