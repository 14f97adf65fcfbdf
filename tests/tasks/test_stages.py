"""Stages without a flow: the functions themselves, through `.fn`."""

from __future__ import annotations

import logging

import pytest
import torch
import yaml

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_core.config.agent_config import ModelConfig
from parc_core.config.dataset_config import load_dataset_config
from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.schema import to_mapping
from parc_core.errors import ConfigError, DataError, StoreUnreachable
from parc_core.learning.agent import Agent
from parc_core.learning.model_file import write_model_file
from parc_core.learning.networks import ActorCritic
from parc_core.learning.normalizer import Normalizer
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.storage.references import local_path, missing
from parc_core.supervisor.supervise import TrainerCrashed
from tasks.configs import emit_configs
from tasks.dataset import build_dataset, given_dataset
from tasks.evaluate import evaluate
from tasks.merge import merge_motions, name_what_was_left_out
from tasks.register import register
from tasks.settings import load_settings
from tasks.stage import store_is_away
from tasks.train import train
from tests.pipeline_fixtures import change, write_yaml


@pytest.fixture(autouse=True)
def quiet():
    from prefect.logging import disable_run_logger

    with disable_run_logger():
        yield


@pytest.fixture
def dataset_keys(tracker_config):
    return to_mapping(load_dataset_config(tracker_config.parent / "dataset.yaml"))


def test_merged_motions_become_a_dataset_in_the_store(dataset_keys, store):
    merged = merge_motions.fn(dataset_keys)
    assert (merged["motions"], merged["rejected"]) == (2, 0)
    dataset = build_dataset.fn(merged, dataset_keys)
    path = local_path(dataset["motions_yaml"])
    assert store in path.parents
    assert len(read_motions_yaml(path).entries) == 2
    assert given_dataset(str(path))["motions"] == 2


def test_each_file_left_out_is_named_also_of_a_cached_merge(dataset_keys, motions, monkeypatch, caplog):
    for number in range(30):
        (motions / "walk" / f"torn_{number}.pkl").write_bytes(b"x")
    merged = merge_motions.fn(dataset_keys)
    monkeypatch.setattr("tasks.merge.get_run_logger", lambda: logging.getLogger("flow"))
    name_what_was_left_out(merged)
    named = [line for line in caplog.messages if line.startswith(f"skipped: {motions}/walk/torn_")]
    assert len(named) == 30 and all(": corrupt pickle" in line for line in named)


def test_without_what_came_later_the_key_is_what_it_was(dataset_keys):
    parameters = {"dataset_config": dataset_keys}
    before = merge_motions.key(parameters)
    assert (dataset_keys.pop("allow_implausible"), dataset_keys.pop("class_exponent")) == (False, 0.0)
    assert merge_motions.key(parameters) == before
    for later in ({"allow_implausible": True}, {"class_exponent": 0.5}):
        assert merge_motions.key({"dataset_config": {**dataset_keys, **later}}) != before


def test_a_new_motion_changes_the_key_of_the_merge(dataset_keys, motions):
    before = merge_motions.key({"dataset_config": dataset_keys})
    assert merge_motions.key({"dataset_config": dataset_keys}) == before
    (motions / "walk" / "another.pkl").write_bytes((motions / "stand" / "stand_0.pkl").read_bytes())
    assert merge_motions.key({"dataset_config": dataset_keys}) != before


def test_the_key_of_the_merge_holds_the_characters_content(dataset_keys, tmp_path):
    character = tmp_path / "own.xml"
    character.write_bytes((PROJECT_ROOT / "data/assets/humanoid.xml").read_bytes())
    parameters = {"dataset_config": {**dataset_keys, "char_filepath": str(character)}}
    before = merge_motions.key(parameters)
    character.write_text(character.read_text().replace("</mujoco>", "<!-- other --></mujoco>"))
    assert merge_motions.key(parameters) != before


