"""The fused environment's kernels against the torch environment, on the same physics."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

pytest.importorskip("warp", reason="the fused environment needs warp-lang (pip install 'parc-tracker[gpu]')")

from parc_core.config.env_config import EnvConfig
from parc_core.config.start_noise import StartNoise
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.warp.env import FusedTrackingEnv
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.system.world import World
from tests.envs.scenes import env_of, motion, physics, shortened, write_dataset, zero_action
from tests.envs.warp.launched_mujoco import inner_physics, pair_of

N = 24
FEET = ["right_foot", "left_foot"]
SETTINGS: dict[str, dict[str, Any]] = {
    "PARC": {},
    "residual": {"action_mode": "residual"},
    "no contacts": {"use_contact_info": False},
    "world axes": {"global_obs": True, "root_height_obs": True, "global_root_height_obs": True},
    "root height": {"root_height_obs": True},
    "root not tracked": {"track_root": False},
    "height not tracked": {"track_root_h": False},
    "root alone untracked in the world": {"track_root": False, "track_root_h": False, "global_obs": True},
    "fall": {"contact_bodies": FEET, "pose_termination": False, "termination_height": 0.4},
    "all tests": {"contact_bodies": FEET, "action_mode": "residual"},
    "no termination": {"enable_early_termination": False, "contact_bodies": FEET},
    "short episodes": {"episode_length": 0.2, "rand_reset": False},
    "other points": {"tar_obs_steps": [0, 7], "ray_num_left": 0, "ray_points_ahead": 9, "ray_dx": 0.11},
    "no key bodies": {"key_bodies": [], "tar_obs_steps": [2]},
    "a key body twice": {"key_bodies": ["head", "right_foot", "head"]},
    "flat heights": {"min_obs_h": -0.5, "max_obs_h": 0.1, "contact_detection_eps": 50.0},
    "critic sees all": {"critic_obs": ["time_left", "errors", "fail_rate", "forces"], "contact_bodies": FEET},
    "critic sees some": {"critic_obs": ["forces", "errors"], "pose_termination_dist": [0.0, *[0.5] * 13]},
    "strict": {"pose_exponent": 3.0, "root_pos_exponent": 8.0, "key_pos_exponent": 0.5},
    "other weights": {"contact_weights": [0.1 * i for i in range(15)], "key_bodies": ["head", "right_foot"]},
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """motions.yaml of five motions on five terrains, one of them looping."""
    walk = motion("walk")
    assert walk.motion is not None
    motions = {
        "short": shortened(motion("stand", 1), 12),
        "walk": walk,
        "stairs": motion("stairs"),
        "turn": motion("turn"),
        "loop": replace(walk, motion=replace(walk.motion, loop_mode="WRAP")),
    }
    return write_dataset(tmp_path_factory.mktemp("many"), motions)


def same_observations(got: torch.Tensor, want: torch.Tensor, heights: int) -> None:
    """Equal to float32 rounding, but for height points on a cell's very border."""
    assert_close(got[:, :-heights], want[:, :-heights], atol=2e-4, rtol=2e-5)
    off = (got[:, -heights:] - want[:, -heights:]).abs() > 1e-4
    assert float(off.float().mean()) < 1e-3


def same_step(env: TrackingEnv, fused: FusedTrackingEnv, action: torch.Tensor) -> torch.Tensor:
    """One step of both, compared; returns done."""
    obs, reward, done, info = env.step(action)
    got, got_reward, got_done, got_info = fused.step(action)
    same_observations(got, obs, len(env.task.ray_points))
    assert_close(fused.critic_obs, env.critic_obs, atol=1e-4, rtol=1e-4)
    assert_close(got_reward, reward, atol=2e-5, rtol=2e-5)
    assert torch.equal(got_done, done)
    assert torch.equal(fused.fail_reason, env.fail_reason)
    assert torch.equal(got_info["motion_end"], info["motion_end"])
    assert_close(fused.tracking_error(), env.tracking_error(), atol=1e-4, rtol=1e-4)
    return done


