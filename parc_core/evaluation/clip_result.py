"""What an evaluation found of one clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

MM = 1000.0
"""Millimetres in a metre."""
COMPLETED = "completed"
"""`end_reason` of a clip that was followed to its end; the others are those of `terminations.FailReason`."""


@dataclass(frozen=True)
class ClipResult:
    """One clip, tracked once from its first frame by the deterministic policy."""

    name: str
    """Display name, `<class>/<stem>` where the dataset has classes."""
    motion_class: str
    """The class, or "" where there is none."""
    length_s: float
    """Length of the clip; one loop of a looping one."""
    completed: bool
    """Its end was reached without a failure."""
    completed_fraction: float
    """Share of the clip that was tracked, in [0, 1]; 1 only where it is completed."""
    end_time_s: float
    """When tracking ended."""
    end_reason: str
    """`COMPLETED`, or why tracking ended."""
    joint_error_m: float
    """Distance of the bodies from their reference, mean over bodies and tracked steps."""
    tracking_errors: Dict[str, float]
    """The seven errors of `envs.tracking_error`, means over the tracked steps."""
    episode_return: float
    """Sum of the rewards."""
    steps: int
    """Control steps tracked."""
    path_m: float = 0.0
    """How far the reference's root travels, m along its path."""
    lost_body: str = ""
    """The body that broke the limit, where the clip was lost by one."""
    lost_value: Optional[float] = None
    """How far it was off then: m, rad, or N for a fall."""
    lost_limit: Optional[float] = None
    """The limit, in the same unit."""
    success: Dict[str, bool] = field(default_factory=dict)
    """By each rule of `success.RULES`; empty in files of earlier versions, as are the next two."""
    measures: Dict[str, Optional[float]] = field(default_factory=dict)
    """`depth.MEASURES` over the tracked steps; None where there was nothing to measure."""
    random_starts: List[Dict[str, float]] = field(default_factory=list)
    """Of each further try from a random time: `start_s`, `completed` (0 or 1), `completed_fraction` of what was left
    of the clip, `joint_error_m`."""

    @property
    def shown_share(self) -> float:
        """`completed_fraction` for tables: a clip lost in its very last step is not shown as completed."""
        return 1.0 if self.completed else min(self.completed_fraction, 0.99)

    @property
    def mpjpe_global_mm(self) -> float:
        """Mean per-joint position error in the world frame, mm: `joint_error_m`."""
        return MM * self.joint_error_m

    @property
    def mpjpe_mm(self) -> Optional[float]:
        """Mean per-joint position error relative to the root, mm: tracking error `body_pos_m`, where it is known."""
        error = self.tracking_errors.get("body_pos_m")
        return None if error is None else MM * error
