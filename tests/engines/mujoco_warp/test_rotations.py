"""Rotations as Warp functions against the same in torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from parc_core import rotations
from parc_core.rotations import normalize

wp = pytest.importorskip("warp", reason="Warp is not installed")

from parc_core.engines.mujoco_warp import rotations as warp_rotations  # noqa: E402


@wp.kernel(enable_backward=False)
def _all_functions(
    a: wp.array(dtype=wp.quat),
    b: wp.array(dtype=wp.quat),
    vector: wp.array(dtype=wp.vec3),
    t: wp.array(dtype=float),
    exp_map: wp.array(dtype=wp.vec3),
    quat: wp.array(dtype=wp.quat),
    between: wp.array(dtype=wp.quat),
    heading: wp.array(dtype=float),
    tan: wp.array(dtype=wp.vec3),
    norm: wp.array(dtype=wp.vec3),
    rotated: wp.array(dtype=wp.vec3),
    angle: wp.array(dtype=float),
    yaw: wp.array(dtype=wp.quat),
):
    i = wp.tid()
    exp_map[i] = warp_rotations.quat_to_exp_map(a[i])
    quat[i] = warp_rotations.exp_map_to_quat(vector[i])
    between[i] = warp_rotations.slerp(a[i], b[i], t[i])
    heading[i] = warp_rotations.heading(a[i])
    tan[i] = warp_rotations.image_of_x(a[i])
    norm[i] = warp_rotations.image_of_z(a[i])
    rotated[i] = warp_rotations.quat_rotate(warp_rotations.quat_conj(a[i]), vector[i])
    angle[i] = warp_rotations.quat_diff_angle(a[i], b[i])
    yaw[i] = warp_rotations.yaw_quat(t[i])


def _inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random rotations and, in the last rows, those where formulas switch to their series."""
    g = torch.Generator().manual_seed(0)
    a, b = normalize(torch.randn(64, 4, generator=g)), normalize(torch.randn(64, 4, generator=g))
    vector, t = 2.5 * torch.randn(64, 3, generator=g), torch.rand(64, generator=g)
    identity = torch.tensor([0.0, 0.0, 0.0, 1.0])
    a[60], vector[60] = identity, 0.0
    a[61], vector[61] = -identity, torch.tensor([3e-7, 0.0, 0.0])
    b[62] = a[62]
    b[63] = -normalize(a[63] + torch.tensor([2e-5, 0.0, 0.0, 0.0]))
    return a, b, vector, t


def _run(a: Tensor, b: Tensor, vector: Tensor, t: Tensor) -> dict[str, Tensor]:
    wp.init()
    n = len(a)
    sizes = {"exp_map": 3, "quat": 4, "between": 4, "heading": 0, "tan": 3, "norm": 3, "rotated": 3}
    sizes.update(angle=0, yaw=4)
    out = {name: torch.full((n, size) if size else (n,), float("nan")) for name, size in sizes.items()}
    types: dict[int, Any] = {0: wp.float32, 3: wp.vec3, 4: wp.quat}
    wrapped = [wp.from_torch(x, dtype=types[0 if x.dim() == 1 else x.shape[1]]) for x in (a, b, vector, t)]
    outputs = [wp.from_torch(x, dtype=types[sizes[name]]) for name, x in out.items()]
    wp.launch(_all_functions, dim=n, inputs=wrapped, outputs=outputs, device="cpu")
    return out


def test_every_function_equals_the_one_in_torch() -> None:
    a, b, vector, t = _inputs()
    got = _run(a, b, vector, t)
    tan_norm = rotations.quat_to_tan_norm(a)
    expected = {
        "exp_map": rotations.quat_to_exp_map(a),
        "quat": rotations.exp_map_to_quat(vector),
        "between": rotations.slerp(a, b, t[:, None]),
        "heading": rotations.heading(a),
        "tan": tan_norm[:, :3],
        "norm": tan_norm[:, 3:],
        "rotated": rotations.quat_rotate(rotations.quat_conj(a), vector),
        "angle": rotations.quat_diff_angle(a, b),
        "yaw": rotations.yaw_quat(t),
    }
    assert expected.keys() == got.keys()
    for name, values in expected.items():
        assert_close(got[name], values, atol=3e-6, rtol=0, msg=lambda text, name=name: f"{name}: {text}")
