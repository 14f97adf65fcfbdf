"""Datasets that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envs.scenes import motion, shortened, write_dataset


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """motions.yaml of one motion, 93 frames of standing."""
    return write_dataset(tmp_path_factory.mktemp("stand"), {"stand": motion("stand")})


@pytest.fixture(scope="session")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """motions.yaml of a short stand (12 frames) and a walk, on two terrains."""
    motions = {"short": shortened(motion("stand", 1), 12), "walk": motion("walk")}
    return write_dataset(tmp_path_factory.mktemp("mixed"), motions)
