"""Archives as AMASS has them, for tests."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

FACING_X = np.array(
    [1.2092, 1.2092, 1.2092]
)  # y up, z forward to z up, x forward: 120 degrees about (1, 1, 1)


def standing(frames: int = 8, size: int = 156, scale: float = 1.0) -> dict[str, Any]:
    """Upright in the T-pose, facing x."""
    poses, trans = np.zeros((frames, size)), np.zeros((frames, 3))
    poses[:, :3], trans[:, 2] = FACING_X, scale * 0.94 - 0.02
    return {
        "poses": poses,
        "trans": trans,
        "mocap_framerate": 120.0,
        "betas": np.zeros(16),
        "gender": "female",
    }


def archive(values: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{key: np.asarray(value) for key, value in values.items()})
    return buffer.getvalue()
