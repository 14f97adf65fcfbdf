"""Batched kinematics of a character: dofs <-> joint rotations, forward kinematics, dof velocities.

A spherical joint's dofs are its rotation vector (not Euler angles), a hinge's dof is its angle about its
axis. Agreement with the reference is tested against golden file 01_kin_char.
"""

from __future__ import annotations

from typing import List, Tuple, Union

import torch
from torch import Tensor

from parc_core import rotations
from parc_core.character.model import HINGE, SPHERICAL, Character


class Kinematics:
    """Index tables of one character on one device; every method broadcasts over leading dimensions."""

    def __init__(self, character: Character, device: Union[torch.device, str] = "cpu") -> None:
        self.character = character.to(device)
        self.device = torch.device(device)
        self.num_bodies = character.num_bodies
        self.num_joints = self.num_bodies - 1
        self.dof_size = character.dof_size
        self._build_dof_tables()
        self._build_levels()

    def _build_dof_tables(self) -> None:
        """Both directions are a gather and a product: joint rotation vector = dof[index] · scale."""
        character = self.character.to("cpu")
        index = torch.zeros(self.num_joints, 3, dtype=torch.long)
        scale = torch.zeros(self.num_joints, 3)
        joint_of_dof = torch.zeros(self.dof_size, dtype=torch.long)
        direction = torch.zeros(self.dof_size, 3)
        for body in range(1, self.num_bodies):
            start, kind = int(character.joint_dof_idx[body]), character.joint_types[body]
            if kind == SPHERICAL:
                index[body - 1] = torch.arange(start, start + 3)
                scale[body - 1] = 1.0
                joint_of_dof[start : start + 3] = body - 1
                direction[start : start + 3] = torch.eye(3)
            elif kind == HINGE:
                index[body - 1] = start
                scale[body - 1] = direction[start] = character.joint_axis[body]
                joint_of_dof[start] = body - 1
        self._dof_of_joint = index.reshape(-1).to(self.device)
        self._scale = scale.to(self.device)
        self._joint_of_dof = joint_of_dof.to(self.device)
        self._direction = direction.to(self.device)

    def _build_levels(self) -> None:
        """Bodies of the same depth in the tree are computed together."""
        parents = self.character.parent_indices.tolist()
        depth = [0] * self.num_bodies
        for body in range(1, self.num_bodies):
            depth[body] = depth[parents[body]] + 1
        levels = [[b for b in range(self.num_bodies) if depth[b] == d] for d in range(1, max(depth) + 1)]
        order = [0] + [b for level in levels for b in level]
        self._inverse_order = torch.tensor(order, device=self.device).argsort()
        # Parents by their place in the level above, so that a level reads nothing but the level before it.
        self._levels: List[Tuple[Tensor, Tensor]] = []
        above = [0]
        for level in levels:
            places = [above.index(parents[b]) for b in level]
            self._levels.append((self._long(level), self._long(places)))
            above = level
        identity = torch.tensor([0.0, 0.0, 0.0, 1.0], device=self.device)
        self._rotated_offsets = not torch.equal(
            self.character.local_rotation[1:], identity.expand(self.num_joints, 4)
        )

    def _long(self, values: List[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=self.device)

    def dof_to_rot(self, dof: Tensor) -> Tensor:
        """Joint rotations, parent to child. (..., D) rad -> (..., J-1, 4); fixed joints are identity."""
        vectors = dof.index_select(-1, self._dof_of_joint).reshape((*dof.shape[:-1], self.num_joints, 3))
        return rotations.exp_map_to_quat(vectors * self._scale)

    def rot_to_dof(self, joint_rot: Tensor) -> Tensor:
        """Inverse of `dof_to_rot`: rotation vectors with angles up to pi. (..., J-1, 4) -> (..., D) rad."""
        return self._vectors_to_dof(rotations.quat_to_exp_map(joint_rot))

    def dof_velocity(self, rot0: Tensor, rot1: Tensor, dt: Union[float, Tensor]) -> Tensor:
        """Dof velocity that turns rot0 into rot1 within dt: angular velocity in the child frame.

        Args:
            rot0, rot1: (..., J-1, 4) joint rotations.
            dt: seconds, a number or a tensor that broadcasts to (..., D).

        Returns:
            (..., D) rad/s.
        """
        turn = rotations.quat_mul(rotations.quat_conj(rot0), rot1)
        return self._vectors_to_dof(rotations.quat_to_exp_map(turn)) / dt

    def _vectors_to_dof(self, vectors: Tensor) -> Tensor:
        """(..., J-1, 3) -> (..., D): the vector's component along each dof's direction."""
        return (vectors.index_select(-2, self._joint_of_dof) * self._direction).sum(-1)

    def forward(self, root_pos: Tensor, root_rot: Tensor, joint_rot: Tensor) -> Tuple[Tensor, Tensor]:
        """Forward kinematics.

        Args:
            root_pos: (..., 3) m.
            root_rot: (..., 4).
            joint_rot: (..., J-1, 4) parent to child.

        Returns:
            body positions (..., J, 3) m and rotations (..., J, 4) in the frame of the root's pose.
        """
        # index_select copies whole rows: on the CPU twice as fast here as indexing with [..., ids, :].
        turn = joint_rot
        if self._rotated_offsets:
            turn = rotations.quat_mul(self.character.local_rotation[1:], joint_rot)
        pos, rot = root_pos[..., None, :], root_rot[..., None, :]
        all_pos, all_rot = [pos], [rot]
        for bodies, parents in self._levels:
            parent_rot = rot.index_select(-2, parents)
            offset = self.character.local_translation[bodies]
            pos = pos.index_select(-2, parents) + rotations.quat_rotate(parent_rot, offset)
            rot = rotations.quat_mul(parent_rot, turn.index_select(-2, bodies - 1))
            all_pos.append(pos)
            all_rot.append(rot)
        return (
            torch.cat(all_pos, dim=-2).index_select(-2, self._inverse_order),
            torch.cat(all_rot, dim=-2).index_select(-2, self._inverse_order),
        )
