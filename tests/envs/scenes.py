"""Small environments for tests: synthetic motions in a folder, read the way every run reads them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable

import torch

from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.engines.mujoco.engine import MujocoEngine
from parc_core.envs.factory import make_env
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic.generate import make_motion

HUMANOID = PROJECT_ROOT / "data" / "assets" / "humanoid.xml"


@lru_cache
def humanoid() -> Character:
    return load_character(HUMANOID)


@lru_cache
def motion(kind: str, seed: int = 0) -> MotionTerrain:
    return make_motion(kind, seed, humanoid())


def clip_of(content: MotionTerrain) -> MotionClip:
    assert content.motion is not None
    return content.motion


def physics(env: TrackingEnv) -> MujocoEngine:
    """The engine, for tests that reach into the simulation."""
    assert isinstance(env.engine, MujocoEngine)
    return env.engine


def shortened(whole: MotionTerrain, frames: int) -> MotionTerrain:
    """The first frames of a motion."""
    clip = clip_of(whole)
    contacts = None if clip.body_contacts is None else clip.body_contacts[:frames]
    cut = replace(
        clip,
        root_pos=clip.root_pos[:frames],
        root_rot=clip.root_rot[:frames],
        joint_rot=clip.joint_rot[:frames],
        body_contacts=contacts,
    )
    return replace(whole, motion=cut)


def write_dataset(folder: Path, motions: dict[str, MotionTerrain], terrain: str | None = None) -> Path:
    """Motion files and their motions.yaml, which is returned; all weights are 1."""
    entries = []
    for name, content in motions.items():
        write_motion_terrain(folder / f"{name}.pkl", content)
        entries.append(MotionEntry(str(folder / f"{name}.pkl"), 1.0))
    write_motions_yaml(folder / "motions.yaml", MotionsFile(entries, terrain))
    return folder / "motions.yaml"


def env_file(motions_yaml: Path, dm: dict[str, Any] | None = None, **env: Any) -> EnvFileConfig:
    """An env file's content: PARC's defaults but for the given settings."""
    config = EnvConfig(**env)
    return EnvFileConfig(
        env=replace(config, dm=replace(config.dm, **{"motion_file": str(motions_yaml), **(dm or {})}))
    )


def env_of(motions_yaml: Path, num_envs: int = 4, seed: int = 0, **settings: Any) -> TrackingEnv:
    """A single-threaded environment on the CPU."""
    return make_env(
        env_file(motions_yaml, **settings), num_envs, "cpu", engine="mujoco", seed=seed, num_threads=1
    )


def check_resuming(
    whole: TrackingEnv,
    resumed: TrackingEnv,
    play: Callable[[Any, int, int], list[torch.Tensor]],
    file: Path,
    before_reset: bool,
) -> None:
    """Bit for bit, with the state of `whole` out of a file.

    Args:
        play: (env, steps, seed) → what was seen.
        before_reset: the state is of between `step` and `reset_done`.
    """
    whole.reset()
    play(whole, 8, 2)
    if before_reset:
        while not whole.step(zero_action(whole))[2].any():
            pass
    torch.save(whole.state_dict(), file)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(whole.reset_done(), resumed.reset_done())
    seen, again = play(whole, 25, 3), play(resumed, 25, 3)
    assert len(seen) == len(again)
    for a, b in zip(seen, again):
        assert torch.equal(a, b)
    assert whole.episode_stats() == resumed.episode_stats()


def zero_action(env: TrackingEnv) -> torch.Tensor:
    return torch.zeros(env.num_envs, env.action_dim)
