"""What notebooks use: `import parc_core` and a handful of functions."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import parc_core
from parc_core import api
from parc_core.config.paths import PROJECT_ROOT
from parc_core.envs.terminations import FailReason
from parc_core.errors import ConfigError, DataError
from parc_core.playback.policy import load_policy as load_agent


def test_importing_is_light_and_offers_the_functions():
    program = (
        "import sys, parc_core; assert 'load_dataset' in dir(parc_core); "
        "print([name for name in ('torch', 'numpy', 'gymnasium', 'mujoco') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PROJECT_ROOT, check=True
    )
    assert result.stdout == "[]\n"


def test_every_function_is_there_and_documented():
    for name in parc_core._API:
        assert getattr(parc_core, name) is getattr(api, name)
        assert getattr(parc_core, name).__doc__
    with pytest.raises(AttributeError, match="load_datasets"):
        _ = parc_core.load_datasets


def test_a_dataset_is_a_file_or_a_folder(walks, tmp_path, monkeypatch):
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    named = parc_core.load_dataset(walks)
    assert (len(named), list(named), named.motions_yaml) == (2, ["stand", "walk"], walks / "motions.yaml")
    assert named["walk"].motion.num_frames == named[1].motion.num_frames == named[-1].motion.num_frames
    folder = tmp_path / "motions"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "w.pkl").write_bytes((walks / "walk.pkl").read_bytes())
    assert parc_core.load_dataset(folder).names == ["a/w"]


def test_what_is_not_in_a_dataset_is_said_in_one_line(walks, tmp_path):
    dataset = parc_core.load_dataset(walks)
    with pytest.raises(DataError, match="no clip is called 'run'; there are stand, walk"):
        dataset["run"]
    with pytest.raises(DataError, match="counted from 0 to 1"):
        dataset[2]
    with pytest.raises(ConfigError, match="nowhere"):
        parc_core.load_dataset(tmp_path / "nowhere")


def test_an_environment_of_a_dataset_alone_and_one_of_a_policy(walks, model):
    assert parc_core.make_env(walks, num_threads=1).config.action_mode == "absolute"  # PARC's
    policy = parc_core.load_policy(model)
    env = parc_core.make_env(walks, 3, config=policy, episode_length=4.0, num_threads=1)
    assert (env.num_envs, env.config.action_mode, env.config.episode_length) == (3, "residual", 4.0)
    with pytest.raises(ConfigError, match="nearest known key is 'episode_length'"):
        parc_core.make_env(walks, episode_lenght=4.0)


def test_a_policy_acts_as_the_agent_of_its_file(walks, model):
    policy = parc_core.load_policy(model)
    env = parc_core.make_env(walks, 3, config=policy, num_threads=1)
    obs = env.reset()
    action = policy(obs)
    agent = load_agent(
        model, env, policy.env_config and api.policy.load_agent_config(model.parent / "agent_config.yaml")
    )
    assert torch.equal(action, agent.act_mode(obs))
    one = policy.act(obs[0].numpy())
    assert isinstance(one, np.ndarray)
    np.testing.assert_allclose(one, action[0].numpy(), atol=1e-6)
    with pytest.raises(ValueError, match="takes 1312 observations, not 5"):
        policy(torch.zeros(5))


def test_a_policy_refuses_an_environment_of_other_actions(walks, model):
    env = parc_core.make_env(walks, num_threads=1)
    with pytest.raises(ConfigError, match="action_mode"):
        parc_core.play(env, parc_core.load_policy(model))


def test_a_model_alone_says_that_its_environment_is_missing(walks, model, tmp_path):
    (tmp_path / "model.pt").write_bytes(model.read_bytes())
    policy = parc_core.load_policy(tmp_path / "model.pt")
    with pytest.raises(ConfigError, match=r"no dm_env\.yaml lies beside it"):
        parc_core.make_env(walks, config=policy)


def test_clips_are_played_by_name_or_place(walks, model):
    policy = parc_core.load_policy(model)
    env = parc_core.make_env(walks, 2, config=policy, num_threads=1)
    clip = parc_core.play(env, policy, "stand", max_seconds=0.5)
    assert (clip.name, clip.completed, clip.num_frames) == ("stand", True, 16)
    assert clip.joint_error_m.shape == (16,)
    assert 0.0 < clip.joint_error_m[-1] < 0.5
    both = parc_core.play(env, policy, [1, "stand"], max_seconds=0.2)
    assert [each.name for each in both] == ["walk", "stand"]
    assert parc_core.play(env, policy, []) == []


def test_a_clip_that_is_lost_says_why(walks, model):
    policy = parc_core.load_policy(model)
    env = parc_core.make_env(walks, config=policy, num_threads=1, root_pos_termination_dist=1e-6)
    clip = parc_core.play(env, policy, "walk", max_seconds=0.2)
    assert not clip.completed
    assert clip.reason == FailReason.ROOT_POSITION.label in repr(clip)


def test_a_clip_is_shown_as_a_gif(walks, model, tmp_path):
    policy = parc_core.load_policy(model)
    clip = parc_core.play(parc_core.make_env(walks, config=policy, num_threads=1), policy, 0, max_seconds=0.1)
    try:
        animation = parc_core.show(clip, width=160)
    except ConfigError as error:
        pytest.skip(str(error))
    assert animation.data.startswith(b"GIF89a")
    assert animation._repr_html_().startswith('<img src="data:image/gif;base64,R0lGOD')
    animation.save(tmp_path / "clip.gif")
    assert (tmp_path / "clip.gif").read_bytes() == animation.data


def test_without_gymnasium_one_line_says_what_to_install(walks, monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ConfigError, match=r"pip install -e '/.*\[gym\]'"):
        parc_core.make_gym_env(walks, num_threads=1)
