"""Every reader of files from elsewhere, as the fuzz benchmark calls it: with the path of a file."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Tuple

import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import DATA_ROOT
from parc_core.config.tracker_config import load_tracker_config
from parc_core.config.train_args import read_train_args
from parc_core.envs.factory import _load_fail_rates
from parc_core.envs.sampling import MotionSampler
from parc_core.evaluation.result import load as load_evaluation
from parc_core.learning.model_file import read_model_file
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.motion.dataset.merge_result import read_merge_result
from parc_core.motion.formats.bvh import read_bvh
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.formats.legacy import read_any
from parc_core.motion.retarget.axes import in_metres
from parc_core.motion.retarget.captures import read_capture, retargeted
from parc_core.motion.retarget.retarget import retarget
from parc_core.recording.result import load_recording
from parc_core.registry.aliases import read_alias
from parc_core.registry.claims import read_claim
from parc_core.registry.manifest import checked_manifest
from parc_core.storage.lease import _Holder, _token
from parc_core.storage.store import Store
from parc_core.terrain.obj import read_obj
from parc_core.training.history import read_history


@functools.lru_cache(maxsize=None)
def character() -> Any:
    """PARC's humanoid."""
    return load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml")


@functools.lru_cache(maxsize=None)
def _kinematics() -> Kinematics:
    return Kinematics(character())


def _convert(path: Path) -> Any:
    return read_any(path.read_bytes(), path.name, _kinematics(), int(character().dof_size))


def _capture(path: Path) -> Any:
    found = read_capture(path.read_bytes(), path.name, character())
    return found if found is None else retargeted(found, character(), path.name)


def _take(path: Path) -> Any:
    source, mapping = in_metres(read_bvh(path.read_bytes(), path.name), path.name)
    return retarget(source, mapping, character())


def _manifest(path: Path) -> Any:
    return checked_manifest(Store(path.parent).read_json(path.name), "m", 1, path.name)


def _lease(path: Path) -> Any:
    """What waits for a lease asks of its file: who holds it, and whether that is somebody who runs no more."""
    data = path.read_bytes()
    holder = _Holder.read(data)
    return _token(data), holder is not None and holder.is_dead_here(_Holder.here())


def _rates(path: Path) -> Any:
    _sampler().set_fail_rates(_load_fail_rates(str(path)), str(path))


@functools.lru_cache(maxsize=None)
def _sampler() -> MotionSampler:
    library: Any = SimpleNamespace(weights=torch.ones(3))  # all that it takes of one
    return MotionSampler(library, 0.01, torch.Generator(), True)


def _history(path: Path) -> Any:
    return read_history(path.parent)


READERS: Dict[str, Tuple[str, Callable[[Path], Any]]] = {
    "motion": ("x.pkl", read_motion_terrain),
    "legacy": ("x.pkl", _convert),
    "npz": ("x.npz", _convert),
    "npy": ("x.npy", _capture),
    "amass": ("x.npz", _capture),
    "take": ("x.bvh", _take),
    "boxes": ("x.obj", lambda path: read_obj(path.read_bytes(), path.name)),
    "motions.yaml": ("motions.yaml", read_motions_yaml),
    "env config": ("env.yaml", load_env_config),
    "tracker config": ("tracker.yaml", load_tracker_config),
    "model": ("model.pt", read_model_file),
    "manifest": ("manifest.json", _manifest),
    "evaluation": ("evaluation.json", load_evaluation),
    "merge result": ("manifest.json", read_merge_result),
    "train args": ("train_args.txt", read_train_args),
    "claim": ("models/m/1/claim.json", lambda path: read_claim(Store(path.parents[3]), "m", 1)),
    "alias": ("models/m/aliases/best.json", lambda path: read_alias(Store(path.parents[3]), "m", "best")),
    "lease": ("lease.json", _lease),
    "failure rates": ("rates.pt", _rates),
    "recording": ("recording.json", lambda path: load_recording(path.parent)),
    "log": ("log.txt", _history),
}
"""Name of a reader -> name of the file that it is given, and how it is called."""
