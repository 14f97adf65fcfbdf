"""The engines that the conformance suite asks the same of. Python 3.8, where Isaac Gym lives, runs this folder, too."""

from __future__ import annotations

import importlib.util
from typing import Any, List

import numpy as np
import pytest
import torch

from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.engines.engine import Engine
from parc_core.engines.registry import ENGINES, make_engine
from parc_core.errors import ConfigError
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain

HUMANOID = PROJECT_ROOT / "data" / "assets" / "humanoid.xml"
NUM_ENVS = 4
ALL = [pytest.param(name, marks=pytest.mark.isaacgym) if name == "isaac_gym" else name for name in ENGINES]


def ground(height: float) -> Heightfield:
    """9 × 9 cells; one corner is a little higher, so that the terrain counts as uneven."""
    heights = np.full((9, 9), height, np.float32)
    heights[0, 0] += 0.3
    return Heightfield(heights, np.full(2, -1.6, np.float32), 0.4)


def terrains() -> List[Heightfield]:
    """Ground at 0, ground at 1 m, and ground at 0 in a frame whose origin is 40 m from it."""
    far = ground(0.0)
    return [ground(0.0), ground(1.0), Heightfield(far.hf, far.min_point + np.float32(40.0), far.dx)]


@pytest.fixture(scope="session")
def character() -> Character:
    """PARC's humanoid."""
    return load_character(HUMANOID)


@pytest.fixture(scope="module", params=ALL)
def engine(request: Any, character: Character) -> Engine:
    """Each engine with four environments, built once: Isaac Gym takes one simulation a process well, not many."""
    name, device = request.param, torch.device("cpu")
    config = EnvFileConfig(env=EnvConfig(char_file=str(HUMANOID), all_touches=True))
    if name == "isaac_gym":
        if importlib.util.find_spec("isaacgym") is None:
            pytest.skip("Isaac Gym Preview 4 cannot be imported here (docs/isaac-gym.md)")
        if torch.cuda.is_available():
            device = torch.device("cuda:0")
        # Installed, it has to work: what is wrong with it is a failure, no reason to skip.
        return make_engine(name, character, PackedTerrain(terrains(), device), config, NUM_ENVS, device)
    packed = PackedTerrain(terrains(), device)
    try:
        return make_engine(name, character, packed, config, NUM_ENVS, device, num_threads=1)
    except ConfigError as error:
        pytest.skip(str(error))
