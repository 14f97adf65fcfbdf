"""Motion capture of other skeletons, retargeted, cut and judged, for `parc-tracker convert`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from parc_core.character.model import Character
from parc_core.config.paths import load_yaml
from parc_core.config.schema import from_mapping
from parc_core.config.skeleton_config import NOTHING_GIVEN, SkeletonConfig
from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.bvh import is_bvh, read_bvh
from parc_core.motion.formats.completion import flat_terrain
from parc_core.motion.plausibility import judge
from parc_core.motion.retarget.axes import in_metres
from parc_core.motion.retarget.captures import read_capture, retargeted
from parc_core.motion.retarget.climbs import boxes_beside
from parc_core.motion.retarget.measures import DEFAULT_LIMITS, ClipMeter, Measures, check_limits
from parc_core.motion.retarget.result import RetargetedMotion
from parc_core.motion.retarget.retarget import Retargeter
from parc_core.motion.skeleton import Skeleton

SUFFIXES = (".bvh", ".npy")
"""Of motion capture files in folders."""
MAX_SECONDS = 10.0


@dataclass(frozen=True)
class CaptureOptions:
    """How motion capture becomes clips."""

    skeleton: SkeletonConfig = NOTHING_GIVEN
    """What is known of its skeleton, units and axes."""
    max_seconds: float = MAX_SECONDS
    """Longer takes are cut into equal pieces."""
    limits: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    """Clips beyond one are rejected."""


@dataclass(frozen=True)
class CapturedClip:
    """A clip that came out of a take, or nearly."""

    ending: str
    """Of its name: "" or "_part1"."""
    content: MotionTerrain
    measures: Measures
    reason: str
    """Why it is rejected; "" where it is kept."""


def capture_options(
    skeleton: Path | None, units: str | None, up: str | None, max_seconds: float, limits: Sequence[str]
) -> CaptureOptions:
    """What the command line says, before what the skeleton file does.

    Raises:
        ConfigError: a wrong value, or a file that cannot be read.
    """
    keys = {} if skeleton is None else load_yaml(skeleton) or {}
    given = {key: value for key, value in (("units", units), ("up", up)) if value is not None}
    if isinstance(keys, dict):
        keys = {**keys, **given}
    config = from_mapping(SkeletonConfig, keys, "parc-tracker convert" if skeleton is None else str(skeleton))
    return CaptureOptions(config, max_seconds, _limits(limits))


def _limits(texts: Sequence[str]) -> dict[str, float]:
    """The default limits with those of the command line, `NAME=NUMBER` each, in their places."""
    limits = dict(DEFAULT_LIMITS)
    for text in texts:
        name, _, value = text.partition("=")
        try:
            limits[name.strip()] = float(value)
        except ValueError:
            raise ConfigError(f"--limit {text}: write NAME=NUMBER, such as penetration_max_m=0.05") from None
    check_limits(limits, "--limit")
    return limits


class CaptureConverter:
    """Turns files of motion capture into clips of one character."""

    def __init__(self, character: Character, options: CaptureOptions, with_terrain: bool) -> None:
        self._options, self._with_terrain = options, with_terrain
        self._character = character
        self._skeleton = Skeleton.of(character)
        self._retargeter: Retargeter | None = None
        self._meter = ClipMeter(character)

    def convert(
        self, file: Path, data: bytes, where: str, allow_implausible: bool
    ) -> list[CapturedClip] | None:
        """The clips of a file, None where it is no motion capture.

        Args:
            file: where it lies: boxes beside it are its terrain.
            data: its content, which says what it is.
            where: its name for messages.
            allow_implausible: also clips that cannot be right.

        Raises:
            DataError: it cannot be read, or its skeleton cannot be matched.
        """
        whole = self._retargeted(file, data, where)
        if whole is None:
            return None
        pieces = whole.pieces(self._options.max_seconds)
        endings = [f"_part{k}" if len(pieces) > 1 else "" for k in range(1, len(pieces) + 1)]
        return [
            self._judged(ending, piece, where, allow_implausible)
            for ending, piece in zip(endings, pieces, strict=True)
        ]

    def _retargeted(self, file: Path, data: bytes, where: str) -> RetargetedMotion | None:
        if not is_bvh(data) and file.suffix.lower() != ".bvh":
            capture = read_capture(data, where, self._character)
            if capture is None:
                return None
            boxes = boxes_beside(file) if capture.source.rotations is None else None
            return retargeted(capture, self._character, where, boxes, self._options.skeleton)
        if self._retargeter is None:
            self._retargeter = Retargeter(self._character)
        source, mapping = in_metres(read_bvh(data, where), where, self._options.skeleton)
        return self._retargeter.retarget(source, mapping, where=where)

    def _judged(
        self, ending: str, piece: RetargetedMotion, where: str, allow_implausible: bool
    ) -> CapturedClip:
        ground = piece.terrain or flat_terrain(piece.clip.root_pos[:, :2], where)
        measures = self._meter.measure(piece.clip, ground, piece)
        reason = measures.exceeded(self._options.limits)
        found = judge(piece.clip, ground, self._skeleton)
        if not reason and found.cause and not allow_implausible:
            reason = str(found)
        terrain = ground if self._with_terrain or piece.terrain is not None else None
        return CapturedClip(ending, MotionTerrain(piece.clip, terrain), measures, reason)


def numbers(clips: Sequence[Measures]) -> dict[str, dict[str, float]]:
    """Of each measure the median, the 95th percentile and the largest value."""
    found: dict[str, dict[str, float]] = {}
    for name in Measures.__dataclass_fields__:
        values = np.array([getattr(clip, name) for clip in clips])
        if len(values):
            found[name] = {
                "median": float(np.median(values)),
                "95 %": float(np.percentile(values, 95)),
                "max": float(values.max()),
            }
    return found


def row(name: str, file: str, clip: CapturedClip) -> dict[str, Any]:
    """A clip as JSON and CSV show it."""
    verdict = "rejected" if clip.reason else "kept"
    return {
        "clip": name,
        "source": file,
        "verdict": verdict,
        "reason": clip.reason,
        **dataclasses.asdict(clip.measures),
    }
