"""`train_args.txt`: the trainer's arguments as `--key value` lines, which run a training again.

The keys are ours; those of PARC's own argument files are read too.
"""

from __future__ import annotations

import dataclasses
import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from parc_core.config.paths import PathLike, expand, resolve
from parc_core.config.schema import from_mapping, nearest_key, setting
from parc_core.config.tracker_config import (
    LARGEST_SEED,
    MOST_GPUS,
    check_device_name,
    check_share,
    none_or_path,
)
from parc_core.errors import ConfigError
from parc_core.system.files import write_text

PARC_NAMES = {"rand_seed": "seed", "model_file": "in_model_file"}
"""PARC's names of arguments that mean the same here."""

WRITTEN_FOR_PARC = {
    "out_model_file": "model.pt",
    "int_output_dir": "checkpoints",
    "log_file": "log.txt",
}
"""PARC's arguments and the files and folders in the output folder that they name: its program reads a training's
`train_args.txt`, too."""

NO_EFFECT = {
    "visualize": "the trainer opens no window",
    "logger": "curves go to TensorBoard (agent config: use_tensorboard), log.txt and progress.jsonl",
    "log_file": "the log is <output_dir>/log.txt",
    "int_output_dir": "checkpoints lie in <output_dir>/checkpoints",
    "test_episodes": "the agent config says it",
    "num_workers": "gpus says how many processes train, and num_envs counts the environments of all of them",
    "master_port": "training on several GPUs finds a free port itself",
}
"""PARC's arguments that are accepted without effect, each with the reason."""


@dataclass(frozen=True)
class TrainArgs:
    """Everything that a trainer process is told."""

    env_config: str
    """Environment file (`dm_env.yaml`)."""
    agent_config: str
    """Agent file (`agent_config.yaml`)."""
    output_dir: str
    """Folder of the results."""
    num_envs: int = setting(2048, at_least=1, at_most=10_000_000)
    """Environments that are simulated at once, on all GPUs together."""
    max_samples: int = setting(10_000_000_000, at_least=0)
    """Training ends after this many control steps over all environments."""
    device: str = "cuda:0"
    """Where training runs; of several GPUs the first."""
    gpus: int = setting(1, at_least=1, at_most=MOST_GPUS, ours=True)
    """GPUs of this machine that train together, from `device` on; on the CPU so many processes. Where torchrun has
    started the trainer, its number of processes counts instead. Written to the file only where there are several."""
    engine: str = "auto"
    """Physics; auto takes mujoco_warp on CUDA and mujoco otherwise."""
    in_model_file: Optional[str] = None
    """Model to start from; None = from scratch."""
    seed: int = setting(0, at_least=0, at_most=LARGEST_SEED)
    """Seed of networks, motion sampling and exploration."""
    held_out_dataset: Optional[str] = None
    """Dataset of clips that the training never sees, evaluated with the others (`iters_per_evaluation`)."""
    ignored: Tuple[str, ...] = field(default=(), compare=False)
    """One line for each argument that was given and has no effect; not written to the file."""

    def __post_init__(self) -> None:
        check_device_name(self.device)
        check_share(self.num_envs, self.gpus)


def write_train_args(path: PathLike, args: TrainArgs) -> None:
    """Write `--key value` lines, atomically; arguments that are None are omitted."""
    write_text(path, format_train_args(args))


def format_train_args(args: TrainArgs) -> str:
    """The content of `train_args.txt`: one `--key value` per line, values quoted as a shell would; PARC's keys last."""
    lines = []
    for name in _names():
        value = getattr(args, name)
        if value is not None and (name, value) != ("gpus", 1):  # PARC's program does not know it
            lines.append(f"--{name} {shlex.quote(str(value))}\n")
    lines += [f"--{name} {shlex.quote(value)}\n" for name, value in _for_parc(args).items()]
    return "".join(lines)


def _for_parc(args: TrainArgs) -> Dict[str, str]:
    """What PARC's program calls the same things, and what it needs beside them."""
    parc = {name: os.path.join(args.output_dir, file) for name, file in WRITTEN_FOR_PARC.items()}
    if args.in_model_file is not None:
        parc["model_file"] = args.in_model_file
    return {"mode": "train", "rand_seed": str(args.seed), **parc, "visualize": "False"}


