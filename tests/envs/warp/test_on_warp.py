"""The fused environment with its own engine, `mujoco_warp`: on Warp's CPU device, and on the GPU where there is one.

The first test of a fresh machine compiles the kernels (20 s on the CPU, minutes for the GPU).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed (pip install 'parc-tracker[gpu]')")

from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.factory import make_env
from parc_core.envs.terminations import DoneFlag
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.warp.env import FusedTrackingEnv
from parc_core.system.world import ONE_PROCESS
from parc_core.training.clip_evaluation import evaluate_clips_in_training
from tests.envs.scenes import env_file

pytestmark = pytest.mark.timeout(900)

DEVICES = ["cpu", "cuda:0"] if torch.cuda.is_available() else ["cpu"]
N = 6


def fused(listing: Path, device: str, seed: int = 0, **settings: Any) -> FusedTrackingEnv:
    feet = ["right_foot", "left_foot"]
    config = env_file(listing, action_mode="residual", contact_bodies=feet, **settings)
    env = make_env(config, N, device, engine="mujoco_warp", seed=seed)
    assert isinstance(env, FusedTrackingEnv)
    return env


def actions(env: TrackingEnv, steps: int, seed: int, scale: float) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [(scale * torch.randn(N, env.action_dim, generator=g)).to(env.device) for _ in range(steps)]


def expected(env: FusedTrackingEnv, oracle: TrackingEnv) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Observation, reward, done, fail_reason and terms of the torch environment for the state of env's engine."""
    for name in ("motion_ids", "start_times", "steps"):
        getattr(oracle, name).copy_(getattr(env, name))
    ref = oracle._current_reference()
    reward, terms = oracle._reward(ref)
    oracle._update_done(ref)
    return oracle.observe(), reward, oracle.done, oracle.fail_reason, terms


def same(got: Tensor, want: Tensor) -> None:
    """But for height points on a cell's very border."""
    assert_close(got[:, :-441], want[:, :-441], atol=2e-5, rtol=2e-5)
    assert float(((got - want).abs() > 1e-4).float().mean()) < 1e-3


@pytest.mark.parametrize("device", DEVICES)
def test_every_step_is_what_the_torch_environment_says(mixed: Path, device: str) -> None:
    """Of states that MuJoCo Warp reached, with falls and restarts."""
    env = fused(mixed, device)
    oracle = TrackingEnv(env.config, env.engine, env.kinematics, env.library, env.terrain, 0, env.layout)
    same(env.reset(), expected(env, oracle)[0])
    ids, times = torch.tensor([0, 1] * 3), torch.tensor([0.2, 0.0, 0.3, 0.6, 0.25, 1.0])
    same(env.reset_to(ids.to(device), times.to(device)), expected(env, oracle)[0])
    ended, terms = 0, []
    for action in actions(env, 12, seed=1, scale=0.4):
        obs, reward, done, _ = env.step(action)
        want = expected(env, oracle)
        same(obs, want[0])
        assert_close(reward, want[1], atol=2e-5, rtol=2e-5)
        assert torch.equal(done, want[2])
        assert torch.equal(env.fail_reason, want[3])
        terms.append(want[4])
        ref = oracle._current_reference()
        assert_close(
            env.engine.pd_targets,
            oracle.actions.targets(action, ref.dof_pos, ref.pose.dof_vel),
            atol=2e-5,
            rtol=2e-5,
        )
        running = done == DoneFlag.NULL
        before, ended = obs.clone(), ended + int((~running).sum())
        after = env.reset_done()
        assert torch.equal(after[running], before[running])
        same(after, expected(env, oracle)[0])
    assert ended >= 3
    stats = env.episode_stats()
    assert stats["Episodes"] == ended
    for name in ("Window_Exits", "Contact_Overflows", "Constraint_Overflows", "Diverged"):
        assert stats[name] == 0.0
    means = torch.cat(terms).mean(0).tolist()
    assert [stats[name] for name in TERM_COLUMNS] == pytest.approx(means, abs=2e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_recorded_steps_follow_limits_that_change(mixed: Path, device: str) -> None:
    """And the critic sees them. The graph is recorded once, before there is any iteration."""
    env = fused(
        mixed,
        device,
        critic_obs=["time_left", "errors", "fail_rate", "forces"],
        termination_scale_start=5.0,
        termination_scale_end=0.05,
        termination_anneal_samples=12,
    )
    oracle = TrackingEnv(env.config, env.engine, env.kinematics, env.library, env.terrain, 0, env.layout)
    failures = []
    for samples in (0, 6, 12, None):
        rates = torch.linspace(0.2, 0.7, 2, device=env.device)
        for each in (env, oracle):
            each.sampler.fail_rates.copy_(rates)
            if samples is not None:
                each.begin_iteration(samples)
        env.reset_to(torch.ones(N, dtype=torch.long), torch.linspace(0.1, 1.0, N))
        expected(env, oracle)
        assert_close(env.critic_obs, oracle.critic_obs, atol=2e-5, rtol=2e-5)
        for action in actions(env, 3, seed=1, scale=0.2):
            done = env.step(action)[2]
            want = expected(env, oracle)
            assert torch.equal(env.fail_reason, want[3])
            assert_close(env.critic_obs, oracle.critic_obs, atol=2e-5, rtol=2e-5)
        failures.append(int((done == DoneFlag.FAIL).sum()))
        for each in (env, oracle):
            each.end_iteration(ONE_PROCESS)
    assert failures == [0, 0, N, 0]


@pytest.mark.parametrize("device", DEVICES)
def test_fresh_and_loaded_environments_start_alike(mixed: Path, device: str, tmp_path: Path) -> None:
    env, other = fused(mixed, device, seed=3), fused(mixed, device, seed=4)
    assert float(env.fail_rates.min()) == 1.0, "recording the graphs left nothing"
    env.reset()
    for action in actions(env, 3, seed=2, scale=0.3):
        env.step(action)
        env.reset_done()
    torch.save(env.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_close(other._obs, env._obs, atol=1e-6, rtol=1e-6)
    exact = device == "cpu"  # a GPU sums contacts in any order
    for action in actions(env, 3, seed=5, scale=0.1):
        pair = [(e.step(action)[0].clone(), e.reset_done().clone()) for e in (env, other)]
        if exact:
            assert all(torch.equal(a, b) for a, b in zip(*pair, strict=True))
        assert torch.equal(env.motion_ids, other.motion_ids) or not exact


class _Broken:
    """A policy whose simulations diverge."""

    @staticmethod
    def act_mode(obs: Tensor) -> Tensor:
        return torch.full((len(obs), 28), float("nan"), device=obs.device)


@pytest.mark.parametrize("device", DEVICES)
def test_looking_at_the_clips_does_not_count_for_the_training(mixed: Path, device: str) -> None:
    """Else a training stops for simulations that diverged while nothing was learned from them."""
    env = fused(mixed, device)
    env.reset()
    env.step(_Broken.act_mode(env._obs))
    env.reset_done()
    evaluate_clips_in_training(env, _Broken, lambda: None)
    assert env.episode_stats()["Diverged"] == N


def test_a_state_from_before_there_were_counters_goes_on(mixed: Path) -> None:
    env = fused(mixed, "cpu")
    env.reset()
    saved = env.state_dict()
    env.step(_Broken.act_mode(env._obs))
    del saved["engine"]["counters"]
    env.load_state_dict(saved)
    assert env.episode_stats()["Diverged"] == 0
