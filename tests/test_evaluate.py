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
