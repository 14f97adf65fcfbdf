"""What PARC's stage 1 (the motion generator) wants to know of a clip: which cells it uses, how high others may be.

It changes a clip's terrain at random while it learns. `hf_mask_inds` names the cells over which the character is in
each frame, `hf_maxmin` bounds the height of each cell, so that the motion still makes sense:

- everywhere from the lowest height - 3 m up to the root's highest place + 3 m;
- below the character the cell's own height, exactly;
- but where it never comes nearer than 0.8 m (it jumps over the cell): up to 0.8 m below it, and as low as anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Tuple

import numpy as np
import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.character.surface_points import SurfacePoints
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import read_misc
from parc_core.motion.formats.pickle_values import plain
from parc_core.terrain.heightfield import Heightfield, grid_index

MASK_KEY = "hf_mask_inds"
HEIGHT_MARGIN = 3.0
"""m above the root's highest place and below the lowest cell that heights may reach."""
JUMP_MARGIN = 0.8
"""m: what passes higher above a cell does not need it."""
_CHUNK_FRAMES = 4096  # bounds the working memory: about 300 points a frame


@dataclass(frozen=True)
class GeneratorData:
    """What stage 1 wants of one clip."""

    hf_mask_inds: List[np.ndarray]
    """One (k, 2) int64 for each frame: the cells below the character, sorted."""
    hf_maxmin: np.ndarray
    """(nx, ny, 2) float32 m: the highest and lowest height that each cell may have."""


class Preprocessor:
    """Computes the data of stage 1 for clips of one character."""

    def __init__(self, character: Character) -> None:
        self._kinematics = Kinematics(character)
        self._surface = SurfacePoints(character)

    def compute(self, clip: MotionClip, terrain: Heightfield) -> GeneratorData:
        """All frames at once; the inputs are not changed.

        Args:
            clip: n frames of the character.
            terrain: the ground below it.
        """
        ny, size = terrain.hf.shape[1], terrain.hf.size
        lowest = np.full(size, np.inf, dtype=np.float32)
        masks: List[np.ndarray] = []
        for begin in range(0, clip.num_frames, _CHUNK_FRAMES):
            cells, heights = self._cells(clip, slice(begin, begin + _CHUNK_FRAMES), terrain)
            np.minimum.at(lowest, cells.ravel(), heights.ravel())
            frames = np.arange(len(cells))[:, None]
            used = np.unique(frames * size + cells)  # sorted by frame, then by cell
            frame, cell = np.divmod(used, size)
            inds = np.stack(np.divmod(cell, ny), axis=-1)
            masks += np.split(inds, np.searchsorted(frame, np.arange(1, len(cells))))
        return GeneratorData(masks, _bounds(clip, terrain, lowest.reshape(terrain.hf.shape)))

    def _cells(self, clip: MotionClip, frames: slice, terrain: Heightfield) -> Tuple[np.ndarray, np.ndarray]:
        """Cell number i·ny + j below every point of every frame, and the point's height; (n, P) each."""
        pos, rot = self._kinematics.forward(
            *(torch.from_numpy(a[frames]) for a in (clip.root_pos, clip.root_rot, clip.joint_rot))
        )
        points = self._surface.posed(pos, rot).numpy()
        index = grid_index(terrain, points[..., :2])
        return index[..., 0] * terrain.hf.shape[1] + index[..., 1], points[..., 2]


def _bounds(clip: MotionClip, terrain: Heightfield, lowest: np.ndarray) -> np.ndarray:
    """hf_maxmin (nx, ny, 2) from the lowest place of the character above each cell (inf: never there)."""
    hf = terrain.hf
    floor = hf.min() - np.float32(HEIGHT_MARGIN)
    upper = np.full_like(hf, clip.root_pos[:, 2].max() + np.float32(HEIGHT_MARGIN))
    lower = np.full_like(hf, floor)
    used = np.isfinite(lowest)
    jumped = used & (lowest - hf >= JUMP_MARGIN)
    stepped = used & ~jumped
    upper[stepped] = lower[stepped] = hf[stepped]
    upper[jumped] = lowest[jumped] - np.float32(JUMP_MARGIN)
    return np.stack((upper, lower), axis=-1)


def preprocess(
    content: MotionTerrain, preprocessor: Preprocessor, override: bool, where: str = "misc_data"
) -> MotionTerrain:
    """A copy with `hf_mask_inds` in misc_data and new `hf_maxmin`; the same object where it has masks already.

    Args:
        content: a motion with its terrain.
        preprocessor: of its character.
        override: compute anew where the file has masks.
        where: file name for messages.

    Raises:
        DataError: misc_data cannot be read, or there is no motion or no terrain.
    """
    if content.motion is None or content.terrain is None:
        raise DataError(f"{where}: compute_preprocessing_data needs a motion and a terrain")
    misc = read_misc(content, allow_torch=True, where=where)
    if MASK_KEY in misc and not override:
        return content
    found = preprocessor.compute(content.motion, content.terrain)
    kept: Dict[str, Any] = {**plain(misc), MASK_KEY: found.hf_mask_inds}
    return MotionTerrain(
        content.motion, replace(content.terrain, hf_maxmin=found.hf_maxmin), safe_pickle.dumps(kept)
    )
