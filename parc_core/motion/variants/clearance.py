"""How far bodies are above the terrain, and which contacts that leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.motion.variants.source import Body, Source
from parc_core.motion.variants.sweep import cells_within
from parc_core.terrain.heightfield import Heightfield

_LIFTED = 0.02  # m farther from the ground than in the given motion: a contact no more


def with_contacts(clip: MotionClip, body: Body, source: Source, terrain: Heightfield) -> MotionClip:
    """Contacts of bodies that are now off the ground are taken away."""
    if clip.body_contacts is None:
        return clip
    gone = (
        body_clearance(body, body.swept(clip), terrain)
        > np.maximum(body_clearance(body, source.points, source.terrain), 0.0) + _LIFTED
    )
    return replace(clip, body_contacts=np.where(gone, np.float32(0.0), clip.body_contacts))


def body_clearance(body: Body, points: np.ndarray, terrain: Heightfield) -> np.ndarray:
    """(n, J) m that each body is above the cells below it; inf for a body without shapes."""
    pairs = cells_within(terrain, points[..., :2], np.array(0.0))
    ground = np.empty(points.shape[:2]).ravel()
    ground[:] = np.nan
    ground[pairs.point] = terrain.hf.ravel()[pairs.cell]
    above = points[..., 2] - body.cover.drop - ground.reshape(points.shape[:2])
    result = np.full((len(points), body.character.num_bodies), np.inf)
    for place in range(body.character.num_bodies):
        own = body.cover.bodies == place
        if own.any():
            result[:, place] = np.nan_to_num(above[:, own], nan=np.inf).min(axis=1)
    return result
