"""Of docs/development.md, "Adding an engine": it is made, steps, is known to the doctor, and can be trained with."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from parc_core.character.mjcf import load_character
from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.registry import make_engine
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic.generate import make_motion
from parc_core.terrain.packed import PackedTerrain
from parc_core.train import main as train
from parc_tracker.doctor.engines import check_engine
from tests.engines.conformance.conftest import HUMANOID, terrains


def it_steps() -> None:
    device = torch.device("cpu")
    terrain = PackedTerrain(terrains(), device)
    engine = make_engine("kinematic", load_character(HUMANOID), terrain, EnvFileConfig(), 3, device)
    engine.state.root_vel[:, 0] = 3.0
    targets = 0.1 * torch.ones(3, 28)
    targets[1, 0] = float("nan")
    for _ in range(5):
        engine.step(targets)
    saved = engine.state_dict()
    assert torch.allclose(engine.state.root_pos[:, 0], torch.tensor(0.5))  # 3 m/s for 5 / 30 s
    assert torch.allclose(engine.state.dof_pos[0], targets[0], atol=1e-6)
    assert float(engine.state.dof_pos[1, 0]) == 0.0
    engine.step(2.0 * targets)
    engine.load_state_dict(saved)
    assert torch.equal(engine.state.body_pos, saved["body_pos"])


def a_training_runs_with_it(folder: Path) -> None:
    write_motion_terrain(folder / "walk.pkl", make_motion("walk", 0, load_character(HUMANOID)))
    write_motions_yaml(folder / "motions.yaml", MotionsFile([MotionEntry(str(folder / "walk.pkl"), 1.0)]))
    (folder / "env.yaml").write_text(f"env: {{dm: {{motion_file: {folder / 'motions.yaml'}}}}}\n")
    (folder / "agent.yaml").write_text(
        "model: {actor_net: fc_1layers_8units, critic_net: fc_1layers_8units}\n"
        "steps_per_iter: 4\nbatch_size: 2\nupdate_epochs: 1\ntest_episodes: 0\nuse_tensorboard: false\n"
    )
    options = {
        "env_config": folder / "env.yaml",
        "agent_config": folder / "agent.yaml",
        "output_dir": folder / "out",
        "num_envs": 2,
        "max_samples": 8,
        "device": "cpu",
        "engine": "kinematic",
    }
    assert train([f"--{name}={value}" for name, value in options.items()]) == 0
    assert (folder / "out" / "model.pt").is_file()


if __name__ == "__main__":
    it_steps()
    assert check_engine("kinematic").ok
    with tempfile.TemporaryDirectory() as made:
        a_training_runs_with_it(Path(made))
