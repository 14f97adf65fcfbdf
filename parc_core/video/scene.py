"""The picture's contents for MuJoCo: two slabs of the same terrain, the character on one, its reference on the other.

Every body of both characters is a mocap body whose pose is set per frame: no physics, any engine's states.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Iterable, List, Tuple

import numpy as np

from parc_core.character.model import Character
from parc_core.playback.tracks import Track

TRAINED_RGB = (0.93, 0.42, 0.16)
REFERENCE_RGB = (0.25, 0.52, 0.80)
BACKGROUND_RGB = (0.965, 0.970, 0.975)
_SLAB_M = 0.35  # thickness of the ground under its lowest cell
_GAP_M = 0.4  # between the slabs
_LOW, _HIGH = np.array([0.83, 0.85, 0.87]), np.array([0.62, 0.70, 0.60])  # ground colour, lowest and highest
_FULL_TINT_M = 1.0  # a lower terrain does not take the full colour of the highest
_CHECK = 0.93  # brightness of every second cell
_FOV_DEG = 32.0
_TURN = math.radians(55.0)  # from looking across the path to looking against it
_GLASS = 0.22  # opacity of columns that hide a character
_RAY_FROM_M, _RAY_TO_M = 0.2, 4.0  # from a body towards the camera, where columns may hide it
_ROOM = 0.84  # share of the picture that bodies may use
_SMOOTH_S = 0.5  # camera lag


@dataclass(frozen=True)
class Scene:
    """All that drawing needs, in plain arrays."""

    xml: str
    """MJCF; its mocap bodies are the J bodies of the character, then those of the reference."""
    mocap_pos: np.ndarray
    """(T, 2J, 3) m."""
    mocap_quat: np.ndarray
    """(T, 2J, 4) wxyz."""
    lookat: np.ndarray
    """(T, 3) m."""
    view: np.ndarray
    """(3,) camera distance m, azimuth and elevation in degrees."""
    seconds: np.ndarray
    """(T,) s."""


def build_scene(track: Track, character: Character, width: int, height: int, fps: float) -> Scene:
    """The scene of a track, its poses resampled to `fps`."""
    shift, azimuth = _arrange(track)
    pos, rot = resample(track.body_pos, track.body_rot, track.dt, fps)
    ref_pos, ref_rot = resample(track.ref_pos, track.ref_rot, track.dt, fps)
    mocap_pos = np.concatenate((pos, ref_pos + shift), axis=1)
    mocap_rot = np.concatenate((rot, ref_rot), axis=1)
    lookat = _smooth(0.5 * (ref_pos[:, 0] + ref_pos[:, 0] + shift), fps)
    steep = float(np.ptp(track.cell_height)) > 1.0
    elevation = -30.0 if steep else -20.0
    distance = camera_distance(mocap_pos, lookat, azimuth, elevation, width / height)
    hiding = hiding_cells(track, mocap_pos, shift, camera_axes(azimuth, elevation)[0])
    return Scene(
        xml=_xml(track, character, shift, hiding, width, height),
        mocap_pos=mocap_pos,
        mocap_quat=mocap_rot[..., [3, 0, 1, 2]],
        lookat=lookat,
        view=np.array([distance, azimuth, elevation]),
        seconds=np.arange(len(pos)) / fps,
    )


def resample(pos: np.ndarray, rot: np.ndarray, dt: float, fps: float) -> Tuple[np.ndarray, np.ndarray]:
    """Poses (T, J, 3), (T, J, 4) at another rate; rotations by normalized interpolation."""
    last = len(pos) - 1
    place = np.minimum(np.arange(int(last * dt * fps + 1e-6) + 1) / (dt * fps), last)
    lower = place.astype(int)
    upper = np.minimum(lower + 1, last)
    t = (place - lower)[:, None, None]
    other = rot[upper] * np.where((rot[lower] * rot[upper]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    mixed = (1 - t) * rot[lower] + t * other
    return (1 - t) * pos[lower] + t * pos[upper], mixed / np.linalg.norm(mixed, axis=-1, keepdims=True)


def _arrange(track: Track) -> Tuple[np.ndarray, float]:
    """Where the reference's slab goes (3,) and the camera's azimuth: three-quarter front view, reference behind."""
    size = np.array(track.cell_height.shape) * track.dx
    path = track.ref_pos[-1, 0, :2] - track.ref_pos[0, 0, :2]
    across = int(np.argmin(size))  # the slabs lie side by side along this axis
    along = 1 - across
    shift = np.zeros(3)
    shift[across] = size[across] + _GAP_M
    sign = 1.0 if path[along] >= 0 else -1.0
    look = np.zeros(2)
    look[across], look[along] = math.cos(_TURN), -sign * math.sin(_TURN)
    return shift, math.degrees(math.atan2(look[1], look[0]))


def camera_distance(
    points: np.ndarray, lookat: np.ndarray, azimuth: float, elevation: float, aspect: float
) -> float:
    """The smallest distance at which all points (T, P, 3) stay inside the picture, with some room."""
    forward, right, up = camera_axes(azimuth, elevation)
    relative = points - lookat[:, None]
    reach = _ROOM * math.tan(math.radians(_FOV_DEG / 2))
    # A point at depth d + forward·p is seen while |right·p| <= reach · aspect · depth, and alike upwards.
    wide = np.abs(relative @ right) / (reach * aspect) - relative @ forward
    high = np.abs(relative @ up) / reach - relative @ forward
    return float(max(wide.max(), high.max(), 3.0))


def camera_axes(azimuth: float, elevation: float) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forward, right and up of MuJoCo's free camera (degrees)."""
    az, el = math.radians(azimuth), math.radians(elevation)
    forward = np.array([math.cos(el) * math.cos(az), math.cos(el) * math.sin(az), math.sin(el)])
    right = np.array([math.sin(az), -math.cos(az), 0.0])
    return forward, right, np.cross(right, forward)


