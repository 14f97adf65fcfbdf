"""Checkpoints: everything that an exact continuation needs, written atomically, with a SHA-256 beside.

Older ones stay under their names with the model alone, for evaluation and fine-tuning.
"""

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
from parc_core.motion.formats import torch_file
from parc_core.system.files import atomic_write, sha256_file, write_text
from parc_core.training.fingerprint import never_shaping, same_setting, text_of

NAME = re.compile(r"^checkpoint_(\d+)\.pt$")
State = Dict[str, Any]


def checkpoint_path(folder: Path, samples: int) -> Path:
    """`<folder>/checkpoint_<samples>.pt`."""
    return folder / f"checkpoint_{samples}.pt"


def samples_of(path: Path) -> Optional[int]:
    """The samples that a checkpoint's name says; None for other files."""
    match = NAME.match(path.name)
    return int(match.group(1)) if match else None


def list_checkpoints(folder: Path) -> List[Tuple[int, Path]]:
    """(samples, path) of every checkpoint that a training can resume from, newest first."""
    return [(samples, path) for samples, path in _named(folder) if _sidecar(path).is_file()]


def list_models(folder: Path) -> List[Tuple[int, Path]]:
    """(samples, path) of the older ones, which hold the model alone and have no SHA-256 beside, newest first."""
    return [(samples, path) for samples, path in _named(folder) if not _sidecar(path).is_file()]


def _named(folder: Path) -> List[Tuple[int, Path]]:
    if not folder.is_dir():
        return []
    found = [(NAME.match(path.name), path) for path in folder.iterdir()]
    return sorted(((int(match.group(1)), path) for match, path in found if match), reverse=True)


def save_checkpoint(folder: Path, state: State, keep: int, keep_models: int = 0) -> Path:
    """Writes `state`, then its SHA-256; of the older ones all but the `keep` newest are reduced to the model.

    Checkpoints of more samples than this one belong to a path that a rollback gave up; they are removed.

    Args:
        keep_models: how many older ones stay as models, see `thinned`.
    """
    samples = int(state["samples"])
    path = checkpoint_path(folder, samples)
    _remove(_sidecar(path))  # a crash between the two writes must not leave an old SHA-256
    with atomic_write(path) as file:
        torch_file.save(with_marked_floats({"format": CHECKPOINT_FORMAT, **state}), file)
    write_text(_sidecar(path), f"{sha256_file(path)}  {path.name}\n")
    for count, other in _named(folder):
        if count > samples:
            _remove_checkpoint(other)
    for _, old in list_checkpoints(folder)[keep:]:
        _reduce(old) if keep_models > 0 else _remove_checkpoint(old)
    models = dict(list_models(folder))
    for count in models.keys() - set(thinned(list(models), keep_models)):
        _remove_checkpoint(models[count])
    return path


def _reduce(path: Path) -> None:
    """Leaves the model alone in a checkpoint, PARC's flat state_dict; one that is damaged is removed."""
    try:
        model = load_checkpoint(path)["agent"]
    except (DataError, KeyError):
        _remove_checkpoint(path)
        return
    _remove(_sidecar(path))
    with atomic_write(path) as file:
        torch_file.save({name: value.clone() for name, value in model.items()}, file)


def thinned(samples: List[int], keep: int) -> List[int]:
    """At most `keep` of these sample counts, spread evenly, ascending.

    While there are too many the one goes whose neighbours are nearest to each other, of several the oldest; the first
    and the last stay.
    """
    kept = sorted(samples)
    while len(kept) > max(keep, 1):
        gaps = [after - before for before, after in zip(kept, kept[2:])]
        del kept[gaps.index(min(gaps)) + 1 if gaps else 0]
    return kept if keep > 0 else []


def load_checkpoint(path: Path) -> State:
    """Reads and verifies one checkpoint.

    Raises:
        DataError: missing, its SHA-256 is missing or differs, or it is of another format.
    """
    sidecar = _sidecar(path)
    if not path.is_file() or not sidecar.is_file():
        raise DataError(f"{path}: the file or its {sidecar.name} is missing; use another checkpoint")
    if sidecar.read_text(encoding="utf-8", errors="replace").split()[:1] != [sha256_file(path)]:
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
    keys = sorted((saved.keys() | current.keys()) - never_shaping())
    differing = [key for key in keys if not same_setting(key, saved.get(key), current.get(key))]
    if not differing:
        return
    differing = [key for key in differing if not any(key.startswith(f"{other}.") for other in differing)]
    shown = "; ".join(
        f"{key} was {text_of(key, saved)}, now {text_of(key, current)}" for key in differing[:3]
    )
    more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
    raise ConfigError(
        f"{path}: belongs to a training with other settings ({shown}{more}); choose another output_dir (with the same "
        "networks in_model_file can start from this checkpoint) or resume it with its own settings, and its files if "
        f"these changed: parc-tracker train --arg_file {path.parent.parent / 'train_args.txt'}"
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


def _remove_checkpoint(path: Path) -> None:
    _remove(path)
    _remove(_sidecar(path))


def _sidecar(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")
