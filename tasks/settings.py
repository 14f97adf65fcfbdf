"""What a tracker config asks of the flow, read once and with absolute paths."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import get_run_logger
from prefect.runtime import flow_run

from parc_core.config.dataset_config import held_out_config, load_dataset_config
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import expand, resolve
from parc_core.config.schema import to_mapping
from parc_core.config.tracker_config import TrackerConfig
from parc_core.errors import ConfigError
from parc_core.motion.dataset.held_out import KEY, held_out_file
from parc_core.registry.names import model_on_this_machine, resolve_reference
from parc_core.registry.recordings import is_recordings, recordings_folder
from parc_core.storage.store import Store
from parc_core.supervisor.preflight import check_runnable, tracker_warnings
from parc_core.system.files import dump_json, sha256_bytes

_INPUTS = ("env_config", "agent_config", "dataset_file", "in_model_file", "create_dataset_config")


@dataclass(frozen=True)
class Settings:
    """The arguments of the stages."""

    tracker: dict[str, Any]
    """Keys of the tracker config."""
    create_dataset: dict[str, Any] | None
    """Keys of the dataset creation config, or None where the dataset is there already."""
    dataset_file: str
    """That dataset; empty where it is to be made."""
    max_samples: int
    model_name: str
    gate: dict[str, float]
    """What the model has to reach to become `latest`."""
    trainer_python: str | None
    record: bool
    """Whether the model performs its motions for the next iteration."""
    record_limits: dict[str, float]
    held_out: dict[str, Any] | None = None
    """Keys of a dataset creation config for the clips that the training never sees, where they are folders."""
    held_out_file: str = ""
    """Their dataset where it is there already; empty without."""


def _same_model_at_a_retry(reference: str) -> Path:
    """The registry's model that a run started with: `latest` may be its own when it is started again."""
    run_id = flow_run.get_id()
    if run_id is None:
        return model_on_this_machine(reference)
    key = f"results/parent-{run_id}-{sha256_bytes(reference.encode())[:8]}.json"
    store = Store()
    if not store.exists(key):
        model = resolve_reference(reference, store)
        store.create(key, dump_json({"model": f"registry:{model['name']}@{model['version']}"}).encode())
    return model_on_this_machine(str(store.read_json(key)["model"]))


def _folders(paths: list[str], key: str = "folder_paths") -> list[str]:
    """Motion folders, with what a model has recorded as the folder that it was when the run started."""
    found = []
    for path in paths:
        folder = _same_recordings_at_a_retry(path) if is_recordings(expand(path)) else path
        if folder is None:
            get_run_logger().info("%s: nothing is recorded yet; going without", path)
        else:
            found.append(folder)
    if not found:
        raise ConfigError(f"{key}: {', '.join(paths)}: nothing is recorded yet, and no other folder is named")
    return found


def _same_recordings_at_a_retry(path: str) -> str | None:
    """As `_same_model_at_a_retry`: the latest recordings may be the run's own when it is started again."""
    run_id, store = flow_run.get_id(), Store()
    if run_id is None:
        return recordings_folder(expand(path), store)
    key = f"results/recordings-{run_id}-{sha256_bytes(path.encode())[:8]}.json"
    if not store.exists(key):
        store.create(key, dump_json({"folder": recordings_folder(expand(path), store)}).encode())
    folder = store.read_json(key)["folder"]
    return None if folder is None else str(folder)


def load_settings(config: str) -> Settings:
    """Reads a tracker config and all that it names.

    Raises:
        ConfigError: it cannot run as it stands; one line says what to set.
    """
    tracker = check_runnable(config, _same_model_at_a_retry)
    for line in tracker_warnings(tracker):
        get_run_logger().warning(line)
    places: dict[str, Any] = {
        name: str(resolve(path)) for name in _INPUTS if (path := getattr(tracker, name)) is not None
    }
    if tracker.output_dir is not None:
        places["output_dir"] = str(Path(expand(tracker.output_dir)).absolute())
    tracker = dataclasses.replace(tracker, **places)
    create_dataset = None
    if tracker.create_dataset_config is not None:
        create_dataset = to_mapping(load_dataset_config(tracker.create_dataset_config))
        create_dataset["folder_paths"] = _folders(create_dataset["folder_paths"])
    held_out, held_out_dataset = _held_out(tracker, config)
    return Settings(
        tracker=to_mapping(tracker),
        create_dataset=create_dataset,
        dataset_file=tracker.dataset_file or "",
        max_samples=tracker.max_samples,
        model_name=tracker.model_name,
        gate=tracker.gate,
        trainer_python=tracker.trainer_python,
        record=tracker.record,
        record_limits=tracker.record_limits,
        held_out=held_out,
        held_out_file=held_out_dataset,
    )


def _held_out(tracker: TrackerConfig, where: str) -> tuple[dict[str, Any] | None, str]:
    """The clips that the training never sees: keys of a dataset config, or the file of their dataset."""
    if not tracker.held_out_motions:
        return None, ""
    found = held_out_file(tracker.held_out_motions, where)
    if found is not None:
        return None, str(found)
    of = tracker.create_dataset_config
    config = held_out_config(
        _folders(tracker.held_out_motions, KEY),
        None if of is None else load_dataset_config(of),
        load_env_config(tracker.env_config).env.char_file,
    )
    return to_mapping(config), ""
