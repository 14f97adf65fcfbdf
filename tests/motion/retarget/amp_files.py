"""Motions as poselib writes them, for tests: the documented structure with the AMP humanoid's tree."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

NODES: tuple[tuple[str, int, tuple[float, float, float]], ...] = (
    ("pelvis", -1, (0.0, 0.0, 1.0)),
    ("torso", 0, (0.0, 0.0, 0.236151)),
    ("head", 1, (0.0, 0.0, 0.223894)),
    ("right_upper_arm", 1, (-0.02405, -0.18311, 0.2435)),
    ("right_lower_arm", 3, (0.0, 0.0, -0.274788)),
    ("right_hand", 4, (0.0, 0.0, -0.258947)),
    ("left_upper_arm", 1, (-0.02405, 0.18311, 0.2435)),
    ("left_lower_arm", 6, (0.0, 0.0, -0.274788)),
    ("left_hand", 7, (0.0, 0.0, -0.258947)),
    ("right_thigh", 0, (0.0, -0.084887, 0.0)),
    ("right_shin", 9, (0.0, 0.0, -0.421546)),
    ("right_foot", 10, (0.0, 0.0, -0.40987)),
    ("left_thigh", 0, (0.0, 0.084887, 0.0)),
    ("left_shin", 12, (0.0, 0.0, -0.421546)),
    ("left_foot", 13, (0.0, 0.0, -0.40987)),
)
ROOT_HEIGHT = 0.8814  # m: soles on the ground with straight legs


def about(axis: tuple[float, float, float], angle: Any) -> np.ndarray:
    """(n, 4) xyzw."""
    half = 0.5 * np.atleast_1d(np.asarray(angle, float))[:, None]
    return np.concatenate([np.sin(half) * np.array(axis), np.cos(half)], axis=-1)


def tensor(values: Any, dtype: Any = np.float32) -> dict[str, Any]:
    values = np.asarray(values, dtype)
    return {"arr": values, "context": {"dtype": values.dtype.name}}


def poselib_dict(
    rotation: np.ndarray, root: np.ndarray | None = None, **changes: Any
) -> OrderedDict[str, Any]:
    """`SkeletonMotion.to_dict()` of local rotations (T, 15, 4); a change to None leaves a key out."""
    frames = len(rotation)
    if root is None:
        root = np.tile([0.0, 0.0, ROOT_HEIGHT], (frames, 1))
    tree = OrderedDict(
        node_names=[name for name, _, _ in NODES],
        parent_indices=tensor([parent for _, parent, _ in NODES], np.int64),
        local_translation=tensor([offset for _, _, offset in NODES]),
    )
    found: OrderedDict[str, Any] = OrderedDict(
        rotation=tensor(rotation),
        root_translation=tensor(root),
        global_velocity=tensor(np.zeros((frames, len(NODES), 3))),
        global_angular_velocity=tensor(np.zeros((frames, len(NODES), 3))),
        skeleton_tree=tree,
        is_local=True,
        fps=30,
        __name__="SkeletonMotion",
    )
    found.update(changes)
    return OrderedDict((key, value) for key, value in found.items() if value is not None)


def standing(frames: int = 12) -> np.ndarray:
    """(frames, 15, 4): arms hang, the right elbow bends forward by 90 degrees at the end."""
    rotation = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 15, 1))
    rotation[:, 4] = about((0, 1, 0), np.linspace(0, -np.pi / 2, frames))
    return rotation


def write_amp(path: Path, rotation: np.ndarray | None = None, **changes: Any) -> Path:
    value: Any = poselib_dict(standing() if rotation is None else rotation, **changes)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, value, allow_pickle=True)
    return path
