"""Parts of the live viewer that need no browser."""

from __future__ import annotations

import socket

import numpy as np
import pytest

from parc_core.errors import ConfigError
from parc_core.viewing.live import free_port
from parc_core.viewing.live_numbers import numbers_html
from parc_core.viewing.live_scene import body_under
from parc_core.viewing.player import Player
from parc_core.viewing.source import Frame
from tests.viewing.test_player import Clips


def frame(**more):
    pos = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.2]])
    return Frame(pos, np.tile([0.0, 0, 0, 1], (2, 1)), np.zeros(2, dtype=bool), **more)


def test_a_click_meets_the_body_that_its_ray_passes_closest():
    eye = np.array([3.0, 0.0, 1.0])
    assert body_under(frame(), eye, np.array([-1.0, 0.0, 0.0])) == 0
    down = np.array([-3.0, 0.0, -0.8])
    assert body_under(frame(), eye, down / np.linalg.norm(down)) == 1
    assert body_under(frame(), eye, np.array([0.0, 1.0, 0.0])) is None
    assert body_under(frame(), eye, np.array([1.0, 0.0, 0.0])) is None  # behind the one who looks


def test_a_taken_port_is_refused_and_left_out_where_none_is_asked_for(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: .*choose another --port"):
            free_port("127.0.0.1", port)
        monkeypatch.setattr("parc_core.viewing.live.DEFAULT_PORT", port)
        assert free_port("127.0.0.1", None) > port
    assert free_port("127.0.0.1", port) == port


def test_numbers_are_said_with_units_and_names_cannot_be_markup():
    shown = numbers_html(
        Player(Clips()), frame(numbers={"joint_error_m": 0.0314, "pose_r": 0.5}, note="<b>lost</b>")
    )
    assert "joint error <b>0.031</b> m" in shown and "width:50%" in shown
    assert "&lt;b&gt;lost" in shown and "frame 0 of 10" in shown


def test_numbers_have_their_limits_and_the_first_one_its_curve():
    player = Player(Clips())
    shown = numbers_html(player, frame(numbers={"joint_error_m": 0.25, "root_pos_m": 0.7}))
    assert "root pos <b style=color:#c0392b>0.700</b> m (limit 0.6)" in shown
    assert (
        'points="0.0,43.0 24.0,2.0 72.0,22.5"' in shown
    )  # of frames 0, 1 and 3 of 0 to 10: one is not a number
    assert shown.count("<svg") == 1 and "nan" not in shown
