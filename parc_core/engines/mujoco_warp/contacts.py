"""Contact forces per body from MuJoCo Warp's constraint forces."""

# Warp's stubs describe calls from Python; inside kernels arrays and vectors have operators that they do not know.
# mypy: disable-error-code="index, operator, arg-type, return-value, call-overload, attr-defined, valid-type, misc"

from __future__ import annotations

from typing import Any

import warp as wp
from torch import Tensor

from parc_core.engines.mujoco_warp.types import view

wp.set_module_options({"enable_backward": False, "fuse_fp": False})

_vec5 = wp.types.vector(length=5, dtype=float)


@wp.func
def _contact_force(
    first_row: int, dim: int, friction: _vec5, frame: wp.mat33, efc_force: wp.array[float], num_rows: int
) -> wp.vec3:
    """World force on the contact's second geom from the forces along the edges of the friction pyramid.

    Edges come in pairs, normal ± friction · direction; MuJoCo's documentation, "Computation: friction cones".
    """
    if dim == 1:
        return efc_force[first_row] * frame[0]
    force = wp.vec3()
    for i in range(dim - 1):
        row = first_row + 2 * i
        plus, minus = float(0.0), float(0.0)  # noqa: UP018 - a literal would be a constant to Warp
        if row < num_rows:
            plus = efc_force[row]
        if row + 1 < num_rows:
            minus = efc_force[row + 1]
        force += (plus + minus) * frame[0]
        if i < 2:
            force += (plus - minus) * friction[i] * frame[i + 1]
    return force


@wp.kernel
def add_contact_forces(
    num_contacts: wp.array[int],
    worldid: wp.array[int],
    geom: wp.array[wp.vec2i],
    first_row: wp.array2d[int],
    dim: wp.array[int],
    friction: wp.array[_vec5],
    frame: wp.array[wp.mat33],
    efc_force: wp.array2d[float],
    geom_bodyid: wp.array[int],
    first_body: int,
    num_bodies: int,
    contact_forces: wp.array2d[wp.vec3],
):
    """Adds each contact's force to the bodies that touch, N. One thread per contact of the shared buffer."""
    contact = wp.tid()
    if contact >= num_contacts[0]:
        return
    row = first_row[contact, 0]
    if row < 0 or row >= efc_force.shape[1]:
        return
    env = worldid[contact]
    force = _contact_force(
        row, dim[contact], friction[contact], frame[contact], efc_force[env], efc_force.shape[1]
    )
    for side in range(2):
        body = geom_bodyid[geom[contact][side]] - first_body
        if body >= 0 and body < num_bodies:
            wp.atomic_add(contact_forces, env, body, (2.0 * float(side) - 1.0) * force)


class ContactForces:
    """Launches the sum over contacts; as in `mujoco`, the forces of the last physics step."""

    def __init__(self, model: Any, data: Any, first_body: int, forces: Tensor) -> None:
        """Args:
        model, data: MuJoCo Warp's.
        first_body: the root's number in the model.
        forces: (N, J, 3) N, written.
        """
        contact = data.contact
        self._forces = view(forces, wp.vec3)
        self._room = data.naconmax
        self._args = [
            data.nacon,
            contact.worldid,
            contact.geom,
            contact.efc_address,
            contact.dim,
            contact.friction,
            contact.frame,
            data.efc.force,
            model.geom_bodyid,
            first_body,
            forces.shape[1],
            self._forces,
        ]

    def launch(self) -> None:
        """Only Warp launches, on the current device."""
        self._forces.zero_()
        wp.launch(add_contact_forces, self._room, inputs=self._args)


@wp.kernel
def note_touches(contact_forces: wp.array2d[wp.vec3], min_force: float, touched: wp.array2d[bool]):
    """Sets where a body's net force is above min_force, N. One thread per environment and body."""
    env, body = wp.tid()
    if wp.length(contact_forces[env, body]) > min_force:
        touched[env, body] = True


class Touches:
    """Launches what gathers the bodies that touched over the physics steps of a control step."""

    def __init__(self, forces: Tensor, touched: Tensor, min_force: float) -> None:
        """Args:
        forces: (N, J, 3) N of a physics step, read.
        touched: (N, J) bool, written.
        min_force: N.
        """
        self._touched = view(touched)
        self._args = [view(forces, wp.vec3), min_force, self._touched]

    def clear(self) -> None:
        """A control step begins."""
        self._touched.zero_()

    def launch(self) -> None:
        """After each physics step, when its forces are there."""
        wp.launch(note_touches, self._touched.shape, inputs=self._args)