@pytest.mark.parametrize("name", SETTINGS)
def test_steps_agree(many: Path, name: str) -> None:
    """Twelve steps of random actions and pushes over all motions, ended episodes going on; from equal states, for
    contacts double a difference of one rounding with every step."""
    env, fused = pair_of(many, N, seed=3, **SETTINGS[name])
    g = torch.Generator().manual_seed(1)
    same_observations(fused.reset(), env.reset(), len(env.task.ray_points))
    assert_close(fused.critic_obs, env.critic_obs, atol=1e-4, rtol=1e-4)
    reasons = set()
    for step in range(12):
        if step % 4 == 1:
            push = torch.randn(N, 6, generator=g, dtype=torch.float64)
            physics(env)._qvel[:, :6] += 1.5 * push
        fused.load_state_dict(env.state_dict())
        same_step(env, fused, 0.4 * torch.randn(N, env.action_dim, generator=g))
        reasons |= set(env.fail_reason.tolist())
        assert torch.equal(fused.sampler.counts, env.sampler.counts)
    assert len(reasons) > 1 or name == "no termination", "a scene in which episodes end"
    for each in (env, fused):
        each.end_iteration(World())
    assert torch.equal(fused.fail_rates, env.fail_rates)
    assert_close(fused.stats.returns, env.stats.returns, atol=1e-4, rtol=1e-5)


def test_failures_of_all_kinds_at_once(many: Path) -> None:
    env, fused = pair_of(many, 5, contact_bodies=FEET, termination_height=5.0)
    # Moved away, turned round, fallen in a heap, broken, at the motion's end.
    for each in (env, fused):
        each.reset_to(torch.tensor([1, 1, 1, 1, 0]), torch.tensor([0.5, 0.5, 0.5, 0.5, 10 / 30]))
    for engine in (physics(env), inner_physics(fused)):
        engine._qpos[0, 0] += 0.7
        engine._qpos[1, 3:7] = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
        engine._qpos[2, 7:] = 0.5
        engine._qvel[3, 2] = float("nan")
    same_step(env, fused, zero_action(env))
    assert env.fail_reason.tolist() == [
        FailReason.ROOT_POSITION,
        FailReason.ROOT_ROTATION,
        FailReason.FALL,
        FailReason.DIVERGED,
        FailReason.MOTION_END,
    ]


def test_statistics_agree(many: Path) -> None:
    env, fused = pair_of(many, N, seed=3, episode_length=0.25, rand_reset=False)
    env.reset()
    for _ in range(10):
        fused.load_state_dict(env.state_dict())
        same_step(env, fused, zero_action(env))
        got, want = fused.stats._totals, env.stats._totals
        assert_close(got, want, atol=1e-4, rtol=1e-6)
    assert int(env.stats._totals[0]) > N
    stats = fused.episode_stats()
    assert stats["Completed"] == pytest.approx(env.episode_stats()["Completed"])
    assert stats["Window_Exits"] == 3.0
    assert fused.episode_stats()["Episodes"] == 0.0


def test_resets_agree(many: Path) -> None:
    """At times within, before and beyond the motions, of looping ones too."""
    env, fused = pair_of(many, N)
    fused.reset()  # whose noise must not come again
    g = torch.Generator().manual_seed(0)
    for _ in range(3):
        ids = torch.randint(5, (N,), generator=g)
        times = torch.rand(N, generator=g) * 12.0 - 1.0
        want = env.reset_to(ids, times)
        got = fused.reset_to(ids, times)
        same_observations(got, want, 441)
        for name in ("root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_pos", "dof_vel", "body_pos"):
            assert_close(
                getattr(fused.engine.state, name), getattr(env.engine.state, name), atol=2e-5, rtol=2e-5
            )
    with pytest.raises(IndexError, match="0 to 4"):
        fused.reset_to(torch.full((N,), 5), torch.zeros(N))


