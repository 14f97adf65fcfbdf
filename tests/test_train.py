"""What the trainer's program says and writes beside the training itself."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.resolve import training_args
from parc_core.config.schema import from_mapping
from parc_core.train import MANY_TERRAINS, notes, save_terrain


class Env:
    """Writes what it is asked for in place of a grid."""

    def __init__(self, num_terrains):
        self.terrain = SimpleNamespace(num_terrains=num_terrains)

    def save_terrain(self, path, with_meshes):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{self.terrain.num_terrains} {with_meshes}")


def test_it_lies_beside_the_model(tmp_path):
    assert save_terrain(Env(5), tmp_path) == []
    assert (tmp_path / "terrain.pkl").read_text() == "5 True"


def test_that_of_many_terrains_has_no_meshes(tmp_path):
    notes = save_terrain(Env(MANY_TERRAINS + 1), tmp_path)
    assert len(notes) == 1 and "no meshes" in notes[0]
    assert (tmp_path / "terrain.pkl").read_text() == f"{MANY_TERRAINS + 1} False"


def test_what_has_no_effect_is_said_once(tmp_path):
    """By who reads the tracker config; by the trainer only where it is given a training's own files."""
    env_file = from_mapping(EnvFileConfig, {"env": {"demo_mode": True}}, "env.yaml")
    asked = training_args(tmp_path, num_envs=1, max_samples=1, device="cpu")
    assert notes(asked, env_file, AgentConfig()) == []
    again = dataclasses.replace(asked, env_config=str(tmp_path / "dm_env.yaml"))
    (line,) = notes(again, env_file, AgentConfig())
    assert line.startswith("'env.demo_mode' has no effect here")
