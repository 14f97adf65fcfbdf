"""Every environment that a learner gets keeps the contract `VecEnv`: mypy checks this module (pyproject.toml), and
the tests hold shapes and types against its docstrings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.synthetic_rollout import IdleEnv
from parc_core.envs.vec_env import VecEnv
from parc_core.system.world import World
from tests.envs.scenes import env_of
from tests.learning.fake_env import FakeEnv

if TYPE_CHECKING:
    from parc_core.envs.tracking_env import TrackingEnv
    from parc_core.envs.warp.env import FusedTrackingEnv

    def same_contract(tracking: TrackingEnv, fused: FusedTrackingEnv, fake: FakeEnv, idle: IdleEnv) -> None:
        kept: tuple[VecEnv, VecEnv, VecEnv, VecEnv] = (tracking, fused, fake, idle)
        del kept


def tracking(listing: Path) -> VecEnv:
    return env_of(listing, num_envs=3)


def fused(listing: Path) -> VecEnv:
    pytest.importorskip(
        "warp", reason="the fused environment needs warp-lang (pip install 'parc-tracker[gpu]')"
    )
    from tests.envs.warp.launched_mujoco import fused_of

    return fused_of(env_of(listing, num_envs=3))


def fake(listing: Path) -> VecEnv:
    return FakeEnv(num_envs=3)


def idle(listing: Path) -> VecEnv:
    return IdleEnv(3, 20, 4, torch.device("cpu"))


@pytest.mark.parametrize("make", [tracking, fused, fake, idle])
def test_an_environment_is_as_the_contract_says(make, mixed: Path) -> None:
    env: VecEnv = make(mixed)
    n, obs_dim, action_dim = 3, env.obs_dim, env.action_dim
    assert env.num_envs == n
    assert env.device == torch.device("cpu")
    assert env.action_low.shape == env.action_high.shape == (action_dim,)
    assert bool((env.action_low < env.action_high).all())
    for mask in (env.obs_norm_mask, env.obs_height_mask):
        assert (mask.shape, mask.dtype) == ((obs_dim,), torch.bool)
    assert env.reward_low < env.reward_high
    assert isinstance(env.can_time_out, bool)
    assert env.fail_rates.ndim == 1
    for obs in (env.reset(), env.reset_to(torch.zeros(n, dtype=torch.long), torch.zeros(n))):
        assert (obs.shape, obs.dtype) == ((n, obs_dim), torch.float32)
    obs, reward, done, info = env.step(torch.zeros(n, action_dim))
    assert (obs.shape, reward.shape, done.shape) == ((n, obs_dim), (n,), (n,))
    assert (reward.dtype, done.dtype, type(info)) == (torch.float32, torch.int64, dict)
    assert bool(((reward >= env.reward_low) & (reward <= env.reward_high)).all())
    assert env.reset_done().shape == (n, obs_dim)
    env.end_iteration(World())
    assert env.episode_stats(World())["Episodes"] >= 0.0
    env.load_state_dict(env.state_dict())


@pytest.mark.parametrize("make", [tracking, fused, fake])
def test_failure_rates_move_at_the_end_of_an_iteration_only(make, mixed: Path) -> None:
    env: VecEnv = make(mixed)
    env.reset()
    before = env.fail_rates.clone()
    g = torch.Generator().manual_seed(0)
    ended = 0
    while ended < 3:
        action = env.action_high * torch.randn(3, env.action_dim, generator=g)
        ended += int((env.step(action)[2] != 0).sum())
        env.reset_done()
    assert torch.equal(env.fail_rates, before)
    assert env.episode_stats()["Episodes"] == ended
    env.end_iteration(World())
    moved = env.fail_rates.clone()
    env.end_iteration(World())
    assert torch.equal(env.fail_rates, moved), "each episode counts once"
