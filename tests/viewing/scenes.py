"""A small made-up scene: the humanoid glides over a step, its reference beside it."""

from __future__ import annotations

import numpy as np

from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.viewing.clip_scene import ClipScene, Figure, Mark, Series

DT = 1 / 30


def humanoid():
    return load_character(resolve("data/assets/humanoid.xml"))


def walking(frames: int = 40, name: str = "walk/0", lost_s: float | None = None, seed: int = 0) -> ClipScene:
    """The humanoid in its rest pose, turning on its way along x; a ghost goes beside it."""
    rng = np.random.default_rng(seed)
    t = DT * np.arange(frames)
    root = np.stack((1.2 * t, 0.1 * np.sin(3 * t), 0.9 + 0.02 * np.cos(9 * t)), axis=1)
    half = 0.4 * t[:, None] + 0.05 * rng.standard_normal((1, 15))
    zero = np.zeros_like(half)
    turn = np.stack((zero, zero, np.sin(half), np.cos(half)), axis=-1)
    forces = np.zeros((frames, 15, 3))
    forces[::2, 11, 2] = 400.0
    x, y = np.meshgrid(0.4 * np.arange(10) - 1.0, 0.4 * np.arange(5) - 0.8, indexing="ij")
    height = np.where(x > 1.0, 0.3, 0.0)
    marks = () if lost_s is None else (Mark("lost", lost_s, float(t[-1]), "lost: pose"),)
    return ClipScene(
        name,
        DT,
        [
            Figure("simulated", root, turn, forces=forces),
            Figure("reference", root + np.array([0.0, 0.1, 0.0]), turn, ghost=True),
        ],
        np.stack((x, y), axis=-1),
        height,
        0.4,
        (Series("joint error", "m", 0.1 * t, 0.5),),
        marks,
    )
