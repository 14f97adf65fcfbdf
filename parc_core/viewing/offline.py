"""Scenes in one HTML page that needs no network: `offline_page`, or its parts for a page of one's own.

A page has `player_parts` once, then for each clip a `scene_element` wherever it likes. The player draws with WebGL;
only scenes in view take time and memory, so that a page may have thousands.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any, Optional, Sequence, Union

import numpy as np

from parc_core.character.model import Character
from parc_core.errors import DataError
from parc_core.playback.tracks import Track
from parc_core.viewing.clip_scene import ClipScene, scene_of_track
from parc_core.viewing.packing import packed_character, packed_scene

NO_SCAN = np.zeros((0, 2))
_HERE = Path(__file__).parent


def player_parts(character: Character, scan: np.ndarray = NO_SCAN) -> str:
    """Styles, script and the character's shapes: once in a page, before its scenes or after them.

    Args:
        scan: (P, 2) m, the height scan's points in the heading frame (`env.task.ray_points`); none, no scan.
    """
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("player.css", "player.js"))
    return (
        f"<style>\n{style}</style>\n"
        f'<script type="application/json" id="parc-character">{_json(packed_character(character, scan))}</script>\n'
        f"<script>\n{script}</script>\n"
    )


def scene_element(
    scene: Union[ClipScene, Track], *, start_s: Optional[float] = None, fps: float = 30.0
) -> str:
    """One clip's scene: a block that fills the width of what it is in, `--parc-scene-height` (360px) high.

    Costs 3 to 8 kB for each second of two characters at 30 fps, some less at 15.

    Args:
        start_s: where it stands at first, such as shortly before a loss; default: its start.
        fps: most frames for each second; the player interpolates.
    """
    if isinstance(scene, Track):
        scene = scene_of_track(scene)
    start = "" if start_s is None else f' start="{max(start_s, 0.0):.3f}"'
    data = _json(packed_scene(scene, fps))
    return f'<parc-scene{start}><script type="application/json">{data}</script></parc-scene>\n'


def offline_page(
    scenes: Sequence[Union[ClipScene, Track]],
    character: Character,
    title: str,
    *,
    scan: np.ndarray = NO_SCAN,
    fps: float = 30.0,
) -> str:
    """A page with one scene and, where there are several clips, a chooser with search and "next failure".

    Raises:
        DataError: there is no clip.
    """
    if not scenes:
        raise DataError("there is no clip to show")
    clips = [scene_of_track(scene) if isinstance(scene, Track) else scene for scene in scenes]
    packed = _json([packed_scene(clip, fps) for clip in clips])
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        '</head><body class="parc-page">\n'
        f"<h1>{html.escape(title)}</h1>\n"
        f'<parc-scenes><script type="application/json">{packed}</script></parc-scenes>\n'
        f"{player_parts(character, scan)}</body></html>\n"
    )


def _json(value: Any) -> str:
    """JSON that no text in it can end the script element of."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