def test_noisy_starts_agree(many: Path) -> None:
    noise = {"root_rot": 0.2, "root_vel": 0.5, "root_ang_vel": 0.7, "dof_pos": 0.1, "dof_vel": 0.3}
    env, fused = pair_of(many, N, start_noise=StartNoise(**noise))
    want, got = env.reset(), fused.reset()
    same_observations(got, want, 441)
    for name in ("root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_pos", "dof_vel"):
        assert_close(getattr(fused.engine.state, name), getattr(env.engine.state, name), atol=2e-5, rtol=2e-5)
    fused.done[::2] = int(DoneFlag.FAIL)  # those alone begin anew
    before, saved = fused.engine.state.root_vel.clone(), fused.state_dict()
    again = fused.reset_done().clone()
    assert torch.equal(fused.engine.state.root_vel[1::2], before[1::2])
    fused.load_state_dict(saved)
    assert torch.equal(fused.reset_done(), again)
    fused.reset_to(torch.zeros(N, dtype=torch.long), torch.zeros(N))
    frame = fused.library.sample(fused.motion_ids, fused.motion_times)
    assert_close(fused.engine.state.dof_pos, frame.dof_pos, atol=2e-5, rtol=2e-5)


def test_reset_done_starts_the_ended_alone(many: Path) -> None:
    env, fused = pair_of(many, N, seed=8)
    fused.reset()
    env.reset()
    for _ in range(40):
        obs, _, done, _ = fused.step(0.5 * torch.ones(N, env.action_dim))
        if 0 < int((done != DoneFlag.NULL).sum()) < N:
            break
    ended, before, times = done != DoneFlag.NULL, obs.clone(), fused.motion_times.clone()
    qpos = fused.engine.state_dict()["qpos"]
    assert 0 < int(ended.sum()) < N
    after = fused.reset_done()
    assert after is obs
    assert torch.equal(after[~ended], before[~ended])
    assert bool((after[ended] != before[ended]).any(1).all())
    assert torch.equal(fused.motion_times[~ended], times[~ended])
    assert torch.equal(fused.engine.state_dict()["qpos"][~ended], qpos[~ended])
    assert not fused.done.any()
    assert torch.equal(fused.steps == 0, ended)
    assert float(fused.stats.returns[ended].abs().max()) == 0.0
    # What was drawn is where the torch environment puts it too, but for the noise along x and y.
    frame = fused.library.sample(fused.motion_ids, fused.motion_times)
    off = (fused.engine.state.root_pos - frame.root_pos)[ended].abs()
    assert 0.0 < float(off[:, :2].max()) <= 0.075 + 1e-5
    assert float(off[:, 2].max()) < 1e-5
    copy = after.clone()
    env.load_state_dict(fused.state_dict())
    same_observations(copy, env.observe(), 441)
    assert torch.equal(inner_physics(fused).terrain_ids, fused.motion_ids)


def test_one_terrain_for_all(tmp_path: Path) -> None:
    stairs = motion("stairs")
    write_motion_terrain(tmp_path / "shared.pkl", replace(stairs, motion=None))
    motions = {"walk": motion("walk"), "stairs": stairs}
    listing = write_dataset(tmp_path, motions, terrain=str(tmp_path / "shared.pkl"))
    env, fused = pair_of(listing, 6, dm={"terrain_build_mode": "file"})
    assert env.terrain.num_terrains == 1
    ids, times = torch.tensor([0, 1] * 3), torch.linspace(0, 1.5, 6)
    same_observations(fused.reset_to(ids, times), env.reset_to(ids, times), 441)
    same_step(env, fused, zero_action(env))


