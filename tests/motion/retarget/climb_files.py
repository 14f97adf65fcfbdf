"""A small take of a climb for tests: joint positions and boxes, as `holosoma-retargeting` lays them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parc_core.motion.retarget.climbs import JOINTS

BOX = ((0.1, -0.63, 0.0), (1.3, 0.57, 0.5))  # 1.2 x 1.2 m, its edges beside those of cells at 0
PLACES = ((-0.55, 0.0, 0.0), (0.7, 0.0, 0.5))  # before the box, and on it
_BODY = {
    "Hips": (0, 0, 0.9),
    "Spine": (-0.01, 0, 0.98),
    "Spine1": (0, 0, 1.2),
    "Neck": (0, 0, 1.45),
    "Head": (0.03, 0, 1.6),
    "LeftShoulder": (0, 0.05, 1.4),
    "LeftArm": (0, 0.16, 1.4),
    "LeftForeArm": (0.01, 0.2, 1.1),
    "LeftHand": (0.06, 0.2, 0.86),
    "LeftUpLeg": (0, 0.1, 0.89),
    "LeftLeg": (0.03, 0.1, 0.5),
    "LeftFoot": (0, 0.1, 0.08),
    "LeftToeBase": (0.14, 0.1, 0.03),
    "LeftFootMod": (0, 0.1, 0.08),
}


def standing_body() -> np.ndarray:
    """(53, 3) m: upright at the origin, facing x; fingers at their hand."""
    found = []
    for name, _ in JOINTS:
        left = name.replace("Right", "Left")
        place = _BODY.get(left, _BODY["LeftHand"])
        found.append((place[0], place[1] if left == name else -place[1], place[2]))
    return np.array(found)


def climb(seconds: float = 1.0, fps: int = 120) -> np.ndarray:
    """(T, 53, 3) m: stands before the box, is lifted up and over, stands on it; a third of the time each."""
    count = round(seconds * fps)
    t = np.clip(np.linspace(-1, 2, 3 * count), 0, 1)[:, None]
    before, after = (np.array(place) for place in PLACES)
    path = before + t * (after - before)
    path[:, 2] += 0.4 * np.sin(np.pi * t[:, 0])
    return (standing_body() + path[:, None]).astype(np.float32)


def box_obj(low: tuple[float, float, float], high: tuple[float, float, float]) -> str:
    x, y, z = zip(low, high)
    lines = [f"v {a} {b} {c}" for a in x for b in y for c in z]
    return (
        "\n".join([*lines, "f 2 4 3 1", "f 5 7 8 6", "f 1 5 6 2", "f 3 4 8 7", "f 1 3 7 5", "f 2 6 8 4"])
        + "\n"
    )


def write_climb(folder: Path, positions: np.ndarray | None = None) -> Path:
    """A take's folder; its array."""
    folder.mkdir(parents=True)
    path = folder / "take_joint_positions_f0-360.npy"
    np.save(path, climb() if positions is None else positions)
    (folder / "multi_boxes.obj").write_text(box_obj(*BOX))
    return path
