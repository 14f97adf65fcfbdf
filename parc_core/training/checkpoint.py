"""Checkpoints: everything that an exact continuation needs, written atomically, with a SHA-256 beside."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np
import torch

from parc_core.errors import ConfigError, DataError
from parc_core.learning.model_file import CHECKPOINT_FORMAT, load_tensors
from parc_core.learning.plain_values import with_marked_floats
from parc_core.system.files import atomic_write, sha256_file, write_text

NAME = re.compile(r"^checkpoint_(\d+)\.pt$")
State = Dict[str, Any]


def checkpoint_path(folder: Path, samples: int) -> Path:
    """`<folder>/checkpoint_<samples>.pt`."""
    return folder / f"checkpoint_{samples}.pt"


def list_checkpoints(folder: Path) -> List[Tuple[int, Path]]:
    """(samples, path) of every checkpoint file, newest first."""
    if not folder.is_dir():
        return []
    found = [(NAME.match(path.name), path) for path in folder.iterdir()]
    return sorted(((int(match.group(1)), path) for match, path in found if match), reverse=True)


def save_checkpoint(folder: Path, state: State, keep: int) -> Path:
    """Writes `state`, then its SHA-256, then removes all but the `keep` newest.

    Checkpoints of more samples than this one belong to a path that a rollback gave up; they go too.
    """
    samples = int(state["samples"])
    path = checkpoint_path(folder, samples)
    _remove(_sidecar(path))  # a crash between the two writes must not leave an old SHA-256
    with atomic_write(path) as file:
        torch.save(with_marked_floats({"format": CHECKPOINT_FORMAT, **state}), file)
    write_text(_sidecar(path), f"{sha256_file(path)}  {path.name}\n")
    others = list_checkpoints(folder)
    stale = [other for count, other in others if count > samples]
    old = [other for count, other in others if count <= samples][keep:]
    for other in stale + old:
        _remove(other)
        _remove(_sidecar(other))
    return path


def load_checkpoint(path: Path) -> State:
    """Reads and verifies one checkpoint.

    Raises:
        DataError: missing, its SHA-256 is missing or differs, or it is of another format.
    """
    sidecar = _sidecar(path)
    if not path.is_file() or not sidecar.is_file():
        raise DataError(f"{path}: the file or its {sidecar.name} is missing; use another checkpoint")
    if sidecar.read_text(encoding="utf-8").split()[:1] != [sha256_file(path)]:
        raise DataError(
            f"{path}: does not match its {sidecar.name}, so it is damaged; use another checkpoint"
        )
    state = load_tensors(path)
    if not isinstance(state, dict) or state.get("format") != CHECKPOINT_FORMAT:
        raise DataError(f"{path}: is not a checkpoint of this version; use another checkpoint")
    return state


def load_newest(folder: Path, warn: Callable[[str], None]) -> Optional[Tuple[Path, State]]:
    """The newest checkpoint that can be used; damaged ones are skipped with a warning."""
    for _, path in list_checkpoints(folder):
        try:
            return path, load_checkpoint(path)
        except DataError as error:
            warn(f"skipped a checkpoint: {error}")
    return None


def check_fingerprint(path: Path, saved: Dict[str, str], current: Dict[str, str]) -> None:
    """Refuses to continue a training under other settings.

    Args:
        saved, current: settings that shape the training, as flat key → text.

    Raises:
        ConfigError: naming the first settings that differ, with both values.
    """
    keys = sorted(saved.keys() | current.keys())
    differing = [key for key in keys if saved.get(key) != current.get(key)]
    if not differing:
        return
    shown = "; ".join(f"{key} was {saved.get(key)}, now {current.get(key)}" for key in differing[:3])
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    raise ConfigError(
        f"{path}: belongs to a training with other settings ({shown}{more}); choose another output_dir "
        "(in_model_file can start from this checkpoint) or restore the settings"
    )


def rng_state() -> State:
    """States of every global random generator, as plain containers."""
    numpy_state: Any = np.random.get_state()
    kind, keys, pos, has_gauss, cached = numpy_state
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [
            str(kind),
            torch.from_numpy(keys.astype(np.int64)),
            int(pos),
            int(has_gauss),
            float(cached),
        ],
        "python": [version, list(internal), gauss_next],
    }


def set_rng_state(state: State) -> None:
    """Restores `rng_state()`; states of GPUs that are not here are left out."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available():
        for index, cuda_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(cuda_state, index)
    kind, keys, pos, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), pos, has_gauss, cached))
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))


def seed_everything(seed: int) -> None:
    """Seeds the global generators of torch (all devices), numpy and random."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
