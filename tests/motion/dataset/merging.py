"""What the tests of merges ask and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parc_core.config.dataset_config import DatasetConfig
from parc_core.motion.dataset.merge_result import MergeResult


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index of read files lies in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARC_INDEX", raising=False)


def config(*roots: Path, **settings: Any) -> DatasetConfig:
    return DatasetConfig([str(root) for root in roots], **settings)


def names(result: MergeResult) -> list[str]:
    return [motion.name for motion in result.motions]


def reasons(result: MergeResult) -> dict[str, str]:
    return {Path(item.path).name: item.reason for item in result.rejected}
