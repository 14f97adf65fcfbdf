"""How good a retargeted clip is, and which are not good enough to train on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Dict, Mapping, Optional

import numpy as np

from parc_core.character.model import Character
from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionClip
from parc_core.motion.flight import FlightMeter, worst_of
from parc_core.motion.quality import QualityMeter
from parc_core.motion.retarget.result import RetargetedMotion
from parc_core.motion.skeleton import Skeleton, body_positions
from parc_core.terrain.heightfield import Heightfield


@dataclass(frozen=True)
class Measures:
    """Numbers of one clip; smaller is better, but for its length."""

    seconds: float
    """Its length."""
    foot_skating_m_s: float
    """Horizontal speed of the feet while they touch, mean over those frames."""
    penetration_mean_m: float
    """How deep the deepest point of the character's surface is in the terrain, mean over frames."""
    penetration_max_m: float
    """The same, of the worst frame."""
    limit_share: float
    """Share of joints and frames in which the source asks for more than a joint's range."""
    limit_rad: float
    """By how much at most."""
    velocity_jump_m_s: float
    """Largest change of a body's velocity from one frame to the next: a tracker's glitch shows in it."""
    jerk_m_s3: float
    """Norm of the third derivative of body positions, mean over bodies and frames."""
    off_free_fall_m: float
    """How far the centre of mass is from free fall, at worst, while no terrain is near; 0 where that never is."""

    def exceeded(self, limits: Mapping[str, float]) -> str:
        """The first limit that the clip exceeds, in words; "" where it keeps all."""
        own = asdict(self)
        for name, limit in limits.items():
            if name == MIN_SECONDS and self.seconds < limit:
                return f"it lasts {self.seconds:.2g} s, less than {limit:g}"
            if name != MIN_SECONDS and own[name] > limit:
                return f"{name} {own[name]:.3g}, more than {limit:g}"
        return ""


METRICS = tuple(name for name in Measures.__dataclass_fields__ if name != "seconds")
MIN_SECONDS = "min_seconds"
DEFAULT_LIMITS: Dict[str, float] = {
    MIN_SECONDS: 0.5,
    "foot_skating_m_s": 0.6,
    "penetration_max_m": 0.1,
    "limit_share": 0.1,
    "limit_rad": 0.8,
    "velocity_jump_m_s": 10.0,
}
"""Beyond what nearly all published clips of this character do (docs/mocap.md)."""


def check_limits(limits: Mapping[str, float], where: str) -> None:
    """Raises ConfigError for a limit of something that is not measured, or that is not a number."""
    for name, limit in limits.items():
        if name not in (*METRICS, MIN_SECONDS):
            raise ConfigError(
                f"{where}: there is no '{name}'; there are {', '.join((*METRICS, MIN_SECONDS))}"
            )
        if not limit >= 0:
            raise ConfigError(f"{where}: {name} is {limit}, a number of at least 0 is needed")


class ClipMeter:
    """Measures clips of one character."""

    def __init__(self, character: Character) -> None:
        self._quality = QualityMeter(character)
        self._flight = FlightMeter(character)
        self._skeleton = Skeleton.of(character)

    def measure(
        self, clip: MotionClip, terrain: Heightfield, retargeted: Optional[RetargetedMotion] = None
    ) -> Measures:
        """All numbers of a clip on its terrain; those of joints' ranges are 0 where it was not `retargeted`."""
        quality = self._quality.measure(clip, terrain)
        return Measures(
            seconds=(clip.num_frames - 1) / clip.fps,
            foot_skating_m_s=quality.foot_skating_m_s,
            penetration_mean_m=quality.penetration_mean_m,
            penetration_max_m=quality.penetration_max_m,
            limit_share=0.0 if retargeted is None else retargeted.limit_share,
            limit_rad=0.0 if retargeted is None else retargeted.limit_rad,
            velocity_jump_m_s=velocity_jump(body_positions(clip, self._skeleton), clip.fps),
            jerk_m_s3=quality.jerk_m_s3,
            off_free_fall_m=worst_of(self._flight.flights(clip, terrain)),
        )


def velocity_jump(positions: np.ndarray, fps: float) -> float:
    """Largest change of a point's velocity between neighbouring frames. (n, P, 3) m -> m/s."""
    if len(positions) < 3:
        return 0.0
    return float(np.linalg.norm(np.diff(positions, n=2, axis=0), axis=-1).max() * fps)
