"""One variant of one motion: the same source, kind, seed and number give the same one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Tuple, Union

import numpy as np

from parc_core.motion.clip import MotionClip
from parc_core.motion.variants.acceptance import check_footing, check_plausible
from parc_core.motion.variants.footing import Footing, Refooter
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.source import Body, Source
from parc_core.motion.variants.surroundings import CLEARANCE, MARGIN, even_cells, surround
from parc_core.motion.variants.sweep import between_frames, near_cells, widened
from parc_core.terrain.heightfield import Heightfield

SURROUNDINGS, FOOTING, BOTH = "surroundings", "footing", "both"
KINDS = (SURROUNDINGS, FOOTING, BOTH)
STRENGTHS = (1.0, 1.0, 0.8, 0.6, 0.45, 0.35)
"""Of the ground's heights; a ground is drawn for each until one gives a plausible motion."""
_MAX_CELLS = 64  # along one side, as PARC's data sets allow; a terrain that is larger already stays so
_LEAST_ROOM = 4  # free cells


@dataclass(frozen=True)
class Made:
    """A variant."""

    clip: MotionClip
    terrain: Heightfield
    ground: str
    """What is below the feet: a name of `grounds.GROUNDS`, or "" where it is as it was."""


class VariantMaker:
    """Makes the variants of one motion."""

    def __init__(self, body: Body, clip: MotionClip, terrain: Heightfield) -> None:
        self._body = body
        self._source = Source.of(body, clip, terrain)
        self._seed = _content_seed(clip, terrain)
        self._refooter: Union[Refooter, ImplausibleError, None] = None

    def make(self, kind: str, seed: int, number: int) -> Made:
        """A variant.

        Args:
            kind: one of `KINDS`.
            seed: not negative.
            number: of the variant, not negative.

        Raises:
            ImplausibleError: it does not make sense, or there is no room for it.
        """
        rng = np.random.default_rng([seed, number, KINDS.index(kind), *self._seed])
        if kind == SURROUNDINGS:
            made = self._surrounded(self._source, even_cells(self._source.terrain), rng)
            return self._checked(replace(made, clip=self._source.clip))
        footing = self._footed(rng)
        made = Made(footing.clip, footing.terrain, footing.ground)
        if kind == BOTH:
            source = Source.of(self._body, footing.clip, footing.terrain)
            editable = even_cells(self._source.terrain)
            if editable.shape != footing.terrain.hf.shape:  # a grid of its own, as flat ground has
                editable = np.ones(footing.terrain.hf.shape, dtype=bool)
            made = replace(self._surrounded(source, editable, rng), ground=footing.ground)
        return self._checked(made)

    def _footed(self, rng: np.random.Generator) -> Footing:
        """The motion on another ground, as rough as it can be."""
        if self._refooter is None:
            try:
                self._refooter = Refooter(self._body, self._source)
            except ImplausibleError as error:
                self._refooter = error
        if isinstance(self._refooter, ImplausibleError):
            raise self._refooter
        failure = None
        for strength in STRENGTHS:
            try:
                made = self._refooter.put(rng, strength)
                check_footing(self._body, self._source, made)
            except ImplausibleError as error:
                failure = failure or error
            else:
                return made
        assert failure is not None
        raise failure

    def _surrounded(self, source: Source, editable: np.ndarray, rng: np.random.Generator) -> Made:
        """Things around the motion; only editable cells are touched, and those beyond the terrain's border."""
        xy = source.points[..., :2].reshape(-1, 2)
        wide = widened(source.terrain, xy.min(axis=0) - MARGIN, xy.max(axis=0) + MARGIN, _MAX_CELLS)
        places = np.round((source.terrain.min_point - wide.min_point) / float(wide.dx)).astype(int)
        free = np.ones(wide.hf.shape, dtype=bool)
        free[places[0] : places[0] + editable.shape[0], places[1] : places[1] + editable.shape[1]] = editable
        swept = between_frames(source.points[..., :2], source.steps)
        free &= ~near_cells(wide, swept, self._body.cover.reach + CLEARANCE)
        if free.sum() < _LEAST_ROOM:
            raise ImplausibleError("no room around the motion", f"{int(free.sum())} free cells")
        return Made(source.clip, surround(wide, free, rng), "")

    def _checked(self, made: Made) -> Made:
        check_plausible(self._body, made.clip, made.terrain)
        return made


def _content_seed(clip: MotionClip, terrain: Heightfield) -> Tuple[int, ...]:
    """Numbers that depend on the motion alone: not on its file's name or on what else is there."""
    digest = hashlib.sha256()
    for array in (clip.root_pos, clip.root_rot, clip.joint_rot, terrain.hf, terrain.min_point):
        digest.update(np.ascontiguousarray(array, dtype=np.float32).tobytes())
    return tuple(int(value) for value in np.frombuffer(digest.digest()[:16], dtype=np.uint32))
