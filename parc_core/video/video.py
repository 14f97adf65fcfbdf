"""A short video of a policy's character beside its reference.

Drawn by MuJoCo without a display or GPU (EGL, else OSMesa). Where nothing can draw, there is no video and the result
says why.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Sequence, Set

from parc_core.character.model import Character
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.envs.factory import make_env
from parc_core.errors import ConfigError
from parc_core.evaluation.result import EvalResult, worst_first
from parc_core.motion.dataset.dataset_file import (
    MotionsFile,
    display_names,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.playback.policy import load_policy
from parc_core.playback.tracks import TAIL_AFTER_FAILURE_S, Track, record_tracks
from parc_core.system.files import PathLike
from parc_core.video.draw import CannotRenderError, draw
from parc_core.video.gif import caption, write_gif
from parc_core.video.scene import build_scene

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

MAX_CLIPS = 3
_OVERSAMPLING = 1.5  # drawn larger and scaled down: smooth edges
_HOLD_S = 0.5  # a clip's last frame stays for so long
_MOVING_M = 0.8  # a reference whose root travels less stays in its place


@dataclass(frozen=True)
class Recording:
    """What a recording gave."""

    path: Optional[str]
    """The GIF; None where nothing can draw."""
    motions: List[str]
    """Display names of the clips in it, in order."""
    reason: str
    """Why there is no video, or ""."""


@dataclass(frozen=True)
class VideoOptions:
    """How a video looks."""

    width: int = 640
    height: int = 360
    fps: float = 20.0
    max_seconds: float = 8.0
    """Of all clips together."""
    max_bytes: int = 4_000_000
    """The GIF is made coarser until it is no larger."""


def record_rollout(
    model_file: Optional[PathLike],
    env_file: EnvFileConfig,
    out_path: PathLike,
    *,
    motion_ids: Optional[Sequence[int]] = None,
    evaluation: Optional[EvalResult] = None,
    agent_config: Optional[AgentConfig] = None,
    engine: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    options: VideoOptions = VideoOptions(),
    recorded: Optional[Recorded] = None,
) -> Recording:
    """Records clips one after the other, each from its first frame.

    Args:
        model_file: the model; None is the untrained policy.
        env_file: the environment; `env.dm.motion_file` names the dataset.
        out_path: of the GIF.
        motion_ids: places in the dataset; default: `choose_motions` of the evaluation, without one the first clips.
        agent_config, engine, device, seed: as in `evaluate_model`.
        recorded: tracks of these clips, so that they are not played again.

    Raises:
        ConfigError, DataError: environment, dataset or model cannot be used, or the place not be written.
    """
    chosen = _chosen(env_file, motion_ids, evaluation, options.max_seconds)
    seconds = options.max_seconds - _HOLD_S * len(chosen)
    if recorded is None:
        recorded = play_clips(model_file, env_file, chosen, agent_config, engine, device, seed, seconds)
    tracks, character = [first_part(recorded.tracks[k], seconds) for k in chosen], recorded.character
    names = [track.name for track in tracks]
    try:
        shown = film(tracks, character, options, _label(model_file))
    except CannotRenderError as error:
        return Recording(None, names, f"no video: {error}")
    write_gif(out_path, shown, options.fps, options.max_bytes)
    return Recording(str(out_path), names, "")


def record_clips(
    model_file: Optional[PathLike],
    env_file: EnvFileConfig,
    out_dir: PathLike,
    motion_ids: Sequence[int],
    *,
    agent_config: Optional[AgentConfig] = None,
    engine: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    options: VideoOptions = VideoOptions(fps=30.0, max_seconds=120.0),
) -> List[Path]:
    """Records clips as one MP4 each, whole or up to `options.max_seconds`.

    Args:
        motion_ids: places in the dataset.
        out_dir: of the files, `<class>_<clip>.mp4`.

    Raises:
        ConfigError: nothing can draw or encode here.
        DataError: environment, dataset or model cannot be used.
    """
    from parc_core.video.mp4 import check_encoder, write_mp4

    check_encoder()
    chosen = _chosen(env_file, motion_ids, None, options.max_seconds)
    recorded = play_clips(
        model_file, env_file, chosen, agent_config, engine, device, seed, options.max_seconds
    )
    character = recorded.character
    paths: List[Path] = []
    for motion in chosen:
        track = recorded.tracks[motion]
        try:
            (images,) = _pictures([track], character, options, _label(model_file))
        except CannotRenderError as error:
            raise ConfigError(f"no video: {error}") from error
        name = re.sub(r"[^\w.-]+", "_", track.name)[:120]
        same = [path for path in paths if path.stem == name]
        paths.append(Path(out_dir) / f"{name}{f'_{motion}' if same else ''}.mp4")
        write_mp4(paths[-1], images, round(options.fps))
    return paths


def choose_motions(evaluation: EvalResult, max_seconds: float, count: int = MAX_CLIPS) -> List[int]:
    """Clips worth showing: the one that was lost worst comes first, where any was lost beside completed ones.

    Then completed ones, those that go somewhere first, then long ones, of different classes. Where no clip that goes
    somewhere was completed, those that were followed for longest come after the completed.

    Returns:
        at least one and at most `count` places in the dataset, together no longer than max_seconds if possible.
    """
    clips = evaluation.clips
    moving = [clip.path_m >= _MOVING_M for clip in clips]
    order = sorted(
        range(len(clips)), key=lambda k: (-clips[k].completed, -moving[k], -clips[k].end_time_s, k)
    )
    failures = [k for k in worst_first(clips) if not clips[k].completed] if clips[order[0]].completed else []
    if clips[order[0]].completed and moving[order[0]]:
        order = [k for k in order if clips[k].completed]
    seen: Set[str] = set()
    first: List[int] = []
    again: List[int] = []
    for k in order:
        if k not in failures[:1]:
            (again if clips[k].motion_class in seen else first).append(k)
            seen.add(clips[k].motion_class)
    chosen: List[int] = []
    left = max_seconds
    for k in failures[:1] + first + again:
        shown = clips[k].length_s if clips[k].completed else clips[k].end_time_s + TAIL_AFTER_FAILURE_S
        seconds = min(shown, clips[k].length_s) + _HOLD_S
        if len(chosen) < count and (seconds <= left or not chosen):
            chosen.append(k)
            left -= seconds
    return chosen


def _chosen(
    env_file: EnvFileConfig,
    motion_ids: Optional[Sequence[int]],
    evaluation: Optional[EvalResult],
    seconds: float,
) -> List[int]:
    if motion_ids is None:
        return choose_motions(evaluation, seconds) if evaluation is not None else [0]
    if not motion_ids:
        raise ConfigError("motion_ids is empty; name at least one motion to record")
    return list(motion_ids)


class Recorded(NamedTuple):
    """Clips that were played."""

    tracks: Dict[int, Track]
    """By their places in the dataset."""
    character: Character


def first_part(track: Track, seconds: float) -> Track:
    """The frames of a track up to a time."""
    count = round(seconds / track.dt) + 1
    if count >= track.num_frames:
        return track
    names = [name for name in vars(track) if name.endswith(("_pos", "_rot", "_forces"))]
    lost = track.lost_at_s is not None and track.lost_at_s <= seconds
    return dataclasses.replace(
        track,
        **{name: getattr(track, name)[:count] for name in names},
        series={name: values[:count] for name, values in track.series.items()},
        lost_at_s=track.lost_at_s if lost else None,
        reason=track.reason if lost else "",
    )


def play_clips(
    model_file: Optional[PathLike],
    env_file: EnvFileConfig,
    motion_ids: Sequence[int],
    agent_config: Optional[AgentConfig] = None,
    engine: str = "auto",
    device: str = "cpu",
    seed: int = 0,
    max_seconds: float = 60.0,
) -> Recorded:
    """Plays some clips of a dataset in an environment of these alone, each up to `max_seconds`.

    Raises:
        ConfigError, DataError: environment, dataset or model cannot be used.
    """
    dm = env_file.env.dm
    if not dm.motion_file:
        raise ConfigError("env.dm.motion_file is not set; name the dataset's motions.yaml")
    source = resolve(dm.motion_file)
    listing = read_motions_yaml(source)
    wrong = [k for k in motion_ids if not 0 <= k < len(listing.entries)]
    if wrong:
        raise ConfigError(f"motion {wrong[0]}: {source} has motions 0 to {len(listing.entries) - 1}")
    names = display_names(source, listing)
    with tempfile.TemporaryDirectory(prefix="parc-record-") as folder:
        subset = Path(folder) / "motions.yaml"
        entries = [
            dataclasses.replace(
                listing.entries[k], file=str(Path(listing.entries[k].file).absolute()), weight=1.0
            )
            for k in motion_ids
        ]
        write_motions_yaml(subset, MotionsFile(entries, listing.terrain))
        own = dataclasses.replace(dm, motion_file=str(subset), ignore_fail_rates=True, fail_rates_path=None)
        config = dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=own))
        env = make_env(config, len(entries), device, engine)
    policy = load_policy(model_file, env, agent_config, seed)
    tracks = record_tracks(env, policy.act_mode, range(len(entries)), max_seconds)
    named = {k: dataclasses.replace(track, name=names[k]) for track, k in zip(tracks, motion_ids)}
    return Recorded(named, env.kinematics.character.to("cpu"))


def _label(model_file: Optional[PathLike]) -> str:
    return "untrained" if model_file is None else "trained"


def film(tracks: Sequence[Track], character: Character, options: VideoOptions, label: str) -> List[Picture]:
    """Captioned pictures of tracks one after the other, at the video's rate; each track's last one stays for a moment.

    Args:
        label: legend of the simulated character.

    Raises:
        CannotRenderError: nothing can draw here.
    """
    shown: List[Picture] = []
    for part in _pictures(tracks, character, options, label):
        shown += part + [part[-1]] * round(_HOLD_S * options.fps)
    return shown


def _pictures(
    tracks: Sequence[Track],
    character: Character,
    options: VideoOptions,
    label: str,
) -> List[List[Picture]]:
    """Captioned pictures of each track, at the video's rate."""
    large = round(_OVERSAMPLING * options.width), round(_OVERSAMPLING * options.height)
    scenes = [build_scene(track, character, *large, options.fps) for track in tracks]
    size = (options.width, options.height)
    result = []
    for track, scene, frames in zip(tracks, scenes, draw(scenes, *large, size)):
        part = []
        for frame, seconds in zip(frames, scene.seconds):
            lost = track.lost_at_s is not None and seconds >= track.lost_at_s
            note = f"lost at {track.lost_at_s:.1f} s: {track.reason}" if lost else f"{seconds:.1f} s"
            part.append(caption(frame, size, track.name, note, lost, label))
        result.append(part)
    return result
