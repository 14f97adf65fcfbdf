"""What the UI shows of a training; the server is played by functions."""

from __future__ import annotations

import base64
import socket
import time
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from parc_core.evaluation.result import ClipResult
from tasks import artifacts
from tasks.artifacts import TrainingArtifacts
from tasks.evaluate import WORST, _worst
from tasks.pictures import curves_svg, data_uri

OUTPUT = {"event": "output", "samples": 500, "Train_Return": 12.345, "Samples_Per_Second": 3210.9, "Kl": None}


def test_the_page_has_the_last_numbers_and_where_the_curves_are():
    shown = TrainingArtifacts(2000, Path("/run"))
    shown.event({"event": "start", "samples": 0})
    shown.event(OUTPUT)
    page = shown.page()
    assert "| samples | 500 of 2,000 |" in page
    assert "| return | 12.35 |" in page
    assert "| samples/s | 3,211 |" in page
    assert "`tensorboard --logdir /run/tensorboard`" in page
    assert socket.gethostname() in page
    assert "joint error" not in page  # not known


@pytest.fixture
def server(monkeypatch):
    """Calls that came in; may be slow, may fail."""
    calls: list[float] = []
    behave = {"seconds": 0.0, "error": False}

    def take(*args, **_):
        time.sleep(behave["seconds"])
        if behave["error"]:
            raise ConnectionError("no server")
        calls.append(args[-1] if isinstance(args[-1], float) else -1.0)
        return uuid4()

    class Client:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        update_artifact = staticmethod(take)

    for name in ("create_markdown_artifact", "create_progress_artifact", "update_progress_artifact"):
        monkeypatch.setattr(artifacts, name, take)
    monkeypatch.setattr(artifacts, "get_client", lambda sync_client: Client())
    monkeypatch.setattr(artifacts.TaskRunContext, "get", object)
    monkeypatch.setattr(artifacts, "SECONDS_BETWEEN", 0.2)
    return calls, behave


def test_a_folder_with_a_space_can_be_copied_into_a_shell():
    assert "`tensorboard --logdir '/my run/tensorboard'`" in TrainingArtifacts(1, Path("/my run")).page()


def test_updates_are_few_and_the_last_one_counts(server):
    calls, _ = server
    with TrainingArtifacts(1000, Path("/run")) as shown:
        for samples in range(0, 1001, 10):
            shown.event({**OUTPUT, "samples": samples})
            time.sleep(0.005)
    shares = [call for call in calls if call >= 0]
    assert len(shares) <= 6
    assert shares[-1] == 100.0


def test_a_server_that_is_slow_or_away_delays_nothing(server, monkeypatch):
    _, behave = server
    said: list[str] = []

    class Log:
        warning = staticmethod(lambda text, *args: said.append(text % args))

    monkeypatch.setattr(artifacts, "get_run_logger", Log)
    behave.update(seconds=0.5, error=True)
    with TrainingArtifacts(1000, Path("/run")) as shown:
        start = time.monotonic()
        for samples in range(100):
            shown.event({**OUTPUT, "samples": samples})
        assert time.monotonic() - start < 0.4
        time.sleep(0.6)
    assert shown.errors >= 1
    assert "did not reach the server" in said[0]


def test_shares_are_never_rounded_up_to_100(tmp_path):
    artifacts = TrainingArtifacts(1000, tmp_path)
    artifacts.event({"event": "output", "samples": 10, "Completed": 0.996, "Eval_Completed": 1.0})
    assert (
        "| episodes completed | 99% |" in artifacts.page()
        and "| clips completed | 100% |" in artifacts.page()
    )


def test_the_curves_are_a_picture_that_needs_nothing_else(tmp_path):
    assert curves_svg(tmp_path) == ""
    rows = ["Iteration Samples Wall_Time Train_Return Completed", "1 100 0.1 1.5 0.0", "2 200 0.2 2.5 0.25"]
    (tmp_path / "log.txt").write_text("\n".join(rows) + "\n")
    root = ElementTree.fromstring(curves_svg(tmp_path))
    charts = root.findall("{http://www.w3.org/2000/svg}svg")
    assert [chart.get("aria-label") for chart in charts] == ["Return per episode", "Episodes completed"]
    assert [chart.get("x") for chart in charts] == ["0", "340"]
    assert len(root.findall(".//*[@class='curve']")) == 2
    head, _, body = data_uri(curves_svg(tmp_path)).partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(body).decode() == curves_svg(tmp_path)


def test_the_worst_clips_come_first_and_their_names_are_only_text():
    def clip(name, share, error):
        done = share == 1.0
        reason = "COMPLETED" if done else "POSE"
        return ClipResult(name, "", 2.0, done, share, 2.0 * share, reason, error, {}, 1.0, 30)

    clips = [clip(f"good_{n}", 1.0, 0.01 * n) for n in range(12)]
    clips += [clip("lost | <b>late</b>", 0.9, 0.1), clip("lost_early", 0.1, 0.1)]
    lines = _worst(clips)
    assert lines[0] == f"## The {WORST} worst of 14 clips"
    rows = lines[4:]
    assert len(rows) == WORST
    assert rows[0] == r"| lost\_early | 10% | 0.100 | POSE |"
    assert rows[1].startswith(r"| lost \| \<b\>late")
    assert rows[2].startswith(r"| good\_11 | 100%")
