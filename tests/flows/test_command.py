"""`parc-tracker run` as a process with a Prefect server of its own, and what is left when somebody ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from parc_core.config.paths import PROJECT_ROOT
from tests.pipeline_fixtures import change, write_yaml

pytestmark = pytest.mark.slow

ITERATIONS_PER_CHECKPOINT = 5
CHECKPOINT = 8 * 8 * ITERATIONS_PER_CHECKPOINT
"""Samples between two checkpoints: environments, steps, iterations."""


@pytest.fixture
def config(tracker_config: Path) -> Path:
    agent = Path(yaml.safe_load(tracker_config.read_text())["agent_config"])
    write_yaml(
        agent, {**yaml.safe_load(agent.read_text()), "iters_per_checkpoint": ITERATIONS_PER_CHECKPOINT}
    )
    return change(tracker_config, max_samples=10_000_000)


@pytest.fixture
def start(tmp_path: Path, store: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts the command; nothing of it outlives the test."""
    runs: list[subprocess.Popen] = []
    env = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    env.update(PREFECT_HOME=str(tmp_path / "prefect"), DO_NOT_TRACK="1", COLUMNS="500")

    def begin(config: Path, variables: Mapping[str, str] = {}) -> subprocess.Popen:
        command = [sys.executable, "-m", "parc_tracker.main", "run", "--config", str(config)]
        with open(tmp_path / "run.log", "wb") as log:
            runs.append(
                subprocess.Popen(
                    command, env={**env, **variables}, stdout=log, stderr=subprocess.STDOUT, cwd=PROJECT_ROOT
                )
            )
        return runs[-1]

    yield begin
    for run in runs:
        for pid in [*children(run.pid), run.pid] if run.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        run.wait()


def children(parent: int) -> dict[int, str]:
    """Command lines of a process's children by their ids."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"\nPPid:\t{parent}\n" in (entry / "status").read_text():
                found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it ended while we looked
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], Any], what: str, timeout: float = 90.0) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def events(store: Path) -> list[dict]:
    lines = [line for path in store.glob("runs/*/progress.jsonl") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines if line.endswith("}")]


def samples(store: Path) -> int:
    """That the newest trainer has reached."""
    return max((event.get("samples", 0) for event in events(store)[-3:]), default=0)


HOSTILE = {
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:9",
    "MUJOCO_GL": "osmesa",
    "PYTHONIOENCODING": "ascii",
}
"""Proxies that do not answer, an OpenGL library that few machines have, a terminal without arrows."""


def test_a_run_in_surroundings_that_it_does_not_need(start, tracker_config, store, tmp_path):
    said = tmp_path / "run.log"
    run = start(tracker_config, HOSTILE)
    assert run.wait(180) == 0, said.read_text()
    text = said.read_text("ascii")
    assert "Traceback" not in text
    assert "registered as tiny version 1" in text
    assert "joint error" in text
    assert [event["event"] for event in events(store) if event["event"] in ("start", "done")] == [
        "start",
        "done",
    ]


def test_sigterm_ends_with_75_and_one_line(start, config, store, tmp_path):
    run = start(config)
    wait_until(lambda: samples(store) > CHECKPOINT, "no training")
    theirs = children(run.pid)
    assert len(theirs) >= 2  # the trainer and the server
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 75
    said = (tmp_path / "run.log").read_text()
    assert said.splitlines()[-1] == (
        "error: stopped by SIGTERM; run the same command to resume from the last checkpoint"
    )
    assert "Traceback" not in said
    assert events(store)[-1]["event"] == "interrupted"
    assert not any(map(is_running, theirs))


def test_sigterm_before_the_flow_begins(start, config, tmp_path):
    run = start(config)
    wait_until(lambda: children(run.pid), "no server")
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 75
    assert "error: stopped by SIGTERM" in (tmp_path / "run.log").read_text()


def test_after_kill_9_nothing_is_left_and_one_checkpoint_interval_is_lost_at_most(start, config, store):
    first = start(config)
    wait_until(lambda: samples(store) > CHECKPOINT, "no training")
    theirs = children(first.pid)
    first.kill()
    wait_until(lambda: not any(map(is_running, theirs)), f"orphans: {theirs}", 30)

    reached = samples(store)
    second = start(config)
    wait_until(lambda: samples(store) > reached + 2 * CHECKPOINT, "does not go on")
    theirs = children(second.pid)
    for pid in [second.pid, *(pid for pid, command in theirs.items() if "parc_core.train" in command)]:
        os.kill(pid, signal.SIGKILL)  # the trainer, too: it writes no last checkpoint
    wait_until(lambda: not any(map(is_running, theirs)), f"orphans: {theirs}", 30)

    reached = samples(store)
    third = start(change(config, max_samples=reached + CHECKPOINT))
    assert third.wait(120) == 0
    begun = [event["samples"] for event in events(store) if event["event"] == "start"]
    assert len(begun) == 3
    assert begun[2] >= reached - CHECKPOINT
    assert begun[2] > begun[1] > 0
