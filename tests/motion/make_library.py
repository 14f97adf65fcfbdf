"""A motion library of clips made by hand, through the same steps as one of files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parc_core.character.kinematics import Kinematics
from parc_core.motion.clip import MotionClip
from parc_core.motion.dataset.dataset_arrays import arrays_of
from parc_core.motion.dataset.loading import unit_length
from parc_core.motion.library import MotionLibrary
from parc_core.terrain.heightfield import Heightfield


def library_of(
    clips: Sequence[MotionClip], weights: Sequence[float], names: Sequence[str], kinematics: Kinematics
) -> MotionLibrary:
    """The library of these clips, each on one flat cell."""
    flat = Heightfield(np.zeros((1, 1), np.float32), np.zeros(2, np.float32), 1.0)
    arrays = unit_length(arrays_of(clips, [flat] * len(clips), kinematics.num_bodies))
    return MotionLibrary(arrays, weights, names, kinematics)