def read_train_args(path: PathLike, overrides: Optional[Dict[str, str]] = None) -> TrainArgs:
    """Read an argument file.

    Args:
        path: the file; `#` starts a comment.
        overrides: arguments that take the place of the file's (from a command line).

    Raises:
        ConfigError: missing file, broken line, unknown argument (the nearest known one is named), wrong type.
    """
    where = resolve(path)
    try:
        text = where.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{where}: the argument file cannot be read ({reason}); check the path") from None
    try:
        tokens = shlex.split(text, comments=True)
    except ValueError as error:
        raise ConfigError(f"{where}: broken argument file: {error}") from None
    given = _canonical(parse_tokens(tokens, str(where)), str(where))
    given.update(_canonical(overrides or {}, "command line"))
    return args_from_mapping(given, str(where))


def parse_tokens(tokens: Sequence[str], where: str) -> Dict[str, str]:
    """`["--key", "value", …]` as a mapping; `--key=value` too.

    Raises:
        ConfigError: a value without its key or a key without its value.
    """
    result: Dict[str, str] = {}
    key = ""
    for token in tokens:
        if token.startswith("--") and len(token) > 2:
            if key:
                raise ConfigError(f"{where}: argument '--{key}' has no value")
            key, equals, value = token[2:].partition("=")
            if equals:
                result[key], key = value, ""
        elif key:
            result[key], key = token, ""
        else:
            raise ConfigError(f"{where}: '{token}' belongs to no argument; write '--key value'")
    if key:
        raise ConfigError(f"{where}: argument '--{key}' has no value")
    return result


def args_from_mapping(given: Dict[str, str], where: str) -> TrainArgs:
    """Arguments from texts, under our names or PARC's.

    Raises:
        ConfigError: see `read_train_args`.
    """
    given = _canonical(given, where)
    ignored = []
    values: Dict[str, Any] = {}
    for name, value in given.items():
        if name in NO_EFFECT and value.capitalize() == str(_as_written(name, given)).capitalize():
            continue
        if name in NO_EFFECT:
            ignored.append(f"'--{name}' has no effect here: {NO_EFFECT[name]}")
        elif name not in _names():
            near = nearest_key(name, [*_names(), *PARC_NAMES, "out_model_file"])
            raise ConfigError(f"{where}: unknown argument '--{name}'; the nearest known one is '--{near}'")
        else:
            values[name] = value
    for name in ("in_model_file", "held_out_dataset"):
        if name in values:
            values[name] = none_or_path(values[name])
    for name in ("env_config", "agent_config", "output_dir", "in_model_file", "held_out_dataset"):
        if values.get(name):
            values[name] = expand(values[name])
    args = from_mapping(TrainArgs, values, where)
    return dataclasses.replace(args, ignored=tuple(ignored))


def _as_written(name: str, given: Dict[str, str]) -> Optional[str]:
    """What `format_train_args` writes for an argument of PARC's without effect here: nobody needs a note of that."""
    if name == "visualize":
        return "False"
    file, folder = WRITTEN_FOR_PARC.get(name), given.get("output_dir")
    return None if file is None or folder is None else os.path.join(folder, file)


def _canonical(given: Dict[str, str], where: str) -> Dict[str, str]:
    """Our names for PARC's; `mode` is checked, `out_model_file` gives the output folder."""
    result: Dict[str, str] = {}
    for name, value in given.items():
        key = PARC_NAMES.get(name, name)
        if key != name and key in given:
            continue  # ours is the one to change in a file that has both
        if key == "mode":
            if value != "train":
                raise ConfigError(
                    f"{where}: '--mode {value}' is not for the trainer; use 'parc-tracker eval'"
                )
        elif key == "out_model_file":
            result.setdefault("output_dir", os.path.dirname(value) or ".")
        else:
            result[key] = value
    return result


def _names() -> List[str]:
    return [f.name for f in dataclasses.fields(TrainArgs) if f.name != "ignored"]


def output_folder(args: TrainArgs) -> Path:
    """The absolute output folder: relative ones belong to the working folder."""
    return Path(expand(args.output_dir)).absolute()
