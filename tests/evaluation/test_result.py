"""Summary numbers, computed by hand, and the JSON file."""

from __future__ import annotations

import dataclasses
import json

import pytest

from parc_core.errors import DataError
from parc_core.evaluation.result import EvalResult, load, percent, summarize
from tests.evaluation.sample_data import clip

CLIPS = [
    clip("walk/a", 1.0, 0.04, 100.0),
    clip("walk/b", 1.0, 0.06, 80.0),
    clip("jump/c", 0.5, 0.20, 30.0, "fall"),
    clip("jump/d", 0.25, 0.10, 10.0, "root position"),
]


def test_summary_by_hand():
    found = summarize(CLIPS)
    assert (found.clips, found.completed, found.completed_share) == (4, 2, 0.5)
    assert found.mean_completed_fraction == pytest.approx(2.75 / 4)
    assert found.joint_error_completed_m == pytest.approx(0.05)
    assert found.joint_error_m == pytest.approx(0.10)
    assert found.mean_return == pytest.approx(55.0)
    assert found.mean_steps == pytest.approx((60 + 60 + 30 + 15) / 4)
    assert found.tracking_errors["root_rot_rad"] == pytest.approx(0.20)
    assert found.end_reasons == {"completed": 2, "fall": 1, "root position": 1}


def test_no_completed_clip_has_no_error_of_completed_clips():
    assert summarize(CLIPS[2:]).joint_error_completed_m is None


def test_json_file_is_read_back_as_it_was(tmp_path):
    result = EvalResult(CLIPS, summarize(CLIPS), {"engine": "mujoco", "model_file": None})
    result.save(tmp_path / "evaluation.json")
    assert load(tmp_path / "evaluation.json") == result


def test_the_file_has_the_errors_under_the_names_of_papers_in_mm(tmp_path):
    EvalResult(CLIPS, summarize(CLIPS)).save(tmp_path / "evaluation.json")
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert data["clips"][0]["mpjpe_global_mm"] == pytest.approx(40.0)
    assert data["clips"][0]["mpjpe_mm"] == pytest.approx(1000 * CLIPS[0].tracking_errors["body_pos_m"])
    assert data["summary"]["mpjpe_global_mm"] == pytest.approx(100.0)
    assert data["summary"]["mpjpe_mm"] == pytest.approx(300.0)


def test_the_summary_has_the_share_within_half_a_metre():
    judged = [
        dataclasses.replace(each, success={"last_frame": True, "joint_error": k != 2, "no_fall": True})
        for k, each in enumerate(CLIPS)
    ]
    assert EvalResult(judged, summarize(judged)).to_json()["summary"]["success_rate_0.5m"] == 0.75
    assert EvalResult(CLIPS, summarize(CLIPS)).to_json()["summary"]["success_rate_0.5m"] is None


def test_a_file_of_an_earlier_version_lacks_them_and_is_read(tmp_path):
    data = EvalResult(CLIPS, summarize(CLIPS)).to_json()
    for part in [*data["clips"], data["summary"]]:
        del part["mpjpe_mm"], part["mpjpe_global_mm"]
    (tmp_path / "old.json").write_text(json.dumps(data))
    assert load(tmp_path / "old.json") == EvalResult(CLIPS, summarize(CLIPS))


@pytest.mark.parametrize("text", ["{", json.dumps({"schema": "another 7", "clips": []}), "[]"])
def test_another_file_is_refused_with_its_name(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"other\.json.*evaluat"):
        load(path)


def test_percent_rounds_down():
    assert [percent(share) for share in (0.0, 0.5, 0.996, 1.0, 0.29)] == ["0%", "50%", "99%", "100%", "29%"]


def test_a_clip_lost_in_its_last_step_is_not_shown_as_completed():
    assert clip("walk/a", 1.0, 0.04, 100.0).shown_share == 1.0
    lost = dataclasses.replace(clip("walk/a", 1.0, 0.04, 100.0), completed=False, end_reason="fall")
    assert lost.shown_share == 0.99
    assert clip("walk/a", 0.5, 0.04, 100.0, "fall").shown_share == 0.5
