"""From a tracker config to the three files that a trainer process reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List, Optional

import yaml

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import DATA_ROOT, PathLike, existing_file
from parc_core.config.schema import to_mapping
from parc_core.config.tracker_config import TrackerConfig
from parc_core.config.train_args import TrainArgs, write_train_args
from parc_core.system.files import write_text

ENV_FILE = "dm_env.yaml"
AGENT_FILE = "agent_config.yaml"
ARGS_FILE = "train_args.txt"
TERRAIN_FILE = "terrain.pkl"
CHARACTER_FILE = "character.xml"
"""Name of a model's character in the registry and in a pulled folder."""
CHECKPOINTS = "checkpoints"
"""Subfolder of a training."""
PRIVATE_FOLDER = ".trainer"
"""Subfolder of a training for what PARC's users need not see: what is asked of it, lock, output. Only a trainer that
takes the request writes it beside the model: one that is refused must not replace the configs of what is there."""


def configs_beside(model: PathLike) -> Path:
    """The folder with the configs of a model: its own, or of a checkpoint that of its training."""
    folder = Path(model).absolute().parent
    if folder.name == CHECKPOINTS and not (folder / ENV_FILE).is_file():
        return folder.parent
    return folder


def emit_configs(
    tracker: TrackerConfig,
    dataset_file: PathLike,
    out_dir: PathLike,
    held_out_dataset: Optional[PathLike] = None,
) -> Dict[str, Path]:
    """Write the resolved configs, every key spelled out, so that a run can be read and repeated.

    Args:
        tracker: the tracker config.
        dataset_file: the dataset (`motions.yaml`) to train on.
        out_dir: the training's output folder; the files go to `.trainer/` in it.
        held_out_dataset: dataset of the clips that the training never sees, where there are any.

    Returns:
        Paths of the files by name: `dm_env.yaml`, `agent_config.yaml`, `train_args.txt`.

    Raises:
        ConfigError: a named file is missing or does not read, or `out_dir` cannot be written.
    """
    out = Path(out_dir).absolute()
    dataset = existing_file(dataset_file, "dataset_file", "tracker config")
    in_model = None
    if tracker.in_model_file is not None:
        in_model = str(existing_file(tracker.in_model_file, "in_model_file", "tracker config"))
    args = training_args(
        out,
        num_envs=tracker.num_envs,
        max_samples=tracker.max_samples,
        device=tracker.device,
        gpus=tracker.gpus,
        engine=tracker.engine,
        in_model_file=in_model,
        seed=tracker.seed,
        held_out_dataset=None if held_out_dataset is None else str(held_out_dataset),
    )
    return write_request(resolved_env(tracker, dataset, out), resolved_agent(tracker), args)


def training_args(out_dir: Path, **values: Any) -> TrainArgs:
    """The trainer's arguments for an output folder, which holds the configs that they name; see `TrainArgs`."""
    private = out_dir / PRIVATE_FOLDER
    return TrainArgs(
        env_config=str(private / ENV_FILE),
        agent_config=str(private / AGENT_FILE),
        output_dir=str(out_dir),
        **values,
    )


def write_request(env_file: EnvFileConfig, agent: AgentConfig, args: TrainArgs) -> Dict[str, Path]:
    """Writes what a trainer is asked for to the places that `args` names; paths by file name."""
    paths = {ENV_FILE: Path(args.env_config), AGENT_FILE: Path(args.agent_config)}
    paths[ARGS_FILE] = Path(args.output_dir) / PRIVATE_FOLDER / ARGS_FILE
    write_yaml(paths[ENV_FILE], env_file)
    write_yaml(paths[AGENT_FILE], agent)
    write_train_args(paths[ARGS_FILE], args)
    return paths


def resolved_env(tracker: TrackerConfig, dataset_file: Path, out_dir: Path) -> EnvFileConfig:
    """The environment config with this run's dataset and terrain file."""
    env_file = load_env_config(tracker.env_config)
    char_file = existing_file(env_file.env.char_file, "env.char_file", tracker.env_config)
    return localize_env(env_file, portable(char_file), dataset_file, out_dir)


def localize_env(env_file: EnvFileConfig, char_file: str, dataset_file: Path, out_dir: Path) -> EnvFileConfig:
    """An environment config with its character and dataset on this machine, and its terrain file in `out_dir`."""
    terrain = str(out_dir / TERRAIN_FILE)
    dm = dataclasses.replace(env_file.env.dm, motion_file=str(dataset_file), terrain_save_path=terrain)
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, char_file=char_file, dm=dm))


def portable_env(env_file: EnvFileConfig, char_file: str) -> EnvFileConfig:
    """An environment config for any machine: without dataset, whose content counts, not its place."""
    dm = dataclasses.replace(env_file.env.dm, motion_file=None)
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, char_file=char_file, dm=dm))


def resolved_agent(tracker: TrackerConfig) -> AgentConfig:
    """The agent config; a model to start from brings its normalizer, which then stays as it is."""
    agent = load_agent_config(tracker.agent_config)
    if tracker.in_model_file is not None:
        agent = dataclasses.replace(agent, normalizer_samples=0)
    return agent


def portable(path: Path) -> str:
    """Files of the project by their path inside it, so that a model's config works in every checkout."""
    try:
        return path.resolve().relative_to(DATA_ROOT.resolve()).as_posix()
    except ValueError:
        return str(path)


def write_yaml(path: PathLike, cfg: Any) -> None:
    """Write a config dataclass as YAML, atomically: one key per line, lists within their line."""
    write_text(path, format_yaml(to_mapping(cfg)))


def format_yaml(data: Dict[str, Any]) -> str:
    """The YAML text of plain containers, in the order of their keys."""
    return yaml.dump(
        data, Dumper=_ConfigDumper, default_flow_style=False, sort_keys=False, width=110, allow_unicode=True
    )


class _ConfigDumper(yaml.SafeDumper):
    """Block mappings, flow lists, no anchors (PARC's lists of equal numbers stay readable)."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _flow_list(dumper: yaml.SafeDumper, data: List[Any]) -> Any:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


_ConfigDumper.add_representer(list, _flow_list)
