"""AMASS motions: `.npz` of the SMPL body models' joint rotations, by the mean body's skeleton.

Read are `poses` (T, 72 or more; the root's and 21 joints' rotation vectors come first in SMPL, SMPL-H and SMPL-X), or
`root_orient` and `pose_body`; `trans`; `mocap_framerate` or `mocap_frame_rate`. Body shape (`betas`), hands, soft
tissue and markers stay unread.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats.npz import read_arrays
from parc_core.motion.formats.numbers import array, expect_shape, frame_rate
from parc_core.motion.retarget.geometry import conj, unit
from parc_core.motion.retarget.source import SourceMotion
from parc_core.motion.skeleton import multiply, posed, rotate

_BODY = 22
_POSE_SIZES = (66, 72, 156, 159, 165)
_RATES = ("mocap_framerate", "mocap_frame_rate", "mocap_fps", "fps")
_WANTED = frozenset(("poses", "trans", "root_orient", "pose_body", *_RATES))
JOINTS: Tuple[Tuple[str, str, Tuple[float, float, float]], ...] = (
    ("pelvis", "", (0.0, 0.0, 0.0)),
    ("left_hip", "pelvis", (-0.005, 0.07, -0.09)),
    ("right_hip", "pelvis", (-0.005, -0.07, -0.09)),
    ("spine1", "pelvis", (-0.025, 0.0, 0.11)),
    ("left_knee", "left_hip", (-0.005, 0.01, -0.38)),
    ("right_knee", "right_hip", (-0.005, -0.01, -0.38)),
    ("spine2", "spine1", (0.0, 0.0, 0.135)),
    ("left_ankle", "left_knee", (-0.045, 0.01, -0.4)),
    ("right_ankle", "right_knee", (-0.045, -0.01, -0.4)),
    ("spine3", "spine2", (0.025, 0.0, 0.055)),
    ("left_foot", "left_ankle", (0.12, 0.025, -0.05)),
    ("right_foot", "right_ankle", (0.12, -0.025, -0.05)),
    ("neck", "spine3", (-0.045, 0.0, 0.215)),
    ("left_collar", "spine3", (-0.035, 0.08, 0.12)),
    ("right_collar", "spine3", (-0.035, -0.08, 0.12)),
    ("head", "neck", (0.05, 0.0, 0.065)),
    ("left_shoulder", "left_collar", (-0.01, 0.095, 0.03)),
    ("right_shoulder", "right_collar", (-0.01, -0.095, 0.03)),
    ("left_elbow", "left_shoulder", (-0.025, 0.26, 0.0)),
    ("right_elbow", "right_shoulder", (-0.025, -0.26, 0.0)),
    ("left_wrist", "left_elbow", (0.0, 0.25, 0.0)),
    ("right_wrist", "right_elbow", (0.0, -0.25, 0.0)),
)
"""Name, parent and offset (m; x forward, y left, z up) of each joint in the T-pose, in SMPL's order.

Proportions of our own: those of a mean adult as SMPL's tools draw it (the offsets of `smpl_humanoid.xml` in the PHC
project, BSD-3-Clause), made symmetric and rounded to 5 mm, knees and elbows on the way from hip to ankle and from
shoulder to wrist, so that straight limbs bend in no plane but their hinge's. They are not the body model's data, and
know no `betas`.
"""
_ANKLES = [joint for joint, (name, _, _) in enumerate(JOINTS) if name.endswith("_ankle")]
_PLAINLY = 0.7  # cosine
_Y_TO_Z = np.array([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
_PELVIS_ABOVE_TRANS = 0.02  # m: `trans` is where the model's origin is, not its pelvis
_SOLE = 0.07  # m from the ankle joint down to the sole
_SCALES = (0.7, 1.4)  # of a body, against the mean one
_AXES = np.array([0.5, 0.5, 0.5, 0.5])
"""(4,) xyzw: takes SMPL's axes (x left, y up, z forward) to ours (y left, z up, x forward)."""


def is_amass(names: FrozenSet[str]) -> bool:
    """Whether an archive with arrays of these names is AMASS's; a motion of ours has `root_pos`."""
    poses = "poses" in names or {"root_orient", "pose_body"} <= names
    return poses and "trans" in names and "root_pos" not in names


