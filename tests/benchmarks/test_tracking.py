"""The tracking benchmark: what it counts, how its trainings go on, and one of seconds from folders to the table."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import tracking_benchmark, tracking_runs
from benchmarks.tracking_numbers import markdown, numbers_of, picture
from benchmarks.tracking_runs import Plan, _command, check_evaluations, is_done, preset_file, runs_of
from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.errors import ConfigError
from parc_core.evaluation.success import RULES
from parc_core.motion.synthetic import make_dataset
from tests.evaluation.sample_data import clip


def _clip(name: str, completed: bool, error: float):
    answers = dict(zip(RULES, (completed, completed or error < 0.5, True)))
    return dataclasses.replace(clip(name, 1.0 if completed else 0.5, error, 1.0), success=answers)


def test_seeds_share_their_clips() -> None:
    """Two seeds with two clips are two trials, not four."""
    seeds = [[_clip("a", True, 0.1), _clip("b", False, 0.3)], [_clip("a", True, 0.2), _clip("b", True, 0.2)]]
    found = numbers_of(seeds, {"a": True, "b": False})
    assert set(found) == {"all", "flat", "terrain"} and found["all"]["clips"] == 2
    assert found["all"]["last_frame"]["share"] == 0.75 and found["all"]["last_frame"]["seeds"] == [0.5, 1.0]
    assert found["flat"]["last_frame"]["interval"] == (pytest.approx(0.2065, abs=1e-3), 1.0)  # 1 of 1
    assert found["all"]["joint_error_m"]["mean"] == pytest.approx(0.2)  # of a 0.15, of b 0.25
    assert found["all"]["joint_error_completed_m"]["mean"] == pytest.approx(
        0.175
    )  # of b only where completed
    assert found["all"]["joint_error_m"]["interval"][0] == 0.0  # an error is not negative


def test_table_and_picture_have_every_number() -> None:
    numbers = {"mine <1>": {"train": numbers_of([[_clip("a", True, 0.1)]], {"a": True})}}
    lines = markdown(numbers).splitlines()
    assert len(lines) == 4 and "| mine <1> | train: 1 | 100.0 % (21–100) |" in lines[2]
    drawn = ET.fromstring(picture(numbers, "success"))
    assert len([each for each in drawn.iter() if each.tag.endswith("rect")]) == 2 + 2 * len(RULES)


def test_presets_are_files_and_names_must_differ() -> None:
    for name in tracking_runs.PRESETS:
        load_agent_config(preset_file(name, "agent"))
        load_env_config(preset_file(name, "env"))
    runs = runs_of(["cpu", "/somewhere/mine.yaml"], None, [0, 1])
    assert [(run.name, run.seed) for run in runs] == [("cpu", 0), ("cpu", 1), ("mine", 0), ("mine", 1)]
    assert runs[0].env_file == "data/configs/cpu/env.yaml" and runs[2].env_file == "data/configs/gpu/env.yaml"
    with pytest.raises(ConfigError, match="two configs are called a"):
        runs_of(["x/a.yaml", "y/a.yaml"], None, [0])


def test_a_training_is_done_by_time_or_by_samples() -> None:
    plan = Plan(Path("o"), Path("t"), Path("h"), 60.0, 1000, 8, "cpu", "mujoco")
    assert is_done({"seconds": 59.5, "samples": 0}, plan) and is_done({"seconds": 1, "samples": 1000}, plan)
    assert not is_done({"seconds": 50.0, "samples": 999}, plan)


def test_what_is_measured_is_shown_when_a_call_ends(tmp_path, monkeypatch) -> None:
    split = {part: {"motions_yaml": "m.yaml", "motions": 1, "clips": 1} for part in ("train", "held_out")}
    monkeypatch.setattr(tracking_benchmark, "prepared", lambda args, out: split)
    monkeypatch.setattr(
        tracking_benchmark, "train_on", lambda run, plan, until: {"seconds": 9.0, "samples": 1e9}
    )
    monkeypatch.setattr(tracking_benchmark, "evaluated", lambda run, *_: run.seed < 2)
    shown = []
    monkeypatch.setattr(
        tracking_benchmark, "show", lambda done, *_: shown.append([run.seed for run, _ in done])
    )
    known = []
    monkeypatch.setattr(tracking_benchmark, "is_evaluated", lambda run, *_: run.seed in known)
    command = [str(tmp_path), "--device", "cpu", "--seeds", "0", "1", "2"]
    for _ in range(2):
        with pytest.raises(SystemExit) as stopped:
            tracking_benchmark.main(command)
        assert stopped.value.code == 75
        known.append(0)
    assert shown == [[0], [0, 1], [0, 1]]  # what an earlier call has shown is not shown again


def test_a_table_of_some_trainings_says_so() -> None:
    runs = [(run, {}) for run in runs_of(["gpu", "cpu"], None, [0, 1])]
    assert tracking_benchmark._count(runs, 4) == "2 seeds"
    assert tracking_benchmark._count(runs[:3], 4) == "1 to 2 seeds (3 of 4 trainings)"
    assert tracking_benchmark._count(runs[:1], 1) == "1 seed"


def test_trainings_that_heed_evaluations_have_them(tmp_path) -> None:
    (tmp_path / "agent.yaml").write_text("iters_per_evaluation: 5\n")
    (tmp_path / "env.yaml").write_text("env_name: ig_parkour\nenv: {dm: {hard_motion_boost: 4.0}}\n")
    plan = Plan(tmp_path, Path("t"), Path("h"), 60.0, 1000, 8, "cpu", "mujoco")
    for env, pace in ((str(tmp_path / "env.yaml"), 5), ("demo", 0)):
        (run,) = runs_of([str(tmp_path / "agent.yaml")], env, [0])
        run.folder(plan).mkdir(parents=True, exist_ok=True)
        _command(run, plan)
        assert load_agent_config(run.folder(plan) / "agent.yaml").iters_per_evaluation == pace


def test_a_training_without_the_evaluations_that_it_heeds_is_refused_before_any(tmp_path) -> None:
    (tmp_path / "mine.yaml").write_text("test_episodes: 0\n")
    runs = runs_of(["gpu", str(tmp_path / "mine.yaml")], None, [0])
    check_evaluations(runs[:1])
    with pytest.raises(ConfigError, match=r"mine: .*gpu.env.yaml: 'env.dm.hard_motion_boost' needs"):
        check_evaluations(runs)


@pytest.mark.slow
def test_from_folders_to_the_table_in_two_calls(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    make_dataset(["stand", "step_up"], 2, 0, tmp_path / "motions", workers=1)
    (tmp_path / "tiny.yaml").write_text(
        "model: {actor_net: fc_1layers_16units, critic_net: fc_1layers_16units}\n"
        "optimizer: {type: Adam}\nsteps_per_iter: 4\nupdate_epochs: 1\niters_per_checkpoint: 1000\n"
    )
    args = (
        f"{tmp_path}/motions --agent-config tiny.yaml --env-config demo --envs 4 --device cpu --engine mujoco"
    )
    command = [*args.split(), "--budget-seconds", "3", "--out", "out", "--held-out", "50%"]
    with pytest.raises(SystemExit) as stopped:
        tracking_benchmark.main([*command, "--call-seconds", "40"])  # nothing is left for the evaluation
    assert stopped.value.code == 75
    tracking_benchmark.main(command)
    content = json.loads((tmp_path / "out" / "results.json").read_text())
    assert content["results"]["tiny"]["held_out"]["all"]["clips"] == 2
    assert content["trained"]["tiny/seed_0"]["seconds"] >= 2
    assert "| tiny | train: 2 |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="holds a split of other motions"):
        tracking_benchmark.main([*command, "--split-seed", "1"])
