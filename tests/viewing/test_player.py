"""The player's state over a source that counts what it is asked."""

from __future__ import annotations

import numpy as np
import pytest

from parc_core.viewing.clip_scene import Mark
from parc_core.viewing.player import Player
from parc_core.viewing.source import Frame

DT = 0.1
BODIES = np.zeros((2, 3)), np.tile([0.0, 0, 0, 1], (2, 1)), np.zeros(2, dtype=bool)


class Clips:
    """Clips of 11 frames; those of `lost` turn out to be lost at frame 5 and end at frame 7."""

    can_push = False
    limits = {"root_pos_m": 0.6}  # noqa: RUF012

    def __init__(self, *lost: int) -> None:
        self.names = ["walk/slow", "walk/fast", "Jump/high", "run"]
        self.dt = DT
        self.lost = lost
        self.selected: list[int] = []
        self.select(0)

    def select(self, clip):
        self.clip, self.num_frames, self.marks = clip, 11, ()
        self.selected.append(clip)

    def curve(self):
        return [0.0, 0.5, float("nan"), 0.25]

    def frame(self, number):
        if self.clip in self.lost and number >= 5:
            self.num_frames, self.marks = 8, (Mark("lost", 5 * DT, 7 * DT, "lost: fall"),)
        return Frame(*BODIES, numbers={"frame": min(number, self.num_frames - 1)})


def test_time_moves_frames_at_the_chosen_speed():
    player = Player(Clips())
    assert not player.tick(5.0) and player.frame == 0  # it does not play yet
    player.play(True)
    assert not player.tick(0.06)
    assert player.tick(0.06) and player.frame == 1
    player.speed = 2.0
    assert player.tick(0.1) and player.frame == 3
    player.speed = 0.1
    assert not player.tick(0.5) and player.frame == 3


def test_it_stops_at_the_end_and_plays_from_the_start_again():
    player = Player(Clips())
    player.play(True)
    player.tick(3.0)
    assert (player.frame, player.playing) == (10, False)
    player.play(True)
    assert (player.frame, player.playing) == (0, True)


def test_repeating_begins_anew():
    player = Player(Clips())
    player.repeat = True
    player.play(True)
    player.tick(1.0)
    assert (player.frame, player.playing) == (10, True)
    player.tick(0.1)
    assert (player.frame, player.playing) == (0, True)


def test_steps_and_scrubbing_stay_within_the_clip_and_show_the_frame():
    player = Player(Clips())
    player.play(True)
    player.step(-1)
    assert (player.frame, player.playing) == (0, False)
    player.seek(7)
    assert player.now().numbers["frame"] == 7
    player.step(1)
    assert player.time == pytest.approx(0.8)
    player.seek(99)
    assert player.frame == 10


def test_a_clip_that_turns_out_to_be_lost_ends_earlier():
    player = Player(Clips(0))
    player.seek(10)
    assert player.now().numbers["frame"] == 7 and player.frame == 7
    player.choose(0)
    player.play(True)
    player.tick(2.0)
    assert (player.frame, player.playing) == (7, False)


def test_the_next_failure_is_found_behind_the_present_clip_and_around_the_end():
    player = Player(Clips(0, 2))
    assert player.next_failure() and (player.clip, player.frame) == (2, 0)
    assert player.next_failure() and player.clip == 0
    assert player.next_failure([1, 2]) and player.clip == 2


def test_without_a_failure_the_player_stays_where_it_was():
    player = Player(Clips())
    player.choose(1)
    player.seek(4)
    told = []
    assert not player.next_failure(look=lambda done, total: told.append((done, total)) is None)
    assert (player.clip, player.frame) == (1, 4) and told == [(0, 4), (1, 4), (2, 4), (3, 4)]
    assert not player.next_failure(look=lambda done, total: False)  # broken off


def test_a_search_needs_all_words():
    player = Player(Clips())
    assert player.matching("") == [0, 1, 2, 3]
    assert player.matching("JUMP") == [2] and player.matching("walk fast") == [1]
    assert player.matching("swim") == []


def test_there_is_no_clip_beyond_the_last():
    with pytest.raises(IndexError, match="there are 4"):
        Player(Clips()).choose(4)