def read_amass(data: bytes, where: str) -> SourceMotion:
    """The motion of an archive of which `is_amass` holds: the mean body, scaled to stand on z = 0.

    Where y is up, it is turned to z.

    Args:
        data: the file's content.
        where: its name for messages.

    Raises:
        DataError: corrupt, misshapen, or without its frame rate.
    """
    found = read_arrays(data, where, _WANTED)
    vectors = _rotation_vectors(found, where)
    trans = _finite(found, "trans", where)
    expect_shape(trans, (len(vectors), 3), f"{where}: trans")
    rate = next((key for key in _RATES if key in found), "")
    if not rate:
        raise DataError(
            f"{where}: neither mocap_framerate nor mocap_frame_rate is in it; add the frames per second"
        )
    parents = _parents()
    # A joint at rest is turned as the world: x forward, y left, z up.
    local = np.concatenate([_quaternions(vectors[:, :1]), _quaternions(vectors[:, 1:, [2, 0, 1]])], axis=1)
    local[:, 0] = multiply(local[:, 0], np.broadcast_to(conj(_AXES), local[:, 0].shape))
    offsets = np.array([offset for _, _, offset in JOINTS])
    relative, rotations = posed(local, offsets, parents)
    pelvis, scale = trans + np.array([0.0, 0.0, _PELVIS_ABOVE_TRANS]), 1.0
    if _stands_along_y(
        relative
    ):  # its ground's height is not known then: the pelvis of each model lies elsewhere
        pelvis, relative = rotate(_Y_TO_Z, trans), rotate(_Y_TO_Z, relative)
        rotations = multiply(np.broadcast_to(_Y_TO_Z, rotations.shape), rotations)
    else:
        scale = _scale(pelvis[:, 2], relative)
    rest, _ = posed(np.tile([0.0, 0.0, 0.0, 1.0], (1, _BODY, 1)), offsets, parents)
    return SourceMotion(
        names=tuple(name for name, _, _ in JOINTS),
        parents=np.array(parents),
        positions=pelvis[:, None] + scale * relative,
        rotations=rotations,
        rest_positions=scale * rest[0],
        fps=frame_rate(found[rate].reshape(-1)[0] if found[rate].size == 1 else found[rate], where),
    )


def _stands_along_y(relative: np.ndarray) -> bool:
    """Whether y is up, as in the data of some who share AMASS's form; (T, J, 3) m from the pelvis."""
    up = np.median(unit(-relative[:, _ANKLES].mean(axis=1)), axis=0)
    return bool(up[1] > _PLAINLY)


def _rotation_vectors(found: Dict[str, np.ndarray], where: str) -> np.ndarray:
    """(T, 22, 3) of the root and the body's joints."""
    if "poses" in found:
        poses = _finite(found, "poses", where)
        if poses.ndim == 3 and poses.shape[2] == 3:
            poses = poses.reshape(len(poses), -1)
        if poses.ndim != 2 or poses.shape[1] not in _POSE_SIZES:
            raise DataError(
                f"{where}: poses has shape {list(poses.shape)}, [T, {', '.join(map(str, _POSE_SIZES))}] is needed"
            )
        poses = poses[:, : 3 * _BODY]
    else:
        root, body = _finite(found, "root_orient", where), _finite(found, "pose_body", where)
        frames = len(root) if root.ndim else 0
        expect_shape(root, (frames, 3), f"{where}: root_orient")
        expect_shape(body, (frames, 3 * (_BODY - 1)), f"{where}: pose_body")
        poses = np.concatenate([root, body], axis=1)
    if len(poses) < 2:
        raise DataError(f"{where}: has {len(poses)} frame(s), a motion needs at least 2")
    return poses.reshape(len(poses), _BODY, 3)


def _finite(found: Dict[str, np.ndarray], key: str, where: str) -> np.ndarray:
    values = array(found[key], f"{where}: {key}").astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{where}: {key} holds non-finite numbers")
    return values


def _parents() -> Tuple[int, ...]:
    names = [name for name, _, _ in JOINTS]
    return tuple(names.index(parent) if parent else -1 for _, parent, _ in JOINTS)


def _quaternions(vectors: np.ndarray) -> np.ndarray:
    """Of rotation vectors. (..., 3) rad -> (..., 4)."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.concatenate([0.5 * np.sinc(angle / (2 * np.pi)) * vectors, np.cos(0.5 * angle)], axis=-1)


def _scale(height: np.ndarray, relative: np.ndarray) -> float:
    """Size of the person against the mean body: what lets upright frames stand on z = 0.

    Args:
        height: (T,) m of the pelvis.
        relative: (T, J, 3) m of the mean body's joints from its pelvis.
    """
    depth = _SOLE - relative[:, _ANKLES, 2].min(axis=1)
    upright = depth > 0.9 * depth.max()
    scale = float(np.percentile(height[upright] / depth[upright], 25))  # a quarter of them at least stands
    return scale if _SCALES[0] < scale < _SCALES[1] else 1.0
