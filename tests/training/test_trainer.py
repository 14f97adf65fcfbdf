"""The training loop on a tiny environment: exact continuation, rollback, stops, locks, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from parc_core.errors import ConfigError, DataError, Interrupted
from parc_core.learning.model_file import read_model_file
from parc_core.system.signals import StopSignals
from parc_core.training import checkpoint as checkpoints
from parc_core.training.logger import ProgressFile
from parc_core.training.test_episodes import run_test_episodes
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import ModelConfig, Stopping, make_trainer, small_config, train

ROOT = Path(__file__).resolve().parents[2]
ITERATION = 64  # samples: 8 environments × 8 steps
FAKE = {"task": "fake"}


def events(out, kind=None):
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    return [line for line in lines if kind is None or line["event"] == kind]


def log_rows(out):
    header, *rows = (out / "log.txt").read_text().splitlines()
    return [dict(zip(header.split(), row.split())) for row in rows]


def assert_same(a, b, where=""):
    """Containers of tensors, equal to the last bit."""
    assert type(a) is type(b), where
    if isinstance(a, torch.Tensor):
        assert torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)), where
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            if key != "hours":  # wall time
                assert_same(a[key], b[key], f"{where}/{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), where
        for index, (x, y) in enumerate(zip(a, b)):
            assert_same(x, y, f"{where}/{index}")
    else:
        assert a == b, where


def final_state(out):
    samples, path = checkpoints.list_checkpoints(out / "checkpoints")[0]
    return samples, checkpoints.load_checkpoint(path)


def stop_in_iteration_5(out, config):
    """Trains until a SIGTERM ends it in order."""
    with StopSignals() as stop:
        trainer, progress = make_trainer(out, 99 * ITERATION, env=Stopping(), config=config, stop=stop)
        with pytest.raises(Interrupted):
            trainer.run()
    progress.close()


def test_resume_in_a_new_process_is_exact(tmp_path):
    """N+M iterations = N, save, new process, load, M; bit for bit."""
    train(tmp_path / "whole", 14 * ITERATION, fingerprint=FAKE)
    for iterations in (5, 14):
        command = [sys.executable, "-m", "tests.training.run_fake", tmp_path / "parts", 14 * ITERATION]
        command[-1] = str(iterations * ITERATION)
        env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
        subprocess.run(command, check=True, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    whole, parts = final_state(tmp_path / "whole"), final_state(tmp_path / "parts")
    assert whole[0] == parts[0] == 14 * ITERATION
    assert_same(whole[1], parts[1])
    a, b = (torch.load(tmp_path / d / "model.pt", weights_only=True) for d in ("whole", "parts"))
    assert_same(a, b)
    assert [e["resumed_from"] is None for e in events(tmp_path / "parts", "start")] == [True, False]
    rows = log_rows(tmp_path / "parts")
    samples = [int(row["Samples"]) for row in rows]
    assert samples == sorted(set(samples))
    for row in log_rows(tmp_path / "whole"):
        (twin,) = (other for other in rows if other["Iteration"] == row["Iteration"])
        clocks = ("Wall_Time", "Samples_Per_Second")
        assert {k: v for k, v in row.items() if k not in clocks} == {
            k: v for k, v in twin.items() if k not in clocks
        }


def test_training_learns_the_task(tmp_path):
    config = small_config(exp_anneal_samples=None, exp_prob_beg=1.0, normalizer_samples=10**6)
    train(tmp_path, 12_000, env=FakeEnv(64), config=config)
    returns = [float(row["Train_Return"]) for row in log_rows(tmp_path)]
    assert returns[-1] > returns[0] + 2.0


def test_a_clock_that_is_set_back_changes_no_duration(tmp_path, monkeypatch):
    """The trainer goes on giving signs of life, and its hours do not become fewer."""
    monkeypatch.setattr("parc_core.training.trainer.HEARTBEAT_SECONDS", 0.0)
    real, set_back = time.time, {"by": 0.0}
    monkeypatch.setattr(time, "time", lambda: real() - set_back["by"])

    class SetBack(FakeEnv):
        def step(self, action):
            set_back["by"] = 3600.0 if self.steps_taken >= 8 else 0.0
            return super().step(action)

    train(tmp_path, 6 * ITERATION, env=SetBack(), config=small_config(iters_per_output=1))
    hours = [float(row["Wall_Time"]) for row in log_rows(tmp_path)]
    assert all(0.0 <= before <= after < 0.5 for before, after in zip(hours, [*hours[1:], hours[-1]]))
    beats = [event for event in events(tmp_path, "heartbeat") if event["samples"] > 2 * ITERATION]
    assert len(beats) > 10


def test_files_and_events(tmp_path):
    train(tmp_path, 8 * ITERATION)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoints",
        "log.txt",
        "model.pt",
        "progress.jsonl",
    ]
    names = {p.name for p in (tmp_path / "checkpoints").iterdir()}
    kept = {f"checkpoint_{n * ITERATION}.pt" for n in (3, 6, 8)}
    assert names == kept | {name + ".sha256" for name in kept}
    assert [int(row["Iteration"]) for row in log_rows(tmp_path)] == [1, 4, 8]
    kinds = [e["event"] for e in events(tmp_path)]
    assert kinds[0] == "start" and kinds[-1] == "done" and kinds.count("output") == 3
    final = torch.load(tmp_path / "model.pt", weights_only=True)
    assert_same(final, final_state(tmp_path)[1]["agent"])


def test_half_a_line_of_progress_swallows_no_event(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text('{"event": "start"}\n{"event": "out')  # killed while writing
    for _ in range(2):
        progress = ProgressFile(path)
        progress.write("start", 0, 0)
        progress.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 4 and lines[1] == '{"event": "out'
    assert [json.loads(line)["event"] for line in lines[2:]] == ["start", "start"]


def test_finished_training_is_done_at_once(tmp_path):
    train(tmp_path, 3 * ITERATION)
    before = (tmp_path / "log.txt").read_text()
    env = FakeEnv()
    trainer = train(tmp_path, 3 * ITERATION, env=env)
    assert env.steps_taken == 0 and trainer.samples == 3 * ITERATION
    assert (tmp_path / "log.txt").read_text() == before


def test_only_the_newest_checkpoints_are_kept(tmp_path):
    train(tmp_path, 15 * ITERATION, config=small_config(num_checkpoints_kept=2, num_models_kept=0))
    assert [n // ITERATION for n, _ in checkpoints.list_checkpoints(tmp_path / "checkpoints")] == [15, 12]
    assert checkpoints.list_models(tmp_path / "checkpoints") == []


def test_older_checkpoints_stay_as_models(tmp_path):
    train(tmp_path / "first", 6 * ITERATION, fingerprint=FAKE)
    at_three = (tmp_path / "first" / "checkpoints" / f"checkpoint_{3 * ITERATION}.pt").read_bytes()
    train(tmp_path / "first", 15 * ITERATION, config=small_config(num_checkpoints_kept=2), fingerprint=FAKE)
    folder = tmp_path / "first" / "checkpoints"
    assert [n // ITERATION for n, _ in checkpoints.list_checkpoints(folder)] == [15, 12]
    models = checkpoints.list_models(folder)
    assert [n // ITERATION for n, _ in models] == [9, 6, 3]
    path = models[-1][1]
    assert path.stat().st_size < 0.5 * len(at_three)
    whole = tmp_path / "whole.pt"
    whole.write_bytes(at_three)
    assert_same(read_model_file(path).state, read_model_file(whole).state)
    assert (
        torch.load(path, weights_only=True).keys()
        == torch.load(tmp_path / "first" / "model.pt", weights_only=True).keys()
    )
    tuned = train(tmp_path / "second", ITERATION, in_model_file=str(path))
    assert tuned.samples == ITERATION
    # One that is only a model is nothing to resume from, and no damaged checkpoint either.
    for _, resumable in checkpoints.list_checkpoints(folder):
        resumable.unlink()
    warnings = []
    assert checkpoints.load_newest(folder, warnings.append) is None


def test_a_restart_gives_up_the_models_of_later_samples(tmp_path):
    train(tmp_path, 15 * ITERATION, config=small_config(num_checkpoints_kept=1))
    for _, path in checkpoints.list_checkpoints(tmp_path / "checkpoints"):
        path.unlink()
    train(tmp_path, 4 * ITERATION, config=small_config(num_checkpoints_kept=1))
    assert [n // ITERATION for n, _ in checkpoints.list_models(tmp_path / "checkpoints")] == [3]


@pytest.mark.parametrize(
    ("samples", "keep", "kept"),
    [
        ([30, 10, 20], 3, [10, 20, 30]),
        ([10, 20, 30, 40], 3, [10, 30, 40]),
        ([10, 30, 40, 50], 3, [10, 30, 50]),
        ([10, 20], 1, [20]),
        ([10, 20], 0, []),
        ([], 5, []),
    ],
)
def test_models_are_thinned_evenly(samples, keep, kept):
    assert checkpoints.thinned(samples, keep) == kept


def test_a_long_training_has_models_of_all_its_length():
    kept = []
    for samples in range(1, 1001):
        kept = checkpoints.thinned([*kept, samples], 20)
    gaps = [kept[k + 1] - kept[k] for k in range(len(kept) - 1)]
    assert len(kept) == 20 and kept[0] == 1 and kept[-1] == 1000
    assert max(gaps) <= 130 and sorted(gaps)[len(gaps) // 2] >= 20


def test_a_corrupt_newest_checkpoint_is_skipped(tmp_path, capsys):
    train(tmp_path, 6 * ITERATION)
    newest = checkpoints.checkpoint_path(tmp_path / "checkpoints", 6 * ITERATION)
    newest.write_bytes(newest.read_bytes()[:-100] + b"x" * 100)
    trainer = train(tmp_path, 8 * ITERATION)
    assert "skipped a checkpoint" in capsys.readouterr().err
    assert events(tmp_path, "start")[-1]["samples"] == 3 * ITERATION
    assert trainer.samples == 8 * ITERATION
    samples = [int(row["Samples"]) for row in log_rows(tmp_path)]
    assert samples == sorted(set(samples))


def test_checkpoint_without_its_sum_is_no_checkpoint(tmp_path):
    train(tmp_path, 3 * ITERATION)
    path = checkpoints.checkpoint_path(tmp_path / "checkpoints", 3 * ITERATION)
    path.with_name(path.name + ".sha256").unlink()
    with pytest.raises(DataError, match="missing"):
        checkpoints.load_checkpoint(path)


def test_other_settings_are_refused_with_both_values(tmp_path):
    train(tmp_path, 3 * ITERATION, fingerprint={"agent.discount": "0.99"})
    with pytest.raises(ConfigError, match=r"agent\.discount was 0\.99, now 0\.9[^9]"):
        train(tmp_path, 6 * ITERATION, fingerprint={"agent.discount": "0.9"})


def test_another_architecture_is_refused(tmp_path):
    train(tmp_path, 3 * ITERATION)
    model = ModelConfig(actor_net="fc_2layers_16units", critic_net="fc_2layers_16units")
    with pytest.raises(ConfigError, match=r"actor 32-16.*actor 16-8"):
        train(tmp_path, 6 * ITERATION, config=small_config(model=model))


def test_two_trainings_do_not_share_a_folder(tmp_path):
    _, progress = make_trainer(tmp_path, ITERATION)
    with pytest.raises(ConfigError, match="another training"):
        make_trainer(tmp_path, ITERATION)
    progress.close()
    train(tmp_path, ITERATION)


def test_unwritable_output(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        make_trainer(tmp_path / "file" / "out", ITERATION)


@pytest.mark.parametrize("start", ["model.pt", "checkpoints/checkpoint_384.pt"])
def test_fine_tuning_keeps_the_normalizer(tmp_path, start):
    train(tmp_path / "first", 6 * ITERATION)
    model = read_model_file(tmp_path / "first" / start)
    trainer = train(tmp_path / "second", 2 * ITERATION, in_model_file=str(tmp_path / "first" / start), seed=7)
    now = trainer.agent.state_dict()
    for key, value in model.state.items():
        assert torch.equal(now[key], value) == key.startswith(
            ("_obs_norm", "_a_norm", "_model._action_dist._logstd")
        )


def test_a_model_with_other_action_bounds_is_refused(tmp_path):
    train(tmp_path / "first", ITERATION)
    env = FakeEnv()
    env.action_high = env.action_high * 2
    with pytest.raises(ConfigError, match="action bounds"):
        train(tmp_path / "second", ITERATION, env=env, in_model_file=str(tmp_path / "first" / "model.pt"))


def test_test_episodes_change_nothing(tmp_path):
    trainer, progress = make_trainer(tmp_path, ITERATION)
    progress.close()
    before = trainer.env.state_dict()
    result = run_test_episodes(trainer.env, trainer.agent, 20, lambda: None)
    assert_same(before, trainer.env.state_dict())
    assert result["Test_Episodes"] == 24  # 3 for each of 8 environments
    assert 1 <= result["Test_Episode_Length"] <= trainer.env.horizon


def test_seeds_differ(tmp_path):
    one, two = (train(tmp_path / str(seed), ITERATION, seed=seed) for seed in (1, 2))
    assert not torch.equal(one.agent.model._critic_out.weight, two.agent.model._critic_out.weight)
