"""Motions on their terrains as one picture: several moments of each on one slab of ground."""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from typing import List, Sequence, Tuple

import numpy as np
import torch

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.motion.clip import MotionClip
from parc_core.playback.tracks import Track
from parc_core.system.files import PathLike, write_bytes
from parc_core.terrain.heightfield import Heightfield
from parc_core.video.draw import draw
from parc_core.video.scene import (
    REFERENCE_RGB,
    TRAINED_RGB,
    Scene,
    add_character,
    add_ground,
    begin_scene,
    camera_axes,
    camera_distance,
    hiding_cells,
    light_direction,
)

Shown = Tuple[str, MotionClip, Heightfield]
"""A title, a motion and its terrain."""
_POSES = 6  # moments of a motion
_AROUND_M = 1.8  # of terrain shown beside the path
_SIZE = (480, 340)  # of one motion's picture
_OVERSAMPLING = 2
_ELEVATION = -28.0
_COLORS = 128
_INK, _PAPER = (38, 43, 51), (246, 247, 249)
_HEADROOM, _FOOTROOM = np.array([0.0, 0.0, 0.3]), np.array([0.0, 0.0, 0.15])  # m around the bodies' origins


def write_stills(path: PathLike, shown: Sequence[Shown], character: Character, columns: int = 4) -> None:
    """Writes a PNG of all motions, row by row.

    Raises:
        CannotRenderError: no OpenGL library draws here.
        ConfigError: the place cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    width, height = _SIZE
    scenes = [motion_scene(clip, terrain, character, width / height) for _, clip, terrain in shown]
    drawn = draw(scenes, width * _OVERSAMPLING, height * _OVERSAMPLING, _SIZE)
    columns = min(columns, len(shown))
    sheet = Image.new("RGB", (columns * width, math.ceil(len(shown) / columns) * height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, ((title, _, _), frames) in enumerate(zip(shown, drawn)):
        corner = place % columns * width, place // columns * height
        sheet.paste(Image.fromarray(frames[0]), corner)
        pen.text((corner[0] + 10, corner[1] + 8), title, fill=_INK, font=ImageFont.load_default(15),
                 stroke_width=2, stroke_fill=_PAPER)  # fmt: skip
    file = io.BytesIO()
    sheet.quantize(_COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    write_bytes(path, file.getvalue())


def motion_scene(clip: MotionClip, terrain: Heightfield, character: Character, aspect: float) -> Scene:
    """One frame with several moments of a motion, from the side that the way is seen best from."""
    arrays = (clip.root_pos, clip.root_rot, clip.joint_rot)
    pos, rot = (part.numpy() for part in Kinematics(character).forward(*map(torch.from_numpy, arrays)))
    moments = np.round(np.linspace(0, clip.num_frames - 1, _POSES)).astype(int)
    track = _as_track(pos, rot, terrain, clip.fps)
    azimuth = _azimuth(clip)
    forward = camera_axes(azimuth, _ELEVATION)[0]
    lookat = 0.5 * (pos[moments].min(axis=(0, 1)) + pos[moments].max(axis=(0, 1)))
    points = pos[moments].reshape(1, -1, 3)
    # hiding_cells looks at every fourth frame only: each moment is given as one.
    hiding = hiding_cells(track, np.repeat(pos[moments], 4, axis=0), np.zeros(3), forward)[0]
    around = np.concatenate((points + _HEADROOM, points - _FOOTROOM), axis=1)
    return Scene(
        xml=_xml(track, character, hiding),
        mocap_pos=points,
        mocap_quat=rot[moments].reshape(1, -1, 4)[..., [3, 0, 1, 2]],
        lookat=lookat[None],
        view=np.array(
            [camera_distance(around, lookat[None], azimuth, _ELEVATION, aspect), azimuth, _ELEVATION]
        ),
        seconds=np.zeros(1),
    )


def _azimuth(clip: MotionClip) -> float:
    """Across the way, a little from ahead (degrees)."""
    way = clip.root_pos[-1, :2] - clip.root_pos[0, :2]
    direction = math.degrees(math.atan2(way[1], way[0])) if float(np.linalg.norm(way)) > 0.5 else 0.0
    return direction + 115.0


def _as_track(pos: np.ndarray, rot: np.ndarray, terrain: Heightfield, fps: int) -> Track:
    """The motion as its own reference, with the cells around its way."""
    dx, low = float(terrain.dx), terrain.min_point.astype(np.float64)
    path = pos[..., :2].reshape(-1, 2)
    first = np.maximum(np.round((path.min(axis=0) - _AROUND_M - low) / dx).astype(int), 0)
    last = np.round((path.max(axis=0) + _AROUND_M - low) / dx).astype(int)
    heights = terrain.hf[first[0] : last[0] + 1, first[1] : last[1] + 1]
    index = np.stack(np.meshgrid(*(np.arange(size) for size in heights.shape), indexing="ij"), axis=-1)
    none = np.zeros((0, 0, 4))
    return Track("", 1.0 / fps, pos, rot, pos[:, 0], rot[:, 0], none, none, pos, rot,
                 low + (first + index) * dx, heights, dx, None, "", {}, {})  # fmt: skip


def _xml(track: Track, character: Character, hiding: np.ndarray) -> str:
    light = light_direction(np.array([1.0, 0.0, 0.0]))
    width, height = _SIZE[0] * _OVERSAMPLING, _SIZE[1] * _OVERSAMPLING
    root, world = begin_scene("motion", track, np.zeros(2), 0.0, light, width, height)
    add_ground(world, track, np.zeros(3), hiding)
    for number, color in enumerate(_colors()):
        add_character(world, character, f"moment{number}", color)
    return ET.tostring(root, encoding="unicode")


def _colors() -> List[Tuple[float, ...]]:
    """From the reference's blue to the trained orange, in order of time."""
    first, last = np.array(REFERENCE_RGB), np.array(TRAINED_RGB)
    return [tuple(float(v) for v in first + share * (last - first)) for share in np.linspace(0, 1, _POSES)]
