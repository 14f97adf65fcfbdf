"""What the kernels of engine `mujoco_warp` read and write, as Warp structs over torch tensors (no copies).

N environments, J bodies (root first, parents before children), D dofs, M terrains.
"""

# Warp's stubs describe calls from Python; a struct's fields are assigned there.
# mypy: disable-error-code="operator, arg-type, return-value, call-overload"

from __future__ import annotations

from typing import Any, Dict, Type, TypeVar

import torch
import warp as wp

from parc_core.character.model import FIXED, HINGE, ROOT, SPHERICAL, Character
from parc_core.engines.engine import EngineState, ResetState
from parc_core.terrain.packed import PackedTerrain

S = TypeVar("S")

KIND_ROOT = wp.constant(0)
KIND_FIXED = wp.constant(1)
KIND_SPHERICAL = wp.constant(2)
KIND_HINGE = wp.constant(3)
_KINDS = {ROOT: 0, FIXED: 1, SPHERICAL: 2, HINGE: 3}
_FREE_JOINT = 7  # numbers in qpos: position, quaternion wxyz


@wp.struct
class CharacterTables:
    """The kinematic tree, one entry a body."""

    num_bodies: int
    dof_size: int
    parent: wp.array[int]  # (J,), -1 for the root
    kind: wp.array[int]  # (J,), KIND_*
    dof: wp.array[int]  # (J,), first dof of the joint
    qpos: wp.array[int]  # (J,), where the joint lies in qpos
    axis: wp.array[wp.vec3]  # (J,), unit axis of a hinge
    offset: wp.array[wp.vec3]  # (J,) m, origin in the parent's frame
    rotation: wp.array[wp.quat]  # (J,) xyzw, orientation in the parent's frame at zero dofs


@wp.struct
class StateArrays:
    """`EngineState`, field by field."""

    root_pos: wp.array[wp.vec3]  # (N,) m
    root_rot: wp.array[wp.quat]  # (N,)
    root_vel: wp.array[wp.vec3]  # (N,) m/s, world
    root_ang_vel: wp.array[wp.vec3]  # (N,) rad/s, world
    dof_pos: wp.array2d[float]  # (N, D) rad
    dof_vel: wp.array2d[float]  # (N, D) rad/s
    joint_rot: wp.array2d[wp.quat]  # (N, J-1)
    body_pos: wp.array2d[wp.vec3]  # (N, J) m
    body_rot: wp.array2d[wp.quat]  # (N, J)
    contact_forces: wp.array2d[wp.vec3]  # (N, J) N
    diverged: wp.array[wp.bool]  # (N,)


@wp.struct
class ResetArrays:
    """`ResetState` of all N environments."""

    root_pos: wp.array[wp.vec3]
    root_rot: wp.array[wp.quat]
    root_vel: wp.array[wp.vec3]
    root_ang_vel: wp.array[wp.vec3]
    dof_pos: wp.array2d[float]
    dof_vel: wp.array2d[float]
    terrain_ids: wp.array[wp.int64]


@wp.struct
class TerrainArrays:
    """`PackedTerrain`: all heightfields end to end."""

    heights: wp.array[float]  # m
    start: wp.array[wp.int64]  # (M,)
    dims: wp.array2d[int]  # (M, 2)
    min_point: wp.array[wp.vec2]  # (M,) m
    dx: wp.array[float]  # (1,) m


def view(tensor: torch.Tensor, dtype: Any = None) -> Any:
    """A Warp array over a tensor's own memory; dtype is the scalar of the tensor unless it is given."""
    return wp.from_torch(tensor, dtype=dtype, requires_grad=False)


def filled(struct: Type[S], **values: Any) -> S:
    """A Warp struct with the given fields; a tensor becomes a view of the type that the struct declares.

    Args:
        struct: the class.
        values: tensors, numbers and structs; fields without a value stay empty.

    Raises:
        KeyError: the struct has no such field.
        RuntimeError: a tensor's type or shape does not fit its field.
    """
    out, fields = struct(), _fields(struct)
    for name, value in values.items():
        declared = fields[name].type
        setattr(out, name, view(value, declared.dtype) if isinstance(value, torch.Tensor) else value)
    return out


def has_field(struct: Any, name: str) -> bool:
    """Whether a Warp struct has a field."""
    return name in _fields(struct)


def _fields(struct: Any) -> Dict[str, Any]:
    """A Warp struct's declared fields; the decorator turned the class into an object that has them."""
    fields: Dict[str, Any] = struct.vars
    return fields


def character_tables(character: Character, device: torch.device) -> CharacterTables:
    """Tables of a character; a joint's place in qpos is that of its dofs, plus one for each ball joint before it."""
    addresses, after = [], _FREE_JOINT
    for kind in character.joint_types:
        addresses.append(0 if kind == ROOT else after)
        after += {SPHERICAL: 4, HINGE: 1}.get(kind, 0)
    tensors = {
        "parent": character.parent_indices.int(),
        "kind": torch.tensor([_KINDS[kind] for kind in character.joint_types]).int(),
        "dof": character.joint_dof_idx.int(),
        "qpos": torch.tensor(addresses).int(),
        "axis": character.joint_axis.float(),
        "offset": character.local_translation.float(),
        "rotation": character.local_rotation.float(),
    }
    sizes = {"num_bodies": character.num_bodies, "dof_size": character.dof_size}
    return filled(
        CharacterTables, **sizes, **{name: t.to(device).contiguous() for name, t in tensors.items()}
    )


def state_arrays(state: EngineState) -> StateArrays:
    """Views of an engine's state."""
    return filled(StateArrays, **vars(state))


def reset_arrays(state: ResetState) -> ResetArrays:
    """Views of the buffers of a reset."""
    return filled(ResetArrays, **vars(state))


def terrain_arrays(terrain: PackedTerrain) -> TerrainArrays:
    """Views of a packed terrain; its small table of sizes is a copy with 32-bit integers."""
    return filled(
        TerrainArrays,
        heights=terrain.heights,
        start=terrain.start,
        dims=terrain.dims.int(),
        min_point=terrain.min_point,
        dx=terrain.dx.reshape(1),
    )
