"""Stage 3: the resolved configs that the trainer process reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parc_core.config.emit import emit_configs as emit
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import existing_file
from parc_core.config.schema import from_mapping
from parc_core.config.tracker_config import TrackerConfig
from parc_core.run_folder import run_folder
from parc_core.storage.atomic import sha256_file
from tasks.caching import Result, file_ref, local_path, stage

NAMED_FILES = ("env_config", "agent_config", "in_model_file")


def _inputs(parameters: dict[str, Any]) -> Any:
    """Arguments with the contents of the files that the tracker config names."""
    tracker = from_mapping(TrackerConfig, parameters["tracker"], "tracker config")
    contents = {
        name: sha256_file(path) for name in NAMED_FILES if (path := getattr(tracker, name)) is not None
    }
    dataset = parameters["dataset"]
    folder = run_folder(tracker, local_path(dataset["motions_yaml"]))
    return [parameters["tracker"], contents, dataset, str(folder)]


@stage(name="emit configs", code=("parc_core/config",), inputs=_inputs)
def emit_configs(tracker: dict[str, Any], dataset: Result) -> Result:
    """Writes dm_env.yaml, agent_config.yaml and train_args.txt into the training's folder.

    Args:
        tracker: the keys of a tracker config, its paths absolute.
        dataset: the result of `build_dataset`.

    Returns:
        `run_dir`, `dm_env`, `agent_config`, `train_args` (references).
    """
    config = from_mapping(TrackerConfig, tracker, "tracker config")
    dataset_file = local_path(dataset["motions_yaml"])
    folder = run_folder(config, dataset_file)
    files = emit(config, dataset_file, folder)
    return {"run_dir": str(folder), **{Path(name).stem: file_ref(path) for name, path in files.items()}}


def character_content(configs: Result) -> str:
    """SHA-256 of the character that emitted configs name; dm_env.yaml holds its path alone."""
    where = local_path(configs["dm_env"])
    return sha256_file(existing_file(load_env_config(where).env.char_file, "env.char_file", str(where)))
