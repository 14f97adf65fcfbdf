"""Whether a motion can be what its file says: all limits, and the slips that break them.

A file can be well formed and still wrong: quaternions in another component order, centimetres, y up, a motion beside
its terrain. The limits stand far outside what 105 real clips and the synthetic ones do; docs/data.md shows both. Numpy
alone: worker processes that read motions do without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterator, Optional

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.motion.skeleton import Skeleton, beyond_range, body_positions, multiply, off_axis, wrong_way
from parc_core.terrain.heightfield import Heightfield, grid_index

MAX_OFF_AXIS = 0.1
"""rad by which a hinge may turn about other axes, or a fixed joint at all (real clips: 0.002)."""
MAX_BEYOND_RANGE = 1.5
"""rad by which a joint may exceed its range (real clips: 0.49)."""
BENT = 0.3
"""rad from which a knee or an elbow counts as bent,"""
MAX_WRONG_WAY = 0.9
"""and share of the bent ones that bend the wrong way (real clips: 0), where a fifth of all are bent."""
MAX_SPEED = 30.0
"""m/s of the root (real clips: 6.1; a fall of 12 m ends at 15)."""
MAX_SUNK = 0.5
"""m by which the lowest body's origin may be below the ground in half of the frames (real clips: 0.03 above)."""
MAX_AFLOAT = 2.0
"""m above the ground that the lowest body's origin must come below at least once (real clips: 0.11)."""
MIN_UPRIGHT = -0.5
"""Cosine between the root's z axis and up, median over the frames (real clips: 0.04, a crawl)."""
MAX_OFF_TERRAIN = 5.0
"""m that the root may leave its terrain, or the lowest body be above or below it all along (real clips: 0)."""
CELL_SIZES = (0.01, 5.0)
"""m of a terrain's cells (published data: 0.4)."""
MAX_TERRAIN_HEIGHT = 200.0
"""m between a terrain's highest and lowest cell (real clips: 14)."""
FRAME_RATES = (5, 500)
"""Frames per second (real clips: 30)."""
MAX_COARSENESS = 1e-3
"""m that neighbouring float32 numbers may lie apart at the motion's place (reached 8 km from zero)."""

_ENOUGH_BENT = 0.2  # share of frames and joints that tells something about them (real clips: 0.45)
_ELSEWHERE = "motion and terrain are probably not of one place: move one to the other"
_UNITS = {"centimetres": 0.01, "millimetres": 0.001}
_TRUNK_HEIGHT = (0.3, 1.5)  # m of a person's root above the ground
_LYING = 0.3  # as MIN_UPRIGHT, of a body that is not upright
_LEANING = 0.9  # the same, of one that leans by 26 degrees all the time
_ON_GROUND = (-0.15, 0.3)  # m of the lowest body's origin above the ground, for guessing the cause


@dataclass(frozen=True)
class Finding:
    """What is odd about a motion."""

    text: str
    """The limit that is broken, and where; "" for nothing."""
    cause: str = ""
    """The slip that explains it; "" where none does: the motion is odd then, but may be meant."""

    def __str__(self) -> str:
        return f"{self.text}; {self.cause}" if self.cause else self.text


def judge(clip: MotionClip, terrain: Optional[Heightfield], skeleton: Optional[Skeleton]) -> Finding:
    """What cannot be right about a motion that `container.validate` passed.

    Args:
        clip: n frames.
        terrain: below it; None leaves those checks out.
        skeleton: of its character; None leaves the checks of joints and bodies out.
    """
    found = _of_numbers(clip, terrain)
    if not found and skeleton is not None:
        found = _of_joints(clip, skeleton) or _of_bodies(clip, terrain, skeleton)
    found = found or _of_place(clip, terrain)
    return Finding(found, _cause(clip, terrain, skeleton)) if found else Finding("")


