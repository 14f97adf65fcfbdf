"""Stage 3: what is asked of the trainer, in a form that means the same on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import DATA_ROOT, existing_file, expand
from parc_core.config.resolve import (
    AGENT_FILE,
    ENV_FILE,
    localize_env,
    portable,
    portable_env,
    resolved_agent,
    training_args,
    write_request,
    write_yaml,
)
from parc_core.config.schema import from_mapping
from parc_core.config.tracker_config import TrackerConfig
from parc_core.config.train_args import TrainArgs
from parc_core.storage.references import file_ref, local_path, work_folder
from parc_core.supervisor.run_folder import run_key
from parc_core.system.files import content_sha256, sha256_file
from tasks.dataset import dataset_here
from tasks.results import Result, content_key
from tasks.stage import stage

NAMED_FILES = ("env_config", "agent_config", "in_model_file")
ARGUMENTS = ("num_envs", "max_samples", "device", "gpus", "engine", "seed")
_ELSEWHERE = ("env_config", "agent_config", "dataset_file", "in_model_file", "create_dataset_config")
"""Keys of the tracker config that count by the content of what they name."""
_NOT_EMITTED = ("held_out_motions",)
"""Keys that shape neither the configs nor the training: what they name is evaluated beside it."""


def _inputs(parameters: dict[str, Any]) -> Any:
    """The settings, and the contents of the files that the tracker config names."""
    tracker = from_mapping(TrackerConfig, parameters["tracker"], "tracker config")
    contents = {
        name: sha256_file(path) for name in NAMED_FILES if (path := getattr(tracker, name)) is not None
    }
    settings = {
        key: value for key, value in parameters["tracker"].items() if key not in _ELSEWHERE + _NOT_EMITTED
    }
    return [settings, contents, content_sha256(_character(tracker)), parameters["dataset"]["sha256"]]


def _character(tracker: TrackerConfig) -> Path:
    env = load_env_config(tracker.env_config).env
    return existing_file(env.char_file, "env.char_file", tracker.env_config)


@stage(
    name="emit configs", runs=("parc_core.config.resolve", "parc_core.supervisor.run_folder"), inputs=_inputs
)
def emit_configs(tracker: dict[str, Any], dataset: Result) -> Result:
    """Writes the resolved configs into the store, without any place on this machine.

    Args:
        tracker: the keys of a tracker config, its paths absolute.
        dataset: the result of `build_dataset`.

    Returns:
        `run_key` (names the training), `output_dir` (None = named by the key), `arguments` of the trainer,
        `dm_env`, `agent_config`, `character` and `in_model_file` (references; the last may be None).
    """
    config = from_mapping(TrackerConfig, tracker, "tracker config")
    name = content_key("configs", "", _inputs({"tracker": tracker, "dataset": dataset})).rpartition("-")[2]
    folder = work_folder() / "configs" / name[:16]
    character = _character(config)
    env_file = load_env_config(config.env_config)
    write_yaml(folder / ENV_FILE, portable_env(env_file, _placeless(character)))
    write_yaml(folder / AGENT_FILE, resolved_agent(config))
    return {
        "run_key": run_key(config, dataset_here(dataset)),
        "output_dir": config.output_dir,
        "arguments": {key: getattr(config, key) for key in ARGUMENTS},
        "dm_env": file_ref(folder / ENV_FILE),
        "agent_config": file_ref(folder / AGENT_FILE),
        "character": file_ref(character),
        "in_model_file": file_ref(config.in_model_file) if config.in_model_file else None,
    }


def _placeless(character: Path) -> str:
    """Files of the project by their path inside it; others by name, their content goes along as a reference."""
    place = portable(character)
    return character.name if Path(place).is_absolute() else place


def training_folder(configs: Result) -> Path:
    """The training's folder on this machine."""
    if configs["output_dir"] is not None:
        return Path(expand(configs["output_dir"])).absolute()
    return work_folder() / "runs" / configs["run_key"]


def configs_here(
    configs: Result, dataset: Result, held_out: Result | None = None
) -> tuple[EnvFileConfig, AgentConfig, TrainArgs]:
    """The same configs with this machine's places; whatever they name is there afterwards.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`.
        held_out: the same of the clips that the training never sees.
    """
    env_file = load_env_config(local_path(configs["dm_env"]))
    character = env_file.env.char_file
    ours = DATA_ROOT / character
    if not ours.is_file() or content_sha256(ours) != configs["character"]["sha256"]:
        character = str(local_path(configs["character"]))
    folder = training_folder(configs)
    env_file = localize_env(env_file, character, dataset_here(dataset), folder)
    parent = configs["in_model_file"]
    args = training_args(
        folder,
        in_model_file=str(local_path(parent)) if parent else None,
        held_out_dataset=str(dataset_here(held_out)) if held_out else None,
        **configs["arguments"],
    )
    return env_file, load_agent_config(local_path(configs["agent_config"])), args


def write_here(configs: Result, dataset: Result, held_out: Result | None = None) -> dict[str, Path]:
    """Writes what the trainer on this machine reads into the training's folder; paths by file name."""
    return write_request(*configs_here(configs, dataset, held_out))
