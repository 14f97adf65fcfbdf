"""Layer normalization and SiLU in one kernel, run by Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from parc_core.learning import norm_silu

NEEDS_TRITON = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton comes with PyTorch's builds for CUDA; `pip install triton` has its interpreter here",
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
    assert len(cases) == 8
    for case in cases:
        out, of_x, of_scale, of_shift = case["errors"]
        assert case["types"] == [case["dtype"], case["dtype"], "torch.float32", "torch.float32"]
        assert max(out, of_x) < (1e-6 if case["dtype"] == "torch.float32" else 6e-3)
        assert max(of_scale, of_shift) < 1e-6  # sums are float32, whatever the layer's type


def test_without_a_compiler_it_is_said_what_is_missing(monkeypatch):
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *shape, **options: ones(*shape, **{**options, "device": "cpu"}))

    def broken():
        raise RuntimeError("Failed to find C compiler.\nPlease specify …")

    monkeypatch.setattr(norm_silu, "_kernels", broken)
    norm_silu.has_kernels.cache_clear()
    with pytest.warns(UserWarning, match=r"Failed to find C compiler\.\); Triton comes .* gcc"):
        assert not norm_silu.has_kernels()
    norm_silu.has_kernels.cache_clear()
