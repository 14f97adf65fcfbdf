"""What there is to see of one clip, whoever shows it: figures on their ground, curves, and marks on the timeline."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Tuple

import numpy as np

from parc_core.playback.tracks import Track


@dataclass(frozen=True)
class Figure:
    """One character over T frames."""

    label: str
    root_pos: np.ndarray
    """(T, 3) m."""
    body_rot: np.ndarray
    """(T, J, 4) xyzw, in the world; with the root's place they give all bodies."""
    ghost: bool = False
    """Shown as a transparent reference."""
    forces: Optional[np.ndarray] = None
    """(T, J, 3) N on each body, world frame."""
    contacts: Optional[np.ndarray] = None
    """(T, J) in [0, 1], where contacts are labels and no forces are known."""


@dataclass(frozen=True)
class Series:
    """One curve below the scene."""

    label: str
    unit: str
    values: np.ndarray
    """(T,)."""
    limit: Optional[float] = None
    """Beyond it the clip is lost."""


@dataclass(frozen=True)
class Mark:
    """A stretch of the timeline that deserves a look."""

    kind: str
    """"lost", "penetration", "floating", "jump" or "slip"."""
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class ClipScene:
    """All that a player shows of one clip."""

    name: str
    dt: float
    """s between frames."""
    figures: List[Figure]
    """The first is the one that the camera follows."""
    cell_xy: np.ndarray
    """(nx, ny, 2) m, centres of the terrain cells."""
    cell_height: np.ndarray
    """(nx, ny) m."""
    dx: float
    """Cell size, m."""
    series: Tuple[Series, ...] = ()
    marks: Tuple[Mark, ...] = ()

    @property
    def num_frames(self) -> int:
        return int(self.figures[0].root_pos.shape[0])

    def frame_at(self, seconds: float) -> int:
        """The frame shown at a time, within the clip."""
        return min(max(math.floor(seconds / self.dt + 0.5), 0), self.num_frames - 1)


_UNITS = {"_m": "m", "_rad": "rad", "_m_s": "m/s", "_rad_s": "rad/s", "_m_s2": "m/s²"}


def label_and_unit(name: str) -> Tuple[str, str]:
    """ "root_vel_m_s" -> ("root vel", "m/s"); "pose_r" -> ("pose reward", "")."""
    for suffix in sorted(_UNITS, key=len, reverse=True):
        if name.endswith(suffix):
            return name[: -len(suffix)].replace("_", " "), _UNITS[suffix]
    if name.endswith("_r"):
        return name[:-2].replace("_", " ") + " reward", ""
    return name.replace("_", " "), ""


def scene_of_track(track: Track) -> ClipScene:
    """The scene of a clip as a policy tracked it, with its reference as a ghost; its `series` become curves."""
    figures = [
        Figure("simulated", track.root_pos, track.body_rot, forces=track.contact_forces),
        Figure("reference", track.ref_pos[:, 0], track.ref_rot, ghost=True),
    ]
    series = tuple(
        Series(*label_and_unit(name), values, track.limits.get(name)) for name, values in track.series.items()
    )
    marks: Tuple[Mark, ...] = ()
    if track.lost_at_s is not None:
        end = (track.num_frames - 1) * track.dt
        marks = (Mark("lost", track.lost_at_s, end, f"lost: {track.reason}"),)
    return ClipScene(track.name, track.dt, figures, track.cell_xy, track.cell_height, track.dx, series, marks)
