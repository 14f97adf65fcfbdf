"""Curves and balance of synthetic motions against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.character.masses import body_masses
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.synthetic import balance, curves


def test_smoothstep_by_hand():
    # s³ (10 − 15 s + 6 s²): at 1/4, 0.015625 · 6.625
    got = curves.smoothstep(np.array([-1.0, 0.0, 0.25, 0.5, 1.0, 7.0]))
    np.testing.assert_allclose(got, [0.0, 0.0, 0.103515625, 0.5, 1.0, 1.0])


def test_through_waypoints():
    values = np.array([[0.0], [2.0], [2.0], [1.0]])
    got = curves.through(np.array([-1.0, 0.0, 0.5, 1.5, 2.5, 9.0]), np.array([0.0, 1.0, 2.0, 3.0]), values)
    np.testing.assert_allclose(got[:, 0], [0.0, 0.0, 1.0, 2.0, 1.5, 1.0])
    np.testing.assert_array_equal(curves.through(np.zeros(2), np.zeros(1), np.ones((1, 3))), np.ones((2, 3)))


def test_smooth_below_never_crosses_its_bound():
    bound = np.random.default_rng(0).uniform(size=60).cumsum() % 1.3
    smooth = curves.smooth_below(bound, 4)
    assert (smooth <= bound + 1e-12).all()
    assert np.abs(np.diff(smooth)).max() < np.abs(np.diff(bound)).max()
    np.testing.assert_allclose(curves.smooth_below(np.full(9, 2.0), 3), 2.0)


def test_pendulum_solves_its_equation():
    zmp = np.random.default_rng(1).normal(size=(40, 2))
    com = balance.solve_pendulum(zmp, 0.9, 1 / 30)
    acceleration = (com[2:] - 2 * com[1:-1] + com[:-2]) * 900
    np.testing.assert_allclose(com[1:-1] - 0.9 / 9.81 * acceleration, zmp[1:-1], atol=1e-9)
    np.testing.assert_array_equal(com[[0, -1]], zmp[[0, -1]])


def test_pendulum_leads_a_shift_of_weight():
    """The centre of mass moves before the support does, half-way when it does, by symmetry."""
    zmp = np.repeat([[0.0], [1.0]], 30, axis=0)
    com = balance.solve_pendulum(zmp, 0.9, 1 / 30)[:, 0]
    assert 0.0 < com[20] < com[29] < 0.5 < com[30] < 1.0
    assert com[29] + com[30] == pytest.approx(1.0)


def test_measured_zmp_of_one_mass():
    """x = t² / 2, z = 1 above ground at 0.5: p = x − 0.5 · 1 / 9.81; at rest at both ends by definition."""
    times = np.arange(5) * 0.1
    centers = np.stack((0.5 * times**2, np.zeros(5), np.full(5, 1.0)), axis=-1)[:, None]
    zmp = balance.measured_zmp(centers, np.array([3.0]), np.full(5, 0.5), 0.1)
    np.testing.assert_allclose(zmp[1:-1, 0], 0.5 * times[1:-1] ** 2 - 0.5 / 9.81, atol=1e-9)
    np.testing.assert_allclose(zmp[[0, -1], 0], [0.0, 0.08])


def test_measured_zmp_weighs_a_rising_mass_more():
    """Two masses of 1 kg at x = 0 and 1; the second rises at 9.81 m/s²: it weighs double, p = 2/3."""
    z = 0.5 * 9.81 * (np.arange(3) * 0.1) ** 2
    centers = np.zeros((3, 2, 3))
    centers[:, 1, 0], centers[:, 1, 2] = 1.0, z
    zmp = balance.measured_zmp(centers, np.ones(2), np.zeros(3), 0.1)
    assert zmp[1, 0] == pytest.approx(2 / 3)


def test_masses_of_the_humanoid():
    mass, center = body_masses(load_character(PROJECT_ROOT / "data/assets/humanoid.xml"))
    assert float(mass.sum()) == pytest.approx(50.05, abs=0.02)
    # A foot box: 8 · 0.0885 · 0.045 · 0.0275 · 1141 kg around (0.045, 0, −0.0225).
    assert float(mass[11]) == pytest.approx(8 * 0.0885 * 0.045 * 0.0275 * 1141, rel=1e-5)
    assert center[11].tolist() == pytest.approx([0.045, 0.0, -0.0225])
