"""Whether a tracker config can run on this machine, asked before hours of work begin."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.dataset_config import load_dataset_config
from parc_core.config.env_config import EnvFileConfig, env_warnings, load_env_config
from parc_core.config.paths import PathLike, existing_file, expand, resolve
from parc_core.config.schema import no_effect_warnings
from parc_core.config.tracker_config import TrackerConfig, is_dataset_file, load_tracker_config
from parc_core.engines.devices import check_device
from parc_core.engines.registry import check_engine_name, heeds_physx
from parc_core.errors import ConfigError
from parc_core.evaluation.result import Summary
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.registry.gate import HELD_OUT_PREFIX, check_gate
from parc_core.registry.names import is_reference, parse_name
from parc_core.registry.recordings import PREFIX as RECORDINGS
from parc_core.registry.recordings import is_recordings
from parc_core.storage.addresses import local_root
from parc_core.storage.store import Store
from parc_core.supervisor.interpreter import check_trainer_python

_NUMBERS = ("int", "float", "Optional[float]")


def check_runnable(path: PathLike, registry_model: Optional[Callable[[str], Path]] = None) -> TrackerConfig:
    """Read a tracker config and all that it names, and look whether data, device and output are there.

    Args:
        path: the config.
        registry_model: from `registry:NAME@latest` to a file, which the returned config then names; None: a model
            of the registry is not looked for.

    Raises:
        ConfigError: the first thing that is not, in one line that says what to set.
        DataError: the model to start from is none, or damaged.
    """
    tracker = load_tracker_config(path)
    where = str(path)
    check_engine_name(tracker.engine, where)
    _check_limits(tracker, where)
    env_file = load_env_config(tracker.env_config)
    agent_config = load_agent_config(tracker.agent_config)
    agent_config.check_processes(tracker.gpus)
    env_file.env.dm.check_evaluations(agent_config.iters_per_evaluation, str(tracker.env_config))
    existing_file(env_file.env.char_file, "env.char_file", tracker.env_config)
    if tracker.create_dataset_config is not None:
        folders = load_dataset_config(tracker.create_dataset_config).folder_paths
        _check_motion_folders(folders, "folder_paths", str(tracker.create_dataset_config))
    else:
        existing_file(str(tracker.dataset_file), "dataset_file", where)
    _check_held_out(tracker, where)
    if tracker.in_model_file is not None:
        tracker = _with_model_file(tracker, where, registry_model)
        _check_model_file(str(tracker.in_model_file), agent_config, env_file)
    if tracker.trainer_python is None:
        check_device(tracker.device, where, tracker.gpus)
    else:
        python = existing_file(tracker.trainer_python, "trainer_python", where)
        check_trainer_python(str(python), tracker.engine, tracker.device, where, tracker.gpus)
    if tracker.output_dir is not None:
        check_writable(Path(tracker.output_dir), "output_dir", where)
    return tracker


def _check_limits(tracker: TrackerConfig, where: str) -> None:
    """What is needed after the training alone: a misspelt name would be found after all its hours."""
    names = [field.name for field in dataclasses.fields(Summary) if field.type in _NUMBERS]
    unseen = [rule for rule in tracker.gate if rule.partition("_")[2].startswith(HELD_OUT_PREFIX)]
    if tracker.held_out_motions:
        names += [HELD_OUT_PREFIX + name for name in names]
    elif unseen:
        raise ConfigError(
            f"{where}: gate '{unseen[0]}' is about held-out clips; name them (held_out_motions)"
        )
    check_gate(tracker.gate, names, f"{where}: gate")
    if tracker.record_limits:
        from parc_core.motion.quality import check_limits  # PyTorch, too

        check_limits(tracker.record_limits, f"{where}: 'record_limits'")


def _check_model_file(name: str, agent_config: AgentConfig, env_file: EnvFileConfig) -> None:
    """Whether training can start from a model, unless it is a registry's that was not looked for."""
    if not is_reference(name):
        from parc_core.learning.warm_start import check_start  # PyTorch takes seconds, which few runs need

        check_start(resolve(name), agent_config.model, env_file.env.critic_obs)


def _with_model_file(
    tracker: TrackerConfig, where: str, registry_model: Optional[Callable[[str], Path]]
) -> TrackerConfig:
    name = str(tracker.in_model_file)
    if not is_reference(name):
        existing_file(name, "in_model_file", where)
    elif registry_model is not None:
        tracker = dataclasses.replace(tracker, in_model_file=str(registry_model(name)))
    return tracker


def tracker_warnings(tracker: TrackerConfig) -> List[str]:
    """One line for each key of the environment and agent files that is set and has no effect here."""
    env_lines = env_warnings(load_env_config(tracker.env_config), heeds_physx(tracker.engine))
    agent_lines = no_effect_warnings(load_agent_config(tracker.agent_config))
    return [f"{tracker.env_config}: {line}" for line in env_lines] + [
        f"{tracker.agent_config}: {line}" for line in agent_lines
    ]


def check_writable(folder: Path, key: str, where: str) -> None:
    """Look whether a folder can be made or written, without making it.

    Raises:
        ConfigError: it cannot.
    """
    there = folder.absolute()
    while not os.path.exists(str(there)):  # unlike Path.exists, False where looking is not allowed
        there = there.parent
    if not there.is_dir() or not os.access(str(there), os.W_OK | os.X_OK):
        raise ConfigError(
            f"{where}: '{key}' is {folder}, but {there} cannot be written; choose another folder"
        )


def _check_held_out(tracker: TrackerConfig, where: str) -> None:
    motions = tracker.held_out_motions
    if len(motions) == 1 and is_dataset_file(motions[0]):
        read_motions_yaml(existing_file(motions[0], "held_out_motions", where))
    else:
        _check_motion_folders(motions, "held_out_motions", where)


def _check_motion_folders(folders: Sequence[str], key: str, where: str) -> None:
    for folder in folders:
        text = expand(folder)
        if is_recordings(text):
            parse_name(text[len(RECORDINGS) :])
            continue
        resolved = local_root(text) if "://" in text else resolve(text)
        if resolved is None:
            Store(text)  # says what is wrong with the address; what lies there shows at the merge
        elif not resolved.is_dir():
            raise ConfigError(
                f"{where}: '{key}' names {resolved}, which is not a directory; correct the path or DATA_DIR"
            )
