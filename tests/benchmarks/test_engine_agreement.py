"""Comparison of engines: starts, deviations, rows, picture, and a short run of both engines."""

from __future__ import annotations

import json
import math

import pytest
import torch

from benchmarks import engine_agreement as agreement
from parc_core.motion.synthetic.dataset import make_dataset

DT = 0.05


def trajectory(shift: float = 0.0, steps: int = 4, running: int = 4) -> agreement.Trajectory:
    """Two starts at rest; bodies `shift` m aside, a joint turned by `shift` rad; the second start's clip ends."""
    place = torch.tensor([shift, 0.0, 0.0])
    half = 0.5 * shift
    turned = torch.tensor([math.sin(half), 0.0, 0.0, math.cos(half)])
    still = torch.ones(steps, 2, dtype=torch.bool)
    still[running:, 1] = False
    return agreement.Trajectory(
        place.expand(steps, 2, 3),
        place.expand(steps, 2, 3, 3),
        turned.expand(steps, 2, 2, 4),
        torch.full((steps, 2), 0.5),
        still,
        DT,
    )


def test_deviations_of_known_poses() -> None:
    found = agreement.deviations(trajectory(), trajectory(0.1))
    for name in ("root_m", "body_m"):
        torch.testing.assert_close(found[name], torch.full((4, 2), 0.1))
    torch.testing.assert_close(
        found["joint_deg"], torch.full((4, 2), math.degrees(0.1)), atol=1e-3, rtol=1e-4
    )


def test_a_start_counts_as_long_as_its_clip_goes_on() -> None:
    runs = {"mujoco": trajectory(steps=6, running=3)}
    runs.update({name: trajectory(0.1, steps=6, running=3) for name in agreement.PAIRS})
    rows = agreement.table_rows("open", runs)
    found = [(row["run"], round(row["seconds"], 2), row["starts"]) for row in rows]
    assert found == [(name, *at) for name in agreement.PAIRS for at in ((0.1, 2), (0.25, 1))]
    assert rows[0]["root_m"] == pytest.approx({"50": 0.1, "90": 0.1, "100": 0.1})


def test_starts_leave_time_to_compare() -> None:
    ids, times = agreement.starts(torch.tensor([0.05, 1.2]), 0.5)
    assert ids.tolist() == [1, 1, 1]
    assert times.tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(SystemExit, match="no clip is"):
        agreement.starts(torch.tensor([0.05]), 0.5)


def test_folders_without_motions(tmp_path) -> None:
    with pytest.raises(SystemExit, match=r"no \.pkl"):
        agreement.clip_files([tmp_path])


def test_both_engines(tmp_path) -> None:
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed")
    clips = tmp_path / "clips"
    make_dataset(["walk"], 1, 0, clips)
    argv = ["--clips", str(clips), "--every", "2", "--seconds", "0.2", "--out", str(tmp_path / "out")]
    agreement.main(argv)
    rows = json.loads((tmp_path / "out/engine_agreement.json").read_text())["rows"]
    assert {row["run"] for row in rows} == set(agreement.PAIRS)
    for row in rows:
        assert 0.0 < row["root_m"]["100"] < 5e-3  # m; what the solver leaves undone is of this size
    assert (tmp_path / "out/engine_agreement.png").stat().st_size > 1000
