"""The trainer's events as lines of a log."""

from __future__ import annotations

from tasks.progress import ProgressLines, progress_line

OUTPUT = {
    "event": "output",
    "samples": 250_000,
    "Train_Return": 12.345,
    "Train_Episode_Length": 30.04,
    "Samples_Per_Second": 3210.9,
}


def test_a_line_says_how_far_how_well_how_fast():
    line = progress_line(OUTPUT, 1_000_000)
    assert line == " 25 %      250,000 samples  return 12.35  30.0 steps  3,211 samples/s"


def test_what_is_not_known_yet_is_left_out():
    assert "return" not in progress_line({**OUTPUT, "Train_Return": None}, 1_000_000)


def test_outputs_are_throttled_and_the_end_is_always_said():
    now = 0.0
    lines: list[str] = []
    progress = ProgressLines(1000, lines.append, clock=lambda: now)
    progress.event({"event": "start", "samples": 0})
    for now in (0.0, 3.0, 9.0, 11.0):
        progress.event({**OUTPUT, "samples": int(now * 10)})
    progress.event({"event": "done", "samples": 1000})
    assert [line.split()[0] for line in lines] == ["start", "0", "11", "done"]
    assert progress.samples == 1000


def test_there_is_never_more_than_all_of_it():
    assert progress_line({"samples": 30_720}, 30_000).startswith("100 %")
    assert progress_line({"samples": 29_999}, 30_000).startswith(" 99 %")


def test_between_two_outputs_a_line_comes_every_few_seconds():
    now = 0.0
    lines: list[str] = []
    progress = ProgressLines(1_000_000, lines.append, clock=lambda: now)
    for now in range(0, 31, 5):
        progress.event(
            {
                "event": "heartbeat" if now != 5 else "output",
                **({} if now != 5 else OUTPUT),
                "samples": 1000 * now,
            }
        )
    assert [line.split()[2] for line in lines] == ["0", "10,000", "20,000", "30,000"]
    assert "return" not in lines[0] and lines[1].endswith("return 12.35  30.0 steps  3,211 samples/s")
