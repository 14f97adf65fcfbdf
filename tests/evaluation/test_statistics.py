"""Intervals against published values; tables by hand."""

from __future__ import annotations

import csv
import dataclasses
import io

import pytest

from parc_core.evaluation.statistics import statistics, student, t_quantile, to_csv, wilson
from tests.evaluation.sample_data import clip


def _clips():
    clips = [clip("walk/a", 1.0, 0.02, 50.0), clip("walk/b", 0.5, 0.1, 20.0), clip("jump/c", 1.0, 0.06, 40.0)]
    rules = [{"last_frame": k != 1, "joint_error": True, "no_fall": k == 0} for k in range(3)]
    start = {"start_s": 0.2, "completed": 1, "completed_fraction": 1.0, "joint_error_m": 0.03}
    return [
        dataclasses.replace(
            one,
            success=rule,
            measures={"contact_recall": None if k else 0.9, "power_w": 100.0 * k},
            random_starts=[start, {**start, "completed": k % 2}],
        )
        for k, (one, rule) in enumerate(zip(clips, rules))
    ]


def test_wilson_intervals():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((0.8389, 1.0), abs=1e-4)
    assert wilson(0, 0) is None


def test_student_intervals():
    assert student([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.4841, 2 + 2.4841), abs=1e-3)
    assert student([1.0]) is None
    assert (t_quantile(1), t_quantile(30)) == (12.706, 2.042)
    assert t_quantile(31) == pytest.approx(2.0395, abs=1e-4) and t_quantile(120) == pytest.approx(
        1.9799, abs=1e-4
    )


def test_statistics_by_class_and_over_all():
    found = statistics(_clips())
    assert list(found["classes"]) == ["jump", "walk"]
    overall = found["overall"]
    assert overall["completed"] == {"share": 2 / 3, "count": 2, "of": 3, "interval": wilson(2, 3)}
    assert overall["success"]["no_fall"]["count"] == 1
    assert overall["measures"]["contact_recall"] == {"mean": 0.9, "of": 1, "interval": None}
    assert overall["measures"]["power_w"]["mean"] == pytest.approx(100.0)
    assert (
        overall["random_starts"]["completed"]["count"] == 4
        and overall["random_starts"]["completed"]["of"] == 6
    )
    assert found["classes"]["walk"]["joint_error_m"]["mean"] == pytest.approx(0.06)


def test_intervals_of_what_is_never_negative_end_at_0():
    overall = statistics(_clips())["overall"]
    assert overall["joint_error_completed_m"]["interval"][0] == 0.0  # of 0.02 and 0.06
    assert student([0.02, 0.06])[0] < 0


def test_intervals_of_shares_end_at_1_and_those_of_returns_nowhere():
    """Contacts at the wrong times make returns negative."""
    clips = [
        dataclasses.replace(
            clip("walk/a", share, 0.02, reward), measures={"contact_recall": share, "power_w": 9 * share}
        )
        for share, reward in ((1.0, -5.0), (0.6, -1.0))
    ]
    overall = statistics(clips)["overall"]
    for name, most in (
        ("completed_fraction", 1.0),
        ("contact_recall", 1.0),
        ("power_w", student([9, 5.4])[1]),
    ):
        found = overall.get(name) or overall["measures"][name]
        assert found["interval"][1] == pytest.approx(most), name
    assert overall["episode_return"]["interval"] == student([-5.0, -1.0])


def test_the_table_has_clips_classes_and_all():
    rows = list(csv.DictReader(io.StringIO(to_csv(_clips()))))
    assert [(row["level"], row["name"]) for row in rows] == [
        ("clip", "walk/a"),
        ("clip", "walk/b"),
        ("clip", "jump/c"),
        ("class", "jump"),
        ("class", "walk"),
        ("overall", ""),
    ]
    assert rows[1]["completed"] == "0" and rows[1]["success_no_fall"] == "0"
    assert float(rows[5]["completed_low"]) == pytest.approx(wilson(2, 3)[0])
    assert rows[0]["contact_recall"] == "0.9" and rows[1]["contact_recall"] == ""
    assert float(rows[4]["random_starts_completed"]) == 0.75


def test_no_name_is_a_formula_in_a_spreadsheet():
    names = ["=1+2", "@SUM(A1)", "-walk", 'a,"b"\n<script>', "歩く/walk", "walk/-3"]
    clips = [dataclasses.replace(clip("", 1.0, 0.1, 1.0), name=name, motion_class=name) for name in names]
    clips.append(clip("walk/negative", 1.0, 0.1, -5.0))
    rows = [row for row in csv.DictReader(io.StringIO(to_csv(clips))) if row["level"] == "clip"]
    assert [row["name"] for row in rows[:6]] == ["'=1+2", "'@SUM(A1)", "'-walk", *names[3:]]
    assert rows[0]["class"] == "'=1+2"
    assert float(rows[6]["episode_return"]) == -5.0
