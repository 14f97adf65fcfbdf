"""How good a motion is as training data: penetration, foot skating, jerk. Of recordings and of references alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.character.surface_points import SurfacePoints
from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionClip
from parc_core.terrain.heightfield import Heightfield, nearest_cell

_FOOT_NAMES = ("foot", "ankle", "toe")
CHUNK_FRAMES = 4096  # bounds the working memory: about 300 points a frame
TOUCHING = 0.5
"""Of a contact label, which lies between 0 and 1."""


@dataclass(frozen=True)
class Quality:
    """Numbers of one motion; smaller is better."""

    joint_error_m: Optional[float]
    """Mean distance of all bodies from the reference; None for a motion that is no recording."""
    penetration_mean_m: float
    """How deep the deepest point of the character's surface is in the terrain, mean over frames."""
    penetration_max_m: float
    """The same, of the worst frame."""
    foot_skating_m_s: float
    """Horizontal speed of the feet while they touch, mean over those frames; 0 where none does."""
    jerk_m_s3: float
    """Norm of the third derivative of body positions, mean over bodies and frames."""

    def exceeded(self, limits: Mapping[str, float]) -> str:
        """The first limit that the motion exceeds, in words; "" where it keeps all."""
        own = asdict(self)
        for name, limit in limits.items():
            if own[name] is not None and own[name] > limit:
                return f"{name} {own[name]:.3g}, more than {limit:g}"
        return ""


METRICS = tuple(Quality.__dataclass_fields__)


def check_limits(limits: Mapping[str, float], where: str) -> None:
    """Raises ConfigError for a limit of something that is not measured."""
    for name, limit in limits.items():
        if name not in METRICS:
            raise ConfigError(f"{where}: there is no metric '{name}'; there are {', '.join(METRICS)}")
        if not (np.isfinite(limit) and limit >= 0):
            raise ConfigError(f"{where}: {name} is {limit}, a number of at least 0 is needed")


class QualityMeter:
    """Measures motions of one character."""

    def __init__(self, character: Character) -> None:
        self._kinematics = Kinematics(character)
        self._surface = SurfacePoints(character)
        self._feet = foot_bodies(character.body_names)

    def measure(
        self, clip: MotionClip, terrain: Heightfield, joint_error_m: Optional[float] = None
    ) -> Quality:
        """All numbers of a motion on its terrain."""
        depth, pos_all = self._depths(clip, terrain)
        return Quality(
            joint_error_m=joint_error_m,
            penetration_mean_m=float(depth.mean()),
            penetration_max_m=float(depth.max()),
            foot_skating_m_s=self._skating(clip, pos_all),
            jerk_m_s3=float(jerks(torch.from_numpy(pos_all), clip.fps).mean()) if len(pos_all) > 3 else 0.0,
        )

    def depths(self, clip: MotionClip, terrain: Heightfield) -> np.ndarray:
        """How deep the deepest point of the surface is in the terrain in each frame, (n,) m."""
        return self._depths(clip, terrain)[0]

    def _depths(self, clip: MotionClip, terrain: Heightfield) -> Tuple[np.ndarray, np.ndarray]:
        """Those, and the bodies' positions (n, J, 3) m."""
        depths: List[np.ndarray] = []
        positions: List[np.ndarray] = []
        for begin in range(0, clip.num_frames, CHUNK_FRAMES):
            part = slice(begin, begin + CHUNK_FRAMES)
            pos, rot = self._kinematics.forward(
                *(torch.from_numpy(a[part]) for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
            )
            points = self._surface.posed(pos, rot)
            depths.append(penetration_depth(terrain, points.double().numpy()).max(axis=1))
            positions.append(pos.double().numpy())
        return np.concatenate(depths), np.concatenate(positions)

    def _skating(self, clip: MotionClip, body_pos: np.ndarray) -> float:
        if clip.body_contacts is None or not self._feet or clip.num_frames < 2:
            return 0.0
        touching = clip.body_contacts[:, self._feet] > TOUCHING
        both = touching[1:] & touching[:-1]
        speed = horizontal_speeds(torch.from_numpy(body_pos[:, self._feet]), clip.fps).numpy()
        return float(speed[both].mean()) if both.any() else 0.0


def penetration_depth(terrain: Heightfield, points: np.ndarray) -> np.ndarray:
    """How far points have to move to leave the terrain: up, or sideways into a lower neighbour cell.

    Args:
        terrain: flat-topped cells; beyond its border it goes on with the border's heights.
        points: (..., 3) m.

    Returns:
        (...) m, 0 outside the terrain.
    """
    cell = nearest_cell(terrain, points[..., :2])
    beside = points[..., :2] - (terrain.min_point.astype(np.float64) + cell * float(terrain.dx))

    def heights(cells: Tensor) -> Tensor:
        i, j = (cells[..., k].clamp(0, terrain.hf.shape[k] - 1) for k in range(2))
        return torch.from_numpy(terrain.hf)[i, j].double()

    cells, sideways, height = (
        torch.from_numpy(np.ascontiguousarray(a)) for a in (cell, beside, points[..., 2])
    )
    return depth_in_cells(heights, cells, sideways, height, float(terrain.dx)).numpy()


def depth_in_cells(
    heights: Callable[[Tensor], Tensor],
    cell: Tensor,
    beside: Tensor,
    height: Tensor,
    dx: Union[float, Tensor],
) -> Tensor:
    """`penetration_depth` on whatever holds the terrain.

    Args:
        heights: cells (..., 2) int64, also beyond the border -> (...) m.
        cell: (..., 2) int64, the cell of each point.
        beside: (..., 2) m, from the cell's centre to the point.
        height: (...) m, of the point.
        dx: cell size, m.
    """
    depth = (heights(cell) - height).clamp(min=0.0)
    for axis in range(2):
        for sign in (-1, 1):
            step = torch.zeros(2, dtype=torch.long, device=cell.device)
            step[axis] = sign
            free = heights(cell + step) <= height
            way = (0.5 * dx - sign * beside[..., axis]).clamp(min=0.0)
            depth = torch.where(free, torch.minimum(depth, way), depth)
    return depth


def foot_bodies(names: Sequence[str]) -> List[int]:
    """Bodies that are feet, by their names."""
    return [k for k, name in enumerate(names) if any(part in name.lower() for part in _FOOT_NAMES)]


def horizontal_speeds(body_pos: Tensor, fps: float) -> Tensor:
    """(n, ..., 3) m -> (n-1, ...) m/s between neighbouring frames."""
    speed: Tensor = torch.diff(body_pos[..., :2], dim=0).norm(dim=-1) * fps
    return speed


def jerks(body_pos: Tensor, fps: float) -> Tensor:
    """(n, ..., 3) m, n >= 4 -> (n-3, ...) m/s³: norms of the third derivative."""
    norms: Tensor = torch.diff(body_pos, n=3, dim=0).norm(dim=-1) * fps**3
    return norms


def mean_quality(parts: List[Quality]) -> Dict[str, Optional[float]]:
    """Means over motions of each number that all of them have."""
    means: Dict[str, Optional[float]] = {}
    for name in METRICS:
        values = [getattr(part, name) for part in parts]
        means[name] = float(np.mean(values)) if values and None not in values else None
    return means
