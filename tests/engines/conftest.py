"""Where the tests of engine `mujoco_warp` run."""

from __future__ import annotations

import pytest
import torch

DEVICES = ["cpu", "cuda:0"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    """Warp's CPU device, and the GPU where there is one."""
    return torch.device(request.param)
