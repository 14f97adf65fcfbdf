"""How far the policy follows the clips, evaluated during the training."""

from __future__ import annotations

import math
from typing import Callable, Dict

import torch
from torch import Tensor

from parc_core.envs.terminations import TIME_EPS
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.learning.agent import Agent
from parc_core.playback.scores import track_clips
from parc_core.system.world import ONE_PROCESS, World

HARD_ERROR = 2.0
"""A clip is hard whose joint error is larger than so many times the mean of all (of a lost one: until it was lost)."""


def evaluate_clips_in_training(
    env: TrackingEnv,
    agent: Agent,
    heartbeat: Callable[[], None],
    world: World = ONE_PROCESS,
    heed: bool = False,
    turn: int = 0,
) -> Dict[str, float]:
    """How far the deterministic policy follows the clips now, in the training's own environments.

    The clips of the dataset, or as many as there are environments in all processes, evenly spaced over it: the same
    ones each time, or where evaluations are heeded others at each turn, all M clips in ⌈M/N⌉ turns of N. The
    environment's state (its random numbers included) is put back: evaluating changes nothing in the training, unless
    it is heeded.

    Args:
        heartbeat: called every step.
        world: whose processes take a part of the clips each; all must call it.
        heed: tell the sampler which clips are hard, see `MotionSampler.heed_evaluation`.
        turn: how many evaluations have been heeded, which shifts the clips that are played.

    Returns:
        Eval_Completed (share of the clips), Eval_Tracked (mean share of each that was tracked), Eval_Joint_Error (m,
        mean over completed clips; nan without any), Eval_Return (mean), Eval_Clips.
    """
    num_clips = env.library.num_motions
    n = min(num_clips, env.num_envs * world.size)
    spread = (torch.arange(n, device=env.device) * num_clips) // n
    shift = turn if env.config.dm.heeds_evaluations else 0
    ids = ((spread + shift) % num_clips)[world.rank :: world.size]
    sums = torch.zeros(4, dtype=torch.float64, device=env.device)
    clips = torch.zeros(3, num_clips, dtype=torch.float64, device=env.device)  # played, completed, error
    if len(ids) > 0:  # fewer clips than processes: some have none
        saved = env.state_dict()
        found = track_clips(env, agent.act_mode, ids, heartbeat=heartbeat)
        env.load_state_dict(saved)
        done = found.completed.double()
        clips[:, ids] = torch.stack((torch.ones_like(done), done, found.mean_errors[:, 0].double()))
        lengths = env.library.lengths[ids]
        # The step in which a clip is lost at its very end does not count: it was not followed to its end.
        steps = found.steps - (found.steps * env.control_dt >= lengths - TIME_EPS).long()
        share = torch.where(found.completed, 1.0, (steps * env.control_dt / lengths).double())
        sums = torch.stack(
            (
                done.sum(),
                share.sum(),
                (found.mean_errors[:, 0] * done).sum(),
                found.sums[:, 0].sum().double(),
            )
        )
    if heed:
        _tell_sampler(env, *world.sum_(clips))
    completed, tracked, error, total = world.sum_(sums).tolist()
    return {
        "Eval_Completed": completed / n,
        "Eval_Tracked": tracked / n,
        "Eval_Joint_Error": error / completed if completed > 0 else math.nan,
        "Eval_Return": total / n,
        "Eval_Clips": float(n),
    }


def _tell_sampler(env: TrackingEnv, played: Tensor, completed: Tensor, errors: Tensor) -> None:
    """Args: (M,) 0 or 1, 0 or 1, m; of all processes."""
    mean = errors.sum() / played.sum()
    hard = (completed == 0) | (errors > HARD_ERROR * mean)
    env.sampler.heed_evaluation(played > 0, hard)
