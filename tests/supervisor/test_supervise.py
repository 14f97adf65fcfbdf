"""The trainer's process contract, against small programs that play the trainer."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from parc_core.errors import ConfigError, DataError, Interrupted
from parc_core.supervisor import supervise
from parc_core.supervisor.exit import TrainerOutOfMemory
from parc_core.supervisor.supervise import Limits, Listener, TrainerCrashed, TrainerHung
from parc_core.system.follow import JsonLines

QUICK = Limits(heartbeat=30, startup=30, stop=2, lock=0.2, poll=0.02)

PRELUDE = """
import json, os, signal, sys, time
run_dir = sys.argv[1]
def say(**event):
    with open(os.path.join(run_dir, "progress.jsonl"), "a") as file:
        file.write(json.dumps(event) + "\\n")
def attempt():
    path = os.path.join(run_dir, "attempts")
    number = int(open(path).read()) + 1 if os.path.exists(path) else 1
    open(path, "w").write(str(number))
    return number
"""


def trainer(run_dir: Path, body: str) -> list[str]:
    """The command line of a program that plays the trainer in `run_dir`."""
    script = run_dir / "fake_trainer.py"
    script.write_text(PRELUDE + textwrap.dedent(body))
    return [sys.executable, str(script), str(run_dir)]


def run(run_dir: Path, body: str, **options) -> tuple[list[dict], list[str]]:
    events: list[dict] = []
    notes: list[str] = []
    options = {"limits": QUICK, "delays": (0.01,), **options}
    supervise.supervise(
        trainer(run_dir, body), run_dir, Listener(events.append, note=notes.append), **options
    )
    return events, notes


def test_a_training_that_ends_well_passes_its_events_on(tmp_path):
    events, notes = run(tmp_path, "say(event='start', samples=0); say(event='done', samples=8)")
    assert [event["event"] for event in events] == ["start", "done"]
    assert notes == []


def test_the_trainer_is_none_of_several_processes_that_somebody_else_started(tmp_path, monkeypatch):
    """Clusters and notebooks set torchrun's variables for a program of theirs."""
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "PET_NNODES", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("RANKED", "1")
    ours = "('RANK', 'WORLD', 'LOCAL_', 'MASTER', 'PET_', 'TORCHELASTIC')"
    events, _ = run(tmp_path, f"say(event='done', seen=[n for n in os.environ if n.startswith({ours})])")
    assert events[-1]["seen"] == ["RANKED"]


def test_what_the_trainer_prints_is_passed_on(tmp_path):
    lines: list[str] = []
    command = trainer(tmp_path, "print('samples  return'); print('100  1.5', file=sys.stderr)")
    supervise.supervise(command, tmp_path, Listener(output=lines.append), limits=QUICK)
    assert lines == ["samples  return", "100  1.5"]


def test_the_trainers_error_is_said_once(tmp_path):
    """By who started it, when it has ended."""
    lines: list[str] = []
    command = trainer(tmp_path, "print('noise'); print('error: no motion', file=sys.stderr); sys.exit(65)")
    with pytest.raises(DataError, match="no motion"):
        supervise.supervise(command, tmp_path, Listener(output=lines.append), limits=QUICK)
    assert lines == ["noise"]


def test_events_of_an_earlier_run_are_not_repeated(tmp_path):
    (tmp_path / "progress.jsonl").write_text('{"event": "old"}\n')
    events, _ = run(tmp_path, "say(event='new')")
    assert [event["event"] for event in events] == ["new"]


@pytest.mark.parametrize(("code", "error"), [(65, DataError), (78, ConfigError)])
def test_bad_input_is_never_tried_twice_and_keeps_its_message(tmp_path, code, error):
    body = f"attempt(); print('noise'); print('error: motions.yaml: no motion', file=sys.stderr); sys.exit({code})"
    with pytest.raises(error, match=r"^motions\.yaml: no motion$"):
        run(tmp_path, body, crash_retries=3)
    assert (tmp_path / "attempts").read_text() == "1"


