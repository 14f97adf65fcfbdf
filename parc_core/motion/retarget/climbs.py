"""Climbs over boxes: joint positions in an `.npy` beside the boxes as `.obj`, as `holosoma-retargeting` ships them.

A take is a folder with one array (T, 53, 3) of metres, z up, about 120 frames a second, and meshes in the same frame of
reference: `multi_boxes.obj`, or all of `box_models/`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

import numpy as np

from parc_core.character.model import Character
from parc_core.errors import DataError
from parc_core.motion.formats.completion import CELL
from parc_core.motion.retarget.mapping import map_joints
from parc_core.motion.retarget.result import RetargetedMotion, RetargetOptions
from parc_core.motion.retarget.retarget import Retargeter
from parc_core.motion.retarget.sizes import leg_length
from parc_core.motion.retarget.source import SourceMotion
from parc_core.system.files import printable_name, read_regular
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.obj import Triangles, check_size, merged, read_obj
from parc_core.terrain.rasterize import MAX_TRIANGLES, cells_of, sample_tops

FPS = 120.0
"""Of arrays, which do not say it."""
_MARGIN = 2.0  # m of terrain beyond the path: a leap's length
_FPS_TO_FIT = 30
_MAX_BOXES = 100
_FEET = ("LeftToeBase", "RightToeBase", "LeftFoot", "RightFoot")
_OPTIONS = RetargetOptions(scale=1.0, contact_height=0.06, hold=True)
_STILL, _NEAR = 0.3, 0.15  # m/s and m above a top: a foot that stands on it
_FINGERS = ("Thumb", "Index", "Middle", "Ring", "Pinky")


def _arm(side: str) -> Tuple[Tuple[str, str], ...]:
    limb = [
        (f"{side}Shoulder", "Spine1"),
        (f"{side}Arm", f"{side}Shoulder"),
        (f"{side}ForeArm", f"{side}Arm"),
    ]
    limb.append((f"{side}Hand", f"{side}ForeArm"))
    for finger in _FINGERS:
        limb.append((f"{side}Hand{finger}1", f"{side}Hand"))
        limb += [(f"{side}Hand{finger}{k}", f"{side}Hand{finger}{k - 1}") for k in (2, 3)]
    return tuple(limb)


def _leg(side: str) -> Tuple[Tuple[str, str], ...]:
    chain = (f"{side}UpLeg", f"{side}Leg", f"{side}Foot", f"{side}ToeBase")
    return tuple(zip(chain, ("Hips", *chain)))


JOINTS: Tuple[Tuple[str, str], ...] = (
    ("Hips", ""),
    ("Spine", "Hips"),
    ("Spine1", "Spine"),
    ("Neck", "Spine1"),
    ("Head", "Neck"),
    *_arm("Left"),
    *_arm("Right"),
    *_leg("Left"),
    *_leg("Right"),
    ("LeftFootMod", "LeftFoot"),
    ("RightFootMod", "RightFoot"),
)
"""Name and parent of the 53 joints, in the array's order."""


def is_positions(value: Any) -> bool:
    """Whether a value out of an `.npy` is what `read_positions` reads."""
    return isinstance(value, np.ndarray) and value.shape[1:] == (len(JOINTS), 3) and value.dtype.kind == "f"


def read_positions(value: np.ndarray, where: str, fps: float = FPS) -> SourceMotion:
    """The motion in an array of which `is_positions` holds.

    Raises:
        DataError: too short, or not finite.
    """
    positions = value.astype(np.float64)
    if len(positions) < 2:
        raise DataError(f"{where}: has {len(positions)} frame(s), a motion needs at least 2")
    if not np.isfinite(positions).all():
        raise DataError(f"{where}: holds non-finite numbers")
    names = tuple(name for name, _ in JOINTS)
    parents = np.array([names.index(parent) if parent else -1 for _, parent in JOINTS])
    return SourceMotion(names, parents, positions, None, None, fps)


def retarget_climb(
    source: SourceMotion,
    boxes: Triangles,
    character: Character,
    where: str,
    given: Optional[Mapping[str, str]] = None,
) -> RetargetedMotion:
    """The climb as the character's, on its boxes: both are scaled by the length of the legs.

    Args:
        source: of `read_positions`.
        boxes: in the same frame of reference.
        character: whose motion it becomes.
        where: for messages.
        given: see `map_joints`.

    Raises:
        DataError: no humanoid's motion, or boxes or path are too large.
    """
    mapping = map_joints(source.names, source.parents, where, given)
    retargeter = Retargeter(character, _OPTIONS)
    scale = retargeter.leg_length() / leg_length(source, mapping, where)
    source = replace(source, positions=source.positions * scale)
    terrain = climb_terrain(source, replace(boxes, vertices=boxes.vertices * scale), where)
    return retargeter.retarget(source, mapping, terrain, where)


def boxes_beside(path: Path) -> Optional[Triangles]:
    """The boxes that lie beside a take's array; None where there are none.

    Raises:
        DataError: one of their files cannot be read.
    """
    files = [path.parent / "multi_boxes.obj"]
    if not files[0].is_file():
        files = sorted(path.parent.glob("box_models/*.obj"))
    if len(files) > _MAX_BOXES:
        raise DataError(f"{path.parent}: holds {len(files)} meshes of boxes, at most {_MAX_BOXES} are read")
    meshes: List[Triangles] = []
    for file in files:
        meshes.append(_box(file))
        if sum(len(mesh.faces) for mesh in meshes) > MAX_TRIANGLES:
            raise DataError(
                f"{path.parent}: its boxes have more than {MAX_TRIANGLES} triangles; simplify them"
            )
    return merged(meshes) if meshes else None


def _box(file: Path) -> Triangles:
    where = printable_name(str(file))
    try:
        check_size(file.stat().st_size, where)
        return read_obj(read_regular(file), where)
    except OSError as error:
        raise DataError(f"{where}: cannot be read ({error.strerror or error})") from error


def climb_terrain(source: SourceMotion, boxes: Triangles, where: str, cell: float = CELL) -> Heightfield:
    """The boxes as cells below and around a motion, the ground beside them at z = 0.

    Args:
        source: of `read_positions`.
        boxes: in the same frame of reference.
        where: for messages.
        cell: m.

    Raises:
        DataError: boxes or path are too large.
    """
    every = max(1, round(source.fps / _FPS_TO_FIT))
    positions = source.positions[::every]
    xy = positions[..., :2].reshape(-1, 2)
    margin = _MARGIN + cell  # the search moves the border by up to a cell
    low, high = xy.min(axis=0) - margin, xy.max(axis=0) + margin
    try:
        samples = sample_tops(boxes, low, high, cell, 0.0)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    feet = positions[:, [source.names.index(name) for name in _FEET]]
    speed = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * source.fps / every
    stands = (speed < _STILL) & (feet[..., 2] - samples.at(feet[..., :2]) < _NEAR)
    return cells_of(samples, cell, feet[stands][:, :2], positions.reshape(-1, 3))
