"""From a kind and a seed to a motion on its terrain."""

from __future__ import annotations

import difflib
from typing import List, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.character.masses import body_masses, mass_centers
from parc_core.character.model import Character
from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.synthetic import balance
from parc_core.motion.synthetic.feet import FootTrack, track_foot
from parc_core.motion.synthetic.ground import make_terrain, to_world
from parc_core.motion.synthetic.ik import SIDES, Leg, find_leg
from parc_core.motion.synthetic.kinds import KINDS
from parc_core.motion.synthetic.plan import FPS, LEFT, RIGHT, MotionPlan
from parc_core.motion.synthetic.pose import Poser

_PENDULUM = 0.9  # m: height of the centre of mass; what it is off by is measured and corrected
_ROUNDS = 3  # of that correction
_PATH_STRIDE = 4  # frames between the points of the path that blocks keep away from


def check_kind(kind: str) -> None:
    """Raises ConfigError, naming the nearest kind, unless `kind` is one."""
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "choose from " + ", ".join(KINDS)
        raise ConfigError(f"there is no kind of synthetic motion named {kind!r}; {hint}")


def make_motion(kind: str, seed: int, character: Character) -> MotionTerrain:
    """A physically plausible reference motion at 30 fps on its own blocky terrain.

    The same kind, seed and character give the same motion.

    Args:
        kind: one of `kinds.KINDS`.
        seed: not negative.
        character: a humanoid with the PARC humanoid's body names.

    Raises:
        ConfigError: unknown kind.
        DataError: the character has other bodies, or legs that the inverse kinematics can't move.
    """
    check_kind(kind)
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    plan = KINDS[kind](rng)
    legs = [find_leg(character, side) for side in SIDES]
    times = np.arange(int(round(plan.duration * FPS)) + 1) / FPS
    feet = [track_foot(plan, side, legs[side], times) for side in (RIGHT, LEFT)]
    root_pos, root_rot, joint_rot = _balanced(character, legs, plan, feet)
    path = np.concatenate(
        [xy[::_PATH_STRIDE, :2] for xy in (root_pos.numpy(), *(foot.ankle for foot in feet))]
    )
    clip = MotionClip(
        root_pos=_in_world(plan, root_pos.numpy()),
        root_rot=rotations.quat_mul(_yaw(plan.yaw), root_rot).numpy().astype(np.float32),
        joint_rot=joint_rot.numpy().astype(np.float32),
        body_contacts=_contacts(character, legs, feet),
        fps=FPS,
        loop_mode="CLAMP",
    )
    terrain = make_terrain(plan, to_world(plan, path), rng)
    return MotionTerrain(clip, terrain, safe_pickle.dumps({"synthetic_kind": kind, "synthetic_seed": seed}))


def _balanced(
    character: Character, legs: List[Leg], plan: MotionPlan, feet: List[FootTrack]
) -> Tuple[Tensor, Tensor, Tensor]:
    """Moves the pelvis until the whole body's zero-moment point is the planned one. -> root pose, joints."""
    kinematics = Kinematics(character)
    poser = Poser(character, legs, plan, feet)
    masses, local = body_masses(character)
    times = np.arange(len(feet[RIGHT].yaw)) / FPS
    planned = balance.planned_zmp(plan, legs[RIGHT], times)
    xy = balance.solve_pendulum(planned[:, :2], _PENDULUM, 1.0 / FPS)
    for _ in range(_ROUNDS):
        root_pos, joint_rot = poser.pose(xy)
        pose = (root_pos.float(), poser.root_rot.float(), joint_rot.float())
        centers = mass_centers(*kinematics.forward(*pose), local)
        zmp = balance.measured_zmp(centers, masses.numpy(), planned[:, 2], 1.0 / FPS)
        xy = xy + balance.solve_pendulum(planned[:, :2] - zmp, _PENDULUM, 1.0 / FPS)
    root_pos, joint_rot = poser.pose(xy)
    return root_pos, poser.root_rot, joint_rot


def _in_world(plan: MotionPlan, pos: np.ndarray) -> np.ndarray:
    """Root positions in the motion's frame, (n, 3) float32 m."""
    return np.concatenate((to_world(plan, pos[:, :2]), pos[:, 2:] + plan.elevation), axis=-1).astype(
        np.float32
    )


def _yaw(angle: float) -> Tensor:
    return rotations.yaw_quat(torch.tensor(angle, dtype=torch.float64))


def _contacts(character: Character, legs: List[Leg], feet: List[FootTrack]) -> np.ndarray:
    """(n, J) float32: 1 for a foot that stands."""
    contacts = np.zeros((len(feet[RIGHT].yaw), character.num_bodies), dtype=np.float32)
    for leg, foot in zip(legs, feet):
        contacts[:, leg.foot] = foot.contact
    return contacts
