"""Which motions are tried when, what counts as success, and what a killed recording resumes with."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parc_core.envs.terminations import FailReason
from parc_core.errors import ConfigError, DataError
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.dataset_file import MotionsFile, read_motions_yaml, write_motions_yaml
from parc_core.motion.formats.container import read_motion_terrain, write_motion_terrain
from parc_core.record import RecordJob, record
from parc_core.recording import recorder as recorder_module
from parc_core.recording.perform import Attempt, Frames, perform
from parc_core.recording.recorder import Recorder, RecordOptions
from parc_core.recording.result import MotionRecord, Recording, load_recording
from parc_core.terrain.heightfield import Heightfield
from tests.playback.fake_env import FakeEnv
from tests.recording.jobs import untrained_job

KINDS = ["walk", "stairs", "gap", "turn"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> RecordJob:
    folder = tmp_path_factory.mktemp("recorder")
    return dataclasses.replace(untrained_job(folder, KINDS), num_envs=2)


class Script:
    """Stands for `perform`: motion m fails from the start fractions of fails[m], and is recorded from others."""

    def __init__(self, fails: dict[int, list[float]]) -> None:
        self.fails = fails
        self.tried: list[tuple[float, int]] = []

    def __call__(
        self, env: Any, policy: Any, ids: torch.Tensor, fraction: float, observations: bool
    ) -> list[Attempt]:
        self.tried += [(fraction, m) for m in ids.tolist()]
        return [self._attempt(m, fraction) for m in ids.tolist()]

    def _attempt(self, motion: int, fraction: float) -> Attempt:
        if fraction in self.fails.get(motion, ()):
            return Attempt(motion, fraction, False, "fall", 1.0, 0.1, None)
        n = 20
        rot = np.tile(np.array([0, 0, 0, 1], np.float32), (n, 1))
        frames = Frames(
            np.full((n, 3), 0.9, np.float32),
            rot,
            np.tile(rot[:, None], (1, 14, 1)),
            np.zeros((n, 15), np.float32),
        )
        return Attempt(motion, fraction, True, "", 2.0, 0.1, frames)


def run(
    base: RecordJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: Script, lengths: list[float]
) -> Recording:
    monkeypatch.setattr(recorder_module, "perform", script)
    env_file = dataclasses.replace(
        base.env_file, env=dataclasses.replace(base.env_file.env, all_touches=True)
    )
    env = make_evaluation_env(env_file, num_envs=2)
    env.library.lengths.copy_(torch.tensor(lengths))
    motions = [
        MotionRecord(f"m{k}", "c", f"recorded_motions/c/m{k}_dm.pkl", length)
        for k, length in enumerate(lengths)
    ]
    recording = Recording("f", {}, motions)
    Recorder(env, lambda obs: obs, tmp_path, RecordOptions()).run(recording)
    return recording


def test_later_starts_are_tried_in_turn_until_one_succeeds(base, tmp_path, monkeypatch):
    script = Script({1: [0.0, 0.1, 0.2], 2: [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]})
    recording = run(base, tmp_path, monkeypatch, script, [10.0] * 4)
    assert [m.start_fraction for m in recording.motions] == [0.0, 0.3, None, 0.0]
    assert sorted(script.tried) == [
        *((0.0, m) for m in range(4)),
        *((f, m) for f in (0.1, 0.2, 0.3) for m in (1, 2)),
        (0.4, 2),
        (0.5, 2),
    ]
    assert recording.motions[2].why_not == "fall" and len(recording.motions[2].failures) == 6
    assert recording.complete
    assert recording.summary()["by_start_fraction"] == {"0": 2, "0.3": 1}
    written = sorted(path.name for path in tmp_path.rglob("*.pkl"))
    assert written == ["m0_dm.pkl", "m1_dm.pkl", "m3_dm.pkl"]  # at most one of each motion


def test_a_retry_needs_two_seconds_and_the_first_try_none(base, tmp_path, monkeypatch):
    """(1 - f) · L of 2.0 s: 2.4 s allow f = 0.1 (2.16 s) and not 0.2 (1.92 s); 1 s is tried once all the same."""
    script = Script({0: [0.0, 0.1, 0.2], 1: [0.0]})
    recording = run(base, tmp_path, monkeypatch, script, [2.4, 1.0, 1.0, 1.0])
    assert [fraction for fraction, motion in script.tried if motion == 0] == [0.0, 0.1]
    assert [fraction for fraction, motion in script.tried if motion == 1] == [0.0]
    assert recording.motions[0].why_not == "fall; too short to be tried from a later start"
    assert recording.motions[2].recorded


def _perform(lengths: list[float], fails: dict, fraction: float = 0.0, looping: tuple[int, ...] = ()) -> list:
    env = FakeEnv(len(lengths), lengths, looping, fails)
    n = len(lengths)
    env.engine.touched = torch.ones(n, 15, dtype=torch.bool)
    state = env.engine.state
    state.root_pos, state.root_rot, state.joint_rot = (
        torch.zeros(n, 3),
        torch.ones(n, 4),
        torch.ones(n, 14, 4),
    )
    return perform(env, lambda obs: torch.zeros(n, 2), torch.arange(n), fraction)  # type: ignore[arg-type]


def test_success_is_the_end_or_at_most_two_control_steps_before_it():
    """Clips of 1 s, control steps of 0.1 s: lost at 0.8 s is a success, at 0.7 s none; a diverged one never is."""
    fails = {
        0: (9.0, FailReason.FALL),
        1: (0.8, FailReason.FALL),
        2: (0.7, FailReason.ROOT_POSITION),
        3: (0.9, FailReason.DIVERGED),
    }
    found = _perform([1.0, 1.0, 1.0, 1.0, 0.95], fails)
    assert [attempt.succeeded for attempt in found] == [True, True, False, False, True]
    assert [attempt.reason for attempt in found] == ["", "", "root position", "simulation diverged", ""]
    assert [len(a.frames.root_pos) if a.frames else 0 for a in found] == [11, 9, 0, 0, 11]
    assert found[2].end_time_s == pytest.approx(0.7)


def test_a_later_start_is_not_rounded_to_a_frame():
    """ceil((1 - f) · L / dt) + 1 frames: 0.9 · 1.05 s in steps of 0.1 s are 10 steps."""
    (attempt,) = _perform([1.05], {}, 0.1)
    assert attempt.succeeded and attempt.end_time_s == pytest.approx(0.105 + 1.0)
    assert len(attempt.frames.root_pos) == 11
    assert not attempt.frames.contacts[0].any() and attempt.frames.contacts[1:].all()


def test_a_looping_motion_ends_after_one_loop():
    (attempt,) = _perform([1.0], {}, looping=(0,))
    assert attempt.succeeded and len(attempt.frames.root_pos) == 11


def test_an_environment_without_touches_is_refused():
    env = FakeEnv(1, [1.0])
    env.engine.touched = None
    with pytest.raises(ValueError, match="all_touches"):
        perform(env, lambda obs: obs, torch.arange(1), 0.0)  # type: ignore[arg-type]


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    performed: list[int] = []
    real = perform

    def counting(env: Any, policy: Any, ids: torch.Tensor, fraction: float, observations: bool) -> Any:
        performed.extend(ids.tolist())
        return real(env, policy, ids, fraction, observations)

    monkeypatch.setattr(recorder_module, "perform", counting)
    return performed


def test_a_killed_recording_goes_on_where_it_was(base, tmp_path, monkeypatch):
    """Killed after the first of two waves: the second call performs the others alone, with the same result."""
    whole = dataclasses.replace(base, out_dir=tmp_path / "whole")
    record(whole)
    performed = _counted(monkeypatch)
    job = dataclasses.replace(base, out_dir=tmp_path / "killed")

    def killed(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(job, killed)
    first = list(performed)
    found = load_recording(tmp_path / "killed")
    assert found is not None and not found.complete and len(first) == 2
    record(job)
    assert sorted(performed) == [0, 1, 2, 3] and performed[:2] == first
    for path in (tmp_path / "whole" / "recorded_motions").rglob("*.pkl"):
        other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes()
    performed.clear()
    assert record(job).complete and performed == []  # all done


def test_a_file_that_was_altered_is_made_again(base, tmp_path, monkeypatch):
    job = dataclasses.replace(base, out_dir=tmp_path / "out")
    recording = record(job)
    damaged = tmp_path / "out" / recording.motions[2].file
    content = damaged.read_bytes()
    damaged.write_bytes(b"torn")
    (tmp_path / "out" / recording.motions[0].file).unlink()
    performed = _counted(monkeypatch)
    record(job)
    assert sorted(performed) == [0, 2]
    assert damaged.read_bytes() == content


def test_the_folder_of_another_recording_is_refused(base, tmp_path):
    job = dataclasses.replace(base, out_dir=tmp_path / "out")
    record(job)
    other = dataclasses.replace(job, options=RecordOptions(limits={"jerk_m_s3": 1e9}))
    with pytest.raises(ConfigError, match="holds a recording of another model, dataset or setting"):
        record(other)
    (tmp_path / "out" / "recording.json").unlink()
    with pytest.raises(ConfigError, match="of another program"):
        record(job)


def test_limits_reject_what_exceeds_them(tmp_path):
    options = RecordOptions(limits={"jerk_m_s3": 1e-3})
    job = dataclasses.replace(untrained_job(tmp_path, ["walk"]), out_dir=tmp_path / "out", options=options)
    recording = record(job)
    assert recording.summary()["recorded"] == 0
    assert all("jerk_m_s3" in motion.why_not for motion in recording.motions)
    assert not list(tmp_path.rglob("*_dm.pkl"))
    data = json.loads((tmp_path / "out" / "recording.json").read_text())
    assert data["complete"] and data["motions"][0]["failures"][0]["reason"].endswith("more than 0.001")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"options": RecordOptions(limits={"jork": 1.0})},
            "there is no metric 'jork'; there are joint_error_m",
        ),
        ({"options": RecordOptions(limits={"jerk_m_s3": float("nan")})}, "a number of at least 0 is needed"),
        ({"out_dir": "{tmp}/ignored/out"}, "'ignore'"),
        ({"model_file": "{tmp}/nope.pt"}, "nope.pt"),
    ],
)
def test_bad_input_is_one_line(base, tmp_path, changes, message):
    changes = {
        key: value.replace("{tmp}", str(tmp_path)) if isinstance(value, str) else value
        for key, value in changes.items()
    }
    job = dataclasses.replace(base, **{"out_dir": tmp_path / "out", **changes})
    with pytest.raises((ConfigError, DataError)) as error:
        record(job)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_the_performed_motions_are_listed_beside(base, tmp_path):
    job = dataclasses.replace(base, out_dir=tmp_path / "out")
    record(job)
    given = read_motions_yaml(str(base.env_file.env.dm.motion_file))
    assert read_motions_yaml(tmp_path / "out" / "motions.yaml").entries == given.entries


def test_one_terrain_for_all_motions(base, tmp_path):
    """terrain_build_mode file: each recording has its part of that terrain, not of its motion's own."""
    ground = Heightfield(np.full((40, 40), -0.25, np.float32), np.array([-8.0, -8.0], np.float32), 0.4)
    write_motion_terrain(tmp_path / "ground.pkl", MotionTerrain(None, ground))
    entries = read_motions_yaml(base.env_file.env.dm.motion_file).entries[:2]
    write_motions_yaml(tmp_path / "motions.yaml", MotionsFile(entries, str(tmp_path / "ground.pkl")))
    env = base.env_file.env
    dm = dataclasses.replace(env.dm, motion_file=str(tmp_path / "motions.yaml"), terrain_build_mode="file")
    env_file = dataclasses.replace(base.env_file, env=dataclasses.replace(env, dm=dm))
    done = record(dataclasses.replace(base, env_file=env_file, out_dir=tmp_path / "out"))
    assert [motion.recorded for motion in done.motions] == [True, True]
    for motion in done.motions:
        content = read_motion_terrain(tmp_path / "out" / motion.file)
        assert content.terrain is not None and content.motion is not None
        assert not content.terrain.hf.any()  # the stairs of the second motion's own file are not there
        source = read_motion_terrain(entries[done.motions.index(motion)].file).motion
        assert source is not None
        assert content.motion.root_pos[0, 2] == pytest.approx(source.root_pos[0, 2] + 0.25, abs=1e-5)


@pytest.mark.slow
def test_engine_mujoco_warp(base, tmp_path):
    """On its CPU device: as many frames of the same motions as engine mujoco records."""
    pytest.importorskip("mujoco_warp")
    found = {}
    for engine in ("mujoco", "mujoco_warp"):
        done = record(dataclasses.replace(base, engine=engine, out_dir=tmp_path / engine))
        found[engine] = [(motion.file, motion.start_fraction, motion.frames) for motion in done.motions]
        assert done.settings["engine"] == engine
    assert found["mujoco_warp"] == found["mujoco"]
