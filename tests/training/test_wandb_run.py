"""Weights & Biases, played by a module of its name: what it is sent, and that a training never needs it."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.training.wandb_run import WandbNames, WandbRun
from tests.training.run_fake import small_config, train

ITERATION = 64


class Service:
    """Runs by their ids, as the service keeps them."""

    def __init__(self):
        self.runs, self.begun, self.ended = {}, [], 0

    def init(self, **options):
        self.begun.append(options)
        points = self.runs.setdefault(options["id"], [])
        summary = points[-1] if points else {}
        return SimpleNamespace(
            define_metric=lambda *_, **__: None, summary=summary, log=points.append, finish=self.end
        )

    def end(self):
        self.ended += 1


@pytest.fixture
def service(monkeypatch):
    found = Service()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=found.init))
    return found


def config(**changes):
    return small_config(use_wandb=True, iters_per_output=1, test_episodes=0, exp_name="try", **changes)


def test_a_resumed_training_goes_on_in_its_run(service, tmp_path):
    train(tmp_path, 2 * ITERATION, config=config())
    train(tmp_path, 4 * ITERATION, config=config())
    [points] = service.runs.values()
    assert [point["Samples"] for point in points] == [ITERATION * k for k in (1, 2, 3, 4)]
    assert "Loss/Actor_Loss" in points[0]
    assert all(math.isfinite(value) for point in points for value in point.values())
    assert {(each["project"], each["name"], each["resume"]) for each in service.begun} == {
        ("parc", "try", "allow")
    }
    assert service.ended == 2


def test_nothing_is_sent_unless_asked_for(service, tmp_path):
    train(tmp_path, ITERATION, config=small_config())
    assert service.begun == []


def test_without_the_package_one_line_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    train(tmp_path, ITERATION, config=config())
    [line] = [line for line in capsys.readouterr().err.splitlines() if "wandb" in line]
    assert f"pip install -e '{PROJECT_ROOT}[wandb]'" in line
    assert (tmp_path / "model.pt").is_file()


@pytest.mark.parametrize("where", ["init", "log"])
def test_a_service_that_fails_stops_no_training(where, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no login\nfor this machine")

    run = SimpleNamespace(define_metric=lambda *_, **__: None, summary={}, log=fail, finish=lambda: None)
    init = fail if where == "init" else lambda **_: run
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    said = []
    sender = WandbRun(tmp_path, WandbNames("p", None), said.append, {})
    for samples in (1, 2):
        sender.add({"Samples": samples, "Loss": 1.0})
    sender.close()
    assert len(said) == 1
    assert "no login for this machine" in said[0]