def test_the_message_of_an_error_event_comes_before_the_output(tmp_path):
    with pytest.raises(DataError, match=r"^said in progress$"):
        run(tmp_path, "say(event='error', message='said in progress'); print('last line'); sys.exit(65)")


KILLED = "error: process 1 of 2 was killed by SIGKILL"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([("RuntimeError", "Connection closed by peer")], "process 1 of 2 was killed by SIGKILL"),
        ([], "process 1 of 2 was killed by SIGKILL"),
        (  # stopped: the other one has killed it
            [
                ("ProcessLost", "process 1 of 2 has given no sign of life"),
                ("RuntimeError", "Connection reset"),
            ],
            "process 1 of 2 has given no sign of life",
        ),
    ],
)
def test_of_several_processes_the_cause_is_told(tmp_path, said, told):
    events = (
        "; ".join(f"say(event='error', kind='{kind}', message='{text}')" for kind, text in said) or "pass"
    )
    with pytest.raises(TrainerCrashed, match=rf"left with code 70.*: {told} \(its output"):
        run(tmp_path, f"attempt(); {events}; print({KILLED!r}, file=sys.stderr); sys.exit(70)")


def test_the_first_error_of_several_processes_counts(tmp_path):
    body = "attempt(); say(event='error', kind='OutOfMemoryError', message='CUDA out of memory'); "
    body += "say(event='error', kind='RuntimeError', message='NCCL error: peer is gone'); sys.exit(70)"
    with pytest.raises(TrainerOutOfMemory, match="CUDA out of memory"):
        run(tmp_path, body)


def test_an_interrupted_trainer_starts_again_at_once(tmp_path):
    events, notes = run(
        tmp_path, "n = attempt(); say(event='output', samples=n); sys.exit(75 if n < 3 else 0)", delays=(60,)
    )
    assert [event["samples"] for event in events] == [1, 2, 3]
    assert len(notes) == 2


def test_interruptions_without_progress_end(tmp_path):
    with pytest.raises(TrainerCrashed, match="without progress"):
        run(tmp_path, "attempt(); say(event='start', samples=0); sys.exit(75)")
    assert int((tmp_path / "attempts").read_text()) == supervise.MAX_INTERRUPTIONS_WITHOUT_PROGRESS


def test_a_crash_is_tried_again_and_then_raised(tmp_path):
    body = "n = attempt(); sys.exit(0 if n == 3 else 'boom')"
    _, notes = run(tmp_path, body, crash_retries=2)
    assert len(notes) == 2
    assert "boom" in notes[0]
    (tmp_path / "attempts").unlink()
    with pytest.raises(TrainerCrashed, match="left with code 1: boom"):
        run(tmp_path, body, crash_retries=1)


def test_a_signal_is_a_crash_that_names_the_signal(tmp_path):
    with pytest.raises(TrainerCrashed, match=r"SIGKILL \(out of memory\?\)"):
        run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(TrainerCrashed, match="SIGSEGV"):
        run(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)")


def test_a_trainer_without_life_signs_is_stopped(tmp_path):
    limits = Limits(heartbeat=0.3, startup=30, stop=0.3, lock=5, poll=0.02)
    body = """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # hung for good
        open(os.path.join(run_dir, "pid"), "w").write(str(os.getpid()))
        say(event="start")
        time.sleep(60)
    """
    with pytest.raises(TrainerHung, match="no heartbeat"):
        run(tmp_path, body, limits=limits)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_an_error_in_the_supervisor_stops_the_trainer_gently(tmp_path):
    body = """
        def leave(*_):
            open(os.path.join(run_dir, "checkpoint"), "w").close()
            sys.exit(75)
        signal.signal(signal.SIGTERM, leave)
        say(event="start")
        time.sleep(60)
    """

    def cancelled(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervise.supervise(trainer(tmp_path, body), tmp_path, Listener(cancelled), limits=QUICK)
    assert (tmp_path / "checkpoint").exists()


def test_children_of_the_trainer_do_not_outlive_it(tmp_path):
    body = """
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open(os.path.join(run_dir, "pid"), "w").write(str(child.pid))
    """
    run(tmp_path, body)
    wait_until(lambda: not alive(int((tmp_path / "pid").read_text())))


def test_the_trainer_gets_sigterm_when_its_supervisor_is_killed(tmp_path):
    command = trainer(
        tmp_path,
        """
        def leave(*_):
            open(os.path.join(run_dir, "checkpoint"), "w").close()
            sys.exit(75)
        signal.signal(signal.SIGTERM, leave)
        say(event="start")
        time.sleep(60)
        """,
    )
    program = f"""
        from pathlib import Path
        from parc_core.supervisor import supervise
        supervise.supervise({command!r}, Path({str(tmp_path)!r}))
    """
    root = Path(supervise.__file__).parents[2]
    outer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=root)
    wait_until((tmp_path / "progress.jsonl").exists)
    outer.send_signal(signal.SIGKILL)
    outer.wait()
    wait_until((tmp_path / "checkpoint").exists)


