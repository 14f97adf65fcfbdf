"""Trainings of earlier versions are known again: their fingerprints and run keys stay what they were.

`fingerprints.json` was written by the code before config keys described themselves; files count by their names here.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.schema import from_mapping, setting
from parc_core.config.tracker_config import load_tracker_config
from parc_core.config.train_args import TrainArgs
from parc_core.errors import ConfigError
from parc_core.supervisor import run_folder
from parc_core.training import fingerprint
from parc_core.training.checkpoint import check_fingerprint
from parc_core.training.fingerprint import training_fingerprint

STORED = json.loads(Path(__file__).with_name("fingerprints.json").read_text(encoding="utf-8"))
ARGS = TrainArgs(env_config="", agent_config="", output_dir="", num_envs=8, device="cpu", seed=3)

# Every key of ours away from its default, under the names that the keys had then.
OUR_ENV = {
    "action_mode": "residual",
    "residual_action_scale": 0.3,
    "terrain_window": 7,
    "solver_iterations": 4,
    "max_contacts_per_env": 50,
    "max_constraints_per_env": 300,
    "pose_strictness": 2.0,
    "vel_strictness": 3,
    "root_pos_strictness": 1.5,
    "root_vel_strictness": 0.5,
    "key_pos_strictness": 4,
    "contact_weights": {"head": 2.0},
}
OUR_AGENT = {
    "matmul_precision": "bf16",
    "optimizer": {"desired_kl": 0.02, "schedule": "adaptive"},
    "center_heights": True,
    "value_bounds": "reference",
    "model": {"action_std_end": 0.02, "action_std_anneal_samples": 1e6},
    "iters_per_evaluation": 7,
    "max_rollbacks": 1,
    "num_checkpoints_kept": 9,
    "exp_anneal_samples": 100,
}
PRESETS = ("cpu/tracker.yaml", "demo/tracker.yaml", "gpu/tracker.yaml", "parc_3_tracker_default.yaml")


@pytest.fixture(autouse=True)
def contents(monkeypatch):
    """Files count by their names."""
    monkeypatch.setattr(fingerprint, "_content", lambda path: f"content of {Path(path).name}")
    monkeypatch.setattr(fingerprint, "dataset_content", lambda path: "content of the dataset")
    monkeypatch.setenv("DATA_DIR", "/data")


def current(env=None, agent=None):
    env_file = from_mapping(EnvFileConfig, {"env": env or {}}, "env.yaml")
    return training_fingerprint(ARGS, env_file, from_mapping(AgentConfig, agent or {}, "agent.yaml"))


@pytest.mark.parametrize(
    ("name", "env", "agent"),
    [("defaults", None, None), ("ours", OUR_ENV, OUR_AGENT)],
    ids=["defaults", "ours"],
)
def test_checkpoints_of_earlier_versions_continue(name, env, agent):
    check_fingerprint(Path("checkpoint.pt"), STORED[name], current(env, agent))
    assert current(env, agent) == STORED[name]


@pytest.mark.parametrize("key", ["solver_iterations", "pose_strictness", "action_mode"])
def test_another_value_of_a_key_of_ours_is_another_training(key):
    changed = {name: value for name, value in OUR_ENV.items() if name != key}
    with pytest.raises(ConfigError, match=rf"env\.env\.{key} was"):
        check_fingerprint(Path("checkpoint.pt"), STORED["ours"], current(changed, OUR_AGENT))


def test_a_terrain_window_counts_by_its_cells():
    assert current({"terrain_window": 5}) == current({"terrain_window_size": 1.9}) == STORED["defaults"]
    fine = {"dm": {"heightmap": {"horizontal_scale": 0.1, "padding": 0.4}}}
    assert current(fine)["env.env.terrain_window"] == "21"
    assert current({**fine, "terrain_window": 5})["env.env.terrain_window"] == "5"


def test_the_order_of_what_the_critic_sees_makes_no_other_training():
    key = "env.env.critic_obs"
    one, other = (current({"critic_obs": names}) for names in (["errors", "forces"], ["forces", "errors"]))
    assert other[key] == "['forces', 'errors']"  # as it was: the keys of run folders come from it
    check_fingerprint(Path("checkpoint.pt"), other, one)
    check_fingerprint(Path("checkpoint.pt"), one, other)
    for saved in ("['errors', 'fail_rate']", "['forces']"):
        with pytest.raises(ConfigError, match=r"env\.env\.critic_obs was"):
            check_fingerprint(Path("checkpoint.pt"), {**one, key: saved}, one)
    with pytest.raises(ConfigError, match=r"env\.env\.critic_obs was \[\], now \['errors', 'forces'\]"):
        check_fingerprint(Path("checkpoint.pt"), STORED["defaults"], one)


def test_what_differs_is_named_with_defaults_and_the_way_to_resume():
    norm = current(agent={"model": {"activation": "silu", "layer_norm": True}})
    with pytest.raises(ConfigError) as refused:
        check_fingerprint(
            Path("out/checkpoints/checkpoint_8.pt"), STORED["defaults"], {**norm, "in_model_file": "a"}
        )
    text = str(refused.value)
    assert "agent.model.activation was 'relu', now 'silu'; agent.model.layer_norm was False, now True" in text
    assert "in_model_file was not set, now a" in text
    assert text.endswith("--arg_file out/train_args.txt")


def test_numbers_per_body_are_named_as_they_were_given():
    named = current({"joint_err_w": {"head": 1.0, "torso": 0.5}})
    with pytest.raises(
        ConfigError, match=r"\(env.env.joint_err_w was \{head: 1.0, torso: 0.5\}, now \[[^]]*\]\)"
    ):
        check_fingerprint(Path("checkpoint.pt"), named, current())


def test_outputs_pace_and_room_may_change():
    pace = {"iters_per_output": 7, "iters_per_checkpoint": 8, "use_tensorboard": False, "max_rollbacks": 0}
    assert current({"max_contacts_per_env": 80}, pace) == STORED["defaults"]


def test_the_pace_of_evaluations_counts_where_they_are_heeded():
    boosting = {"dm": {"hard_motion_boost": 4.0}}
    every_3, every_5 = (current(boosting, {"iters_per_evaluation": pace}) for pace in (3, 5))
    with pytest.raises(ConfigError, match=r"iters_per_evaluation \(env.dm.hard_motion_boost\) was 3, now 5"):
        check_fingerprint(Path("checkpoint.pt"), every_3, every_5)
    unheeded = {"dm": {"hard_motion_boost": 4.0, "ignore_fail_rates": True}}
    assert current(unheeded, {"iters_per_evaluation": 3}) == current(unheeded, {"iters_per_evaluation": 5})


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_keep_their_run_keys(preset, monkeypatch):
    """A preset that is changed on purpose gets a new key: write it into the file."""
    monkeypatch.setattr(run_folder, "existing_file", lambda path, *_: Path(path))
    tracker = load_tracker_config(f"data/configs/{preset}")
    tracker = dataclasses.replace(tracker, in_model_file=None)
    name = preset.partition("/")[0].replace(".yaml", "")
    assert run_folder.run_key(tracker, "motions.yaml") == STORED["run_keys"][name]
    assert (
        run_folder.run_key(dataclasses.replace(tracker, gpus=2), "motions.yaml") == STORED["run_keys"][name]
    )


def test_a_key_of_the_future_changes_no_training_until_it_is_set():
    """What a newcomer writes, `ours=True`, is enough: trainings from before the key stay the same."""

    @dataclasses.dataclass(frozen=True)
    class Newer(AgentConfig):
        sharper: float = setting(1.0, ours=True)

    assert training_fingerprint(ARGS, EnvFileConfig(), Newer()) == STORED["defaults"]
    changed = training_fingerprint(ARGS, EnvFileConfig(), Newer(sharper=2.0))
    assert changed == {**STORED["defaults"], "agent.sharper": "2.0"}


def test_a_renamed_key_keeps_its_name_in_fingerprints():
    @dataclasses.dataclass(frozen=True)
    class Renamed(AgentConfig):
        gamma: float = setting(0.5, was="discounting")

    assert training_fingerprint(ARGS, EnvFileConfig(), Renamed()) == {
        **STORED["defaults"],
        "agent.discounting": "0.5",
    }
