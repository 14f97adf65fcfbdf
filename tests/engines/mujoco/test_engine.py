"""Engine `mujoco` against physics that can be computed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.engines.engine import ResetState
from parc_core.engines.mujoco.engine import MujocoEngine
from parc_core.errors import DataError
from parc_core.rotations import exp_map_to_quat, quat_rotate, yaw_quat
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from tests.engines.scenes import (
    FEET,
    GRAVITY,
    HIGH,
    LEG,
    MASS,
    STRADDLE,
    cells_of,
    fine,
    flat,
    random_state,
    state,
    stepped,
    straddling,
)
from tests.envs.scenes import humanoid


def make_engine(num_envs: int = 1, *terrains: Heightfield, threads: int = 1, **env: Any) -> MujocoEngine:
    cpu = torch.device("cpu")
    packed = PackedTerrain(terrains or [flat()], cpu)
    return MujocoEngine(humanoid(), packed, EnvFileConfig(env=EnvConfig(**env)), num_envs, cpu, threads)


def reset(engine: MujocoEngine, to: ResetState) -> None:
    engine.reset(torch.arange(engine.num_envs), to)


def settle(engine: MujocoEngine, steps: int) -> None:
    for _ in range(steps):
        engine.step(torch.zeros(engine.num_envs, 28))


def test_every_field_comes_back_as_it_was_put_in() -> None:
    engine, put = make_engine(8), random_state(8)
    reset(engine, put)
    got = engine.state
    for name in ("root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_vel"):
        assert_close(getattr(got, name), getattr(put, name), atol=2e-6, rtol=1e-6)
    assert_close(got.dof_pos, put.dof_pos, atol=2e-6, rtol=0)
    joint_rot = engine.kinematics.dof_to_rot(put.dof_pos)
    assert_close(got.joint_rot, joint_rot, atol=1e-6, rtol=0)
    body_pos, body_rot = engine.kinematics.forward(put.root_pos, put.root_rot, joint_rot)
    assert_close(got.body_pos, body_pos, atol=1e-5, rtol=0)
    assert_close(got.body_rot, body_rot, atol=1e-6, rtol=0)
    assert not got.contact_forces.any()
    assert not got.diverged.any()


def data_of(engine: MujocoEngine, env: int) -> Any:
    """MuJoCo's own data in the state of one environment."""
    import mujoco

    data = mujoco.MjData(engine.model)
    for name in ("qpos", "qvel", "mocap_pos"):
        setattr(data, name, engine._batch.bind(name)[env])
    return data


def test_mujoco_places_bodies_where_our_kinematics_do() -> None:
    import mujoco

    engine = make_engine(4)
    reset(engine, random_state(4))
    for env in range(4):
        data = data_of(engine, env)
        mujoco.mj_forward(engine.model, data)
        for b, name in enumerate(humanoid().body_names):
            np.testing.assert_allclose(engine.state.body_pos[env, b], data.body(name).xpos, atol=1e-5)
            x, y, z, w = engine.state.body_rot[env, b].tolist()
            dot = abs(np.dot(data.body(name).xquat, (w, x, y, z)))
            assert dot == pytest.approx(1.0, abs=1e-6)


def test_reset_touches_only_the_named_environments() -> None:
    engine = make_engine(3)
    reset(engine, random_state(3))
    before = {
        k: getattr(engine.state, k).clone() for k in ("root_pos", "dof_pos", "body_pos", "root_ang_vel")
    }
    engine.reset(torch.tensor([1]), state(1))
    for name, values in before.items():
        assert_close(getattr(engine.state, name)[[0, 2]], values[[0, 2]], atol=0, rtol=0)
    assert engine.state.root_pos[1].tolist() == pytest.approx([0, 0, LEG])


def test_the_character_weighs_50_kg() -> None:
    assert float(make_engine().model.body("pelvis").subtreemass[0]) == pytest.approx(MASS, abs=0.01)


