"""What a run that finds no memory says."""

from __future__ import annotations

import re

import pytest
import torch

from parc_core.engines import memory
from parc_core.engines.memory import MemoryUse, is_out_of_memory
from parc_core.errors import ConfigError

GIB = 2.0**30


@pytest.fixture
def device(monkeypatch):
    """A pretended GPU: bytes in use and in all, which tests may change."""
    state = {"used": 1.0 * GIB, "total": 80.0 * GIB}
    monkeypatch.setattr(memory, "_used_and_total", lambda _: (state["used"], state["total"]))
    return state


def fit(message):
    return int(re.search(r"at most about (\d+) would fit, set num_envs", message)[1])


def explain(use, error):
    with pytest.raises(ConfigError) as found, use.explained():
        raise error
    assert "\n" not in str(found.value)
    return str(found.value)


def test_environments_that_would_fit_from_what_was_measured(device):
    """100,000 environments took 50 GiB when 36 more were asked for: of 0.9 · 79 GiB each needs 86 GiB / 100,000."""
    use = MemoryUse("cpu", 100_000)
    device["used"] = 51 * GIB
    text = explain(use, torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 36.00 GiB. GPU 0"))
    assert text.startswith(
        "out of memory: 100000 environments do not fit on cpu (80.0 GiB) at 0.88 MiB each or more"
    )
    assert fit(text) == int(0.9 * 79 / 86 * 100_000) // 64 * 64


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("Failed to allocate 107374182400 bytes on device 'cuda:0'", 100 * GIB),
        ("CUDA out of memory. Tried to allocate 102400.00 MiB (GPU 0; …)", 100 * GIB),
    ],
)
def test_an_allocation_that_fails_at_once(device, message, asked):
    """Little is in use yet: what was asked for counts, as PyTorch or Warp say it."""
    text = explain(MemoryUse("cpu", 1_000_000), RuntimeError(message))
    assert fit(text) == int(0.9 * 79 * GIB / asked * 1_000_000) // 64 * 64


def test_fewer_than_those_that_did_not_fit(device):
    """A measurement that misses what was freed in between must not advise the same number."""
    use = MemoryUse("cpu", 256)
    device["used"] = 2 * GIB
    assert fit(explain(use, RuntimeError("out of memory"))) == 192
    use = MemoryUse("cpu", 1)
    device["used"] = 60 * GIB
    assert "; not even one would fit (steps_per_iter" in explain(use, RuntimeError("out of memory"))


def test_nothing_measured():
    """A CPU's memory in use is not asked for, and Python does not say how much it lacked."""
    text = explain(MemoryUse("cpu", 256), MemoryError())
    assert re.fullmatch(
        r"out of memory: 256 environments do not fit on cpu \(\d+\.\d GiB\); lower num_envs", text
    )


def test_other_errors_pass(device):
    with pytest.raises(RuntimeError, match="shape"), MemoryUse("cpu", 64).explained():
        raise RuntimeError("shape mismatch")
    assert not is_out_of_memory(ValueError("out of memory"))


def test_the_gpu_engine_says_so(device, monkeypatch):
    """Wherever it allocates: when it is made and when its kernels first run."""
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed")
    import mujoco_warp

    from tests.engines.mujoco_warp.warp_scenes import warp_engine

    def refuse(*args, **kwargs):
        raise RuntimeError("Failed to allocate 1073741824 bytes on device 'cuda:0'")

    monkeypatch.setattr(mujoco_warp, "make_data", refuse)
    with pytest.raises(ConfigError, match=r"^out of memory: 1 environments do not fit on cpu"):
        warp_engine(torch.device("cpu"))
