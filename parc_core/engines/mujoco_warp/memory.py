"""What engine `mujoco_warp` takes of a GPU's memory, for the message of a run that does not fit."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import mujoco
import mujoco_warp
import torch
import warp as wp

from parc_core.engines.memory import environments_that_fit, is_out_of_memory
from parc_core.errors import ConfigError

_FIXED = (
    512 * 2**20
)  # bytes of kernels, recorded graphs and half-filled pages, whatever the number of environments


def bytes_per_environment(model: Any, max_contacts: int, max_constraints: int) -> int:
    """Bytes that one more environment takes: MuJoCo Warp's data and the scratch memory of a step.

    Args:
        model: mujoco.MjModel.
        max_contacts: room for contacts per environment.
        max_constraints: room for constraints of an environment.
    """
    with wp.ScopedDevice("cpu"):
        one, two = (
            _array_bytes(mujoco_warp.make_data(model, nworld=n, nconmax=max_contacts, njmax=max_constraints))
            for n in (1, 2)
        )
    return two - one + _solver_bytes(model.nv, max_constraints) + max_contacts * _contact_bytes(model)


def _array_bytes(data: Any) -> int:
    return sum(
        value.capacity if isinstance(value, wp.array) else _array_bytes(value)
        for value in vars(data).values()
        if isinstance(value, wp.array) or hasattr(value, "__dataclass_fields__")
    )


def _solver_bytes(nv: int, max_constraints: int) -> int:
    """The Newton solver's two padded square matrices, rows of constraints and some vectors of dofs, float32."""
    padded = 16 * (nv // 16 + 1)
    return 4 * (2 * padded**2 + 6 * max_constraints + 12 * padded)


def _contact_bytes(model: Any) -> int:
    """The expanding polytope of one candidate contact of a curved convex shape (vertices, faces, horizon, polygons).

    Boxes among themselves need none: `mujoco_model` has them tested by MuJoCo's own box-box test.
    """
    curved = {int(mujoco.mjtGeom.mjGEOM_CYLINDER), int(mujoco.mjtGeom.mjGEOM_ELLIPSOID)}
    if not set(model.geom_type.tolist()) & curved:
        return 0
    iterations = int(model.opt.ccd_iterations)
    return 16 * (10 + 2 * iterations) + 20 * (6 + 5 * iterations) + 500


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the GPU; 0 for the CPU, where nobody asks."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0


@contextlib.contextmanager
def out_of_memory_explained(
    model: Any, max_contacts: int, max_constraints: int, num_envs: int, device: torch.device, free_bytes: int
) -> Iterator[None]:
    """Turns a failed allocation into the number of environments that would fit.

    Args:
        model, max_contacts, max_constraints: see `bytes_per_environment`.
        num_envs: how many were asked for.
        device: where they did not fit.
        free_bytes: what was free there before the engine took anything.

    Raises:
        ConfigError: instead of the error of an allocation that failed inside.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        each = bytes_per_environment(model, max_contacts, max_constraints)
        fit = environments_that_fit(free_bytes, each, _FIXED)
        raise ConfigError(
            f"{num_envs} environments do not fit on {device}: the engine takes {each / 1024:.0f} KiB for each, "
            f"so that at most {fit} fit into the {free_bytes / 2**30:.1f} GiB that were free (fewer beside the "
            "learner); lower num_envs"
        ) from error