def test_free_fall() -> None:
    engine = make_engine()
    reset(engine, state(height=HIGH, root_vel=torch.tensor([[1.0, -2.0, 3.0]])))
    settle(engine, 15)
    assert engine.state.root_vel[0].tolist() == pytest.approx([1.0, -2.0, 3.0 - GRAVITY * 0.5], abs=2e-3)
    # Each substep's speed change acts from the beginning of that substep on.
    fall = 3.0 * 0.5 - 0.5 * GRAVITY * 0.5 * (0.5 + 1 / 120)
    assert engine.state.root_pos[0].tolist() == pytest.approx([0.5, -1.0, HIGH + fall], abs=2e-3)
    assert not engine.state.contact_forces.any()


def test_root_angular_velocity_is_in_the_worlds_axes() -> None:
    """Lying on its side it turns about the vertical: the heading moves on, the tilt stays."""
    engine = make_engine()
    tilt = exp_map_to_quat(torch.tensor([[1.2, 0.0, 0.0]]))
    spin = torch.tensor([[0.0, 0.0, 0.6]])
    reset(engine, state(height=HIGH, root_rot=tilt, root_ang_vel=spin))
    up = quat_rotate(tilt, torch.tensor([[0.0, 0.0, 1.0]]))
    engine.step(torch.zeros(1, 28))
    expected = quat_rotate(yaw_quat(torch.tensor([0.6 / 30])), up)
    moved = quat_rotate(engine.state.root_rot, torch.tensor([[0.0, 0.0, 1.0]]))
    assert_close(moved, expected, atol=1.5e-3, rtol=0)
    assert float((moved - up).norm()) > 0.01