def test_merges_of_the_same_folders_with_other_settings_do_not_collide(dataset_keys):
    first = merge_motions.fn(dataset_keys)
    other = merge_motions.fn({**dataset_keys, "min_num_frames": 3})
    assert first["merge"]["uri"] != other["merge"]["uri"]
    assert missing(first) is None
    # All files are known now; a result that said so would change the keys of all later stages.
    assert merge_motions.fn(dataset_keys) == first


def write_parent(path, seed):
    """A model with the networks of the tracker config."""
    torch.manual_seed(seed)
    nets = ActorCritic(10, 28, [64, 32], [64, 32], ModelConfig().actor_std_type)
    write_model_file(path, Agent(nets, Normalizer(10), Normalizer(28)))


@pytest.fixture
def configs(tracker_config, dataset_keys, tmp_path, monkeypatch):
    """Emitted configs of a training from another model, with a character of its own, in a given folder."""
    # That the other model's networks fit is checked elsewhere; here its content alone counts.
    monkeypatch.setattr("parc_core.learning.warm_start.check_start", lambda *_: None)
    character = tmp_path / "own.xml"
    character.write_bytes((PROJECT_ROOT / "data/assets/humanoid.xml").read_bytes())
    write_parent(tmp_path / "parent.pt", 1)
    env = yaml.safe_load((PROJECT_ROOT / "data/configs/demo/env.yaml").read_text())
    env["env"]["char_file"] = str(character)
    change(
        tracker_config,
        env_config=str(write_yaml(tmp_path / "env.yaml", env)),
        in_model_file=str(tmp_path / "parent.pt"),
        output_dir=str(tmp_path / "out"),
    )
    return emitted(tracker_config, build_dataset.fn(merge_motions.fn(dataset_keys), dataset_keys))


def emitted(tracker_config, dataset):
    settings = load_settings(str(tracker_config))
    return {"configs": emit_configs.fn(settings.tracker, dataset), "dataset": dataset}


def test_another_parent_model_is_evaluated_anew(configs, tmp_path):
    trained = {"model": {"uri": "file:///model.pt", "sha256": "1"}}
    keys = [evaluate.key(configs), evaluate.key({**configs, **trained})]
    write_parent(tmp_path / "parent.pt", 2)
    again = emitted(tmp_path / "tracker.yaml", configs["dataset"])
    assert evaluate.key(again) != keys[0]
    assert evaluate.key({**again, **trained}) == keys[1]
    assert train.key({**again, "max_samples": 8}) != train.key({**configs, "max_samples": 8})


@pytest.mark.parametrize("stage", [evaluate, train])
def test_another_character_is_trained_and_evaluated_anew(configs, stage, tmp_path):
    parameters = {**configs, "max_samples": 8} if stage is train else configs
    before = stage.key(parameters)
    assert stage.key(parameters) == before
    character = tmp_path / "own.xml"
    character.write_text(character.read_text().replace("</mujoco>", "<!-- other --></mujoco>"))
    assert stage.key({**parameters, **emitted(tmp_path / "tracker.yaml", configs["dataset"])}) != before


def test_settings_are_absolute(tracker_config, monkeypatch):
    monkeypatch.chdir(tracker_config.parent)
    settings = load_settings(tracker_config.name)
    assert settings.create_dataset is not None
    assert settings.tracker["agent_config"] == str(tracker_config.parent / "agent.yaml")
    assert (settings.max_samples, settings.model_name) == (128, "tiny")


def test_a_store_that_is_away_alone_is_worth_another_attempt_of_a_stage():
    class State:
        def __init__(self, error):
            self.error = error

        def result(self, raise_on_failure):
            assert not raise_on_failure
            return self.error

    assert store_is_away(None, None, State(StoreUnreachable("no answer")))
    for error in (DataError("bad"), ConfigError("bad"), TrainerCrashed("tried often enough"), RuntimeError()):
        assert not store_is_away(None, None, State(error))


def test_stages_keep_the_names_of_their_functions():
    assert (merge_motions.__name__, register.task.name) == ("merge_motions", "register model")