def _of_numbers(clip: MotionClip, terrain: Optional[Heightfield]) -> str:
    if not FRAME_RATES[0] <= clip.fps <= FRAME_RATES[1]:
        return f"fps is {clip.fps}, not from {FRAME_RATES[0]} to {FRAME_RATES[1]}"
    coarse = _coarseness(clip)
    if coarse > MAX_COARSENESS:
        reach = float(np.abs(clip.root_pos).max())
        return f"root_pos lies {reach:.4g} m from zero, where float32 has steps of {coarse:.2g} m"
    speed = np.linalg.norm(np.diff(clip.root_pos.astype(np.float64), axis=0), axis=-1) * clip.fps
    if speed.max() > MAX_SPEED:
        return f"the root moves at {speed.max():.3g} m/s at frame {int(speed.argmax())} (limit {MAX_SPEED:g})"
    if terrain is not None:
        if not CELL_SIZES[0] <= terrain.dx <= CELL_SIZES[1]:
            return (
                f"the terrain's cells are {terrain.dx:.4g} m wide, not {CELL_SIZES[0]:g} to {CELL_SIZES[1]:g}"
            )
        height = float(terrain.hf.max()) - float(terrain.hf.min())
        if height > MAX_TERRAIN_HEIGHT:
            return f"the terrain's heights span {height:.4g} m (limit {MAX_TERRAIN_HEIGHT:g})"
    return ""


def _coarseness(clip: MotionClip) -> float:
    """m between neighbouring float32 numbers at the motion's farthest place."""
    return float(np.spacing(np.abs(clip.root_pos.astype(np.float32)).max()))


def _of_joints(clip: MotionClip, skeleton: Skeleton) -> str:
    off = off_axis(clip.joint_rot, skeleton)
    if off.size and off.max() > MAX_OFF_AXIS:
        frame, joint = np.unravel_index(int(off.argmax()), off.shape)
        name = skeleton.names[joint + 1]
        return f"joint {name} turns {off.max():.2f} rad off what it can do, at frame {frame} (limit {MAX_OFF_AXIS:g})"
    beyond = beyond_range(clip.joint_rot, skeleton)
    if beyond.size and beyond.max() > MAX_BEYOND_RANGE:
        frame, joint = np.unravel_index(int(beyond.argmax()), beyond.shape)
        name = skeleton.names[joint + 1]
        return f"joint {name} is {beyond.max():.2f} rad beyond its range at frame {frame} (limit {MAX_BEYOND_RANGE:g})"
    if _inverted(clip, skeleton):
        return "knees and elbows bend the wrong way in almost all frames"
    return ""


def _inverted(clip: MotionClip, skeleton: Skeleton) -> bool:
    bent, wrong = wrong_way(clip.joint_rot, skeleton, BENT)
    return bent > _ENOUGH_BENT and wrong > MAX_WRONG_WAY


def _of_bodies(clip: MotionClip, terrain: Optional[Heightfield], skeleton: Skeleton) -> str:
    upright = _upright(clip.root_rot)
    if upright < MIN_UPRIGHT:
        return "the root is upside down in most frames"
    if terrain is None:
        return ""
    return _of_clearance(clip, terrain, skeleton) or _of_posture(clip, terrain, skeleton)


def _of_clearance(clip: MotionClip, terrain: Heightfield, skeleton: Skeleton) -> str:
    clearance = _clearance(clip, terrain, skeleton)
    middle, lowest = float(np.median(clearance)), float(clearance.min())
    if middle < -MAX_SUNK:
        return (
            f"the lowest body is {-middle:.3g} m below the ground in half of the frames (limit {MAX_SUNK:g})"
        )
    if lowest > MAX_AFLOAT:
        return f"no body ever comes nearer than {lowest:.3g} m to the ground (limit {MAX_AFLOAT:g})"
    return ""


def _of_posture(clip: MotionClip, terrain: Heightfield, skeleton: Skeleton) -> str:
    """Lying and leaning are told only where a slip explains them."""
    if _upright(clip.root_rot) < _LYING and _y_is_up(clip, terrain, skeleton):
        return "the root lies on its side, though the motion would stand otherwise"
    if _root_is_wxyz(clip, terrain, skeleton, by_itself=True):
        return "the root leans or lies all the time, though the motion would stand otherwise"
    return ""


