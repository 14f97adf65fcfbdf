"""Locks on files: one holder, children hold on, and waiting can be given up."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from parc_core.system.locks import locked, try_lock


class GaveUp(Exception):
    pass


def give_up(seconds: float) -> None:
    raise GaveUp


def test_a_file_that_is_opened_twice_is_locked_once(tmp_path):
    path = tmp_path / "lock"
    with open(path, "a") as first, open(path, "a") as second:
        assert try_lock(first)
        assert not try_lock(second)
        first.close()
        assert try_lock(second)


def test_who_waits_is_asked_before_each_attempt_and_may_give_up(tmp_path):
    waited: list[float] = []

    def some_times(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise GaveUp

    path = tmp_path / "lock"
    with locked(open(path, "a")), pytest.raises(GaveUp), locked(open(path, "a"), some_times, poll=0.001):
        pytest.fail("two at once")
    assert waited == sorted(waited)
    with locked(open(tmp_path / "lock", "a"), give_up):
        pass


def test_without_a_word_it_waits_until_the_lock_is_free(tmp_path):
    order: list[str] = []

    def second() -> None:
        with locked(open(tmp_path / "lock", "a")):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(open(tmp_path / "lock", "a")):
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_child_with_the_descriptor_holds_the_lock_too(tmp_path):
    with locked(open(tmp_path / "lock", "a")) as descriptor:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[descriptor]
        )
    with pytest.raises(GaveUp), locked(open(tmp_path / "lock", "a"), give_up):
        pytest.fail("taken though the child runs")
    child.communicate(b"\n")
    with locked(open(tmp_path / "lock", "a"), give_up):
        pass
