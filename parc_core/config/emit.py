"""From a tracker config to the three files that a trainer process reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, List

import yaml

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import PROJECT_ROOT, PathLike, existing_file, expand
from parc_core.config.schema import to_mapping
from parc_core.config.tracker_config import TrackerConfig
from parc_core.config.train_args import TrainArgs, write_train_args
from parc_core.storage.atomic import write_text

ENV_FILE = "dm_env.yaml"
AGENT_FILE = "agent_config.yaml"
ARGS_FILE = "train_args.txt"
PRIVATE_FOLDER = ".trainer"
"""Subfolder of a training for what PARC's users need not see: what is asked of it, lock, output. Only a trainer that
takes the request writes it beside the model: one that is refused must not replace the configs of what is there."""


def emit_configs(tracker: TrackerConfig, dataset_file: PathLike, out_dir: PathLike) -> Dict[str, Path]:
    """Write the resolved configs, every key spelled out, so that a run can be read and repeated.

    Args:
        tracker: the tracker config.
        dataset_file: the dataset (`motions.yaml`) to train on.
        out_dir: the training's output folder; the files go to `.trainer/` in it.

    Returns:
        Paths of the files by name: `dm_env.yaml`, `agent_config.yaml`, `train_args.txt`.

    Raises:
        ConfigError: a named file is missing or does not read, or `out_dir` cannot be written.
    """
    out = Path(out_dir).absolute()
    dataset = existing_file(dataset_file, "dataset_file", "tracker config")
    paths = {name: out / PRIVATE_FOLDER / name for name in (ENV_FILE, AGENT_FILE, ARGS_FILE)}
    in_model = None
    if tracker.in_model_file is not None:
        in_model = str(existing_file(tracker.in_model_file, "in_model_file", "tracker config"))
    write_yaml(paths[ENV_FILE], resolved_env(tracker, dataset, out))
    write_yaml(paths[AGENT_FILE], resolved_agent(tracker))
    args = TrainArgs(
        env_config=str(paths[ENV_FILE]),
        agent_config=str(paths[AGENT_FILE]),
        output_dir=str(out),
        num_envs=tracker.num_envs,
        max_samples=tracker.max_samples,
        device=tracker.device,
        engine=tracker.engine,
        in_model_file=in_model,
        seed=tracker.seed,
    )
    write_train_args(paths[ARGS_FILE], args)
    return paths


def resolved_env(tracker: TrackerConfig, dataset_file: Path, out_dir: Path) -> EnvFileConfig:
    """The environment config with this run's dataset and terrain file."""
    env_file = load_env_config(tracker.env_config)
    char_file = existing_file(env_file.env.char_file, "env.char_file", tracker.env_config)
    wanted = env_file.env.dm.terrain_save_path
    terrain = out_dir / "terrain.pkl" if wanted is None else Path(expand(wanted)).absolute()
    dm = dataclasses.replace(env_file.env.dm, motion_file=str(dataset_file), terrain_save_path=str(terrain))
    env = dataclasses.replace(env_file.env, char_file=portable(char_file), dm=dm)
    return dataclasses.replace(env_file, env=env)


def resolved_agent(tracker: TrackerConfig) -> AgentConfig:
    """The agent config; a model to start from brings its normalizer, which then stays as it is."""
    agent = load_agent_config(tracker.agent_config)
    if tracker.in_model_file is not None:
        agent = dataclasses.replace(agent, normalizer_samples=0)
    return agent


def portable(path: Path) -> str:
    """Files of the project by their path inside it, so that a model's config works in every checkout."""
    try:
        return path.resolve().relative_to(PROJECT_ROOT.resolve()).as_posix()
    except ValueError:
        return str(path)


def write_yaml(path: PathLike, cfg: Any) -> None:
    """Write a config dataclass as YAML, atomically: one key a line, lists within their line."""
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