def test_dof_velocity_is_in_the_childs_frame() -> None:
    """The joint's rotation after a short time is the old one times a turn by velocity · time."""
    engine = make_engine()
    put = state(height=HIGH)
    hip = slice(14, 17)
    put.dof_pos[0, hip] = torch.tensor([0.3, -0.9, 0.4])
    put.dof_vel[0, hip] = torch.tensor([0.2, 0.1, -0.4])
    reset(engine, put)
    before = engine.state.joint_rot.clone()
    dt = float(engine.model.opt.timestep)
    engine._batch.step(nstep=1)
    engine._read_state(slice(None))
    measured = engine.kinematics.dof_velocity(before, engine.state.joint_rot, dt)
    assert_close(measured, engine.state.dof_vel, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("height", [0.0, 1.3, -2.0])
def test_standing_feet_carry_the_weight(height: float) -> None:
    engine = make_engine(1, flat(height))
    reset(engine, state(height=height + LEG))
    settle(engine, 12)
    forces = torch.zeros(3)
    for _ in range(6):
        settle(engine, 1)
        forces += engine.state.contact_forces[0, FEET].sum(0) / 6
    assert float(forces[2]) == pytest.approx(MASS * GRAVITY, rel=0.02)
    assert float(engine.state.root_pos[0, 2]) == pytest.approx(height + LEG, abs=0.02)
    others = [b for b in range(15) if b not in FEET]
    assert not engine.state.contact_forces[0, others].any()


PLACES = [(0.8, 0.0, 0.6), (-0.6, 0.1, 0.0), (0.38, -0.7, 0.6), (3.0, 0.0, 0.6), (-9.0, 5.0, 0.0)]


@pytest.mark.parametrize(("x", "y", "ground"), PLACES)
def test_stands_on_the_cell_under_it(x: float, y: float, ground: float) -> None:
    """Also beyond the border, where the last cell goes on."""
    engine = make_engine(1, stepped())
    put = state()
    put.root_pos[0] = torch.tensor([x, y, ground + LEG + 0.01])
    reset(engine, put)
    settle(engine, 10)
    assert float(engine.state.root_pos[0, 2]) == pytest.approx(ground + LEG, abs=0.02)
    assert float(engine.state.contact_forces[0, FEET, 2].sum()) > 100.0


def rays(engine: MujocoEngine, origins: list, direction: list) -> np.ndarray:
    """Distance to the first column hit from each origin, -1 for none."""
    import mujoco

    data = data_of(engine, 0)
    mujoco.mj_forward(engine.model, data)
    columns = int(engine.model.body("pelvis").id)  # bodies before the pelvis
    hits = []
    for origin in origins:
        geom = np.zeros(1, np.int32)
        distance = mujoco.mj_ray(
            engine.model, data, np.array(origin, float), np.array(direction, float), None, 1, -1, geom
        )
        hits.append(distance if engine.model.geom_bodyid[geom[0]] < columns else -1.0)
    return np.array(hits)


def test_walls_are_vertical_and_stand_between_cells() -> None:
    engine = make_engine(1, stepped())
    put = state(height=30.0)
    reset(engine, put)
    settle(engine, 1)
    level = rays(engine, [[-0.9, 0.07, z] for z in (0.05, 0.3, 0.55, 0.65)], [1.0, 0.0, 0.0])
    assert level.tolist() == pytest.approx([1.1, 1.1, 1.1, -1.0], abs=1e-6)
    down = rays(engine, [[x, 0.07, 5.0] for x in (0.19, 0.21)], [0.0, 0.0, -1.0])
    assert down.tolist() == pytest.approx([5.0, 4.4], abs=1e-6)


def test_the_window_follows_the_root() -> None:
    engine = make_engine(1, flat(cells=61))
    put = state(height=30.0)
    put.root_pos[0, :2] = torch.tensor([7.3, -4.1])
    reset(engine, put)
    settle(engine, 1)
    # 5 × 5 cells around the cell at (7.2, -4.0): from 6.2 to 8.2 and from -5.0 to -3.0.
    inside, outside = [[6.21, -4.99, 5.0], [8.19, -3.01, 5.0]], [[6.19, -4.0, 5.0], [7.2, -2.99, 5.0]]
    assert rays(engine, inside, [0.0, 0.0, -1.0]).tolist() == pytest.approx([5.0, 5.0], abs=1e-6)
    assert (rays(engine, outside, [0.0, 0.0, -1.0]) == -1).all()


@pytest.mark.parametrize("dx", [0.4, 0.1])
def test_feet_far_from_the_root_stand_on_cells_of_any_size(dx: float) -> None:
    engine = make_engine(1, fine(dx), dm=cells_of(dx))
    reset(engine, straddling())
    for _ in range(12):
        engine.step(straddling().dof_pos)
    assert float(engine.state.root_pos[0, 2]) == pytest.approx(STRADDLE, abs=0.03)
    assert float(engine.state.contact_forces[0, FEET, 2].sum()) > 0.5 * MASS * GRAVITY
    assert engine.counters() == {"window_exits": 0.0, "diverged": 0.0}


def test_feet_beside_a_window_given_in_cells_are_counted() -> None:
    engine = make_engine(2, fine(0.1), dm=cells_of(0.1), terrain_window=5)
    put = straddling(2)
    put.root_pos[1, 2] = HIGH
    reset(engine, put)
    for _ in range(4):
        engine.step(put.dof_pos)
    assert not engine.state.contact_forces[0, FEET].any()  # 0.2 m of ground: the character falls through
    saved = engine.state_dict()
    assert engine.counters() == {"window_exits": 4.0, "diverged": 0.0}
    assert engine.counters() == {"window_exits": 0.0, "diverged": 0.0}
    engine.load_state_dict(saved)
    assert engine.counters()["window_exits"] == 4.0
    engine.load_state_dict({name: value for name, value in saved.items() if name != "counters"})
    assert engine.counters()["window_exits"] == 0.0  # of a version that did not count


def test_every_environment_stands_on_its_own_terrain() -> None:
    engine = make_engine(2, flat(0.0), flat(2.0))
    put = state(2, terrain_ids=torch.tensor([1, 0]))
    put.root_pos[:, 2] = torch.tensor([2.0 + LEG, LEG])
    reset(engine, put)
    settle(engine, 10)
    assert engine.state.root_pos[:, 2].tolist() == pytest.approx([2.0 + LEG, LEG], abs=0.02)


def test_a_target_moves_its_dof_the_right_way() -> None:
    """One environment per dof, in free fall, where no weight pulls on joints."""
    engine = make_engine(28)
    c = humanoid()
    # Towards the middle of a hinge's range, so that no limit is in the way.
    sign = torch.where(c.dof_upper > 0.1, 1.0, -1.0)
    targets = torch.diag(0.2 * sign)
    reset(engine, state(28, HIGH))
    for _ in range(6):
        engine.step(targets)
    moved = engine.state.dof_pos.diagonal() * sign
    assert float(moved.min()) > 0.03
    off_diagonal = engine.state.dof_pos - torch.diag(engine.state.dof_pos.diagonal())
    assert bool((off_diagonal.abs().amax(1) < engine.state.dof_pos.diagonal().abs()).all())


def test_a_simulation_that_diverges_is_flagged_and_stands_above_its_ground_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = make_engine(3, stepped())
    put = state(3)
    put.root_pos[:, :2] = torch.tensor([[0.8, 0.2], [0.8, 0.2], [-0.6, 0.0]])
    put.root_pos[:2, 2] += 0.6
    reset(engine, put)
    settle(engine, 1)
    engine._qpos[0, 2] = float("nan")
    engine._qvel[2, 10] = 1e7
    settle(engine, 1)
    assert engine.state.diverged.tolist() == [True, False, True]
    for name in ("root_pos", "dof_pos", "dof_vel", "root_vel", "contact_forces", "body_pos"):
        assert torch.isfinite(getattr(engine.state, name)).all(), name
    assert engine.state.root_pos[0, :2].tolist() == pytest.approx([0.8, 0.2], abs=0.02)
    assert float(engine.state.root_pos[0, 2]) == pytest.approx(0.6 + LEG, abs=0.3)
    assert not engine.state.contact_forces[[0, 2]].any()
    settle(engine, 15)
    assert not engine.state.diverged.any()
    assert float(engine.state.contact_forces[0].norm(dim=-1).max()) < 5000.0
    assert float(engine.state.root_pos[0, 2]) < 0.6 + LEG + 0.1
    assert not list(tmp_path.iterdir())  # MuJoCo would leave a MUJOCO_LOG.TXT in the working folder


def run(engine: MujocoEngine, steps: int, seed: int) -> list[Tensor]:
    """Random targets; what is to be equal afterwards, in MuJoCo's own float64 too."""
    g = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        engine.step(0.3 * torch.randn(engine.num_envs, 28, generator=g))
    saved = engine.state_dict()
    seen = [getattr(engine.state, name).clone() for name in ("root_pos", "joint_rot", "body_pos", "dof_vel")]
    return [*seen, saved["qpos"], saved["qvel"], saved["contact_forces"]]


def test_continues_bit_for_bit_from_a_saved_state() -> None:
    whole, half, resumed = (make_engine(4, stepped()) for _ in range(3))
    for engine in (whole, half):
        reset(engine, state(4, LEG + 0.05))
        run(engine, 10, seed=1)
    resumed.load_state_dict(half.state_dict())
    assert_close(resumed.state.contact_forces, half.state.contact_forces, atol=0, rtol=0)
    for a, b in zip(run(whole, 10, seed=2), run(resumed, 10, seed=2)):
        assert torch.equal(a, b)


def test_the_number_of_threads_does_not_change_the_result() -> None:
    results = []
    for threads in (1, 2):
        engine = make_engine(6, stepped(), threads=threads)
        reset(engine, state(6, LEG + 0.05))
        results.append(run(engine, 12, seed=3))
    for a, b in zip(*results):
        assert torch.equal(a, b)


def test_a_state_of_another_size_is_refused() -> None:
    saved = make_engine(2).state_dict()
    with pytest.raises(DataError, match="another character or number of environments") as caught:
        make_engine(3).load_state_dict(saved)
    assert "\n" not in str(caught.value)


def test_a_state_of_another_engine_is_refused() -> None:
    with pytest.raises(DataError, match="belongs to another engine"):
        make_engine().load_state_dict({"qpos": torch.zeros(1, 41)})
