"""The page of an evaluation carries the model's name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from parc_core import evaluate as module
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.evaluate import EvaluationFiles, evaluate_and_report
from parc_core.evaluation.result import EvalResult, summarize
from parc_core.video.video import Recorded
from tests.evaluation.sample_data import clip


@pytest.mark.parametrize(("title", "wanted"), [("climber", "climber"), ("", "run_7/model.pt")])
def test_the_title_is_the_models_name_or_its_place(tmp_path, monkeypatch, title, wanted):
    clips = [clip("walk/a", 1.0, 0.04, 120.0)]
    result = EvalResult(clips, summarize(clips), {})
    monkeypatch.setattr(
        module, "evaluate_and_save", lambda *_: EvaluationFiles(result, tmp_path / "evaluation.json")
    )
    monkeypatch.setattr(module, "_played", lambda *_: Recorded({}, None))
    monkeypatch.setattr(
        "parc_core.video.video.record_rollout",
        lambda *_, **__: SimpleNamespace(path=None, reason="nothing draws here"),
    )
    found = evaluate_and_report(
        tmp_path / "run_7" / "model.pt", EnvFileConfig(), AgentConfig(), tmp_path, title=title
    )
    assert found.report is not None
    assert f"<h1>{wanted}</h1>" in found.report.read_text(encoding="utf-8")


def test_scenes_are_of_lost_clips_and_bounded(monkeypatch):
    tracks = {k: SimpleNamespace(name=f"c{k}", lost_at_s=None if k == 0 else float(k)) for k in range(4)}
    asked = []

    def element(track, start_s, fps):
        asked.append((track.name, start_s))
        return "x" * 1_500_000

    monkeypatch.setattr("parc_core.viewing.offline.scene_element", element)
    monkeypatch.setattr("parc_core.viewing.offline.player_parts", lambda character: "player")
    scenes, player = module._scenes(Recorded(tracks, None))
    assert list(scenes) == ["c1", "c2"] and player == "player"
    assert asked[:2] == [("c1", 0.5), ("c2", 1.5)]
    assert module._scenes(Recorded({0: tracks[0]}, None)) == ({}, "")
