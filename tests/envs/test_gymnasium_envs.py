"""The environment under Gymnasium's interface: its own checker, ends of episodes, autoreset."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.passive_env_checker import check_action_space, check_observation_space
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics, RescaleAction

from parc_core.envs.gymnasium_envs import TrackingGymEnv, TrackingVectorEnv
from parc_core.envs.terminations import FailReason
from tests.envs.scenes import env_of, motion, shortened, write_dataset

RECOMMENDED = ("symmetric and normalized", "is probably too", "alternative render modes")
"""What the checker would like other environments to have, too: actions are rad, observations have no bounds."""


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A stand of 7 frames: an episode lasts 6 steps."""
    return write_dataset(tmp_path_factory.mktemp("short"), {"short": shortened(motion("stand"), 7)})


def test_gymnasiums_checker_has_nothing_against_it(mixed):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        check_env(TrackingGymEnv(env_of(mixed, 1)))
    others = [
        str(each.message) for each in said if not any(text in str(each.message) for text in RECOMMENDED)
    ]
    assert others == []


def test_spaces_of_many(mixed):
    envs = TrackingVectorEnv(env_of(mixed, 3))
    for space in (envs.single_observation_space, envs.observation_space):
        check_observation_space(space)
    for space in (envs.single_action_space, envs.action_space):
        check_action_space(space)
    assert envs.observation_space.shape == (3, 1312)
    assert envs.action_space.shape == (3, 28)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP


def test_what_is_returned_is_in_the_spaces_and_belongs_to_the_caller(mixed):
    envs = TrackingVectorEnv(env_of(mixed, 3))
    obs, infos = envs.reset(seed=1)
    kept = obs.copy()
    assert obs in envs.observation_space
    result = envs.step(envs.action_space.sample())
    np.testing.assert_array_equal(obs, kept)
    assert result[0] in envs.observation_space
    assert [part.dtype for part in result[1:4]] == [np.float32, np.bool_, np.bool_]
    for info in (infos, result[4]):
        assert set(info) == {"motion_id", "_motion_id", "motion_time", "_motion_time"}


def test_the_same_seed_repeats_and_another_does_not(mixed):
    envs = TrackingVectorEnv(env_of(mixed, 4))
    action = np.zeros(envs.action_space.shape, np.float32)

    def run(seed):
        return [envs.reset(seed=seed)[0], *(envs.step(action)[0] for _ in range(20))]

    first = run(3)
    for one, other in zip(first, run(3), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], run(4)[0])


def test_the_end_of_a_motion_terminates_and_the_next_episode_begins_in_the_same_step(short):
    envs = TrackingVectorEnv(env_of(short, 2))
    envs.reset(options={"motion_ids": [0, 0], "times": [0.0, 0.1]})  # the second is 3 frames ahead
    action = np.zeros(envs.action_space.shape, np.float32)
    for _ in range(2):
        *_, terminated, truncated, infos = envs.step(action)
        assert not (terminated | truncated).any()
        assert "final_obs" not in infos
    obs, _, terminated, truncated, infos = envs.step(action)
    assert (terminated.tolist(), truncated.tolist()) == ([False, True], [False, False])
    assert infos["_final_obs"].tolist() == infos["_final_info"].tolist() == [False, True]
    assert infos["final_obs"][0] is None
    last = infos["final_obs"][1]
    assert last in envs.single_observation_space
    assert not np.array_equal(last, obs[1])  # that is the new episode's first
    final = infos["final_info"]
    assert FailReason(final["fail_reason"][1]) is FailReason.MOTION_END
    assert final["motion_time"][1] == pytest.approx(0.2)
    assert final["_fail_reason"].tolist() == [False, True]
    assert infos["motion_time"][1] == envs.tracking.motion_times[1] < 0.2
    *_, terminated, _, infos = envs.step(action)  # goes on at once
    assert "final_obs" not in infos or not infos["_final_obs"][0]


def test_the_next_step_of_the_new_episode_is_that_of_the_environment_itself(short):
    """The wrapper draws and steps nothing of its own."""
    envs, plain = TrackingVectorEnv(env_of(short, 3, seed=5)), env_of(short, 3, seed=5)
    obs, _ = envs.reset()
    expected = plain.reset()
    action = torch.zeros(3, plain.action_dim)
    for _ in range(15):
        np.testing.assert_array_equal(obs, expected.numpy())
        obs, reward, *_ = envs.step(action.numpy())
        _, plain_reward, _, _ = plain.step(action)
        np.testing.assert_array_equal(reward, plain_reward.numpy())
        expected = plain.reset_done()


def test_a_failure_terminates_and_the_time_limit_truncates(mixed):
    failing = TrackingVectorEnv(env_of(mixed, 2, root_pos_termination_dist=1e-6))
    failing.reset(options={"motion_ids": [1, 1]})
    action = np.zeros(failing.action_space.shape, np.float32)
    _, _, terminated, truncated, infos = failing.step(action)
    assert terminated.all()
    assert not truncated.any()
    assert set(infos["final_info"]["fail_reason"]) == {int(FailReason.ROOT_POSITION)}
    timed = TrackingVectorEnv(env_of(mixed, 2, episode_length=0.1))
    timed.reset(options={"motion_ids": [1, 1]})
    ends = [timed.step(action)[2:4] for _ in range(3)]
    assert [bool(terminated.any()) for terminated, _ in ends] == [False, False, False]
    assert [bool(truncated.all()) for _, truncated in ends] == [False, False, True]


@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_gymnasiums_own_wrappers_work(short):
    envs = RecordEpisodeStatistics(RescaleAction(TrackingVectorEnv(env_of(short, 2)), -1.0, 1.0))
    envs.reset(seed=0, options={"motion_ids": 0})
    lengths = []
    for _ in range(8):
        *_, infos = envs.step(np.zeros(envs.action_space.shape, np.float32))
        if "episode" in infos:
            lengths += infos["episode"]["l"][infos["_episode"]].tolist()
    assert lengths[:2] == [6, 6]


def test_one_environment_is_one_of_many(mixed):
    one, many = TrackingGymEnv(env_of(mixed, 1)), TrackingVectorEnv(env_of(mixed, 1))
    options = {"motion_ids": [1], "times": [0.2]}
    obs, info = one.reset(options=options)
    np.testing.assert_array_equal(obs, many.reset(options=options)[0][0])
    assert info == {"motion_id": 1, "motion_time": pytest.approx(0.2), "fail_reason": FailReason.NONE}
    action = np.full(one.action_space.shape, 0.1, np.float32)
    obs, reward, terminated, truncated, _ = one.step(action)
    others = many.step(action[None])
    np.testing.assert_array_equal(obs, others[0][0])
    assert (reward, terminated, truncated) == (others[1][0], others[2][0], others[3][0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"motions": [0]}, "unknown option 'motions'"),
        ({"times": [0.0]}, "needs 'motion_ids'"),
        ({"motion_ids": [7, 7]}, "motion_ids are 0 to 1"),
    ],
)
def test_wrong_options_are_refused(mixed, options, said):
    with pytest.raises(ValueError, match=said):
        TrackingVectorEnv(env_of(mixed, 2)).reset(options=options)


def test_actions_of_another_shape_are_refused(mixed):
    with pytest.raises(ValueError, match=r"must have \(2, 28\)"):
        TrackingVectorEnv(env_of(mixed, 2)).step(np.zeros(28))
    with pytest.raises(ValueError, match="one environment is needed, not 2"):
        TrackingGymEnv(env_of(mixed, 2))
