"""How a motion is retargeted, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from parc_core.motion.clip import MotionClip
from parc_core.terrain.heightfield import Heightfield


@dataclass(frozen=True)
class RetargetOptions:
    """What may be chosen; the defaults are for walks, runs and gestures."""

    fps: int = 30
    """Frames per second of the result."""
    scale: Optional[float] = None
    """Result's lengths over the source's; None: leg length of the character over that of the source."""
    contact_height: float = 0.04
    """m above the ground below which a foot or hand can touch."""
    contact_speed: float = 0.45
    """m/s below which it then does."""
    hold: bool = False
    """Hands rest where the source's palms do, by inverse kinematics: for climbs and crawls."""


DEFAULT_OPTIONS = RetargetOptions()


@dataclass(frozen=True)
class RetargetedMotion:
    """A motion of the character, with what retargeting it took."""

    clip: MotionClip
    """With contacts of feet and hands; z = 0 is the ground where the source came without terrain."""
    terrain: Optional[Heightfield]
    """The source's terrain, scaled; None where there was none."""
    scale: float
    """Lengths of the result over those of the source."""
    shift: Tuple[float, float, float]
    """m added after scaling: root = scale * middle of the source's hips + shift. Sideways to zero where the source came
    without terrain, else 0; upwards so that standing soles are on the ground."""
    limit_share: float
    """Share of joints and frames in which a joint was beyond the character's range, and brought into it."""
    limit_rad: float
    """Largest angle (rad) by which one did."""
