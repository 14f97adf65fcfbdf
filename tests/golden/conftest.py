"""The folder of the reference's numbers; every golden test works on any folder of the same schema."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_GOLDEN_DIR = Path(__file__).resolve().parents[2].parent / "shared" / "golden"


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """PARC_GOLDEN_DIR, default ../shared/golden beside the project; skips where there is none."""
    named = os.environ.get("PARC_GOLDEN_DIR")
    folder = Path(named) if named else DEFAULT_GOLDEN_DIR
    if not folder.is_dir():
        pytest.skip(f"no golden numbers: {folder} is not there (set PARC_GOLDEN_DIR)")
    return folder
