"""Performs a dataset's motions, from later starts where need be, and writes each success as a motion file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import numpy as np
import torch

from parc_core.envs.observation import ObservationLayout
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.motion.clip import MotionClip, MotionTerrain
from parc_core.motion.dataset.preprocessing import Preprocessor, preprocess
from parc_core.motion.formats import safe_pickle
from parc_core.motion.formats.container import motion_terrain_bytes
from parc_core.motion.quality import QualityMeter
from parc_core.playback.play import Policy, waves
from parc_core.recording.perform import Attempt, Frames, perform
from parc_core.recording.place import placed
from parc_core.recording.result import Failure, MotionRecord, Recording
from parc_core.system.files import PathLike, sha256_bytes, write_bytes
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.heightfield_arrays import HeightfieldArrays

START_FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Where tries at a motion begin, in turn (PARC's)."""
MIN_RETRY_S = 2.0
"""A motion of which less would be left is not tried again."""
MIN_FRAMES = 16
"""What PARC's stage 1 needs of a motion: half a second at 30 frames per second."""

Progress = Callable[[int, int, str], None]
"""Called with motions decided, motions in all, and what is being done."""


@dataclass(frozen=True)
class RecordOptions:
    """What is kept of a performance."""

    observations: bool = False
    """Store each frame's observation with the motion (PARC's `obs`, `obs_shapes`)."""
    limits: Dict[str, float] = field(default_factory=dict)
    """Largest values of numbers of `Quality`; a recording that exceeds one is rejected. Empty: PARC's way."""


class Recorder:
    """Records the motions of one environment under one policy.

    Args:
        env: made with `all_touches`, without limit to its episodes.
        policy: observations -> actions.
        out_dir: the output folder.
        options: what is kept.
        progress: called after each wave.
    """

    def __init__(
        self,
        env: TrackingEnv,
        policy: Policy,
        out_dir: PathLike,
        options: RecordOptions = RecordOptions(),
        progress: Optional[Progress] = None,
    ) -> None:
        self._env, self._policy, self._out, self._options = env, policy, Path(out_dir), options
        self._progress = progress
        character = env.kinematics.character
        self._meter = QualityMeter(character)
        self._preprocessor = Preprocessor(character)
        self._terrains = _own_terrains(env)
        self._fps = int(env.config.control_freq)
        self._lengths = env.library.lengths.cpu()

    def run(self, recording: Recording) -> None:
        """Tries all motions that are neither recorded nor given up, and saves `recording` after each wave."""
        for fraction in START_FRACTIONS:
            todo = [k for k, motion in enumerate(recording.motions) if self._is_due(motion, fraction)]
            if not todo:
                continue
            ids = torch.tensor(todo, dtype=torch.long)
            left = (1.0 - fraction) * self._lengths[ids]
            for places in waves(left, self._env.num_envs):
                attempts = perform(self._env, self._policy, ids[places], fraction, self._options.observations)
                for attempt in attempts:
                    self._settle(recording.motions[attempt.motion], attempt)
                recording.save(self._out)
                self._report(recording, fraction)
        recording.complete = True
        recording.save(self._out)

    def _is_due(self, motion: MotionRecord, fraction: float) -> bool:
        if motion.recorded or motion.given_up:
            return False
        return all(failure.start_fraction < fraction for failure in motion.failures)

    def _settle(self, motion: MotionRecord, attempt: Attempt) -> None:
        """Writes a success, notes a failure, and gives a motion up that has no try left."""
        reason = attempt.reason
        if attempt.frames is not None:
            reason = self._write(motion, attempt, attempt.frames)
            if not reason:
                return
        motion.failures.append(Failure(attempt.start_fraction, attempt.end_time_s, reason))
        later = [fraction for fraction in START_FRACTIONS if fraction > attempt.start_fraction]
        if not later:
            motion.given_up = reason
        elif (1.0 - later[0]) * motion.length_s < MIN_RETRY_S:
            motion.given_up = f"{reason}; too short to be tried from a later start"

    def _write(self, motion: MotionRecord, attempt: Attempt, frames: Frames) -> str:
        """Writes the motion file of a success. Returns "" or why it was rejected."""
        clip, terrain = placed(frames, self._terrains(attempt.motion), self._fps)
        if clip.num_frames < MIN_FRAMES:
            return f"{clip.num_frames} frames, fewer than {MIN_FRAMES}"
        quality = self._meter.measure(clip, terrain, attempt.joint_error_m)
        exceeded = quality.exceeded(self._options.limits)
        if exceeded:
            return exceeded
        data = self._content(clip, terrain, frames.obs)
        write_bytes(self._out / motion.file, data)
        motion.start_fraction, motion.frames = attempt.start_fraction, clip.num_frames
        motion.quality, motion.sha256 = quality, sha256_bytes(data)
        return ""

    def _content(self, clip: MotionClip, terrain: Heightfield, obs: Optional[np.ndarray]) -> bytes:
        """The file, with masks and height bounds of the terrain's part, so that no stage has to compute them."""
        misc: Dict[str, Any] = {}
        if obs is not None:
            misc = {"obs": obs, "obs_shapes": observation_shapes(self._env)}
        content = MotionTerrain(clip, terrain, safe_pickle.dumps(misc))
        return motion_terrain_bytes(preprocess(content, self._preprocessor, override=True))

    def _report(self, recording: Recording, fraction: float) -> None:
        if self._progress is not None:
            decided = sum(motion.recorded or bool(motion.given_up) for motion in recording.motions)
            what = f"from {fraction:.0%}" if fraction else "from the start"
            self._progress(decided, len(recording.motions), what)


def _own_terrains(env: TrackingEnv) -> Callable[[int], Heightfield]:
    """Each motion's own terrain as in its file, by the motion's place; or the one of all."""
    terrains = env.layout.terrains
    fields: List[Heightfield] = (
        terrains.heightfields() if isinstance(terrains, HeightfieldArrays) else list(terrains)
    )
    return (lambda motion: fields[motion]) if len(fields) > 1 else (lambda motion: fields[0])


def observation_shapes(env: TrackingEnv) -> Dict[str, Dict[str, Any]]:
    """PARC's `obs_shapes`: the parts of the vector in order, their shapes, and whether the normalizer treats them."""
    layout: ObservationLayout = env.obs_layout
    parts: Dict[str, Dict[str, Any]] = {}

    def add(name: str, shape: Any, normalized: bool) -> None:
        parts[name] = {"use_normalizer": normalized, "shape": tuple(int(size) for size in shape)}

    steps, bodies = len(env.task.target_steps), env.kinematics.num_bodies
    width = {name: place.stop - place.start for name, place in layout.slices.items()}
    add("char_obs", (layout.slices["targets"].start,), True)
    add("tar_obs", (steps, layout.target_width), True)
    if "target_contacts" in width:
        add("tar_contacts", (steps, bodies), False)
        add("char_contacts", (width["contacts"],), False)
    add("hf", (width["heights"],), False)
    return parts