def _of_place(clip: MotionClip, terrain: Optional[Heightfield]) -> str:
    if terrain is None:
        return ""
    low = terrain.min_point - 0.5 * terrain.dx
    high = low + np.array(terrain.hf.shape) * terrain.dx
    xy = clip.root_pos[:, :2]
    off = np.maximum(np.maximum(low - xy, xy - high), 0.0)
    distance = np.linalg.norm(off, axis=-1)
    if distance.max() > MAX_OFF_TERRAIN:
        size = f"{high[0] - low[0]:.3g} x {high[1] - low[1]:.3g} m"
        return f"the root is up to {distance.max():.4g} m beside its terrain of {size} (limit {MAX_OFF_TERRAIN:g})"
    return ""


def _cause(clip: MotionClip, terrain: Optional[Heightfield], skeleton: Optional[Skeleton]) -> str:
    """The slip that explains it best: the one without which all would be well; "" for none."""
    return next(_causes(clip, terrain, skeleton), "")


def _causes(clip: MotionClip, terrain: Optional[Heightfield], skeleton: Optional[Skeleton]) -> Iterator[str]:
    if _coarseness(clip) > MAX_COARSENESS:
        yield "move motion and terrain near zero before they are saved as float32, or save float64"
    if skeleton is not None:
        off = off_axis(clip.joint_rot, skeleton)
        if off.size and off.max() > MAX_OFF_AXIS:
            turned = off_axis(_wxyz(clip.joint_rot), skeleton)
            if turned.max() <= MAX_OFF_AXIS:
                yield "the quaternions are probably stored as wxyz, xyzw is needed"
            yield "the rotations are probably those of another skeleton or order of joints; retarget the motion"
        if _inverted(clip, skeleton):
            yield "joint_rot is probably inverted (x, y and z negated), parent to child is needed"
        if _root_is_wxyz(clip, terrain, skeleton):
            yield "root_rot is probably stored as wxyz, xyzw is needed"
        if _y_is_up(clip, terrain, skeleton):
            yield "y is probably up, z is needed"
        if terrain is not None and _at_another_height(clip, terrain, skeleton):
            yield _ELSEWHERE
    yield from _causes_of_size(clip, terrain)
    if _of_place(clip, terrain):
        yield _ELSEWHERE


def _causes_of_size(clip: MotionClip, terrain: Optional[Heightfield]) -> Iterator[str]:
    """What the root's numbers alone tell."""
    for name, scale in _UNITS.items():
        scaled = replace(clip, root_pos=clip.root_pos * scale)
        if _height(clip, terrain) > _TRUNK_HEIGHT[0] / scale * 0.8 and _trunk_height(scaled, terrain):
            yield f"positions are probably in {name}, metres are needed"
    if terrain is not None and terrain.dx > CELL_SIZES[1]:
        yield "the terrain is probably in centimetres, metres are needed"
    y = clip.root_pos[:, 1]
    like_a_height = _TRUNK_HEIGHT[0] < float(np.median(y)) < _TRUNK_HEIGHT[1] and float(np.ptp(y)) < 2.0
    if like_a_height and not _trunk_height(clip, terrain):
        yield "y is probably up, z is needed"


def _at_another_height(clip: MotionClip, terrain: Heightfield, skeleton: Skeleton) -> bool:
    """Whether the clip is far above or below its terrain all along, and would not stand on it in another unit."""
    if abs(float(np.median(_clearance(clip, terrain, skeleton)))) <= MAX_OFF_TERRAIN:
        return False
    scaled = (replace(clip, root_pos=clip.root_pos * scale) for scale in _UNITS.values())
    return not any(_stands(other, terrain, skeleton) for other in scaled)


def _fits(clip: MotionClip, terrain: Optional[Heightfield], skeleton: Skeleton) -> bool:
    return _upright(clip.root_rot) > 0.7 and (terrain is None or _stands(clip, terrain, skeleton))


def _stands(clip: MotionClip, terrain: Heightfield, skeleton: Skeleton) -> bool:
    """Whether the lowest body is on the ground in half of the frames."""
    clearance = _clearance(clip, terrain, skeleton)
    return _ON_GROUND[0] < float(np.median(clearance)) < _ON_GROUND[1]


