"""The form of a run: filled from a tracker config, checked, turned into configs."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import get_args, get_type_hints

import pytest
import yaml
from pydantic import ValidationError

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from flows.form import Environment, Form, Learning, Motions, Registration, StageName, Training, key
from flows.form_configs import described, form_from_config, write_configs
from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig, load_agent_config
from parc_core.config.attribute_docs import attribute_docs
from parc_core.config.dataset_config import DatasetConfig, load_dataset_config
from parc_core.config.env_config import EnvConfig, load_env_config
from parc_core.config.tracker_config import TrackerConfig, load_tracker_config
from parc_core.errors import ConfigError
from tasks.stage import STAGES
from tests.pipeline_fixtures import change


def test_a_config_and_its_form_mean_the_same(tracker_config, motions, tmp_path):
    form = form_from_config(tracker_config)
    assert form.environment.env_config == "data/configs/demo/env.yaml"
    assert form.motions.folders == [str(motions)]
    wanted = load_tracker_config(tracker_config)
    written = load_tracker_config(write_configs(form, tmp_path / "requests"))
    for name in ("num_envs", "max_samples", "device", "gpus", "engine", "seed", "model_name"):
        assert getattr(written, name) == getattr(wanted, name), name
    assert load_agent_config(written.agent_config) == load_agent_config(wanted.agent_config)
    assert load_env_config(written.env_config) == load_env_config(wanted.env_config)
    assert load_dataset_config(written.create_dataset_config).folder_paths == [str(motions)]


def test_data_dir_is_the_workers(tracker_config, motions, tmp_path, monkeypatch):
    dataset = tmp_path / "dataset.yaml"
    dataset.write_text(
        yaml.safe_dump({"folder_paths": ["$DATA_DIR/mot*", "s3://bucket/x"], "min_num_frames": 9})
    )
    monkeypatch.delenv("DATA_DIR", raising=False)
    form = form_from_config(tracker_config)
    assert form.motions.folders == ["$DATA_DIR/mot*", "s3://bucket/x"]
    monkeypatch.setenv("DATA_DIR", str(motions.parent))
    tracker = load_tracker_config(write_configs(form, tmp_path / "requests"))
    written = load_dataset_config(tracker.create_dataset_config)
    assert written.folder_paths == [str(motions), "s3://bucket/x"]
    assert written.min_num_frames == 9


def test_changes_in_the_form(tracker_config, tmp_path):
    form = form_from_config(tracker_config)
    form.learning.learning_rate = 0.25
    form.learning.discount = 0.5
    form.learning.action_std = 0.125
    form.environment.action_mode = "absolute"
    form.motions.halved_classes = ["walk"]
    tracker = load_tracker_config(write_configs(form, tmp_path / "requests"))
    agent = load_agent_config(tracker.agent_config)
    assert (agent.optimizer.learning_rate, agent.discount, agent.model.action_std) == (0.25, 0.5, 0.125)
    assert agent.steps_per_iter == 8  # as in the file
    assert load_env_config(tracker.env_config).env.action_mode == "absolute"
    dataset = load_dataset_config(tracker.create_dataset_config)
    assert dataset.cut_some_classes_in_half
    assert dataset.motion_classes_to_cut_in_half == ["walk"]


def test_the_same_form_gives_the_same_files(tracker_config, tmp_path):
    form = form_from_config(tracker_config)
    first = write_configs(form, tmp_path)
    assert write_configs(form, tmp_path) == first
    form.training.seed = 1
    assert write_configs(form, tmp_path) != first


def test_a_given_dataset(tracker_config, tmp_path):
    config = change(
        tracker_config, create_dataset_config=None, dataset_file="$DATA_DIR/m.yaml", output_dir="x"
    )
    form = form_from_config(config)
    assert (form.motions.folders, form.motions.dataset_file) == ([], "$DATA_DIR/m.yaml")


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("motions", {"folders": []}),
        ("motions", {"folders": ["a"], "dataset_file": "b.yaml"}),
        ("motions", {"folders": ["a"], "min_num_frames": -1}),
        ("training", {"max_samples": 0}),
        ("training", {"device": "gpu"}),
        ("training", {"gpus": 0}),
        ("training", {"num_envs": 10, "gpus": 4}),
        ("training", {"engine": "bullet"}),
        ("training", {"samples": 5}),
        ("learning", {"learning_rate": 0}),
        ("learning", {"discount": 1}),
        ("registration", {"model_name": "../x"}),
        ("registration", {"min_completed": 1.5}),
        ("refresh", ["everything"]),
    ],
)
def test_wrong_values_are_refused(group, values):
    with pytest.raises(ValidationError, match=group):
        Form.model_validate({"motions": {"folders": ["a"]}, group: values})


KEYS = [
    (Training, TrackerConfig),
    (Learning, AgentConfig),
    (Learning, OptimizerConfig),
    (Learning, ModelConfig),
    (Environment, EnvConfig),
    (Motions, DatasetConfig),
    (Motions, TrackerConfig),
    (Registration, TrackerConfig),
]


def bare(hint):
    """A type without null and without what pydantic checks beside it."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return bare(kinds[0]) if type(None) in get_args(hint) else hint


