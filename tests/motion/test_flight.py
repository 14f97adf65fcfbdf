"""Flights against free fall worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from parc_core.motion.flight import CLEAR, Flight, FlightMeter, off_free_fall, worst_of
from parc_core.terrain.heightfield import Heightfield
from tests.engines.scenes import LEG
from tests.envs.scenes import humanoid
from tests.motion.test_quality import clip, terrain

FPS = 30
METER = FlightMeter(humanoid())


def jump(seconds: float, gravity: float):
    """The T-pose on the ground for 5 frames, in a jump of so long under that gravity, and on the ground again."""
    t = np.arange(round(seconds * FPS) + 1) / FPS
    heights = np.concatenate((np.zeros(5), 0.5 * gravity * t * (seconds - t), np.zeros(5)))
    moved = clip(np.zeros(len(heights)), LEG)
    moved.root_pos[:, 2] += heights.astype(np.float32)
    return moved


def test_a_jump_under_gravity_is_free_fall():
    (flight,) = METER.flights(jump(0.6, 9.81), terrain())
    assert flight.off_m < 1e-3
    # 0.5 g t (0.6 − t) is above 0.1 m from frame 2 to 16 of 18, five frames after the beginning.
    assert (flight.begin_s, flight.end_s) == pytest.approx((7 / FPS, 21 / FPS))


def test_half_the_gravity_shows_as_the_difference_of_the_parabolas():
    (flight,) = METER.flights(jump(0.8, 4.905), terrain())
    seconds = flight.end_s - flight.begin_s
    assert flight.off_m == pytest.approx(4.905 * seconds**2 / 8, rel=0.02) and flight.off_m > 0.2


def test_the_way_aside_counts_too():
    t = np.arange(13)[:, None] / FPS
    straight = np.concatenate((2.0 * t, 0.0 * t, 3.0 * t - 0.5 * 9.81 * t**2), axis=1)
    assert off_free_fall(straight, FPS) == pytest.approx(0.0, abs=1e-9)
    straight[6, 1] = 0.07
    assert off_free_fall(straight, FPS) == pytest.approx(0.07)


@pytest.mark.parametrize("height", [0.0, CLEAR - 0.02])
def test_who_stands_or_hovers_a_little_does_not_fly(height):
    assert METER.flights(clip(np.zeros(20), LEG + height), terrain()) == []
    assert worst_of([]) == 0.0


@pytest.mark.parametrize(("side", "flights"), [(0.82, 0), (0.92, 1)])
def test_who_holds_on_to_a_wall_does_not_fly(side, flights):
    """The hands of the T-pose reach to y = ±0.757 m, and a wall begins at y = `side`."""
    hf = np.zeros((11, 11), np.float32)
    hf[:, 7:] = 3.0
    ground = Heightfield(hf, np.array([-2.0, side + 0.2 - 7 * 0.4], np.float32), 0.4)
    assert len(METER.flights(clip(np.zeros(20), LEG + 1.0), ground)) == flights


def test_a_character_without_masses_has_no_flights():
    weightless = dataclasses.replace(
        humanoid(), geoms=[dataclasses.replace(geom, density=0.0) for geom in humanoid().geoms]
    )
    assert FlightMeter(weightless).flights(jump(0.6, 9.81), terrain()) == []


def test_short_stretches_say_nothing_and_the_worst_counts():
    hops = clip(np.zeros(20), LEG)
    hops.root_pos[5:8, 2] += 0.5  # three frames
    assert METER.flights(hops, terrain()) == []
    assert worst_of([Flight(0.0, 1.0, 0.2), Flight(2.0, 3.0, 0.3)]) == 0.3