def _root_is_wxyz(
    clip: MotionClip, terrain: Optional[Heightfield], skeleton: Skeleton, by_itself: bool = False
) -> bool:
    """Whether the root would stand if its rotations were read as wxyz; `by_itself`: with no other sign of a slip.

    Read as xyzw, a turn about z becomes one about x: someone who walks upright seems to lean by half a turn less his
    heading.
    """
    upright, otherwise = _upright(clip.root_rot), _upright(_wxyz(clip.root_rot))
    if upright < _LEANING and otherwise > 0.95:
        return _fits(_as_wxyz(clip), terrain, skeleton)
    astray = not by_itself or (terrain is not None and not _stands(clip, terrain, skeleton))
    return upright < _LYING and astray and _fits(_as_wxyz(clip), terrain, skeleton)


def _as_wxyz(clip: MotionClip) -> MotionClip:
    return replace(clip, root_rot=_wxyz(clip.root_rot))


def _y_is_up(clip: MotionClip, terrain: Optional[Heightfield], skeleton: Skeleton) -> bool:
    """Whether the body stands along y, its lowest end at one height near y = 0, and is not just lying there."""
    rot = clip.root_rot
    along_y = float(np.median(2.0 * (rot[:, 1] * rot[:, 2] - rot[:, 0] * rot[:, 3])))
    lowest = body_positions(clip, skeleton)[..., 1].min(axis=1)
    floor = float(np.median(lowest))
    steady = abs(floor) < 0.8 and float(np.mean(np.abs(lowest - floor) < 0.2)) > 0.9
    if terrain is not None and not _stands(clip, terrain, skeleton) and along_y > 0.7:
        return steady or _fits(_turned_up(clip), terrain, skeleton)
    height = clip.root_pos[:, 2] - (0.0 if terrain is None else _ground(clip.root_pos[:, :2], terrain))
    # Nobody who lies moves sideways without rolling.
    facing = np.stack(
        [1 - 2 * (rot[:, 1] ** 2 + rot[:, 2] ** 2), 2 * (rot[:, 0] * rot[:, 2] - rot[:, 1] * rot[:, 3])]
    )
    glides = float(np.ptp(clip.root_pos[:, 0])) > 1.0 and float(np.linalg.norm(facing.mean(axis=1))) > 0.8
    lies = float(np.ptp(height)) < 0.5 and 0.03 < float(np.median(height)) < 0.45 and not glides
    return along_y > 0.7 and steady and not lies


def _turned_up(clip: MotionClip) -> MotionClip:
    """The clip turned from y up to z up: x stays, y becomes z, z becomes -y."""
    turn = np.array([np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])
    pos = clip.root_pos[:, [0, 2, 1]] * np.array([1.0, -1.0, 1.0])
    rot = multiply(np.broadcast_to(turn, clip.root_rot.shape), clip.root_rot)
    return replace(clip, root_pos=pos, root_rot=rot)


def _trunk_height(clip: MotionClip, terrain: Optional[Heightfield]) -> bool:
    """Whether the root is as high above the ground as a person's, in half of the frames."""
    return _TRUNK_HEIGHT[0] < _height(clip, terrain) < _TRUNK_HEIGHT[1]


def _height(clip: MotionClip, terrain: Optional[Heightfield]) -> float:
    """m of the root above the ground, median over the frames."""
    ground = 0.0 if terrain is None else _ground(clip.root_pos[:, :2], terrain)
    return float(np.median(clip.root_pos[:, 2] - ground))


def _ground(xy: np.ndarray, terrain: Heightfield) -> np.ndarray:
    index = grid_index(terrain, xy)
    return terrain.hf[index[..., 0], index[..., 1]]


def _upright(root_rot: np.ndarray) -> float:
    """Median cosine between the root's z axis and up."""
    x, y = root_rot[:, 0], root_rot[:, 1]
    return float(np.median(1.0 - 2.0 * (x * x + y * y)))


def _clearance(clip: MotionClip, terrain: Heightfield, skeleton: Skeleton) -> np.ndarray:
    """(n,) m of the lowest body's origin above the ground below it."""
    pos = body_positions(clip, skeleton)
    return (pos[..., 2] - _ground(pos[..., :2], terrain)).min(axis=1)


def _wxyz(quaternions: np.ndarray) -> np.ndarray:
    """What a file meant that stores w first. (..., 4)."""
    return quaternions[..., [1, 2, 3, 0]]