@pytest.mark.parametrize(("group", "config"), KEYS)
def test_fields_have_the_types_of_their_keys(group, config):
    fields, keys = get_type_hints(group), get_type_hints(config)
    # The engines' names come from their registry, in the config they are a text.
    shared = [name for name in group.model_fields if name in keys and name != "engine"]
    assert shared
    for name in shared:
        assert bare(fields[name]) == bare(keys[name]), name


def test_fields_have_limits_defaults_and_texts_of_their_keys():
    schema = Form.model_json_schema()["$defs"]

    def field(group, name):
        return schema[group]["properties"][name]

    frames = field("Motions", "min_num_frames")
    assert (frames["default"], frames["minimum"], frames["title"]) == (2, 0, "Min. frames")
    assert frames["description"] == attribute_docs(DatasetConfig)["min_num_frames"]
    discount = field("Learning", "discount")
    assert (discount["minimum"], discount["exclusiveMaximum"], discount["type"]) == (0, 1, "number")
    assert field("Learning", "learning_rate")["exclusiveMinimum"] == 0
    assert field("Motions", "max_terrain_dim_x")["minimum"] == 1
    assert field("Training", "engine")["default"] == "auto"
    for group in schema.values():
        for name, shown in group.get("properties", {}).items():
            assert shown["title"] and shown["description"], name
            assert "null" not in shown["description"] and "`" not in shown["description"], name


def test_stages_to_refresh_are_those_that_there_are():
    assert set(get_args(StageName)) == set(STAGES) >= {"merge_motions", "train", "register"}
    form = Form.model_validate({"motions": {"folders": ["a"]}, "refresh": ["merge_motions", "evaluate"]})
    assert form.refresh == ["merge_motions", "evaluate"]


def test_no_field_of_the_form_is_of_type_null(tracker_config):
    """The UI shows such a field as a text that says so, and nobody can fill it in."""
    assert '"type": "null"' not in json.dumps(Form.model_json_schema())
    assert "null" not in json.dumps(form_from_config(tracker_config).parameters())
    empty = Form.model_validate({"motions": {"folders": ["a"]}, "learning": {"learning_rate": None}})
    assert empty.learning.learning_rate is None


def test_a_config_that_the_form_refuses(tracker_config):
    with pytest.raises(ConfigError, match=r"tracker.yaml: Samples \('training.max_samples'\)"):
        form_from_config(change(tracker_config, max_samples=0))


def test_a_missing_file_is_named(tracker_config, tmp_path):
    form = form_from_config(tracker_config)
    form.learning.agent_config = "nowhere.yaml"
    form.learning.discount = 0.5
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        write_configs(form, tmp_path)


def test_all_faults_are_told_at_once_with_their_labels(tracker_config):
    with pytest.raises(ConfigError) as refused:
        form_from_config(change(tracker_config, max_samples=0, gate={"min_completed": 2}))
    assert "Samples ('training.max_samples'): " in str(refused.value)
    assert "Min. completion rate ('registration.min_completed'): " in str(refused.value)


def test_an_empty_field_says_what_counts(tracker_config, tmp_path):
    form = form_from_config(tracker_config)
    form.learning.discount = 0.5
    shown = described({"definitions": Form.model_json_schema()["$defs"]}, form)["definitions"]
    rate = shown["Learning"]["properties"]["learning_rate"]["description"]
    assert rate.endswith(f" Empty: 0.0005, as in {tmp_path}/agent.yaml.")
    assert "Empty:" not in shown["Learning"]["properties"]["discount"]["description"]
    mode = shown["Environment"]["properties"]["action_mode"]["description"]
    assert mode.endswith(" Empty: residual, as in data/configs/demo/env.yaml.")
    form.learning.agent_config = "$DATA_DIR/only/on/workers.yaml"
    assert "Empty:" not in json.dumps(
        described({"definitions": Form.model_json_schema()["$defs"]}, form)["definitions"]["Learning"]
    )


def test_the_browser_refuses_what_is_below_zero():
    """It looks at `minimum` and `maximum` alone."""
    for group in Form.model_json_schema()["$defs"].values():
        for name, field in group.get("properties", {}).items():
            if field.get("type") in ("integer", "number"):
                assert field["minimum"] >= 0, name
            assert ("exclusiveMaximum" in field) <= ("maximum" in field), name


def test_no_text_of_the_form_loses_what_stands_in_angle_brackets():
    for group in Form.model_json_schema()["$defs"].values():
        for name, field in group.get("properties", {}).items():
            assert re.search(r"(?<!\\)<", field["description"]) is None, name
    assert key(Example, "device", "Device").description == r"cpu or cuda:\<number>"


@dataclasses.dataclass
class Example:
    device: str = "cpu"
    """cpu or `cuda:<number>`"""


@pytest.mark.parametrize("model", ["registry:", "registry:a@", "registry:a b", "registry:../x@1"])
def test_a_model_that_is_written_wrong_is_refused_with_the_form(model):
    with pytest.raises(ValidationError, match="in_model_file"):
        Form.model_validate({"motions": {"folders": ["a"]}, "training": {"in_model_file": model}})
    pattern = Form.model_json_schema()["$defs"]["Training"]["properties"]["in_model_file"]["pattern"]
    assert re.match(pattern, model) is None
    assert all(
        re.match(pattern, good) for good in ("registry:a@latest", "registry:a", "s3://b/m.pt", "/x/m.pt")
    )
