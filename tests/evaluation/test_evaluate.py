"""Evaluation of small datasets in the real environment."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from parc_core.envs.terminations import FailReason
from parc_core.envs.tracking_error import NAMES
from parc_core.errors import ConfigError
from parc_core.evaluation.clip_result import COMPLETED
from parc_core.evaluation.evaluate import (
    evaluate_clips,
    evaluate_model,
    evaluation_set,
    lost_share,
    make_evaluation_env,
)
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import write_model_file
from parc_core.motion.dataset.dataset_file import MotionsFile, read_motions_yaml, write_motions_yaml
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.playback.policy import load_policy
from tests.envs.scenes import clip_of, motion, shortened, write_dataset
from tests.envs.scenes import env_file as scene_file
from tests.evaluation.sample_data import SMALL_NETS, make_env_file


@pytest.fixture(scope="module")
def env_file(tmp_path_factory):
    return make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "walk", "turn"], looping=True)


def _without_termination(env_file):
    return dataclasses.replace(
        env_file, env=dataclasses.replace(env_file.env, enable_early_termination=False)
    )


def _zero(env):
    return lambda obs: torch.zeros(env.num_envs, env.action_dim)


def test_initial_policy_on_every_clip(env_file):
    result = evaluate_model(None, env_file, agent_config=SMALL_NETS)
    assert [clip.name for clip in result.clips] == ["stand/stand_0", "walk/walk_0", "turn/turn_0"]
    assert [clip.motion_class for clip in result.clips] == ["stand", "walk", "turn"]
    assert result.settings["model_file"] is None and result.settings["engine"] == "mujoco"
    for clip in result.clips:
        assert tuple(clip.tracking_errors) == NAMES
        assert 0.0 < clip.joint_error_m < 1.0
        assert clip.end_time_s == pytest.approx(min(clip.steps / 30, clip.length_s), abs=1e-4)
        assert clip.completed == (clip.end_reason == COMPLETED) == (clip.completed_fraction == 1.0)
        assert clip.completed or clip.end_reason in [reason.label for reason in FailReason]
    again = evaluate_model(None, env_file, agent_config=SMALL_NETS)
    assert again.clips == result.clips and again.summary.evaluation_set == result.summary.evaluation_set


def test_the_evaluation_set_is_what_is_asked_of_a_model(env_file, tmp_path):
    """Content of the clips and when they count as lost; not order, weights or places."""
    motions = read_motions_yaml(env_file.env.dm.motion_file)

    def identity(entries, **settings):
        path = tmp_path / "motions.yaml"
        write_motions_yaml(path, MotionsFile(entries))
        dm = dataclasses.replace(env_file.env.dm, motion_file=str(path))
        config = dataclasses.replace(env_file.env, dm=dm, **settings)
        return evaluation_set(config)

    same = identity(motions.entries)
    assert len(same) == 64
    assert same == identity([dataclasses.replace(entry, weight=2.0) for entry in motions.entries[::-1]])
    assert same == identity(motions.entries, episode_length=3.0)
    others = [
        identity(motions.entries[1:]),
        identity([*motions.entries, motions.entries[0]]),
        identity(motions.entries, root_pos_termination_dist=0.7),
        identity(motions.entries, enable_early_termination=False),
    ]
    assert len({same, *others}) == 5


def test_one_clip_against_a_plain_loop(env_file):
    """The numbers of the first clip, summed up step by step."""
    env = make_evaluation_env(env_file, num_envs=1)
    found = evaluate_clips(env, _zero(env))[0]
    env.reset_to(torch.tensor([0]), torch.zeros(1))
    rewards, errors, root_errors = [], [], []
    while not rewards or int(env.done[0]) == 0:
        _, reward, _, _ = env.step(torch.zeros(1, env.action_dim))
        rewards.append(float(reward))
        errors.append(float(env.joint_error()))
        root_errors.append(float(env.tracking_error()[0, 0]))
    assert found.steps == len(rewards)
    assert found.episode_return == pytest.approx(sum(rewards), rel=1e-5)
    assert found.joint_error_m == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert found.tracking_errors["root_pos_m"] == pytest.approx(sum(root_errors) / len(errors), rel=1e-5)


@pytest.mark.slow
def test_waves_give_the_same_as_one_wave(env_file):
    results = []
    for num_envs in (3, 2, 1):
        env = make_evaluation_env(env_file, num_envs=num_envs)
        assert env.num_envs == num_envs
        results.append(evaluate_clips(env, _zero(env)))
    for other in results[1:]:
        for a, b in zip(results[0], other):
            assert (a.name, a.steps, a.end_reason) == (b.name, b.steps, b.end_reason)
            assert a.joint_error_m == pytest.approx(b.joint_error_m, rel=1e-6)
            assert a.episode_return == pytest.approx(b.episode_return, rel=1e-5)


def test_path_of_the_reference(env_file):
    """Length of the walk's root path, from the file's frames; each clip has its own."""
    content = read_motion_terrain(read_motions_yaml(env_file.env.dm.motion_file).entries[1].file)
    expected = np.linalg.norm(np.diff(content.motion.root_pos, axis=0), axis=1).sum()
    env = make_evaluation_env(env_file)
    assert evaluate_clips(env, _zero(env))[1].path_m == pytest.approx(expected, rel=1e-4)


def test_never_more_environments_than_clips(env_file):
    assert make_evaluation_env(env_file, num_envs=100).num_envs == 3


def test_clips_run_to_their_ends_without_early_termination(env_file):
    """episode_length (0.1 s here) does not cut them, and the looping one takes one loop."""
    env = make_evaluation_env(_without_termination(env_file))
    seen = []
    clips = evaluate_clips(env, _zero(env), lambda done, total: seen.append((done, total)))
    assert all(clip.completed and clip.completed_fraction == 1.0 for clip in clips)
    assert bool(env.library.loop_wrap[2])
    for clip, length in zip(clips, env.library.lengths.tolist()):
        assert clip.end_time_s == pytest.approx(length, abs=1e-4)
        assert clip.steps == pytest.approx(length * 30, abs=0.51)
    assert seen[-1] == (3, 3)


def test_diverged_simulation_ends_its_clip(env_file, monkeypatch):
    """From its fifth step on the second clip is said to diverge: four steps count for the errors."""
    env = make_evaluation_env(_without_termination(env_file))
    step = env.step

    def broken(action):
        result = step(action)
        env.fail_reason[(env.motion_ids == 1) & (env.steps >= 5)] = FailReason.DIVERGED
        return result

    monkeypatch.setattr(env, "step", broken)
    clips = evaluate_clips(env, _zero(env))
    assert (clips[1].completed, clips[1].end_reason, clips[1].steps) == (False, "simulation diverged", 5)
    assert clips[1].completed_fraction == pytest.approx(5 / 30 / clips[1].length_s, rel=1e-4)
    assert clips[0].completed and clips[2].completed


@pytest.mark.parametrize(
    ("steps", "length", "share"),
    [
        (1, 0.02, 0.0),  # shorter than a control step
        (1, 1 / 30, 0.0),
        (3, 0.1, 2 / 3),
        (3, 0.085, 2 / 30 / 0.085),
        (2, 0.1, 2 / 3),
        (299, 10.0, 299 / 300),
        (300, 10.0, 299 / 300),
    ],
)
def test_a_lost_clip_is_never_whole(steps, length, share):
    assert lost_share(steps, 1 / 30, torch.tensor(length).item()) == pytest.approx(share, abs=1e-6)


def test_a_clip_shorter_than_a_step_that_is_lost_in_it(tmp_path):
    content = shortened(motion("walk"), 2)
    blink = dataclasses.replace(content, motion=dataclasses.replace(clip_of(content), fps=60))
    config = scene_file(write_dataset(tmp_path, {"blink": blink}), pose_termination_dist=[0.0] * 14)
    env = make_evaluation_env(config)
    (found,) = evaluate_clips(env, _zero(env))
    assert (found.completed, found.end_reason, found.steps) == (False, "body position", 1)
    assert found.length_s == pytest.approx(1 / 60)
    assert found.completed_fraction == 0.0


def test_model_file_is_used_and_another_action_mode_refused(env_file, tmp_path):
    env = make_evaluation_env(env_file)
    torch.manual_seed(3)
    agent = make_agent(env, SMALL_NETS.model, SMALL_NETS.norm_obs_clip)
    torch.nn.init.uniform_(agent.model._action_dist._mean_net.bias, -0.5, 0.5)
    write_model_file(tmp_path / "model.pt", agent)
    obs = env.reset_to(torch.arange(3), torch.zeros(3))
    assert torch.equal(load_policy(tmp_path / "model.pt", env).act_mode(obs), agent.act_mode(obs))
    absolute = dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, action_mode="absolute"))
    with pytest.raises(ConfigError, match=r"model\.pt.*action_mode"):
        evaluate_model(tmp_path / "model.pt", absolute)


def test_model_for_another_observation_is_refused(env_file, tmp_path):
    env = make_evaluation_env(env_file)
    write_model_file(tmp_path / "model.pt", make_agent(env, SMALL_NETS.model, 10.0))
    other = dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, use_contact_info=False))
    with pytest.raises(ConfigError, match="1312 observations"):
        evaluate_model(tmp_path / "model.pt", other)
