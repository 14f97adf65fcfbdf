"""Scenes as small JSON for the offline player: numbers quantised, coded by differences in time, and deflated."""

from __future__ import annotations

import base64
import zlib
from typing import Any, Dict, List, Tuple

import numpy as np

from parc_core.character.model import Character
from parc_core.viewing.clip_scene import ClipScene, Figure, Mark

POSITION_STEP = 0.0005  # m
ROTATION_STEP = 1 / 4095  # of a quaternion's component; limbs end up within a millimetre or two
FORCE_STEP = 5.0  # N
HEIGHT_STEP = 0.001  # m
_CURVE_STEPS = 1000  # between a curve's zero and its largest value
_LARGEST = 2**31 - 1


def pack(columns: np.ndarray) -> str:
    """Integers (T, C) as text: differences between rows, zigzag, bytes by significance, deflate, base64.

    Most differences are small, so that most upper bytes are zero and cost next to nothing. `unpack` is the way back
    and what `player.js` does.

    Raises:
        ValueError: a difference needs more than 32 bits.
    """
    values = np.asarray(columns, dtype=np.int64)
    steps = np.diff(values, axis=0, prepend=np.zeros((1, values.shape[1]), np.int64))
    coded = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    if coded.size and int(coded.max()) > _LARGEST:
        raise ValueError("a scene's numbers are too far apart to be packed")
    by_column = np.ascontiguousarray(coded.T.astype("<u4")).reshape(-1)
    planes = by_column.view(np.uint8).reshape(-1, 4).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")


def unpack(text: str, rows: int) -> np.ndarray:
    """The integers (rows, C) of `pack`."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(4, -1)
    coded = np.ascontiguousarray(planes.T).view("<u4").reshape(-1, rows).T.astype(np.int64)
    return np.cumsum(np.where(coded % 2, -(coded + 1) // 2, coded // 2), axis=0)


def packed_character(character: Character, scan: np.ndarray) -> Dict[str, Any]:
    """What all scenes of a character share.

    Args:
        scan: (P, 2) m, the height scan's points in the heading frame.
    """
    shapes = [
        {
            "body": geom.body,
            "type": geom.type,
            "size": _short(geom.size),
            "pos": _short(geom.pos),
            "quat": _short(geom.quat, 5),
        }
        for geom in character.geoms
    ]
    return {
        "bodies": character.body_names,
        "parents": character.parent_indices.tolist(),
        "offsets": [_short(row) for row in character.local_translation.tolist()],
        "shapes": shapes,
        "scan": [_short(row, 2) for row in np.asarray(scan).reshape(-1, 2).tolist()],
    }


def packed_scene(scene: ClipScene, max_fps: float = 30.0) -> Dict[str, Any]:
    """A scene for `player.js`; frames above `max_fps` are left out, the player interpolates."""
    stride = max(1, round(1.0 / (scene.dt * max_fps)))
    kept = np.arange(0, scene.num_frames, stride)
    if kept[-1] != scene.num_frames - 1 and stride > 1:
        kept = np.append(kept, scene.num_frames - 1)
    columns: List[np.ndarray] = []
    figures = [_figure(figure, kept, columns) for figure in scene.figures]
    series = []
    for curve in scene.series:
        values = np.nan_to_num(np.asarray(curve.values, np.float64)[kept], posinf=0.0, neginf=0.0)
        step = max(float(np.abs(values).max()), 1e-9) / _CURVE_STEPS
        columns.append(np.rint(values / step)[:, None])
        series.append({"label": curve.label, "unit": curve.unit, "step": step, "limit": curve.limit})
    return {
        "name": scene.name,
        "times": _times(kept, scene.dt, stride),
        "figures": figures,
        "series": series,
        "marks": [_mark(mark) for mark in scene.marks],
        "ground": _ground(scene),
        "data": pack(np.concatenate(columns, axis=1)),
    }


def _times(kept: np.ndarray, dt: float, stride: int) -> Dict[str, Any]:
    """Frames are `step` apart, but for the last, which may follow sooner."""
    return {"frames": len(kept), "step": dt * stride, "end": float(kept[-1]) * dt}


def _figure(figure: Figure, kept: np.ndarray, columns: List[np.ndarray]) -> Dict[str, Any]:
    """Adds a figure's columns: root (3), rotations (4 J), then forces (3 J) or contacts (J)."""
    columns.append(_steps(figure.root_pos[kept], POSITION_STEP))
    columns.append(_steps(_continuous(figure.body_rot[kept]), ROTATION_STEP))
    touch = ""
    if figure.forces is not None:
        columns.append(_steps(figure.forces[kept], FORCE_STEP))
        touch = "forces"
    elif figure.contacts is not None:
        columns.append((figure.contacts[kept] > 0.5).astype(np.int64))
        touch = "contacts"
    return {"label": figure.label, "ghost": figure.ghost, "touch": touch}


def _steps(values: np.ndarray, step: float) -> np.ndarray:
    """(T, …) -> integers (T, C)."""
    finite = np.nan_to_num(np.asarray(values, np.float64), posinf=0.0, neginf=0.0)
    return np.rint(finite.reshape(len(finite), -1) / step).clip(-_LARGEST // 4, _LARGEST // 4)


def _continuous(quat: np.ndarray) -> np.ndarray:
    """Quaternions (T, J, 4) whose signs do not flip in time: small differences, and mixing two is meaningful."""
    turned = (quat[1:] * quat[:-1]).sum(-1) < 0
    flips = np.cumsum(turned, axis=0) % 2 == 1
    result = np.array(quat, np.float64)
    result[1:][flips] *= -1.0
    return result


def _mark(mark: Mark) -> Dict[str, Any]:
    return {
        "kind": mark.kind,
        "from": round(mark.start_s, 3),
        "to": round(mark.end_s, 3),
        "text": mark.text,
    }


def _ground(scene: ClipScene) -> Dict[str, Any]:
    heights = _steps(scene.cell_height, HEIGHT_STEP)
    x, y = (float(v) for v in scene.cell_xy[0, 0])
    nx, ny = scene.cell_height.shape
    return {"x": x, "y": y, "dx": scene.dx, "nx": nx, "ny": ny, "data": pack(heights)}


def _short(values: Any, digits: int = 4) -> Tuple[float, ...]:
    return tuple(round(float(v), digits) for v in values)