def test_bins_of_time_agree(many: Path) -> None:
    """The same places are drawn, and the same bins are charged with failures."""
    env, fused = pair_of(many, N, seed=3, dm={"sampling_bin_seconds": 0.5}, episode_length=0.4)
    fused.reset()
    env.reset()
    assert torch.equal(fused.motion_ids, env.motion_ids)
    assert torch.equal(fused.start_times, env.start_times)
    g = torch.Generator().manual_seed(1)
    for _ in range(14):
        fused.load_state_dict(env.state_dict())
        same_step(env, fused, torch.randn(N, env.action_dim, generator=g))
        assert torch.equal(fused.sampler.bin_counts, env.sampler.bin_counts)
        env.reset_done()
    assert env.sampler.bin_counts[0].any()
    for each in (env, fused):
        each.end_iteration(World())
    assert torch.equal(fused.sampler.bin_rates, env.sampler.bin_rates)


def test_changing_limits_agree(many: Path) -> None:
    """In an iteration both fail as if the limits of its samples were set; beyond it as if there were no such
    iteration."""
    changing = {
        "termination_scale_start": 3.0,
        "termination_scale_end": 0.125,
        "termination_anneal_samples": 100,
    }
    env, fused = pair_of(many, N, seed=3, **changing)
    scales = {0: 3.0, 60: 1.275, 100: 0.125, None: 1.0}
    plain = {samples: env_of(many, N, 3, **limits(scale)) for samples, scale in scales.items()}
    g = torch.Generator().manual_seed(2)
    env.reset()
    failures = dict.fromkeys(scales, 0)
    for _ in range(6):
        physics(env)._qvel[:, :6] += 1.5 * torch.randn(N, 6, generator=g, dtype=torch.float64)
        state, action = env.state_dict(), 0.4 * torch.randn(N, env.action_dim, generator=g)
        for samples, scale in scales.items():
            for each in (env, fused, plain[samples]):
                each.load_state_dict(state)
            for each in (env, fused):
                each.end_iteration(World())
                if samples is not None:
                    assert each.begin_iteration(samples) == pytest.approx({"termination_scale": scale})
            same_step(env, fused, action)
            plain[samples].step(action)
            assert torch.equal(plain[samples].fail_reason, env.fail_reason)
            failures[samples] += int(env.fail_reason.bool().sum())
    assert failures[100] > failures[None] > failures[60] >= failures[0]


def limits(scale: float) -> dict[str, Any]:
    """The settings of the limits, times a factor."""
    config = EnvConfig()
    return {
        "pose_termination_dist": [scale * float(limit) for limit in config.pose_termination_dist],
        "root_pos_termination_dist": scale * config.root_pos_termination_dist,
        "root_rot_termination_angle": scale * config.root_rot_termination_angle,
    }


def test_what_the_critic_sees_is_of_the_started_anew(many: Path) -> None:
    """After a step, before the ended ones start anew, and after that; with the limits of the iteration."""
    env, fused = pair_of(
        many,
        N,
        seed=3,
        critic_obs=["time_left", "errors", "fail_rate", "forces"],
        termination_scale_start=0.5,
        termination_anneal_samples=1e6,
    )
    fused.reset()
    env.reset()
    g, ended = torch.Generator().manual_seed(1), 0
    for each in (env, fused):
        each.sampler.fail_rates.copy_(torch.linspace(0.0, 1.0, 5))
        each.begin_iteration(0)
    for _ in range(20):
        fused.load_state_dict(env.state_dict())
        done = same_step(env, fused, torch.randn(N, env.action_dim, generator=g))
        now = fused.critic_obs.clone()
        fused.reset_done()  # which draws others than the torch environment does
        env.load_state_dict(fused.state_dict())
        env.observe()
        assert_close(fused.critic_obs, env.critic_obs, atol=1e-4, rtol=1e-4)
        changed = (fused.critic_obs != now).any(1)
        assert torch.equal(changed, done != DoneFlag.NULL)
        ended += int(changed.sum())
    assert ended > N
