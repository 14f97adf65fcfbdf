"""The environment as a whole, on small datasets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from parc_core.config.start_noise import StartNoise
from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.rotations import heading, quat_conj, quat_mul, quat_to_exp_map, rotate_2d
from parc_core.system.world import ONE_PROCESS
from tests.envs.scenes import clip_of, env_of, motion, physics, shortened, write_dataset, zero_action
from tests.terrain.lookup import heights_at, pad


def actions(env: TrackingEnv, steps: int, seed: int, scale: float = 0.1) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(env.num_envs, env.action_dim, generator=g) for _ in range(steps)]


def test_shapes_and_bounds_of_the_default(stand: Path) -> None:
    env = env_of(stand)
    obs = env.reset()
    assert (env.obs_dim, env.action_dim, env.num_envs) == (1312, 28, 4)
    assert obs.shape == (4, 1312)
    assert int(env.obs_norm_mask.sum()) == 136 + 6 * 105
    assert env.obs_norm_mask[:766].all()
    assert (env.reward_low, env.reward_high) == (-5.0, 6.0)
    assert env.control_dt == pytest.approx(1 / 30)
    obs, reward, done, info = env.step(zero_action(env))
    assert obs.shape == (4, 1312)
    assert reward.shape == done.shape == info["motion_end"].shape == (4,)
    assert done.dtype == torch.int64
    assert torch.isfinite(obs).all()


def test_observation_holds_its_terms_in_order(stand: Path) -> None:
    env = env_of(stand, num_envs=2)
    obs = env.reset_to(torch.zeros(2, dtype=torch.long), torch.tensor([0.0, 1.0]))
    targets = env.library.target_frames(
        env.motion_ids, env.motion_times, env.task.target_steps, env.control_dt
    )
    assert_close(obs[:, 766:856], targets[3].flatten(1))
    assert not obs[:, 856:871].any()  # nothing touches before the first step
    assert_close(obs[:, 96:124], env.engine.state.dof_vel)
    # Level ground under the root: every height that is read on the flat of a stand is minus the root's.
    assert float(obs[0, 871]) == pytest.approx(
        float(env.terrain.heights_at(env.motion_ids[:1], env.engine.state.root_pos[:1, None, :2]))
        - float(env.engine.state.root_pos[0, 2]),
        abs=1e-5,
    )


def walking(mixed: Path) -> TrackingEnv:
    """Two characters in the frames 10 and 40 of a walk."""
    env = env_of(mixed, num_envs=2)
    env.reset_to(torch.tensor([1, 1]), torch.tensor([10 / 30, 40 / 30]))
    return env


def test_targets_are_the_frames_ahead(mixed: Path) -> None:
    env, clip = walking(mixed), clip_of(motion("walk"))
    got = env.observe()[:, 136:766].reshape(2, 6, 105)
    for row, frame in enumerate((10, 40)):
        yaw = float(heading(torch.from_numpy(clip.root_rot[frame])))
        for k, step in enumerate((1, 2, 3, 10, 20, 30)):
            ahead = torch.from_numpy(clip.root_pos[frame + step] - clip.root_pos[frame])
            expected = torch.cat((rotate_2d(ahead[:2], torch.tensor(-yaw)), ahead[2:]))
            assert_close(got[row, k, :3], expected, atol=2e-5, rtol=0)


def test_heights_are_those_of_the_motions_own_terrain(tmp_path: Path) -> None:
    stairs = motion("stairs")
    assert stairs.motion is not None
    assert stairs.terrain is not None
    listing = write_dataset(tmp_path, {"stand": motion("stand"), "stairs": stairs})
    env = env_of(listing, num_envs=1)
    env.reset_to(torch.tensor([1]), torch.tensor([20 / 30]))
    root, yaw = stairs.motion.root_pos[20], heading(torch.from_numpy(stairs.motion.root_rot[20]))
    points = rotate_2d(env.task.ray_points, yaw).numpy() + root[:2]
    # The border around a terrain has its lowest height.
    padded = pad(stairs.terrain, 1)
    expected = np.clip(heights_at(padded, points) - root[2], -3.0, 3.0)
    off = np.abs(env.observe()[0, 871:].numpy() - expected) > 1e-4
    assert len(np.unique(expected.round(3))) > 2, "a scene with steps in sight"
    assert off.mean() < 0.01  # a point on a cell's border may fall to either side


def test_a_character_put_on_its_reference_has_no_error(tmp_path: Path) -> None:
    env = env_of(write_dataset(tmp_path, {"turn": motion("turn")}), num_envs=2)
    env.reset_to(torch.zeros(2, dtype=torch.long), torch.tensor([0.8, 1.8]))
    state = env.engine.state
    speeds = [v.abs().amax(1).min() for v in (state.root_vel, state.root_ang_vel, state.dof_vel)]
    assert float(min(speeds)) > 0.02, "a scene in motion"
    assert float(env.tracking_error().abs().max()) < 1e-3
    assert float(env.joint_error().max()) < 1e-5


def test_without_contacts_their_dimensions_and_reward_are_gone(stand: Path) -> None:
    env = env_of(stand, use_contact_info=False)
    assert env.reset().shape == (4, 1312 - 6 * 15 - 15)
    assert (env.reward_low, env.reward_high) == (0.0, 1.0)
    _, reward, _, _ = env.step(zero_action(env))
    assert ((reward >= 0) & (reward <= 1)).all()


def test_on_the_reference_the_reward_is_nearly_full(stand: Path) -> None:
    env = env_of(stand, action_mode="residual")
    env.reset_to(torch.zeros(4, dtype=torch.long), torch.tensor([0.0, 0.5, 1.0, 1.5]))
    for _ in range(3):
        _, reward, _, _ = env.step(zero_action(env))
    # Two feet of fifteen bodies are to touch: 2/15 · 5 = 0.67 beside the tracking terms' 1.
    assert float(reward.min()) > 1.3
    assert float(reward.max()) < 1.0 + 5.0 * 2 / 15 + 1e-6
    errors = env.tracking_error()
    assert errors.shape == (4, 7)
    assert float(errors[:, 0].max()) < 0.05
    assert float(env.joint_error().max()) < 0.05


def test_reset_starts_within_the_noise_of_the_reference(mixed: Path) -> None:
    env = env_of(mixed, num_envs=64)
    env.reset()
    frame = env.library.sample(env.motion_ids, env.motion_times)
    off = env.engine.state.root_pos - frame.root_pos
    assert float(off[:, :2].abs().max()) <= 0.075 + 1e-5
    assert float(off[:, :2].abs().max()) > 0.05
    assert float(off[:, 2].abs().max()) < 1e-5
    assert_close(env.engine.state.dof_vel, frame.dof_vel, atol=1e-5, rtol=1e-5)
    assert set(env.motion_ids.tolist()) == {0, 1}
    assert torch.equal(physics(env).terrain_ids, env.motion_ids)


def test_starts_are_as_noisy_as_asked(mixed: Path) -> None:
    noise = {"root_rot": 0.1, "root_vel": 0.5, "root_ang_vel": 0.7, "dof_pos": 0.05, "dof_vel": 0.3}
    env = env_of(mixed, num_envs=64, start_noise=StartNoise(**noise))
    env.reset()
    state, frame = env.engine.state, env.library.sample(env.motion_ids, env.motion_times)
    turned = quat_to_exp_map(quat_mul(state.root_rot, quat_conj(frame.root_rot)))  # about the world's axes
    assert 0.08 < float(turned.abs().max()) <= 0.1 + 1e-4 < float(turned.norm(dim=-1).max())
    for name in ("root_vel", "root_ang_vel", "dof_vel"):
        off = (getattr(state, name) - getattr(frame, name)).abs()
        assert 0.8 * noise[name] < float(off.max()) <= noise[name] + 1e-4
    saved = env.state_dict()
    again = env.reset().clone()
    env.load_state_dict(saved)
    assert torch.equal(env.reset(), again)
    frame = env.library.sample(env.motion_ids, env.motion_times)
    env.reset_to(env.motion_ids.clone(), env.motion_times)
    for name in ("root_rot", "root_vel", "dof_pos", "dof_vel"):
        assert_close(getattr(env.engine.state, name), getattr(frame, name), atol=1e-5, rtol=1e-5)


def test_reset_done_touches_finished_environments_alone(mixed: Path) -> None:
    env = env_of(mixed, num_envs=6)
    env.reset_to(torch.tensor([0, 1, 0, 1, 0, 1]), torch.tensor([0.3, 0.0, 0.0, 0.5, 0.32, 1.0]))
    for action in actions(env, 3, seed=0):
        obs, _, done, _ = env.step(action)
    assert done.tolist() == [1, 0, 0, 0, 1, 0]
    true_next, state = obs.clone(), env.engine.state_dict()
    times, flags = env.motion_times.clone(), done.clone()
    after = env.reset_done()
    running = done == DoneFlag.NULL
    assert torch.equal(obs, true_next), "what step returned must stay the true next observation"
    assert torch.equal(done, flags), "and so must its flags"
    assert torch.equal(after[running], true_next[running])
    assert bool((after[~running] != true_next[~running]).any(1).all())
    assert torch.equal(env.engine.state_dict()["qpos"][running], state["qpos"][running])
    assert torch.equal(env.engine.state_dict()["qvel"][running], state["qvel"][running])
    assert torch.equal(env.motion_times[running], times[running])
    assert env.steps.tolist() == [0, 3, 3, 3, 0, 3]
    assert not env.done.any()
    assert torch.equal(after, env.observe())


def test_reset_done_of_none_changes_nothing(stand: Path) -> None:
    env = env_of(stand)
    env.reset_to(torch.zeros(4, dtype=torch.long), torch.zeros(4))
    obs, _, done, _ = env.step(zero_action(env))
    assert not done.any()
    assert env.reset_done() is obs


def test_a_motions_end_is_fail_and_counts_as_completed(stand: Path, mixed: Path) -> None:
    env = env_of(mixed, num_envs=2, action_mode="residual")
    env.reset_to(torch.tensor([0, 1]), torch.zeros(2))  # 12 frames: the 11th step reaches the last
    before, earned = env.fail_rates.clone(), 0.0
    for step in range(1, 12):
        _, reward, done, info = env.step(zero_action(env))
        earned += float(reward[0])
        assert done.tolist() == [int(step == 11), 0]
    assert info["motion_end"].tolist() == [True, False]
    assert env.fail_reason.tolist() == [FailReason.MOTION_END, FailReason.NONE]
    assert torch.equal(env.fail_rates, before)
    env.end_iteration(ONE_PROCESS)
    assert env.fail_rates.tolist() == pytest.approx([0.99 * float(before[0]), float(before[1])])
    stats = env.episode_stats()
    assert (stats["Episodes"], stats["Completed"], stats["Train_Episode_Length"]) == (1.0, 1.0, 11.0)
    assert stats["Train_Return"] == pytest.approx(earned, rel=1e-5)
    env.reset_done()
    assert float(env.stats.returns[0]) == 0.0
    assert float(env.stats.returns[1]) > 0.0


def test_a_looping_motion_does_not_end(tmp_path: Path) -> None:
    short = shortened(motion("stand", 1), 12)
    assert short.motion is not None
    looped = replace(short, motion=replace(short.motion, loop_mode="WRAP"))
    env = env_of(write_dataset(tmp_path, {"loop": looped}), num_envs=1, action_mode="residual")
    assert env.can_time_out
    env.reset_to(torch.zeros(1, dtype=torch.long), torch.zeros(1))
    for _ in range(15):
        _, _, done, _ = env.step(zero_action(env))
        assert not done.any()


def test_time_at_episode_length(stand: Path) -> None:
    env = env_of(stand, num_envs=2, action_mode="residual", episode_length=0.5)
    env.reset_to(torch.zeros(2, dtype=torch.long), torch.zeros(2))
    flags = [env.step(zero_action(env))[2].tolist() for _ in range(15)]
    assert flags == [[0, 0]] * 14 + [[DoneFlag.TIME] * 2]
    stats = env.episode_stats()
    assert (stats["Completed"], stats["Train_Episode_Length"]) == (1.0, 15.0)
    env.end_iteration(ONE_PROCESS)
    assert float(env.fail_rates[0]) < 1.0


def test_episodes_that_cannot_end_by_time(stand: Path, mixed: Path) -> None:
    """So that a learner need not ask for the value of their last states."""
    length = float(env_of(stand).library.lengths[0])
    assert not env_of(stand, episode_length=length).can_time_out
    assert env_of(stand, episode_length=length - 0.04).can_time_out
    assert env_of(mixed, episode_length=0.5).can_time_out, "the short one ends, the walk does not"


def test_motion_end_wins_over_time(stand: Path) -> None:
    env = env_of(stand, num_envs=1, action_mode="residual", episode_length=0.1)
    length = float(env.library.lengths[0])
    env.reset_to(torch.zeros(1, dtype=torch.long), torch.tensor([length - 0.1]))
    for _ in range(3):
        _, _, done, _ = env.step(zero_action(env))
    assert done.tolist() == [DoneFlag.FAIL]


def test_losing_the_reference_fails_and_raises_its_rate(stand: Path) -> None:
    env = env_of(stand, num_envs=2, action_mode="residual")
    env.sampler.set_fail_rates(torch.tensor([0.5]), "test")
    env.reset_to(torch.zeros(2, dtype=torch.long), torch.zeros(2))
    physics(env)._qpos[1, 0] += 0.7
    _, _, done, _ = env.step(zero_action(env))
    assert done.tolist() == [DoneFlag.NULL, DoneFlag.FAIL]
    assert env.fail_reason.tolist() == [FailReason.NONE, FailReason.ROOT_POSITION]
    env.end_iteration(ONE_PROCESS)
    assert float(env.fail_rates[0]) == pytest.approx(0.505)
    assert env.episode_stats()["Fail_Root_Position"] == 1.0


def test_no_early_termination(stand: Path) -> None:
    env = env_of(stand, num_envs=1, enable_early_termination=False)
    env.reset_to(torch.zeros(1, dtype=torch.long), torch.zeros(1))
    physics(env)._qpos[0, 0] += 3.0
    assert env.step(zero_action(env))[2].tolist() == [DoneFlag.NULL]


def test_fall(stand: Path) -> None:
    """Lying on the ground with hands that may not touch it; termination by distance is off."""
    lying: dict[str, Any] = {"pose_termination": False, "contact_bodies": ["right_foot", "left_foot"]}
    env = env_of(stand, num_envs=2, **lying)
    env.reset_to(torch.zeros(2, dtype=torch.long), torch.zeros(2))
    ground = float(env.terrain.heights_at(env.motion_ids[:1], env.engine.state.root_pos[:1, None, :2]))
    physics(env)._qpos[1, 2] = ground + 0.1
    physics(env)._qpos[1, 3:7] = torch.tensor([0.5**0.5, 0.0, 0.5**0.5, 0.0])
    env.step(zero_action(env))
    assert env.fail_reason.tolist() == [FailReason.NONE, FailReason.FALL]


def test_a_diverged_simulation_fails_without_reward_and_without_harm(stand: Path) -> None:
    env = env_of(stand, num_envs=3)
    env.reset()
    physics(env)._qvel[1] = float("nan")
    obs, reward, done, _ = env.step(zero_action(env))
    assert env.fail_reason[1] == FailReason.DIVERGED
    assert done[1] == DoneFlag.FAIL
    assert float(reward[1]) == 0.0
    assert torch.isfinite(obs).all()
    assert torch.isfinite(env.reset_done()).all()
    assert torch.isfinite(env.step(zero_action(env))[0]).all()


def test_zero_residual_actions_follow_standing_to_its_end(stand: Path) -> None:
    env = env_of(stand, num_envs=1, action_mode="residual")
    env.reset_to(torch.zeros(1, dtype=torch.long), torch.zeros(1))
    frames = int(env.library.num_frames[0])
    for step in range(1, frames):
        _, _, done, info = env.step(zero_action(env))
        assert bool(done.any()) == (step == frames - 1), (
            f"ended in step {step}: reason {int(env.fail_reason)}"
        )
    assert info["motion_end"].all()
    assert float(env.joint_error()) < 0.1


def test_global_and_height_observations(stand: Path) -> None:
    env = env_of(stand, global_obs=True, root_height_obs=True, global_root_height_obs=True)
    obs = env.reset()
    assert obs.shape == (4, 1313)
    assert_close(obs[:, 0], env.engine.state.root_pos[:, 2])


def test_means_of_the_terms_make_up_the_mean_reward(mixed: Path) -> None:
    """A diverged simulation counts with zeros, as its reward does."""
    env = env_of(mixed, 4, contact_weights=[1.0] * 15)
    env.reset()
    total = 0.0
    for step in range(6):
        if step == 3:
            physics(env)._qvel[1, 10] = float("nan")
        total += float(env.step(zero_action(env))[1].sum())
        env.reset_done()
    stats = env.episode_stats()
    terms = torch.tensor([stats[name] for name in TERM_COLUMNS])
    assert stats["Diverged"] == 1.0 and stats["Window_Exits"] == 0.0
    assert bool((terms[:-1] > 0.1).all()) and bool((terms[:-1] < 1.0).all())
    mean = float(terms[:-1] @ env.task.reward_weights + terms[-1])
    assert mean == pytest.approx(total / 24, abs=1e-5)
    assert "pose_r" not in env.episode_stats()  # no step since
