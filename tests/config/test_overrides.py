"""Settings given beside a config are checked like the files' own, and written into copies of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.config.overrides import all_settings, parse_override, with_overrides
from parc_core.config.tracker_config import load_tracker_config
from parc_core.errors import ConfigError


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "agent.yaml").write_text("optimizer: {learning_rate: 0.001}\ndiscount: 0.9\n")
    (tmp_path / "tracker.yaml").write_text(
        f"agent_config: {tmp_path}/agent.yaml\ndataset_file: None\nnum_envs: 64\ndevice: cpu\n"
    )
    return tmp_path / "tracker.yaml"


def test_every_key_can_be_set_by_its_full_name_and_by_that_of_its_file():
    for setting in all_settings():
        for name in (setting.names[0], setting.key):
            if setting.field.default is None:  # null is a value of it
                assert parse_override(f"{name}=null").setting == setting


def test_values_reach_the_three_files_and_the_rest_stays(config, tmp_path):
    values = [
        "dataset_file=m.yaml",
        "learning_rate=1e-4",
        "env.pose_w=0.3",
        "gate.min_completed=0.9",
        "seed=7",
    ]
    written = with_overrides(config, values, tmp_path / "out")
    tracker = load_tracker_config(written)
    assert (tracker.dataset_file, tracker.seed, tracker.num_envs) == ("m.yaml", 7, 64)
    assert tracker.gate == {"min_completed": 0.9}
    agent = load_agent_config(tracker.agent_config)
    assert (agent.optimizer.learning_rate, agent.discount) == (1e-4, 0.9)
    assert load_env_config(tracker.env_config).env.pose_w == 0.3
    assert (
        load_agent_config(tmp_path / "agent.yaml").optimizer.learning_rate == 1e-3
    )  # the user's file is as it was


def test_only_files_with_other_values_are_copied(config, tmp_path):
    tracker = load_tracker_config(with_overrides(config, ["dataset_file=m.yaml"], tmp_path / "out"))
    assert tracker.agent_config == f"{tmp_path}/agent.yaml"


def test_the_last_value_of_a_key_counts_and_same_values_have_one_place(config, tmp_path):
    once = with_overrides(config, ["dataset_file=m.yaml", "seed=2"], tmp_path / "out")
    assert with_overrides(config, ["seed=1", "dataset_file=m.yaml", "seed=2"], tmp_path / "out") == once
    assert with_overrides(config, ["dataset_file=m.yaml", "seed=3"], tmp_path / "out") != once


def test_nothing_given_is_the_config_itself(config, tmp_path):
    assert with_overrides(config, [], tmp_path / "out") == config


def test_an_earlier_name_in_the_file_gives_way(config, tmp_path):
    old = next(each for each in all_settings() if each.field.metadata.get("was"))
    env = tmp_path / "env.yaml"
    env.write_text(f"env:\n  {old.field.metadata['was']}: {old.field.default}\n")
    values = ["dataset_file=m.yaml", f"env_config={env}", f"{old.key}={old.field.default + 1}"]
    tracker = load_tracker_config(with_overrides(config, values, tmp_path / "out"))
    assert getattr(load_env_config(tracker.env_config).env, old.path[-1]) == old.field.default + 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lerning_rate=1", "nearest known key is 'optimizer.learning_rate'"),
        ("env.dm.motion_fil=1", "nearest known key is 'env.dm.motion_file'"),
        ("optimizer=1", "is a section; name a key in it, such as 'optimizer.type'"),
        ("num_envs=many", "'num_envs' must be a whole number"),
        ("num_envs=0", "must be at least 1"),
        ("schedule=fast", "one of constant, linear, adaptive"),
        ("random_reset_pos=true", "must be False"),
        ("num_envs", "write it like"),
        ("=3", "write it like"),
        ("discount.x=3", "nearest known key"),
        ("fail_rate_quantiles=[1, 2", "fail_rate_quantiles"),
    ],
)
def test_what_cannot_be_set_is_one_line(text, said):
    with pytest.raises(ConfigError, match="--set") as error:
        parse_override(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