def hiding_cells(track: Track, points: np.ndarray, shift: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Which columns of the two slabs stand between bodies (T, P, 3) and the camera. (2, nx, ny) bool."""
    steps = np.arange(_RAY_FROM_M, _RAY_TO_M, 0.25 * track.dx)
    rays = points[::4, :, None] - steps[:, None] * forward
    hiding = np.zeros((2, *track.cell_height.shape), dtype=bool)
    limit = np.array(track.cell_height.shape)
    for slab, offset in enumerate((np.zeros(3), shift)):
        cell = np.round((rays[..., :2] - offset[:2] - track.cell_xy[0, 0]) / track.dx).astype(int)
        inside = ((cell >= 0) & (cell < limit)).all(-1)
        i, j = cell[inside].T
        hit = track.cell_height[i, j] > rays[..., 2][inside]
        hiding[slab, i[hit], j[hit]] = True
    return hiding


def _smooth(path: np.ndarray, fps: float) -> np.ndarray:
    """Moving average (T, 3) with the ends held."""
    half = max(int(_SMOOTH_S * fps), 1)
    padded = np.concatenate((np.repeat(path[:1], half, 0), path, np.repeat(path[-1:], half, 0)))
    kernel = np.hanning(2 * half + 3)[1:-1]
    kernel = kernel / kernel.sum()
    return np.stack([np.convolve(padded[:, k], kernel, mode="valid") for k in range(3)], axis=1)


def _xml(
    track: Track, character: Character, shift: np.ndarray, hiding: np.ndarray, width: int, height: int
) -> str:
    root, world = begin_scene(
        "recording", track, 0.5 * shift[:2], float(np.abs(shift).max()), light_direction(shift), width, height
    )
    for offset, hidden in zip((np.zeros(3), shift), hiding):
        add_ground(world, track, offset, hidden)
    for prefix, color in (("trained", TRAINED_RGB), ("reference", REFERENCE_RGB)):
        add_character(world, character, prefix, color)
    return ET.tostring(root, encoding="unicode")


def begin_scene(
    model: str, track: Track, shift: np.ndarray, further: float, light: np.ndarray, width: int, height: int
) -> Tuple[ET.Element, ET.Element]:
    """A model with sky, light and camera settings around a track's ground, and nothing in it.

    Args:
        shift: (2,) m, by which the scene's middle lies beside the ground's.
        further: m, by which the scene is larger than the ground.
        light: (3,) direction of the light.
        width, height: of the picture, pixels.

    Returns:
        (root, worldbody).
    """
    root = ET.Element("mujoco", model=model)
    ET.SubElement(root, "compiler", angle="radian")
    low, high = float(track.cell_height.min()), float(track.cell_height.max())
    center = track.cell_xy.reshape(-1, 2).mean(0) + shift
    extent = float(np.linalg.norm(np.array(track.cell_height.shape) * track.dx)) + further
    add_visual(root, extent, width, height)
    ET.SubElement(root, "statistic", extent=repr(extent), center=numbers_text((*center, low)))
    sky = {
        "rgb1": numbers_text(BACKGROUND_RGB),
        "rgb2": numbers_text(BACKGROUND_RGB),
        "width": "32",
        "height": "32",
    }
    ET.SubElement(ET.SubElement(root, "asset"), "texture", type="skybox", builtin="flat", attrib=sky)
    world = ET.SubElement(root, "worldbody")
    ET.SubElement(
        world,
        "light",
        directional="true",
        castshadow="true",
        pos=numbers_text((*center, high + 6.0)),
        dir=numbers_text(light),
        diffuse=".55 .54 .52",
        specular=".12 .12 .12",
    )
    return root, world


def add_visual(root: ET.Element, extent: float, width: int, height: int) -> None:
    visual = ET.SubElement(root, "visual")
    ET.SubElement(visual, "global", offwidth=str(width), offheight=str(height), fovy=repr(_FOV_DEG))
    # Without a GPU multisampling costs ten times what a larger picture does that is scaled down afterwards.
    ET.SubElement(visual, "quality", offsamples="0", shadowsize="2048")
    ET.SubElement(visual, "headlight", ambient=".38 .38 .38", diffuse=".28 .28 .28", specular="0 0 0")
    ET.SubElement(visual, "map", znear=repr(0.05 / extent), zfar=repr(100.0 / extent), shadowclip="1.6")


def light_direction(shift: np.ndarray) -> np.ndarray:
    """From the camera's side and above, so that shadows fall backwards."""
    along = shift[:2] / np.linalg.norm(shift[:2])
    # Lower light than this makes moiré patterns in the shadow map.
    return np.array([0.28 * along[0] - 0.2 * along[1], 0.28 * along[1] + 0.2 * along[0], -1.0])


def add_ground(world: ET.Element, track: Track, offset: np.ndarray, hiding: np.ndarray) -> None:
    bottom = float(track.cell_height.min()) - _SLAB_M
    rise = track.cell_height - track.cell_height.min()
    tint = rise / max(float(rise.max()), _FULL_TINT_M)
    for (i, j), height in np.ndenumerate(track.cell_height):
        half = 0.5 * (float(height) - bottom)
        color = ((1 - tint[i, j]) * _LOW + tint[i, j] * _HIGH) * (_CHECK if (i + j) % 2 else 1.0)
        x, y = track.cell_xy[i, j] + offset[:2]
        ET.SubElement(
            world,
            "geom",
            type="box",
            pos=numbers_text((x, y, bottom + half)),
            size=numbers_text((0.5 * track.dx, 0.5 * track.dx, half)),
            rgba=numbers_text((*color, _GLASS if hiding[i, j] else 1.0)),
        )


def add_character(world: ET.Element, character: Character, prefix: str, color: Tuple[float, ...]) -> None:
    bodies: List[ET.Element] = [
        ET.SubElement(world, "body", name=f"{prefix}_{name}", mocap="true") for name in character.body_names
    ]
    for geom in character.geoms:
        x, y, z, w = geom.quat
        # Hands, feet and single balls a little darker: it gives the body structure.
        shade = 0.82 if geom.type in ("box", "sphere") and character.body_names[geom.body] != "head" else 1.0
        ET.SubElement(
            bodies[geom.body],
            "geom",
            type=geom.type,
            size=numbers_text(geom.size),
            pos=numbers_text(geom.pos),
            quat=numbers_text((w, x, y, z)),
            rgba=numbers_text((*(shade * np.array(color)), 1.0)),
        )


def numbers_text(values: Iterable[float]) -> str:
    return " ".join(f"{float(v):.6g}" for v in values)
