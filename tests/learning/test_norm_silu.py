"""Layer normalization and SiLU in one kernel, run by Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from parc_core.learning import norm_silu, towers
from parc_core.learning.towers import LayerKind

NEEDS_TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is for Linux, with Python 3.10 or newer; `pip install triton` has its interpreter",
)


@NEEDS_TRITON
def test_values_and_gradients_are_those_of_float64():
    process = subprocess.run(
        [sys.executable, "-m", "tests.learning.run_norm_silu"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    cases = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(cases) == 12
    for case in cases:
        out, of_x, of_scale, of_shift = case["errors"]
        assert case["types"] == [case["dtype"], case["dtype"], "torch.float32", "torch.float32"]
        assert max(out, of_x) < (1e-6 if case["dtype"] == "torch.float32" else 6e-3)
        assert max(of_scale, of_shift) < 1e-6  # sums are float32, whatever the layer's type


class NoAssembler(Exception):
    """As Triton's PTXASError: derived from Exception alone."""


@pytest.fixture
def kernels_not_probed():
    norm_silu.has_kernels.cache_clear()
    yield
    norm_silu.has_kernels.cache_clear()


@pytest.mark.parametrize("error", [RuntimeError, ImportError, NoAssembler])
def test_without_a_compiler_it_is_said_what_is_missing(monkeypatch, kernels_not_probed, error):
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *shape, **options: ones(*shape, **{**options, "device": "cpu"}))

    def broken():
        raise error("Failed to find C compiler.\nPlease specify …")

    monkeypatch.setattr(norm_silu, "_kernels", broken)
    with pytest.warns(UserWarning, match=r"Failed to find C compiler\.\); Triton comes .* gcc"):
        assert not norm_silu.has_kernels()


@pytest.mark.parametrize(
    ("kind", "dtype", "there", "fused"),
    [
        (LayerKind("silu", True), torch.bfloat16, True, True),
        (LayerKind("silu", True), torch.float32, True, True),
        (LayerKind("silu", True), torch.bfloat16, False, False),
        (LayerKind("silu", True), torch.float64, True, False),
        (LayerKind("silu", False), torch.bfloat16, True, False),
        (LayerKind("elu", True), torch.bfloat16, True, False),
    ],
)
def test_the_kernels_are_taken_for_what_they_can(monkeypatch, kind, dtype, there, fused):
    taken = []
    monkeypatch.setattr(towers, "has_kernels", lambda: there)
    monkeypatch.setattr(towers, "norm_silu", lambda x, scale, shift: taken.append(x.dtype) or x)
    layer = towers.Activation(8, kind)
    layer(OnGpu(torch.ones(2, 8, dtype=dtype)))
    assert taken == ([dtype] if fused else [])


class OnGpu(torch.Tensor):
    """A tensor that says it is on a GPU."""

    is_cuda = True
