"""Poses of the whole body over given feet: pelvis height, trunk, arms, legs by inverse kinematics."""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.model import Character
from parc_core.motion.synthetic.curves import smooth_below, through
from parc_core.motion.synthetic.feet import FootTrack
from parc_core.motion.synthetic.ik import SIDES, Leg, solve_leg
from parc_core.motion.synthetic.plan import FPS, LEFT, RIGHT, MotionPlan

_REACH = 0.988  # share of a straight leg that is used at most: the knee never locks
_SMOOTHING = {False: 0.25, True: 0.45}  # of the time of a step, on level ground and on steps
_ARM_DROP = 1.33  # rad from the T-pose: hands beside the hips, a little away from them
_LEAN_PER_CROUCH = 1.5  # rad of trunk per metre of squat, so that the weight stays over the feet
_ARM_RAISE_PER_CROUCH = 2.2  # rad of shoulder per metre of squat


class Poser:
    """Turns feet and a horizontal pelvis path into a pose per frame."""

    def __init__(
        self, character: Character, legs: List[Leg], plan: MotionPlan, feet: List[FootTrack]
    ) -> None:
        self._legs, self._feet = legs, feet
        self._character = character
        n = len(feet[RIGHT].yaw)
        self._half_width = _smoothing_frames(plan)
        crouch = np.array(plan.crouch)
        self._crouch = through(np.arange(n) / FPS, crouch[:, 0], crouch[:, 1:])[:, 0]
        self.yaw = 0.5 * (feet[RIGHT].yaw + feet[LEFT].yaw)
        lean = plan.lean + _LEAN_PER_CROUCH * self._crouch
        # Half of the lean turns the pelvis, half the abdomen.
        self.root_rot = rotations.quat_mul(_turn(2, self.yaw), _turn(1, 0.4 * lean))
        self._fixed = self._upper_body(plan, 0.6 * lean)
        self._foot_rots = [rotations.quat_mul(_turn(2, foot.yaw), _turn(1, foot.pitch)) for foot in feet]

    def _upper_body(self, plan: MotionPlan, lean: np.ndarray) -> Dict[int, Tensor]:
        """Rotations of trunk and arms by body index: they do not depend on the pelvis' path."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        apart = self._feet[LEFT].ankle - self._feet[RIGHT].ankle
        ahead = apart[:, 0] * c + apart[:, 1] * s  # m by which the left foot is in front
        raised = _ARM_RAISE_PER_CROUCH * self._crouch
        body_id = self._character.body_id
        rotated = {body_id("torso"): rotations.quat_mul(_turn(2, -0.25 * ahead), _turn(1, lean))}
        rotated[body_id("head")] = _turn(1, -0.5 * lean)
        for side, sign in ((RIGHT, 1.0), (LEFT, -1.0)):
            # The arm swings with the other leg; lean is taken out so that it hangs.
            forward = np.clip(sign * plan.arm_swing * ahead, -0.5, 0.5) + raised + lean / 0.6
            down = np.full_like(forward, sign * _ARM_DROP)
            bend = plan.arm_bend + 0.5 * np.clip(forward, 0.0, 0.4)
            rotated[body_id(f"{SIDES[side]}_upper_arm")] = rotations.quat_mul(
                _turn(1, -forward), _turn(0, down)
            )
            rotated[body_id(f"{SIDES[side]}_lower_arm")] = _turn(2, sign * bend)
        return rotated

    def pelvis_height(self, xy: np.ndarray) -> np.ndarray:
        """Standing height less the crouch, as far as both legs reach, smoothed. (n, 2) m -> (n,) m."""
        standing = np.min([np.where(foot.contact, foot.ground, np.inf) for foot in self._feet], axis=0)
        bounds = [standing + self._legs[RIGHT].sole + _REACH * self._legs[RIGHT].length]
        for leg, foot in zip(self._legs, self._feet):
            offset = torch.tensor(leg.hip_offset, dtype=torch.float64).expand(len(xy), 3)
            hip = rotations.quat_rotate(self.root_rot, offset).numpy()
            away = ((xy + hip[:, :2] - foot.ankle[:, :2]) ** 2).sum(axis=-1)
            reach = np.sqrt(np.maximum((_REACH * leg.length) ** 2 - away, 0.01))
            bounds.append(foot.ankle[:, 2] + reach - hip[:, 2])
        return smooth_below(np.min(bounds, axis=0), self._half_width) - self._crouch

    def pose(self, xy: np.ndarray) -> Tuple[Tensor, Tensor]:
        """Root positions (n, 3) m and joint rotations (n, J-1, 4) for a pelvis path (n, 2) m."""
        root_pos = torch.from_numpy(np.concatenate((xy, self.pelvis_height(xy)[:, None]), axis=-1))
        joint_rot = torch.zeros(len(xy), self._character.num_bodies - 1, 4, dtype=torch.float64)
        joint_rot[..., 3] = 1.0
        for body, rotation in self._fixed.items():
            joint_rot[:, body - 1] = rotation
        for leg, foot, foot_rot in zip(self._legs, self._feet, self._foot_rots):
            target = (torch.from_numpy(foot.ankle), foot_rot)
            hip, knee, ankle = solve_leg(leg, (root_pos, self.root_rot), target)
            joint_rot[:, leg.thigh - 1], joint_rot[:, leg.shin - 1] = hip, knee
            joint_rot[:, leg.foot - 1] = ankle
        return root_pos, joint_rot


def _smoothing_frames(plan: MotionPlan) -> int:
    """Frames to either side over which the pelvis' height is smoothed.

    Wide on steps, since a fast rise or fall of the body would overload or unload the feet; no wider than needed
    on level ground, where smoothing costs height.
    """
    if not plan.steps:
        return 3
    step = plan.steps[0]
    return max(3, int(_SMOOTHING[bool(plan.ground.edges)] * FPS * (step.land - step.lift + step.heel_lead)))


def _turn(axis: int, angle: np.ndarray) -> Tensor:
    """Rotations about x, y or z (0, 1, 2). (n,) rad -> (n, 4)."""
    rotation = torch.zeros(len(angle), 4, dtype=torch.float64)
    half = torch.from_numpy(0.5 * np.asarray(angle, dtype=np.float64))
    rotation[:, axis], rotation[:, 3] = torch.sin(half), torch.cos(half)
    return rotation
