"""Three rules of success in the real environment, with policies whose end is known."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.evaluation.success import RULES, judge_all_clips, standing_height
from tests.evaluation.sample_data import make_env_file


@pytest.fixture(scope="module")
def env_file(tmp_path_factory):
    return make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "walk"])


def _with(env_file, **settings):
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, **settings))


def _still(env):
    return lambda obs: torch.zeros(env.num_envs, env.action_dim)


def _limp(env):
    """Targets far from the pose: the character collapses."""
    low = env.action_low.expand(env.num_envs, -1)
    return lambda obs: low


def test_what_collapses_fails_all_three_rules(env_file):
    env = make_evaluation_env(env_file)
    seen = []
    found = judge_all_clips(env, _limp(env), lambda done, total: seen.append((done, total)))
    assert tuple(found) == RULES
    assert found == {"last_frame": [False, False], "joint_error": [False, False], "no_fall": [False, False]}
    assert seen[-1] == (2, 2)


def test_who_stands_beside_its_reference_breaks_the_limits_alone(env_file):
    """Limits of a millimetre are broken in the first step; the clip is played on, and the other rules ask for more."""
    env = make_evaluation_env(_with(env_file, root_pos_termination_dist=1e-4))
    found = judge_all_clips(env, _still(env))
    assert found["last_frame"][0] is False
    assert found["joint_error"][0] is True and found["no_fall"][0] is True


def test_without_limits_the_last_frame_is_always_reached(env_file):
    env = make_evaluation_env(_with(env_file, enable_early_termination=False), num_envs=1)
    found = judge_all_clips(env, _limp(env))
    assert found == {"last_frame": [True, True], "joint_error": [False, False], "no_fall": [False, False]}


def test_a_person_stands_less_than_a_metre_above_the_lowest_body(env_file):
    assert 0.7 < standing_height(make_evaluation_env(env_file, num_envs=1)) < 1.0
