"""The benchmark of pipelined training runs end to end, small, on the CPU; no test looks at how fast."""

from __future__ import annotations

import copy
import json

import pytest
import torch

from benchmarks import overlap


@pytest.mark.slow
def test_it_measures_and_checks(tmp_path, capsys):
    out = tmp_path / "out" / "overlap.json"
    options = "--envs 3 --epochs 1 --net fc_2layers_8units --device cpu --engine mujoco --synthetic 2"
    overlap.main(
        [*options.split(), *["--warm-up", "2", "--iterations", "2", "--rounds", "2", "--json"], str(out)]
    )
    row = json.loads(out.read_text())["row"]
    assert row["passed"] and len(row["checks"]) == 2
    for checks in row["checks"].values():
        assert checks["update"] == {"alone": 0.0, "beside": 0.0} and checks["waits"] is None
        assert checks["collection"] == {"means": 0.0, "handed_over": True}
    assert {name: len(speeds) for name, speeds in row["samples_per_second"].items()} == {
        "off": 2,
        "on, priority -1": 2,
        "on, priority 0": 2,
    }
    for ms in row["beside_ms"].values():
        assert ms["iteration"] >= ms["update"] > 0
    printed = capsys.readouterr().out
    assert "of the update is hidden" in printed and "checks passed" in printed


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("update", "beside", 0.1),
        ("update", "alone", float("nan")),
        ("collection", "means", 0.1),
        ("collection", "handed_over", False),
        ("waits", None, 2),
    ],
)
def test_a_failed_check_is_seen(part, name, value):
    good = {
        "update": {"alone": 1e-4, "beside": 2e-4},
        "collection": {"means": 1e-3, "handed_over": True},
        "waits": 1,
    }
    assert overlap.passed(good)
    spoilt = copy.deepcopy(good)
    if name is None:
        spoilt[part] = value
    else:
        spoilt[part][name] = value
    assert not overlap.passed(spoilt)


def test_a_precision_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit):
        overlap.main(["--precision", "fp8"])
    assert "--precision: invalid choice: 'fp8'" in capsys.readouterr().err


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(tmp_path):
    options = "--envs 512 --epochs 1 --net fc_2layers_256units --iterations 4 --rounds 1 --json"
    overlap.main([*options.split(), str(tmp_path / "overlap.json")])
