"""Comparison of engines: starts, deviations, rows, picture, and a short run of both engines."""

from __future__ import annotations

import json
import math

import pytest
import torch

from benchmarks import engine_agreement as agreement
from parc_core.engines.engine import ResetState
from parc_core.envs.factory import make_env
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.synthetic.dataset import make_dataset
from tests.envs.scenes import env_file

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


def lifted(env: TrackingEnv, height: float, motion_ids: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Root positions after three control steps without policy, started `height` m above the reference. (N, 3)."""
    env.reset_to(motion_ids, times)
    state = env.engine.state
    kept = ("root_rot", "root_vel", "root_ang_vel", "dof_pos", "dof_vel")
    values = {name: getattr(state, name).clone() for name in kept}
    place = state.root_pos + torch.tensor([0.0, 0.0, height])
    env.engine.reset(
        torch.arange(env.num_envs), ResetState(place, terrain_ids=torch.zeros(2).long(), **values)
    )
    for _ in range(3):
        env.step(torch.zeros(env.num_envs, env.action_dim))
    return env.engine.state.root_pos.clone()


def test_engines_agree_where_no_foot_just_touches(tmp_path) -> None:
    """A micrometre up, both engines stay together to a micrometre, and part from a start in touch by far more."""
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed")
    (clip,) = make_dataset(["walk"], 1, 0, tmp_path)
    write_motions_yaml(tmp_path / "motions.yaml", MotionsFile([MotionEntry(str(clip), 1.0)]))
    config = env_file(tmp_path / "motions.yaml", enable_early_termination=False)
    mujoco, warp = (make_env(config, 2, "cpu", name) for name in ("mujoco", "mujoco_warp"))
    starts = torch.tensor([0, 0]), torch.tensor([0.0, 2.0])
    in_touch = lifted(mujoco, 0.0, *starts)
    for height in (1e-6, 1e-5, 1e-4):
        one, other = (lifted(env, height, *starts) for env in (mujoco, warp))
        assert float((one - other).norm(dim=-1).max()) < 1e-5
        assert float((one - in_touch).norm(dim=-1).max()) > 2e-4


def test_both_engines(tmp_path) -> None:
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed")
    clips = tmp_path / "clips"
    make_dataset(["walk"], 1, 0, clips)
    argv = ["--clips", str(clips), "--every", "2", "--seconds", "0.2", "--out", str(tmp_path / "out")]
    agreement.main(argv)
    rows = json.loads((tmp_path / "out/engine_agreement.json").read_text())["rows"]
    assert {row["run"] for row in rows} == set(agreement.PAIRS)
    # Made motions stand on the ground exactly: gaps of ±1e-8 m. Whether such a foot touches in the first substep is up
    # to rounding, and decides over a millimetre; see `test_engines_agree_where_no_foot_just_touches`.
    for row in rows:
        assert 0.0 < row["root_m"]["100"] < 5e-3
    assert (tmp_path / "out/engine_agreement.png").stat().st_size > 1000
