"""Motions of poselib, the library of AMP, ASE and IsaacGymEnvs: `.npy` files of a pickled `SkeletonMotion`.

The pickle is read without running it. What is used of it: `rotation` and `root_translation` (each `arr` with its
`context`), `skeleton_tree` (`node_names`, `parent_indices`, `local_translation`), `is_local` and `fps`. Some writers
add `wxyz: True` for quaternions with w first. The velocities are left unread: they follow from the poses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats.numbers import array, expect_shape, frame_rate
from parc_core.motion.formats.safe_pickle import describe
from parc_core.motion.retarget.geometry import conj
from parc_core.motion.skeleton import multiply, posed

_MAX_NODES = 500
_MIN_NORM = 1e-3  # of a quaternion that says anything
_UPRIGHT = 0.8  # height of an upright body over its widest extent, at least: stretched arms reach as far
_KEYS = ("rotation", "root_translation", "skeleton_tree", "is_local", "fps")


@dataclass(frozen=True)
class SkeletonMotion:
    """T frames of a skeleton of J nodes, as poselib keeps them. Metres, z up."""

    names: Tuple[str, ...]
    parents: Tuple[int, ...]
    """-1 of the root, which is the first; parents come before their children."""
    offsets: np.ndarray
    """(J, 3) m: each node in the frame of its parent."""
    local: np.ndarray
    """(T, J, 4) xyzw: each node in the frame of its parent."""
    root_pos: np.ndarray
    """(T, 3) m."""
    fps: float

    def world(self) -> Tuple[np.ndarray, np.ndarray]:
        """Positions (T, J, 3) m and rotations (T, J, 4) of all nodes."""
        positions, rotations = posed(self.local, self.offsets, self.parents)
        return positions + self.root_pos[:, None], rotations

    def rest(self) -> Optional[np.ndarray]:
        """Positions (J, 3) m with all nodes unturned; None where that is no upright pose with z up."""
        positions = posed(
            np.tile([0.0, 0.0, 0.0, 1.0], (1, len(self.parents), 1)), self.offsets, self.parents
        )[0][0]
        extent = np.ptp(positions, axis=0)
        return positions if extent[2] > _UPRIGHT * extent.max() else None


def is_poselib(value: Any) -> bool:
    """Whether a value out of an `.npy` is what poselib writes of a motion."""
    return isinstance(value, dict) and "rotation" in value and "skeleton_tree" in value


def read_poselib(value: Dict[Any, Any], where: str) -> SkeletonMotion:
    """The motion in a value of which `is_poselib` holds.

    Args:
        value: what the file holds.
        where: its name for messages.

    Raises:
        DataError: a key is missing, misshapen or makes no sense.
    """
    missing = [key for key in _KEYS if key not in value]
    if missing:
        raise DataError(f"{where}: {missing[0]} is missing, so this is not a poselib motion (a single pose?)")
    names, parents, offsets = _tree(value["skeleton_tree"], f"{where}: skeleton_tree")
    rotation = _tensor(value["rotation"], f"{where}: rotation")
    root_pos = _tensor(value["root_translation"], f"{where}: root_translation")
    frames = len(root_pos) if root_pos.ndim else 0
    expect_shape(root_pos, (frames, 3), f"{where}: root_translation")
    expect_shape(rotation, (frames, len(names), 4), f"{where}: rotation")
    if frames < 2:
        raise DataError(f"{where}: has {frames} frame(s), a motion needs at least 2")
    if _flag(value.get("wxyz", False), f"{where}: wxyz"):
        rotation = rotation[..., [1, 2, 3, 0]]
    rotation = _unit(rotation, f"{where}: rotation")
    if not _flag(value["is_local"], f"{where}: is_local"):
        rotation = _localized(rotation, parents)
    fps = frame_rate(_item(value["fps"]), where)
    return SkeletonMotion(names, parents, offsets, rotation, root_pos, fps)


def _tree(tree: Any, where: str) -> Tuple[Tuple[str, ...], Tuple[int, ...], np.ndarray]:
    if not isinstance(tree, dict) or not {"node_names", "parent_indices", "local_translation"} <= set(tree):
        raise DataError(
            f"{where} is {describe(tree)}, node_names, parent_indices and local_translation are needed"
        )
    names: Any = tree["node_names"]
    names = names.tolist() if isinstance(names, np.ndarray) and names.ndim == 1 else names
    if not isinstance(names, (list, tuple)) or not 0 < len(names) <= _MAX_NODES:
        raise DataError(f"{where}: node_names is {describe(names)}, a list of names is needed")
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise DataError(f"{where}: node_names are not names that differ")
    count = len(names)
    offsets = _tensor(tree["local_translation"], f"{where}: local_translation")
    expect_shape(offsets, (count, 3), f"{where}: local_translation")
    parents = _tensor(tree["parent_indices"], f"{where}: parent_indices")
    expect_shape(parents, (count,), f"{where}: parent_indices")
    found: List[int] = [int(parent) for parent in parents]
    if found[0] != -1 or not all(0 <= found[node] < node for node in range(1, count)):
        raise DataError(f"{where}: parent_indices are no tree with its root first")
    return tuple(str(name) for name in names), tuple(found), offsets


def _tensor(value: Any, where: str) -> np.ndarray:
    """An array that poselib wrote, float64 and finite."""
    found = array(value["arr"] if isinstance(value, dict) and "arr" in value else value, where)
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise DataError(f"{where} holds non-finite numbers")
    return found


def _item(value: Any) -> Any:
    """The one number of an array: torch tensors are arrays here."""
    return value.reshape(())[()] if isinstance(value, np.ndarray) and value.size == 1 else value


def _flag(value: Any, where: str) -> bool:
    value = _item(value)
    if not isinstance(value, (bool, np.bool_)):
        raise DataError(f"{where} is {describe(value)}, true or false is needed")
    return bool(value)


def _unit(rotation: np.ndarray, where: str) -> np.ndarray:
    norms = np.linalg.norm(rotation, axis=-1, keepdims=True)
    if norms.min() < _MIN_NORM:
        raise DataError(f"{where} holds quaternions of no length")
    return rotation / norms


def _localized(world: np.ndarray, parents: Tuple[int, ...]) -> np.ndarray:
    local = world.copy()
    for node in range(1, len(parents)):
        local[:, node] = multiply(conj(world[:, parents[node]]), world[:, node])
    return local
