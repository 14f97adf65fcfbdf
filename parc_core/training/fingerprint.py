"""What a training is: the settings and data that shape its numbers, as flat key → text."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.config.schema import default_of, settings_in
from parc_core.config.train_args import TrainArgs
from parc_core.engines.registry import resolve_engine
from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_cache import content_digests
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.system.files import sha256_file

_UNORDERED = ("env.env.critic_obs",)
"""Lists whose order makes no difference; it stays in fingerprints, for run folders are named by them."""


def training_fingerprint(args: TrainArgs, env_file: EnvFileConfig, agent: AgentConfig) -> Dict[str, str]:
    """Settings of agent and environment, contents of dataset, character and model to start from.

    max_samples and the device are not part of it: a training may be prolonged or moved. Which settings are is said at
    each of them, see `schema.setting`; files count by their content.
    """
    parts = {**shaping_settings("agent", agent), **shaping_settings("env", env_file)}
    parts["num_envs"] = str(args.num_envs)
    parts["seed"] = str(args.seed)
    parts["engine"] = resolve_engine(args.engine, args.device)
    parts["env.env.terrain_window"] = str(env_file.env.window_cells)  # however it was given
    parts["character"] = _content(env_file.env.char_file)
    if env_file.env.dm.motion_file is not None:
        parts["dataset"] = dataset_content(env_file.env.dm.motion_file)
    if env_file.env.dm.heeds_evaluations:
        parts["agent.iters_per_evaluation (env.dm.hard_motion_boost)"] = str(agent.iters_per_evaluation)
    if args.in_model_file is not None:
        parts["in_model_file"] = _content(args.in_model_file)
    return parts


def shaping_settings(name: str, config: Any) -> Dict[str, str]:
    """The settings of a config that shape what a training learns, as text, each under its dotted path below `name`."""
    parts: Dict[str, str] = {}
    for key, field, value in settings_in(config, name):
        about = field.metadata
        is_default = value == default_of(field)
        left_out = about.get("ours", False) and not about["always_fingerprinted"]
        if not about.get("shapes_training", True) or (is_default and (left_out or value is None)):
            continue
        parts.update(_flat(f"{key}.{about.get('was') or field.name}", value))
    return parts


def never_shaping() -> Set[str]:
    """Keys of settings that shape no training; earlier versions took some of them for ones that do."""
    return {
        f"{key}.{field.name}"
        for name, config in (("agent", AgentConfig()), ("env", EnvFileConfig()))
        for key, field, _ in settings_in(config, name)
        if not field.metadata.get("shapes_training", True)
    }


def text_of(key: str, fingerprint: Dict[str, str]) -> str:
    """A setting as a fingerprint has it; where it is left out, what lies below it, its default or "not set"."""
    if key in fingerprint:
        return fingerprint[key]
    below = [
        f"{name[len(key) + 1 :]}: {text}" for name, text in fingerprint.items() if name.startswith(f"{key}.")
    ]
    if below:
        return f"{{{', '.join(below)}}}"
    for name, config in (("agent", AgentConfig()), ("env", EnvFileConfig())):
        for section, field, value in settings_in(config, name):
            if key == f"{section}.{field.metadata.get('was') or field.name}":
                return "null" if value is None else repr(value)
    return "not set"


def same_setting(key: str, saved: Optional[str], current: Optional[str]) -> bool:
    """Whether a setting means the same in two fingerprints."""
    if key in _UNORDERED and saved is not None and current is not None:
        return _entries(saved) == _entries(current)
    return saved == current


def _entries(text: str) -> List[str]:
    return sorted(text.strip("[]").split(", "))


def dataset_content(motions_yaml: str) -> str:
    """SHA-256 over the weights and contents of a dataset's motions, in their order; paths do not count."""
    motions = read_motions_yaml(resolve(motions_yaml))
    digests = content_digests([resolve(entry.file) for entry in motions.entries])
    lines = [f"{digest} {entry.weight!r}" for digest, entry in zip(digests, motions.entries)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content(path: str) -> str:
    try:
        return sha256_file(resolve(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); correct the path") from error


def _flat(prefix: str, value: Any) -> Iterator[Tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}", inner)
    else:
        yield prefix, repr(value)
