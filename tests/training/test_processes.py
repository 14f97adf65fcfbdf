"""A training of several processes: resumed exactly, stopped in order, ended everywhere when one is gone."""

from __future__ import annotations

import json
import subprocess
import time

import pytest
import torch

from parc_core.training import checkpoint as checkpoints
from tests import processes
from tests.training.run_fake import train as train_alone
from tests.training.test_trainer import ITERATION, assert_same, events, log_rows

FAKE = {"task": "fake"}


def start(out, iterations, size=2, **options):
    out.mkdir(exist_ok=True)
    told = json.dumps({"out": str(out), "samples": iterations * ITERATION, **options})
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return processes.start("tests.training.run_processes", [told], size, **pipes)


def run(out, iterations, size=2, **options):
    """Exit codes, outputs and warnings of all, in their order."""
    members = start(out, iterations, size, **options)
    codes = processes.codes(members)
    said = [member.stderr.read() for member in members]
    print(*said, sep="\n")  # where a test fails
    return codes, [member.stdout.read() for member in members], said


def newest(out):
    return checkpoints.load_newest(out / "checkpoints", pytest.fail)[1]


@pytest.mark.slow
def test_two_processes_resume_exactly(tmp_path):
    assert run(tmp_path / "whole", 7)[0] == [0, 0]
    for iterations in (4, 7):
        assert run(tmp_path / "parts", iterations)[0] == [0, 0]
    whole, parts = newest(tmp_path / "whole"), newest(tmp_path / "parts")
    assert_same(whole, parts)
    (other,) = whole["others"]
    assert other.keys() == {"generator", "obs", "env", "rng"}
    assert other["obs"].shape == whole["obs"].shape == (4, 8)
    assert not torch.equal(other["obs"], whole["obs"]) and not torch.equal(
        other["generator"], whole["generator"]
    )
    lines = log_rows(tmp_path / "parts")
    assert [row["Samples"] for row in lines] == [str(n * ITERATION) for n in range(1, 8)]
    start_of, again = events(tmp_path / "parts", "start")
    assert (start_of["num_envs"], start_of["processes"]) == (8, 2)
    assert again["resumed_from"].endswith(f"checkpoint_{4 * ITERATION}.pt")
    model = torch.load(tmp_path / "parts" / "model.pt", weights_only=True)
    assert_same(dict(whole["agent"]), dict(model))


@pytest.mark.slow
def test_another_number_of_processes_goes_on_with_new_episodes(tmp_path, capsys):
    out = tmp_path / "out"
    train_alone(out, 3 * ITERATION, fingerprint=FAKE)
    before = newest(out)
    codes, _, said = run(out, 5)
    assert codes == [0, 0]
    assert "is of 1 process(es) and now there are 2: what was learned goes on" in said[0]
    assert "process(es)" not in said[1]
    two = newest(out)
    assert (two["samples"], len(two["others"])) == (5 * ITERATION, 1)
    assert two["obs_moments"]["count"] > before["obs_moments"]["count"]
    capsys.readouterr()
    trainer = train_alone(out, 6 * ITERATION, fingerprint=FAKE)
    assert "is of 2 process(es) and now there are 1" in capsys.readouterr().err
    assert (trainer.samples, trainer.iteration) == (6 * ITERATION, 6)
    assert "others" not in newest(out)
    assert float(trainer.env.fail_rates[0]) <= float(two["env"]["fail_rates"][0]) < 1.0


@pytest.mark.slow
def test_all_roll_back_when_one_diverges(tmp_path):
    codes, _, said = run(tmp_path / "out", 6, fail=(1, 34, "poison"))
    assert codes == [0, 0]
    assert f"diverged at {5 * ITERATION} samples" in said[0]
    (event,) = events(tmp_path / "out", "rollback")
    assert (event["samples"], event["from_samples"]) == (3 * ITERATION, 5 * ITERATION)
    assert newest(tmp_path / "out")["samples"] == 6 * ITERATION


@pytest.mark.slow
def test_a_rollback_to_a_checkpoint_of_another_number_of_processes(tmp_path):
    out = tmp_path / "out"
    train_alone(out, 3 * ITERATION, fingerprint=FAKE)
    codes, _, said = run(out, 5, fail=(1, 10, "poison"))
    assert codes == [0, 0]
    assert f"diverged at {5 * ITERATION} samples" in said[0]
    (event,) = events(out, "rollback")
    assert (event["samples"], event["from_samples"]) == (3 * ITERATION, 5 * ITERATION)
    assert newest(out)["samples"] == 5 * ITERATION


def until_checkpoint(out, member):
    while not (out / "progress.jsonl").exists() or not events(out, "checkpoint"):
        assert member.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_stops_all_in_order(rank, tmp_path):
    codes, _, _ = run(tmp_path / "out", 1000, fail=(rank, 34, "SIGTERM"))
    assert codes == [75, 75]
    assert newest(tmp_path / "out")["samples"] == 5 * ITERATION
    (event,) = events(tmp_path / "out", "interrupted")
    assert event["signal"] == 15


@pytest.mark.parametrize(
    ("rank", "how", "codes"),
    [
        pytest.param(
            1, "refuse", [78, 78], marks=pytest.mark.slow
        ),  # the other leaves with its code, and rank 1 has said why
        pytest.param(0, "refuse", [78, 78], marks=pytest.mark.slow),
        pytest.param(1, "SIGKILL", [None, -9], marks=pytest.mark.slow),
        pytest.param(1, "SIGSTOP", [70, -9], marks=pytest.mark.slow),  # the other ends it
        pytest.param(1, "sleep", [70], marks=pytest.mark.slow),  # each finds the other stuck
    ],
)
def test_all_end_soon_when_one_is_gone(rank, how, codes, tmp_path):
    members = start(tmp_path / "out", 100_000, fail=(rank, 50, how))
    try:
        until_checkpoint(tmp_path / "out", members[0])
        began = time.monotonic()
        found = processes.codes(members, timeout=60.0)
        assert time.monotonic() - began < 30.0
    finally:
        processes.codes(members, timeout=0.1)
    # gloo tells at once of a connection that is closed, which may be before the process looks at the other's sign
    if codes[0] is None:
        assert found[0] not in (0, 75) and found[1] == codes[1]
    elif len(codes) == 1:
        assert codes[0] in found and not {0, 75} & set(found)
    else:
        assert found == codes
    assert newest(tmp_path / "out")["samples"] == 6 * ITERATION
    if how == "SIGSTOP":
        assert "process 1 of 2 has given no sign of life for" in members[0].stderr.read()
    if how == "sleep":
        assert "is stuck: it has made no step for" in "".join(member.stderr.read() for member in members)
