"""A small BVH skeleton with the character's own bones, so that poses have known answers.

y up, centimetres, facing z: x, y and z of the file are y, z and x of the character. So the character's rotations about
x, y and z are channels Zrotation, Xrotation and Yrotation.
"""

from __future__ import annotations

import numpy as np

from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT

CHARACTER = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
NAMES = {"pelvis": "Hips", "torso": "Spine", "head": "Head"}
for _side in ("left", "right"):
    _parts = (
        ("upper_arm", "Arm"),
        ("lower_arm", "ForeArm"),
        ("hand", "Hand"),
        ("thigh", "UpLeg"),
        ("shin", "Leg"),
    )
    for _ours, _theirs in (*_parts, ("foot", "Foot")):
        NAMES[f"{_side}_{_ours}"] = f"{_side.capitalize()}{_theirs}"
CHANNEL_OF = {"x": "Zrotation", "y": "Xrotation", "z": "Yrotation"}
ORDER = ("Zrotation", "Xrotation", "Yrotation")


def bvh_text(
    angles: dict[tuple[str, str], np.ndarray],
    count: int,
    fps: float = 30.0,
    place: np.ndarray | None = None,
    order: tuple[str, ...] = ORDER,
    scale: float = 100.0,
) -> str:
    """A file in which bodies turn about single axes: (body, "x") -> (n,) rad; the hips are at `place` (n, 3) m."""
    offsets = CHARACTER.local_translation.double().numpy()[:, [1, 2, 0]] * scale
    columns: list[np.ndarray] = []
    lines = ["HIERARCHY"]

    def add(body: int, depth: int) -> None:
        tab, name = "\t" * depth, CHARACTER.body_names[body]
        lines.append(f"{tab}{'ROOT' if body == 0 else 'JOINT'} {NAMES[name]}\n{tab}{{")
        lines.append(f"{tab}\tOFFSET {' '.join(f'{v:.6f}' for v in offsets[body])}")
        channels = (*(("Xposition", "Yposition", "Zposition") if body == 0 else ()), *order)
        lines.append(f"{tab}\tCHANNELS {len(channels)} {' '.join(channels)}")
        if body == 0:
            hips = np.tile([0.0, 0.0, 0.9], (count, 1)) if place is None else place
            columns.extend((hips[:, [1, 2, 0]] * scale).T)
        for channel in order:
            axis = next(ours for ours, theirs in CHANNEL_OF.items() if theirs == channel)
            columns.append(np.rad2deg(angles.get((name, axis), np.zeros(count))))
        children = [b for b in range(CHARACTER.num_bodies) if CHARACTER.parent_indices[b] == body]
        for child in children:
            add(child, depth + 1)
        if not children:
            end = {"foot": (0.0, -0.05, 0.13), "head": (0.0, 0.2, 0.0)}.get(
                name.rsplit("_", maxsplit=1)[-1], (0, 0, 0)
            )
            lines.append(
                f"{tab}\tEnd Site\n{tab}\t{{\n{tab}\t\tOFFSET {' '.join(str(scale * v) for v in end)}\n{tab}\t}}"
            )
        lines.append(f"{tab}}}")

    add(0, 0)
    rows = "\n".join(" ".join(f"{value:.6f}" for value in row) for row in np.array(columns).T)
    return "\n".join(lines) + f"\nMOTION\nFrames: {count}\nFrame Time: {1 / fps:.8f}\n{rows}\n"
