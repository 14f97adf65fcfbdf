"""Numbers on clips that the training never saw: in a gate's rules, and in which model is better."""

from __future__ import annotations

from typing import Any

import pytest

from parc_core.errors import ConfigError
from parc_core.registry.gate import check_gate, failed_rules, gated_numbers, is_better, scores_on_one_set


def manifest(completed: float, held_out: float | None = None, **more: Any) -> dict[str, Any]:
    """Of a model evaluated on the clips `train` and, where there is a number for it, on the clips `held`."""
    sets = {"train": more.pop("train", "a"), "held": more.pop("held", "h")}
    metrics: dict[str, Any] = {"after": {"completed_share": completed, "evaluation_set": sets["train"]}}
    if held_out is not None:
        metrics["held_out"] = {"after": {"completed_share": held_out, "evaluation_set": sets["held"]}}
        if "held_before" in more:
            metrics["held_out"]["before"] = {"completed_share": more.pop("held_before")}
    if "before" in more:
        metrics["before"] = {"completed_share": more.pop("before")}
    return {"metrics": metrics, **more}


def test_both_sets_count_alike_where_both_models_have_them() -> None:
    assert scores_on_one_set(manifest(0.9, 0.5), manifest(1.0, 0.3)) is not None
    assert is_better(manifest(0.9, 0.5), manifest(1.0, 0.3))
    assert not is_better(manifest(0.9, 0.5), manifest(1.0, 0.4))  # as good
    assert is_better(manifest(1.0), manifest(0.9, 0.9))  # one has none: the training clips alone
    assert is_better(manifest(1.0, 0.1, held="other"), manifest(0.9, 0.9))


def test_a_fixed_held_out_set_compares_models_of_different_training_clips() -> None:
    assert scores_on_one_set(manifest(0.9, train="b"), manifest(1.0)) is None
    assert is_better(manifest(0.7, 0.6, train="b"), manifest(1.0, 0.5))
    assert not is_better(manifest(1.0, 0.4, train="b"), manifest(0.7, 0.5))


def test_of_the_model_that_a_training_started_from_the_numbers_before_count() -> None:
    old = {**manifest(0.9, 0.9), "files": {"model.pt": {"sha256": "p"}}}
    new = manifest(
        0.8, 0.6, train="b", held="i", before=0.7, held_before=0.5, lineage={"parent": {"sha256": "p"}}
    )
    assert scores_on_one_set(new, old) == (
        (pytest.approx(0.7), -float("inf"), -float("inf")),
        (pytest.approx(0.6), -float("inf"), -float("inf")),
    )


def test_a_gate_can_ask_for_held_out_clips() -> None:
    numbers = gated_numbers(manifest(1.0, 0.4))
    assert failed_rules(numbers, {"min_completed": 0.9, "min_held_out_completed": 0.4}) == []
    assert failed_rules(numbers, {"min_held_out_completed": 0.5}) == [
        "held_out_completed_share is 0.4, min_held_out_completed is 0.5"
    ]
    with pytest.raises(ConfigError, match="write min_… or max_… with one of"):
        failed_rules(gated_numbers(manifest(1.0)), {"min_held_out_completed": 0.5})
    names = ["completed_share", "held_out_completed_share"]
    with pytest.raises(ConfigError, match="must be a share from 0 to 1"):
        check_gate({"min_held_out_completed": 90}, names, "gate")