def test_two_trainings_cannot_share_a_directory(tmp_path):
    command = trainer(tmp_path, "sys.exit(0)")
    with supervise.run_lock(tmp_path, 0.0), pytest.raises(ConfigError, match="another training is using"):
        supervise.supervise(command, tmp_path, limits=QUICK)
    supervise.supervise(command, tmp_path, limits=QUICK)


def test_an_interpreter_that_does_not_exist_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="trainer_python"):
        supervise.supervise(["/no/such/python3.8"], tmp_path, limits=QUICK)


def test_an_unwritable_run_directory_is_a_config_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="set another output_dir"):
        supervise.supervise(["true"], tmp_path / "file" / "run", limits=QUICK)


def test_an_attempt_says_that_it_was_interrupted(tmp_path):
    with pytest.raises(Interrupted):
        supervise.run_attempt(trainer(tmp_path, "sys.exit(75)"), tmp_path, limits=QUICK)


def test_json_lines_wait_for_whole_lines_and_pass_over_torn_ones(tmp_path):
    path = tmp_path / "progress.jsonl"
    tail = JsonLines(path)
    assert tail.events() == []
    path.write_text('{"a": 1}\n{"b"')
    assert tail.events() == [{"a": 1}]
    with open(path, "a") as file:
        file.write(': 2}\n{"torn{"c": 3}\n[4]\n{"d": 5}\n')
    assert tail.events() == [{"b": 2}, {"d": 5}]
    path.write_text('{"e": 6}\n')
    assert tail.events() == [{"e": 6}]


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def wait_until(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["TrainingDiverged", "MemoryError"])
def test_what_another_attempt_hardly_mends_gets_one_more(tmp_path, kind):
    body = f"attempt(); say(event='error', message='no', kind='{kind}'); sys.exit(70)"
    with pytest.raises(TrainerCrashed, match="no"):
        run(tmp_path, body, crash_retries=3)
    assert (tmp_path / "attempts").read_text() == "2"


def test_the_check_stops_a_trainer_and_a_pause(tmp_path):
    class Stop(Exception):
        pass

    def check():
        if (tmp_path / "progress.jsonl").exists():
            raise Stop

    listener = Listener(check=check)
    body = "say(event='start'); time.sleep(60)"
    with pytest.raises(Stop):
        supervise.supervise(trainer(tmp_path, body), tmp_path, listener, limits=QUICK)
    (tmp_path / "progress.jsonl").unlink()
    start = time.monotonic()
    with pytest.raises(Stop):
        supervise.supervise(
            trainer(tmp_path, "say(event='start'); sys.exit(1)"),
            tmp_path,
            listener,
            3,
            delays=(60,),
            limits=QUICK,
        )
    assert time.monotonic() - start < 20


def test_pauses_vary_so_that_many_do_not_come_back_together(tmp_path, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(supervise, "_sleep", lambda seconds, check: pauses.append(seconds))
    with pytest.raises(TrainerCrashed):
        run(tmp_path, "sys.exit(1)", crash_retries=4, delays=(1, 100))
    assert 0.75 <= pauses[0] <= 1.25
    assert all(75 <= pause <= 125 for pause in pauses[1:])
    assert len(set(pauses)) == 4
