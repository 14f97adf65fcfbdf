"""Stages without a flow: the functions themselves, through `.fn`."""

from __future__ import annotations

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_core.config.dataset_config import load_dataset_config
from parc_core.config.schema import to_mapping
from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset_file import read_motions_yaml
from tasks.caching import local_path
from tasks.dataset import build_dataset, given_dataset
from tasks.merge import merge_motions
from tasks.register import register
from tasks.settings import load_settings
from tasks.train import worth_another_attempt


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


def test_a_new_motion_changes_the_key_of_the_merge(dataset_keys, motions):
    before = merge_motions.key({"dataset_config": dataset_keys})
    assert merge_motions.key({"dataset_config": dataset_keys}) == before
    (motions / "walk" / "another.pkl").write_bytes((motions / "stand" / "stand_0.pkl").read_bytes())
    assert merge_motions.key({"dataset_config": dataset_keys}) != before


def test_settings_are_absolute(tracker_config, monkeypatch):
    monkeypatch.chdir(tracker_config.parent)
    settings = load_settings(tracker_config.name)
    assert settings.create_dataset is not None
    assert settings.tracker["agent_config"] == str(tracker_config.parent / "agent.yaml")
    assert (settings.max_samples, settings.model_name) == (128, "tiny")


def test_bad_data_and_bad_configs_are_not_worth_another_attempt():
    class State:
        def __init__(self, error):
            self.error = error

        def result(self, raise_on_failure):
            assert not raise_on_failure
            return self.error

    assert worth_another_attempt(None, None, State(RuntimeError("crash")))
    assert not worth_another_attempt(None, None, State(DataError("bad")))
    assert not worth_another_attempt(None, None, State(ConfigError("bad")))


def test_stages_keep_the_names_of_their_functions():
    assert (merge_motions.__name__, register.task.name) == ("merge_motions", "register model")
