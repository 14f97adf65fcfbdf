"""The clips of a dataset evaluated inside a training's environments."""

from __future__ import annotations

import math

import pytest
import torch

from parc_core.errors import EXIT_BAD_CONFIG
from parc_core.evaluation.evaluate import evaluate_clips, make_evaluation_env
from parc_core.learning.agent import make_agent
from parc_core.system.world import World
from parc_core.train import main
from parc_core.training import clip_evaluation
from parc_core.training.clip_evaluation import evaluate_clips_in_training
from tests.envs.scenes import env_file, env_of, motion, shortened, write_dataset
from tests.evaluation.sample_data import SMALL_NETS

SETTINGS = {"action_mode": "residual", "episode_length": 0.2}  # shorter than any clip below


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Four clips of 0.5, 0.7, 0.9 and 1.1 s, and a walk that is too hard without learning."""
    motions = {f"stand_{k}": shortened(motion("stand", k), 16 + 6 * k) for k in range(4)}
    return write_dataset(tmp_path_factory.mktemp("clips"), {**motions, "walk": motion("walk")})


def agent_for(env):
    torch.manual_seed(0)
    return make_agent(env, SMALL_NETS.model, SMALL_NETS.norm_obs_clip)


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


def test_same_as_the_evaluation_although_episodes_are_shorter(clips):
    """`episode_length` ends every episode after six steps; the clips are tracked to their ends."""
    env = env_of(clips, num_envs=7, **SETTINGS)
    agent = agent_for(env)
    env.reset()
    found = evaluate_clips_in_training(env, agent, lambda: None)
    apart = evaluate_clips(make_evaluation_env(env_file(clips, **SETTINGS), engine="mujoco"), agent.act_mode)
    done = [clip.joint_error_m for clip in apart if clip.completed]
    assert 0 < len(done) < len(apart) and max(clip.steps for clip in apart) > 30
    assert found["Eval_Clips"] == 5
    assert found["Eval_Completed"] == pytest.approx(len(done) / 5)
    assert found["Eval_Tracked"] == pytest.approx(
        sum(clip.completed_fraction for clip in apart) / 5, rel=1e-5
    )
    assert found["Eval_Joint_Error"] == pytest.approx(sum(done) / len(done), rel=1e-5)
    assert found["Eval_Return"] == pytest.approx(sum(clip.episode_return for clip in apart) / 5, rel=1e-5)


def test_training_resumes_as_if_nothing_had_been_evaluated(clips):
    looked, other = (env_of(clips, num_envs=6, seed=3, **SETTINGS) for _ in range(2))
    agent = agent_for(looked)
    for env in (looked, other):
        obs = env.reset()
        for _ in range(4):
            env.step(agent.act_mode(obs))
            obs = env.reset_done()
    before = looked.state_dict()
    evaluate_clips_in_training(looked, agent, lambda: None)
    assert_equal(looked.state_dict(), before)
    for _ in range(9):  # past the end of the running episodes: new ones are drawn
        after = [env.step(agent.act_mode(env.reset_done())) for env in (looked, other)]
        assert all(torch.equal(a, b) for a, b in zip(after[0][:3], after[1][:3]))
    assert torch.equal(looked.fail_rates, other.fail_rates)
    assert looked.episode_stats() == other.episode_stats()


def test_more_clips_than_environments_are_spread_over_the_data_set(clips, monkeypatch):
    env = env_of(clips, num_envs=2, **SETTINGS)
    asked = []
    reset_to = env.reset_to
    monkeypatch.setattr(
        env, "reset_to", lambda ids, times: asked.append(ids.tolist()) or reset_to(ids, times)
    )
    found = evaluate_clips_in_training(env, agent_for(env), lambda: None)
    assert asked == [[0, 2]] and found["Eval_Clips"] == 2


def test_no_completed_clip_has_no_joint_error(clips):
    env = env_of(clips, num_envs=5, root_pos_termination_dist=1e-6, **SETTINGS)
    found = evaluate_clips_in_training(env, agent_for(env), lambda: None)
    assert found["Eval_Completed"] == 0.0 and math.isnan(found["Eval_Joint_Error"])


BINS = {"sampling_bin_seconds": 0.5, "sampling_uniform_share": 0.0}


@pytest.mark.parametrize("dm", [{}, BINS], ids=["per motion", "bins"])
def test_hard_clips_are_drawn_more_often(clips, dm):
    env = env_of(clips, num_envs=7, **SETTINGS, dm={**dm, "hard_motion_boost": 4.0})
    agent = agent_for(env)
    env.reset()
    before = torch.bincount(env.sampler.sample(20_000, random_time=True)[0], minlength=5) / 20_000
    for factor in (2.0, 4.0, 4.0):
        evaluate_clips_in_training(env, agent, lambda: None, heed=True)
        assert max(env.sampler.boosts.tolist()) == factor
    apart = evaluate_clips(make_evaluation_env(env_file(clips, **SETTINGS), engine="mujoco"), agent.act_mode)
    errors = [clip.joint_error_m for clip in apart]
    hard = [not clip.completed or clip.joint_error_m > 2 * sum(errors) / 5 for clip in apart]
    assert env.sampler.boosts.tolist() == [4.0 if each else 1.0 for each in hard] and 0 < sum(hard) < 5
    after = torch.bincount(env.sampler.sample(20_000, random_time=True)[0], minlength=5) / 20_000
    expected = before * env.sampler.boosts
    torch.testing.assert_close(after, expected / expected.sum(), atol=0.02, rtol=0)


def test_a_clip_followed_from_afar_is_hard(clips):
    env = env_of(clips, num_envs=5, **SETTINGS, dm={"hard_motion_boost": 4.0})
    ones = torch.ones(5, dtype=torch.float64)
    errors = torch.tensor([0.01, 0.02, 0.02, 0.03, 0.1], dtype=torch.float64)
    clip_evaluation._tell_sampler(env, ones, ones, errors)
    assert env.sampler.boosts.tolist() == [1.0, 1.0, 1.0, 1.0, 2.0]


def test_what_was_not_played_stays_as_it_is(clips):
    env = env_of(clips, num_envs=2, root_pos_termination_dist=1e-6, **SETTINGS, dm={"hard_motion_boost": 4.0})
    agent = agent_for(env)
    evaluate_clips_in_training(env, agent, lambda: None, heed=True)
    assert env.sampler.boosts.tolist() == [2.0, 1.0, 2.0, 1.0, 1.0]
    for turn in (1, 2):
        evaluate_clips_in_training(env, agent, lambda: None, heed=True, turn=turn)
    assert env.sampler.boosts.tolist() == [2.0, 2.0, 4.0, 2.0, 2.0]  # 0 and 2, 1 and 3, 2 and 4


def test_the_same_clips_are_played_where_nobody_heeds_them(clips, monkeypatch):
    played = []
    track = clip_evaluation.track_clips

    def noted(env, act, ids, heartbeat):
        played.append(ids.tolist())
        return track(env, act, ids, heartbeat=heartbeat)

    monkeypatch.setattr(clip_evaluation, "track_clips", noted)
    boosting = {"hard_motion_boost": 4.0}
    for dm in ({}, boosting, {**boosting, "ignore_fail_rates": True}):
        env = env_of(clips, num_envs=2, **SETTINGS, dm=dm)
        evaluate_clips_in_training(env, agent_for(env), lambda: None, turn=1)
    assert played == [[0, 2], [1, 3], [0, 2]]
    played.clear()
    for rank in (0, 1):  # two processes of one environment share what is played
        world = World(rank, 2)
        monkeypatch.setattr(world, "sum_", lambda tensor: tensor)
        env = env_of(clips, num_envs=1, **SETTINGS, dm=boosting)
        evaluate_clips_in_training(env, agent_for(env), lambda: None, world, turn=2)
    assert played == [[2], [4]]


@pytest.mark.parametrize("gpus", [1, 2])
def test_evaluations_to_heed_that_are_never_made_are_refused_in_one_line(tmp_path, capfd, gpus):
    (tmp_path / "env.yaml").write_text("env_name: ig_parkour\nenv: {dm: {hard_motion_boost: 4.0}}\n")
    (tmp_path / "agent.yaml").write_text("iters_per_evaluation: 0\n")
    named = {"env_config": tmp_path / "env.yaml", "agent_config": tmp_path / "agent.yaml", "gpus": gpus}
    rest = {"output_dir": tmp_path / "out", "num_envs": 4, "device": "cpu", "max_samples": 1}
    code = main([word for key, value in {**named, **rest}.items() for word in (f"--{key}", str(value))])
    assert code == EXIT_BAD_CONFIG
    (line,) = capfd.readouterr().err.splitlines()  # of one process, before the others start
    assert "'env.dm.hard_motion_boost' needs the training's evaluations" in line
