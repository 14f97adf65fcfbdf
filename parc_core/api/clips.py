"""Clips played under a policy, and shown in a notebook."""

from __future__ import annotations

import base64
import dataclasses
from dataclasses import dataclass
from typing import Any, List, Sequence, Union, overload

import numpy as np

from parc_core.api.dataset import Which, place_of
from parc_core.api.policy import Policy
from parc_core.character.model import Character
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import ConfigError
from parc_core.playback.tracks import Track, record_tracks
from parc_core.system.files import PathLike, write_bytes


@dataclass(frozen=True)
class PlayedClip(Track):
    """One clip as a policy tracked it: T frames of poses, contact forces and the reference; see `Track`."""

    character: Character
    """For drawing."""

    @property
    def completed(self) -> bool:
        """Followed from its first frame to the last one played."""
        return self.lost_at_s is None

    @property
    def joint_error_m(self) -> np.ndarray:
        """(T,) m: mean distance of the bodies from their reference."""
        error: np.ndarray = np.linalg.norm(self.body_pos - self.ref_pos, axis=-1).mean(-1)
        return error

    def __repr__(self) -> str:
        end = "completed" if self.completed else f"lost at {self.lost_at_s:.2f} s: {self.reason}"
        return f"PlayedClip({self.name!r}, {self.num_frames} frames, {end})"


@overload
def play(  # type: ignore[overload-overlap]
    env: TrackingEnv, policy: Policy, clips: Which = 0, max_seconds: float = 60.0
) -> PlayedClip: ...


@overload
def play(
    env: TrackingEnv, policy: Policy, clips: Sequence[Which], max_seconds: float = 60.0
) -> List[PlayedClip]: ...


def play(
    env: TrackingEnv, policy: Policy, clips: Union[Which, Sequence[Which]] = 0, max_seconds: float = 60.0
) -> Union[PlayedClip, List[PlayedClip]]:
    """Plays clips from their first frames and keeps every frame; one that is lost continues for 0.8 s.

    Args:
        env: its episodes are given up.
        policy: of `load_policy`.
        clips: a clip's name or place in the dataset, or several.
        max_seconds: longest clip.

    Returns:
        What became of the clip, or of each of them.

    Raises:
        ConfigError: the policy is for another environment.
        DataError: there is no such clip.
    """
    policy.check(env)
    one = isinstance(clips, (int, str))
    wanted: Sequence[Any] = [clips] if one else list(clips)  # type: ignore[arg-type]
    ids = [place_of(which, env.library.names) for which in wanted]
    character = env.kinematics.character.to("cpu")
    played = [
        PlayedClip(
            **{field.name: getattr(track, field.name) for field in dataclasses.fields(Track)},
            character=character,
        )
        for track in (record_tracks(env, policy.act, ids, max_seconds) if ids else [])
    ]
    return played[0] if one else played


class Animation:
    """A GIF that a notebook shows where it is the value of a cell.

    Attributes:
        data: the file's content.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def save(self, path: PathLike) -> None:
        """Writes the GIF."""
        write_bytes(path, self.data)

    def _repr_html_(self) -> str:
        encoded = base64.b64encode(self.data).decode("ascii")
        return f'<img src="data:image/gif;base64,{encoded}" alt="character and reference"/>'

    def __repr__(self) -> str:
        return f"Animation({len(self.data):,} bytes; a notebook shows it, save(path) writes a GIF)"


def show(clips: Union[PlayedClip, Sequence[PlayedClip]], width: int = 480, fps: float = 20.0) -> Animation:
    """The character and its reference on the terrain, as a notebook shows it: clips one after the other.

    Args:
        clips: of `play`.
        width: of the pictures, pixels; the height is 9/16 of it.
        fps: pictures per second.

    Raises:
        ConfigError: nothing can draw on this machine (MuJoCo with EGL or OSMesa, and Pillow), with the reason.
    """
    from parc_core.video.draw import CannotRenderError
    from parc_core.video.gif import encode_gif
    from parc_core.video.video import VideoOptions, film

    clips = [clips] if isinstance(clips, PlayedClip) else list(clips)
    if not clips:
        raise ConfigError("show: no clip is given")
    options = VideoOptions(width=width, height=width * 9 // 16, fps=fps)
    try:
        images = film(clips, clips[0].character, options, "policy")
    except CannotRenderError as error:
        raise ConfigError(f"show: no picture can be drawn: {error}") from None
    return Animation(encode_gif(images, fps, options.max_bytes))
