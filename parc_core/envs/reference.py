"""Where the reference motions are, with forward kinematics."""

from __future__ import annotations

from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.envs.rewards import Pose
from parc_core.motion.library import MotionLibrary


class Reference:
    """The reference of every environment at its current time.

    Attributes:
        contacts: (N, J) in [0, 1].
        dof_pos: (N, D) rad.
        body_pos, body_rot: (N, J, 3) m and (N, J, 4).
        pose: what the reward compares.
    """

    def __init__(
        self,
        library: MotionLibrary,
        kinematics: Kinematics,
        key_ids: Tensor,
        motion_ids: Tensor,
        times: Tensor,
    ) -> None:
        frame = library.sample(motion_ids, times)
        self.contacts = frame.contacts
        self.dof_pos = frame.dof_pos
        self.body_pos, self.body_rot = kinematics.forward(frame.root_pos, frame.root_rot, frame.joint_rot)
        self.pose = Pose(
            frame.root_pos,
            frame.root_rot,
            frame.root_vel,
            frame.root_ang_vel,
            frame.joint_rot,
            frame.dof_vel,
            self.body_pos[:, key_ids],
        )
