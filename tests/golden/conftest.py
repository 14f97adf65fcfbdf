"""The folder of the reference's numbers; every golden test works on any folder of the same schema."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

DEFAULT_GOLDEN_DIR = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """PARC_GOLDEN_DIR, default ../shared/golden beside the project; skips where there is none."""
    named = os.environ.get("PARC_GOLDEN_DIR")
    folder = Path(named) if named else DEFAULT_GOLDEN_DIR
    if not folder.is_dir():
        pytest.skip(f"no golden numbers: {folder} is not there (set PARC_GOLDEN_DIR)")
    return folder


def load_numbers(path):
    """The arrays of a golden file, numbers as tensors; skips the test where the file is absent."""
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    data = np.load(path)
    return {
        k: torch.from_numpy(data[k]) if data[k].dtype.kind in "fi" and data[k].ndim else data[k] for k in data
    }
