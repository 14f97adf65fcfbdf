"""Several evaluations on one page, by hand."""

from __future__ import annotations

import re

import pytest

from parc_core.errors import DataError
from parc_core.evaluation.compare import compare, write_comparison
from parc_core.evaluation.result import EvalResult, summarize
from tests.evaluation.sample_data import clip


def _result(shares, error=0.1, evaluation_set="x"):
    clips = [clip(name, share, error, 10.0) for name, share in shares.items()]
    return EvalResult(clips, summarize(clips, evaluation_set), {})


A = {"walk/a": 1.0, "walk/b": 0.5, "jump/<c>": 1.0, "jump/d": 0.5}
B = {"walk/a": 1.0, "walk/b": 1.0, "jump/<c>": 0.25, "jump/d": 0.6}


def test_gains_losses_and_differences_in_pairs():
    found = compare(["A", "B"], [_result(A), _result(B, 0.06)])
    (change,) = found.changes
    assert (change["gained"], change["lost"]) == (1, 1)
    assert change["tracked"]["mean"] == pytest.approx((0 + 0.5 - 0.75 + 0.1) / 4)
    assert change["error"] == {"mean": pytest.approx(-0.04), "of": 1, "interval": None}  # of walk/a alone
    assert [row[0].name for row in found.clips] == ["jump/<c>", "walk/b", "jump/d", "walk/a"]
    assert found.note == ""


def test_only_common_clips_are_compared_and_it_is_said():
    other = _result({name: B[name] for name in ("walk/a", "jump/d")}, evaluation_set="y")
    found = compare(["A", "B"], [_result(A), other])
    assert len(found.clips) == 2 and "(4 and 2 clips): the 2 of the same names are compared" in found.note
    with pytest.raises(DataError, match="no clip was evaluated"):
        compare(["A", "B"], [_result(A), _result({"else": 1.0})])


def test_the_page_has_every_model_class_and_clip(tmp_path):
    found = compare(["run/<1>", "/home/somebody/x/y/2", "3"], [_result(A), _result(B), _result(A)])
    write_comparison(tmp_path / "compare.html", found)
    page = (tmp_path / "compare.html").read_text()
    assert "jump/&lt;c&gt;" in page and "run/&lt;1&gt;" in page and "somebody" not in page
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "jump/&lt;c&gt; 100 % 0.100 completed 25 % −75 0.100 0.000 fall 100 % 0 0.100" in text
    assert "walk 2 50 % 100 % 50 %" in text
