"""Endings of a trainer as errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from parc_core.supervisor.exit import ExitInfo, TrainerDiverged, TrainerOutOfMemory, memory_kills, raise_for
from parc_core.supervisor.supervise import TrainerCrashed


def error_of(code: int, message: str = "", kind: str = "", memory_kill: bool = False) -> Exception:
    with pytest.raises(TrainerCrashed) as caught:
        raise_for(ExitInfo(code, message, kind, Path("output.log"), memory_kill))
    return caught.value


def test_a_kill_is_for_want_of_memory_where_the_kernel_says_so():
    assert type(error_of(-9)) is TrainerCrashed
    killed = error_of(-9, memory_kill=True)
    assert type(killed) is TrainerOutOfMemory
    assert "lower num_envs" in str(killed)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (1, "", "MemoryError"),
        (1, "CUDA out of memory. Tried to allocate 2 GiB", "OutOfMemoryError"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", ""),
        (1, "OSError: [Errno 12] Cannot allocate memory", ""),
    ],
)
def test_memory_errors_are_named(code, message, kind):
    assert type(error_of(code, message, kind)) is TrainerOutOfMemory


def test_a_kill_of_one_process_of_several_is_told_like_that_of_the_only_one():
    message = "process 2 of 4 was killed by SIGKILL"
    assert type(error_of(70, message, memory_kill=True)) is TrainerOutOfMemory
    killed = error_of(70, message)
    assert type(killed) is TrainerCrashed
    assert str(killed).startswith(
        "the trainer left with code 70 (out of memory?): process 2 of 4 was killed by"
    )
    other = error_of(70, "process 0 of 2 was killed by SIGSEGV", memory_kill=True)
    assert type(other) is TrainerCrashed and "out of memory" not in str(other)
    assert type(error_of(70, f"motion '{message}' is bad", memory_kill=True)) is TrainerCrashed


def test_divergence_is_told_from_a_crash():
    assert type(error_of(70, "training diverged", "TrainingDiverged")) is TrainerDiverged
    assert type(error_of(70, "something else", "ValueError")) is TrainerCrashed


def test_a_store_that_is_away_is_a_crash_that_is_tried_again():
    error = error_of(69, "the store does not answer")
    assert type(error) is TrainerCrashed
    assert error.retries > 1
    assert "the store does not answer" in str(error)


def test_the_kernel_counts_memory_kills():
    assert memory_kills() >= 0
