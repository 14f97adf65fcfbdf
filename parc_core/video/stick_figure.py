"""Stills without OpenGL: the bodies as lines, drawn with matplotlib."""

from __future__ import annotations

import io
from typing import List, Sequence

import numpy as np

from parc_core.playback.tracks import Track
from parc_core.system.files import PathLike, write_bytes
from parc_core.video.scene import REFERENCE_RGB, TRAINED_RGB

_MOMENTS = 6
_APART_M = 1.4


def draw_stick_figures(track: Track, parents: Sequence[int], path: PathLike) -> None:
    """Writes a PNG: moments of a track from left to right, the reference above the character.

    Args:
        track: poses.
        parents: (J,) parent of each body, −1 for the root.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.2), dpi=120, layout="constrained")
    picks = np.linspace(0, track.num_frames - 1, _MOMENTS).round().astype(int)
    for axes, poses, color, label in zip(
        figure.subplots(2, 1, sharex=True),
        (track.ref_pos, track.body_pos),
        (REFERENCE_RGB, TRAINED_RGB),
        ("reference", "character"),
    ):
        for k, frame in enumerate(picks):
            for line in _lines(poses[frame], parents):
                axes.plot(
                    line[:, 0] + _APART_M * k, line[:, 1], color=color, linewidth=3, solid_capstyle="round"
                )
        axes.set_aspect("equal")
        axes.set_axis_off()
        axes.set_title(f"{track.name}: {label}", loc="left", fontsize=10)
    out = io.BytesIO()
    figure.savefig(out, format="png")
    write_bytes(path, out.getvalue())


def _lines(body_pos: np.ndarray, parents: Sequence[int]) -> List[np.ndarray]:
    """Each body's line from its parent, seen three quarters from the front: (2, 2) right and up, m."""
    relative = body_pos - body_pos[0] * np.array([1.0, 1.0, 0.0])
    seen = np.stack((0.6 * relative[:, 0] + 0.8 * relative[:, 1], relative[:, 2]), axis=1)
    return [seen[[parent, body]] for body, parent in enumerate(parents) if parent >= 0]
