"""Penetration, skating and jerk against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionClip
from parc_core.motion.quality import Quality, QualityMeter, check_limits, mean_quality, penetration_depth
from parc_core.terrain.heightfield import Heightfield
from tests.engines.scenes import FEET, LEG
from tests.envs.scenes import humanoid


def terrain(step: float = 0.0) -> Heightfield:
    """9 × 9 cells of 0.4 m around the origin; those from x = 0.2 m on are `step` high."""
    hf = np.zeros((9, 9), np.float32)
    hf[5:] = step
    return Heightfield(hf, np.full(2, -1.6, np.float32), 0.4)


def clip(x: np.ndarray, z: float, contacts: np.ndarray | None = None, fps: int = 30) -> MotionClip:
    """The T-pose moved along x (n,) m, its root at height z."""
    n = len(x)
    rot = np.tile(np.array([0, 0, 0, 1], np.float32), (n, 1))
    pos = np.stack((x, np.zeros(n), np.full(n, z)), axis=1).astype(np.float32)
    touch = np.zeros((n, 15), np.float32) if contacts is None else contacts
    return MotionClip(pos, rot, np.tile(rot[:, None], (1, 14, 1)), touch, fps, "CLAMP")


def test_depth_is_the_shortest_way_out():
    points = np.array([[0.0, 0, 0.1], [0.0, 0, -0.05], [0.25, 0, 0.1], [0.25, 0, 0.58], [0.5, 0, 0.1]])
    # Outside; below flat ground; 5 cm into the step's side; 2 cm below its top; 30 cm into its side.
    assert penetration_depth(terrain(0.6), points) == pytest.approx([0.0, 0.05, 0.05, 0.02, 0.3], abs=1e-6)


def test_the_ground_goes_on_beyond_the_border():
    assert penetration_depth(terrain(), np.array([[5.0, 5.0, -0.03]])) == pytest.approx([0.03])


def test_penetration_of_a_standing_character():
    meter = QualityMeter(humanoid())
    stands = meter.measure(clip(np.zeros(5), LEG), terrain())
    assert stands.penetration_max_m == pytest.approx(0.0, abs=1e-4)
    sunk = meter.measure(clip(np.zeros(5), LEG - 0.03), terrain())
    assert sunk.penetration_mean_m == pytest.approx(0.03, abs=1e-4)
    assert sunk.joint_error_m is None


def test_skating_counts_feet_while_they_touch():
    """1 m/s; the feet touch in frames 3 to 6 of 10: three steps of a frame count, all at 1 m/s."""
    contacts = np.zeros((10, 15), np.float32)
    contacts[3:7, FEET] = 1.0
    meter = QualityMeter(humanoid())
    moved = clip(np.arange(10) / 30.0, LEG, contacts)
    assert meter.measure(moved, terrain()).foot_skating_m_s == pytest.approx(1.0, rel=1e-3)
    contacts[3:7, FEET[1]] = 0.0
    assert meter.measure(moved, terrain()).foot_skating_m_s == pytest.approx(1.0, rel=1e-3)
    assert meter.measure(clip(np.arange(10) / 30.0, LEG), terrain()).foot_skating_m_s == 0.0


def test_jerk_of_a_cubic_path():
    """x = t³ has the third derivative 6 m/s³, for every body."""
    t = np.arange(20) / 30.0
    assert QualityMeter(humanoid()).measure(clip(t**3, LEG), terrain()).jerk_m_s3 == pytest.approx(
        6.0, rel=0.02
    )
    assert QualityMeter(humanoid()).measure(clip(t[:3] ** 3, LEG), terrain()).jerk_m_s3 == 0.0


def test_limits():
    quality = Quality(0.1, 0.01, 0.2, 0.3, 50.0)
    assert quality.exceeded({}) == ""
    assert quality.exceeded({"penetration_max_m": 0.2, "jerk_m_s3": 60.0}) == ""
    assert quality.exceeded({"joint_error_m": 0.05}) == "joint_error_m 0.1, more than 0.05"
    with pytest.raises(ConfigError, match="there is no metric 'skating'"):
        check_limits({"skating": 1.0}, "limits")


def test_means():
    means = mean_quality([Quality(0.1, 0.0, 0.0, 1.0, 4.0), Quality(0.3, 0.2, 0.4, 0.0, 8.0)])
    assert means == pytest.approx(
        {
            "joint_error_m": 0.2,
            "penetration_mean_m": 0.1,
            "penetration_max_m": 0.2,
            "foot_skating_m_s": 0.5,
            "jerk_m_s3": 6.0,
        }
    )
    assert mean_quality([Quality(None, 0.0, 0.0, 0.0, 0.0)])["joint_error_m"] is None
    assert mean_quality([])["jerk_m_s3"] is None
