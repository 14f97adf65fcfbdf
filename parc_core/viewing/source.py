"""Where a viewer's frames come from: the contract, and motions as they are (`policy_source` simulates)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Protocol, Tuple

import numpy as np
import torch

from parc_core.character.model import Character
from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionClip
from parc_core.motion.dataset.loading import LoadedDataset
from parc_core.playback.tracks import ground_around
from parc_core.terrain.packed import PackedTerrain
from parc_core.viewing.clip_scene import ClipScene, Figure, Mark, Series, label_and_unit
from parc_core.viewing.motion_checks import CheckedMotion, MotionChecker

Ground = Tuple[np.ndarray, np.ndarray, float]
"""Centres (nx, ny, 2) m and heights (nx, ny) m of cells, and their size, m."""


@dataclass(frozen=True)
class Frame:
    """One instant of J bodies."""

    body_pos: np.ndarray
    """(J, 3) m."""
    body_rot: np.ndarray
    """(J, 4) xyzw."""
    touching: np.ndarray
    """(J,) bool."""
    ref_pos: Optional[np.ndarray] = None
    """(J, 3) m, the reference; None for a motion alone."""
    ref_rot: Optional[np.ndarray] = None
    """(J, 4) xyzw."""
    forces: Optional[np.ndarray] = None
    """(J, 3) N, world frame."""
    numbers: Dict[str, float] = field(default_factory=dict)
    """Errors and reward terms, or what is measured of a motion."""
    note: str = ""
    """What is odd now."""


class Source(Protocol):
    """M clips to be watched one at a time."""

    character: Character
    names: List[str]
    """M."""
    dt: float
    """s between frames of the selected clip."""
    num_frames: int
    """Of the selected clip; smaller once it is known to be lost before its end."""
    marks: Tuple[Mark, ...]
    """Known of the selected clip so far."""
    can_push: bool
    limits: Dict[str, float]
    """Of numbers of a frame those above which a clip is lost."""

    def select(self, clip: int) -> None:
        """Puts a clip at its start."""

    def frame(self, number: int) -> Frame:
        """A frame of the selected clip, its last one for a number beyond; may simulate up to it, and find the end."""

    def curve(self) -> List[float]:
        """The first of the numbers, in every frame of the selected clip that is known so far."""

    def ground(self) -> Ground:
        """The terrain around the selected clip."""

    def push(self, number: int, body: int, force: np.ndarray, seconds: float) -> None:
        """From a frame on a force (3,) N acts on a body's centre; what was simulated after it is forgotten."""


class MotionSource:
    """Motions alone, with marks where they look wrong."""

    can_push = False
    limits: Dict[str, float] = {}  # noqa: RUF012 - a motion is not lost

    def __init__(self, dataset: LoadedDataset, character: Character) -> None:
        self.character, self.names = character, dataset.names
        self._dataset, self._checker = dataset, MotionChecker(character)
        self._terrains = dataset.terrains.heightfields()
        self._ends = np.cumsum(dataset.arrays.num_frames)
        self.select(0)

    def select(self, clip: int) -> None:
        """See `Source`."""
        self._clip = clip
        motion = self._motion(clip)
        self._contacts = motion.body_contacts
        self._checked: CheckedMotion = self._checker.check(motion, self._terrains[clip])
        self.dt, self.num_frames, self.marks = 1.0 / motion.fps, motion.num_frames, self._checked.marks

    def frame(self, number: int) -> Frame:
        """See `Source`."""
        number = min(number, self.num_frames - 1)
        found, time = self._checked, number * self.dt
        odd = [mark.text for mark in found.marks if mark.start_s - 1e-6 <= time <= mark.end_s + 1e-6]
        body_pos, body_rot = found.body_pos[number], found.body_rot[number]
        numbers = {name: float(values[number]) for name, values in found.series.items()}
        return Frame(body_pos, body_rot, self._touching()[number], numbers=numbers, note=" · ".join(odd))

    def curve(self) -> List[float]:
        """See `Source`."""
        return [float(value) for value in next(iter(self._checked.series.values()))]

    def ground(self) -> Ground:
        """See `Source`."""
        field_ = self._terrains[self._clip]
        packed = PackedTerrain([field_], torch.device("cpu"))
        xy, heights = ground_around(packed, 0, self._checked.body_pos.reshape(-1, 3))
        return xy, heights, float(field_.dx)

    def push(self, number: int, body: int, force: np.ndarray, seconds: float) -> None:
        """Refuses: see `can_push`."""
        raise ConfigError("a motion without a policy cannot be pushed; view a model")

    def scene(self, clip: int) -> ClipScene:
        """A clip for the offline page; it is the selected one then."""
        self.select(clip)
        found, (xy, heights, dx) = self._checked, self.ground()
        figure = Figure(
            "motion",
            found.body_pos[:, 0],
            found.body_rot,
            contacts=self._touching().astype(np.float32),
        )
        series = tuple(Series(*label_and_unit(name), values) for name, values in found.series.items())
        return ClipScene(self.names[clip], self.dt, [figure], xy, heights, dx, series, found.marks)

    def _touching(self) -> np.ndarray:
        """(T, J) bool."""
        if self._contacts is None:
            return np.zeros(self._checked.body_pos.shape[:2], dtype=bool)
        return np.asarray(self._contacts > 0.5)

    def _motion(self, clip: int) -> MotionClip:
        arrays = self._dataset.arrays
        part = slice(int(self._ends[clip] - arrays.num_frames[clip]), int(self._ends[clip]))
        return MotionClip(
            arrays.root_pos[part],
            arrays.root_rot[part],
            arrays.joint_rot[part],
            arrays.contacts[part],
            int(arrays.fps[clip]),
            "WRAP" if arrays.loop_wrap[clip] else "CLAMP",
        )
