"""Golden file 06: bounds of absolute PD targets, and the action normalizer that follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.envs.actions import ActionMap


def test_absolute_bounds(golden_dir: Path) -> None:
    path = golden_dir / "06_learning.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    golden = np.load(path)
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    actions = ActionMap(character, "absolute", 0.5)
    close: dict[str, Any] = {"atol": 2e-6, "rtol": 1e-6}
    assert_close(character.dof_lower, torch.from_numpy(golden["dof_lower"]), **close)
    assert_close(character.dof_upper, torch.from_numpy(golden["dof_upper"]), **close)
    assert_close(actions.low, torch.from_numpy(golden["action_low"]), **close)
    assert_close(actions.high, torch.from_numpy(golden["action_high"]), **close)
    for suffix in ("_f64", "_np1", "_f64_np1"):  # the same in other precisions
        assert_close(actions.low.double(), torch.from_numpy(golden["action_low" + suffix]).double(), **close)
        assert_close(
            actions.high.double(), torch.from_numpy(golden["action_high" + suffix]).double(), **close
        )
    assert_close(0.5 * (actions.high + actions.low), torch.from_numpy(golden["a_norm_mean"]), **close)
    assert_close(0.5 * (actions.high - actions.low), torch.from_numpy(golden["a_norm_std"]), **close)
