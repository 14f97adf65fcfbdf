"""log.txt, progress.jsonl and TensorBoard tell the same story, whatever happened to the training."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.system.world import ONE_PROCESS, World
from parc_core.training.checkpoint import list_checkpoints
from parc_core.training.curves import tag
from parc_core.training.history import read_outputs
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import small_config, train

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

ITERATION = 64  # samples: 8 environments × 8 steps
Story = dict[tuple[str, int], float]
"""(column, samples) → value, of everything that was measured."""


def config(**changes: Any) -> Any:
    return small_config(use_tensorboard=True, iters_per_output=1, test_episodes=0, **changes)


def story_of_table(out: Path) -> Story:
    header, *rows = (out / "log.txt").read_text().splitlines()
    story: Story = {}
    for row in rows:
        cells = dict(zip(header.split(), row.split(), strict=True))
        samples = int(cells.pop("Samples"))
        for name, text in cells.items():
            assert (name, samples) not in story
            story[name, samples] = float(text)
    return {key: value for key, value in story.items() if math.isfinite(value)}


def story_of_events(out: Path) -> Story:
    """As docs/training.md says: a start or a rollback gives up what was beyond its samples."""
    story: Story = {}
    for line in (out / "progress.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event["event"] in ("start", "rollback"):
            story = {key: value for key, value in story.items() if key[1] <= event["samples"]}
        elif event["event"] in ("output", "restored"):
            story = {key: value for key, value in story.items() if key[1] < event["Samples"]}
            for name, value in event.items():
                if (name[0].isupper() or name.endswith("_r")) and name != "Samples" and value is not None:
                    story[name, event["Samples"]] = value
    return story


def story_of_curves(out: Path) -> Story:
    curves = event_accumulator.EventAccumulator(str(out / "tensorboard"), {"scalars": 0}).Reload()
    story: Story = {}
    for name in curves.Tags()["scalars"]:
        column = name.rpartition("/")[2]
        assert name == tag(column)
        for point in curves.Scalars(name):
            assert (column, point.step) not in story, "a point that is shown twice"
            story[column, point.step] = point.value
    return story


def assert_one_story(out: Path) -> list[int]:
    """Returns the samples at which there is a row."""
    table, events, curves = story_of_table(out), story_of_events(out), story_of_curves(out)
    assert table.keys() == events.keys() == curves.keys()
    for key, value in events.items():
        assert table[key] == pytest.approx(value, rel=1e-5), key
        assert curves[key] == pytest.approx(value, rel=1e-5), key
    return sorted({samples // ITERATION for _, samples in table})


def spoil_newest(out: Path) -> None:
    _, path = list_checkpoints(out / "checkpoints")[0]
    path.write_bytes(b"spoilt")


def test_a_plain_resume_keeps_the_point_at_the_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, 3 * ITERATION, config=config())
    assert ("Loss", 3 * ITERATION) in story_of_curves(tmp_path)
    train(tmp_path, 5 * ITERATION, config=config())
    assert assert_one_story(tmp_path) == [1, 2, 3, 4, 5]


def test_from_an_older_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, 6 * ITERATION, config=config())
    spoil_newest(tmp_path)
    train(tmp_path, 5 * ITERATION, config=config())
    assert assert_one_story(tmp_path) == [1, 2, 3, 4, 5]


def test_a_restart_from_nothing(tmp_path: Path) -> None:
    train(tmp_path, 4 * ITERATION, config=config())
    shutil.rmtree(tmp_path / "checkpoints")
    train(tmp_path, 2 * ITERATION, config=config())
    assert assert_one_story(tmp_path) == [1, 2]


def test_rollbacks(tmp_path: Path) -> None:
    env = FakeEnv()
    env.poison_from, env.poison_count = 8 * 4 + 3, 1
    assert train(tmp_path, 5 * ITERATION, env=env, config=config()).rollbacks == 1
    assert assert_one_story(tmp_path) == [1, 2, 3, 4, 5]


def test_columns_that_come_and_go(tmp_path: Path) -> None:
    train(tmp_path, 2 * ITERATION, config=config(action_entropy_weight=0.01))
    first = (tmp_path / "log.txt").read_text().split("\n")[0].split()
    assert "Action_Entropy" in first and "Test_Return" not in first
    on = small_config(use_tensorboard=True, iters_per_output=1, test_episodes=8)
    train(tmp_path, 4 * ITERATION, config=on)
    assert assert_one_story(tmp_path) == [1, 2, 3, 4]
    table = story_of_table(tmp_path)
    assert [s for name, s in table if name == "Test_Return"] == [3 * ITERATION, 4 * ITERATION]
    assert [s for name, s in table if name == "Action_Entropy"] == [ITERATION, 2 * ITERATION]


def test_curves_that_are_switched_on_later_are_whole(tmp_path: Path) -> None:
    train(tmp_path, 3 * ITERATION, config=small_config(iters_per_output=1, test_episodes=0))
    train(tmp_path, 4 * ITERATION, config=config())
    assert assert_one_story(tmp_path) == [1, 2, 3, 4]


def test_on_another_machine_with_what_comes_from_the_store(tmp_path: Path) -> None:
    """The checkpoint and the table; and back again on the first, whose own events went another way."""
    one, two = tmp_path / "one", tmp_path / "two"
    train(one, 5 * ITERATION, config=config())
    (two / "checkpoints").mkdir(parents=True)
    for path in (one / "checkpoints").glob(f"checkpoint_{3 * ITERATION}.pt*"):
        shutil.copy(path, two / "checkpoints")
    shutil.copy(one / "log.txt", two)
    train(two, 6 * ITERATION, config=config())
    assert assert_one_story(two) == [1, 2, 3, 4, 5, 6]
    said = [json.loads(line)["event"] for line in (two / "progress.jsonl").read_text().splitlines()]
    assert said[:5] == [
        "start",
        "restored",
        "restored",
        "restored",
        "output",
    ]  # what was trained here is told apart
    for path in (two / "checkpoints").glob(f"checkpoint_{6 * ITERATION}.pt*"):
        shutil.copy(path, one / "checkpoints")
    shutil.copy(two / "log.txt", one)
    train(one, 7 * ITERATION, config=config())
    assert assert_one_story(one) == [1, 2, 3, 4, 5, 6, 7]
    assert story_of_table(one)["Wall_Time", 4 * ITERATION] == story_of_table(two)["Wall_Time", 4 * ITERATION]


def test_killed_between_two_of_the_files(tmp_path: Path) -> None:
    train(tmp_path, 3 * ITERATION, config=config())
    table = tmp_path / "log.txt"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]) + "192   0.5  torn")
    train(tmp_path, 4 * ITERATION, config=config())
    assert assert_one_story(tmp_path) == [1, 2, 3, 4]


def test_a_table_whose_columns_an_earlier_version_lost(tmp_path: Path) -> None:
    """The events have them."""
    train(tmp_path, 3 * ITERATION, config=config())
    table = tmp_path / "log.txt"
    lines = [line.split()[:3] for line in table.read_text().splitlines()]
    table.write_text("\n".join("  ".join(cells) for cells in lines) + "\n")
    train(tmp_path, 4 * ITERATION, config=config())
    assert assert_one_story(tmp_path) == [1, 2, 3, 4]


class WithTerms(FakeEnv):
    """Its reward has terms."""

    def episode_stats(self, world: World = ONE_PROCESS) -> dict[str, float]:
        terms = {name: 0.1 * k for k, name in enumerate(TERM_COLUMNS)}
        return {**super().episode_stats(world), **terms}


def test_the_rewards_terms_are_said_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, 2 * ITERATION, env=WithTerms(), config=config())
    header, first, _ = capsys.readouterr().out.splitlines()
    assert header.split()[-6:] == list(TERM_COLUMNS)
    assert first.split()[-6:] == ["0.000", "0.100", "0.200", "0.300", "0.400", "0.500"]
    assert assert_one_story(tmp_path) == [1, 2]
    assert story_of_curves(tmp_path)["contact_r", ITERATION] == pytest.approx(0.5)
    assert story_of_table(tmp_path)["pose_r", 2 * ITERATION] == 0.0


def test_other_files_beside_the_curves_stay(tmp_path: Path) -> None:
    notes = tmp_path / "tensorboard" / "mine" / "events.out.tfevents.1"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    train(tmp_path, ITERATION, config=config())
    assert notes.read_text() == "mine"


def test_hostile_events_are_left_out(tmp_path: Path) -> None:
    lines = [
        '{"event": "output", "samples": 64, "Loss": 1.5}',
        "[" * 100_000,
        '{"event": "output", "samples":',
    ]
    lines += [f'{{"event": "output", "samples": {"9" * 400}}}', '{"event": "output", "samples": null}', "7"]
    (tmp_path / "progress.jsonl").write_text("\n".join(lines))
    assert read_outputs(tmp_path / "progress.jsonl") == [{"Loss": 1.5, "Samples": 64}]
