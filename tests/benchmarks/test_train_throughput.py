"""The benchmark runs end to end, small, on the CPU; no test looks at how fast."""

from __future__ import annotations

import dataclasses
import importlib

import pytest
import torch

from benchmarks import components
from benchmarks.scene import synthetic_motions
from benchmarks.timing import Stopwatch
from benchmarks.train_throughput import IN_LOOP, measure, table
from benchmarks.training_scene import Scene, make_training, motion_listing
from parc_core.errors import DataError


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_row_adds_up(tmp_path, pipelined):
    listing = motion_listing(None, 2, tmp_path)
    scene = Scene(device="cpu", engine="mujoco", net="fc_2layers_8units", precision="float32", epochs=1)
    scene = dataclasses.replace(scene, pipelined=pipelined)
    row = measure(scene, 3, listing, warm_up=1, iterations=2, part_repeats=1, profile_physics=True)
    ms = row["ms"]
    assert sum(ms[name] for name in IN_LOOP) == pytest.approx(ms["whole"], abs=1e-3)
    inside = ("physics", "reference", "observation", "reward", "rest of step")
    assert sum(ms[name] for name in inside) == pytest.approx(ms["step"], abs=1e-3)
    assert row["samples_per_second"] == pytest.approx(3 / (ms["whole"] / 1000), rel=0.02)
    assert (row["motions"], row["obs_dim"], row["update_epochs"]) == (2, 1312, 1)
    assert row["memory"] == {} and "needs engine mujoco_warp" in row["physics_profile"][0]
    assert table([row, row]).row_count == 14


def test_motions_of_a_folder_and_of_a_file(tmp_path):
    listing = synthetic_motions(tmp_path / "made", 3)
    assert motion_listing(str(listing), 0, tmp_path) == listing
    of_folder = motion_listing(str(tmp_path / "made"), 0, tmp_path).read_text()
    assert of_folder.count("file:") == listing.read_text().count("file:") == 3
    with pytest.raises(DataError, match="neither"):
        motion_listing(str(tmp_path / "nothing"), 0, tmp_path)


def test_watch_adds_up_and_starts_anew():
    watch = Stopwatch(torch.device("cpu"))
    doubled = watch.timed(lambda x: 2 * x, "double")
    assert doubled(3) == 6 and doubled(4) == 8
    assert watch.take()["double"] > 0 and watch.take() == {}


def test_trace_lines_add_up_the_substeps():
    trace = {"step": ((1.0, 2.0), {"forward": ((0.5, 0.25), {})})}
    assert components._trace_lines(trace, 0) == ["step: 3.000 ms", "  forward: 0.750 ms"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA GPU")
@pytest.mark.parametrize("program", ["train_throughput", "data_scale", "update_step"])
def test_a_device_that_is_not_there_is_named_in_one_line(program):
    with pytest.raises(SystemExit, match=r"error: --device: .*cuda:0"):
        importlib.import_module(f"benchmarks.{program}").main(["--device", "cuda:0"])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_parts_of_the_fused_step(tmp_path):
    """On Warp's CPU device: all parts are measured, and measuring leaves the environment able to go on."""
    pytest.importorskip(
        "mujoco_warp", reason="MuJoCo Warp is not installed (pip install 'parc-tracker[gpu]')"
    )
    scene = Scene(device="cpu", engine="mujoco_warp", net="fc_2layers_8units", precision="float32", epochs=1)
    training = make_training(scene, 2, motion_listing(None, 2, tmp_path))
    training.iterate()
    parts = components.step_parts(training, repeats=1)
    assert set(parts) == set(components.fused_pieces(training.env)) and min(parts.values()) > 0
    before = training.env.state_dict()
    counts = components.count_launches(training.env)
    assert counts["physics"] > 100 and set(counts) == set(parts)
    assert torch.equal(training.env.state_dict()["engine"]["qpos"], before["engine"]["qpos"])
    assert training.iterate()["all_finite"] == 1.0
    assert training.samples == 2 * 2 * training.config.steps_per_iter
