"""Smooth curves through waypoints (numpy, float64)."""

from __future__ import annotations

import numpy as np


def smoothstep(s: np.ndarray) -> np.ndarray:
    """0 before s = 0, 1 after s = 1, quintic in between: velocity and acceleration vanish at both ends."""
    s = np.clip(s, 0.0, 1.0)
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


def through(times: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """From waypoint to waypoint by `smoothstep`, constant beyond both ends.

    Args:
        times: (n,) s.
        knots: (k,) s, not falling; equal knots are a jump.
        values: (k, d).

    Returns:
        (n, d).
    """
    after = np.clip(np.searchsorted(knots, times, side="right"), 1, max(len(knots) - 1, 1))
    if len(knots) == 1:
        return np.repeat(values, len(times), axis=0)
    span = np.maximum(knots[after] - knots[after - 1], 1e-9)
    share = smoothstep((times - knots[after - 1]) / span)[:, None]
    return values[after - 1] + share * (values[after] - values[after - 1])


def smooth_below(bound: np.ndarray, half_width: int) -> np.ndarray:
    """A smooth curve that stays under `bound`: the minimum over ± half_width frames, then their average.

    The average has bell-shaped weights over the same ± half_width frames, none of whose minima lies above the
    bound in the middle. (n,) -> (n,).
    """
    offsets = np.arange(-half_width, half_width + 1)
    n = len(bound)
    lowest = bound[np.clip(np.arange(n)[:, None] + offsets, 0, n - 1)].min(axis=1)
    weights = np.cos(0.5 * np.pi * offsets / (half_width + 1)) ** 2
    return lowest[np.clip(np.arange(n)[:, None] + offsets, 0, n - 1)] @ (weights / weights.sum())
