"""The learner's benchmark and its checks: here on the CPU, the graph's where there is a GPU."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from benchmarks import update_checks, update_step

CPU = torch.device("cpu")


@pytest.mark.slow
def test_rows_and_checks(capsys, tmp_path):
    options = "--envs 4 8 --precision bf16 --steps 4 --epochs 1 --obs 20 --repeats 1 --net fc_2layers_16units"
    options += " --activation silu --layer-norm"
    update_step.main([*options.split(), "--device", "cpu", "--json", str(tmp_path / "out" / "a.json")])
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "a.json").read_text())
    assert [row["num_envs"] for row in printed["rows"]] == [4, 8] and printed["passed"]
    for row in printed["rows"]:
        assert row["precision"] == "bf16" and not row["graph"]
        assert (row["activation"], row["layer_norm"]) == ("silu", True)
        assert row["sample_passes_per_second"] > 0 and row["act_ms_per_step"] > 0
    assert len(printed["checks"]["bf16"]["graphs"]) == 6


def test_a_failed_check_is_seen():
    good = update_checks.run_checks("float32", CPU)
    assert update_checks.passed(good)
    spoilt = copy.deepcopy(good)
    spoilt["graphs"][3]["difference"] = 0.1
    assert not update_checks.passed(spoilt)
    assert not update_checks.passed({**good, "tower_float32": 1e-3})
    assert not update_checks.passed({**good, "waits": {"collect": 0, "update": 1}})  # a GPU without its graph


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["float32", "tf32", "bf16"])
def test_on_a_gpu(precision):
    checks = update_checks.run_checks(precision, torch.device("cuda:0"))
    assert update_checks.passed(checks), checks
