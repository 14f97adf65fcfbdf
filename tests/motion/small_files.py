"""Small motion files for tests of reading and merging: all numbers follow from the arguments."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.terrain.heightfield import Heightfield


def small_clip(frames: int = 4, height: float = 0.9, fps: int = 30) -> MotionClip:
    identity = np.array([0, 0, 0, 1], np.float32)
    root_pos = np.zeros((frames, 3), np.float32)
    root_pos[:, 2] = height
    return MotionClip(
        root_pos,
        np.tile(identity, (frames, 1)),
        np.tile(identity, (frames, 14, 1)),
        np.zeros((frames, 15), np.float32),
        fps,
        "CLAMP",
    )


def small_terrain(nx: int = 3, ny: int = 2) -> Heightfield:
    hf = np.arange(nx * ny, dtype=np.float32).reshape(nx, ny) / 10
    return Heightfield(hf, np.array([-0.4, -0.4], np.float32), 0.4)


def write_small(path: Path, frames: int = 4, height: float = 0.9, nx: int = 3, ny: int = 2) -> Path:
    """`height` makes the content one's own."""
    write_motion_terrain(path, MotionTerrain(small_clip(frames, height), small_terrain(nx, ny)))
    return path


def motion_dict(**changes: Any) -> dict[str, Any]:
    """motion_data as PARC pickles it, with some keys changed (None: left out)."""
    clip = small_clip()
    data: dict[str, Any] = {
        "root_pos": clip.root_pos,
        "root_rot": clip.root_rot,
        "joint_rot": clip.joint_rot,
        "body_contacts": clip.body_contacts,
        "fps": 30,
        "loop_mode": "CLAMP",
    }
    data.update(changes)
    return {key: value for key, value in data.items() if value is not None}


def terrain_dict(**changes: Any) -> dict[str, Any]:
    hf = small_terrain()
    maxmin = np.zeros((*hf.hf.shape, 2), np.float32)
    data: dict[str, Any] = {"hf": hf.hf, "hf_maxmin": maxmin, "min_point": hf.min_point, "dx": 0.4}
    data.update(changes)
    return {key: value for key, value in data.items() if value is not None}


def container(
    motion: dict[str, Any] | None = None, terrain: dict[str, Any] | None = None, misc: Any = None
) -> bytes:
    """A file's bytes as PARC's tools write them: plain pickle, three parts."""
    parts = {
        "motion_data": pickle.dumps(motion if motion is not None else motion_dict()),
        "terrain_data": pickle.dumps(terrain if terrain is not None else terrain_dict()),
        "misc_data": None if misc is None else pickle.dumps(misc),
    }
    return pickle.dumps(parts)


def plain_loads(data: bytes) -> Any:
    """What PARC's tools do; for bytes that the test itself made, or a trap that is meant to spring."""
    return pickle.loads(data)  # noqa: S301


class RunsCode:
    """Unpickled by plain pickle, it makes the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")
