"""What the environment counts on, asked of every engine alike. Tolerances are those of different solvers."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.character.model import Character
from parc_core.engines.engine import Engine, ResetState
from parc_core.errors import DataError
from parc_core.rotations import exp_map_to_quat, quat_conj, quat_mul, quat_rotate, quat_to_exp_map

GRAVITY = 9.81  # m/s²
WEIGHT = 50.05 * GRAVITY  # N
STANDING = 0.421546 + 0.40987 + 0.05  # m from the soles to the root in the T-pose
HIGH = 30.0  # m; nothing is touched up there


def placed(engine: Engine, height: float, **changes: Any) -> ResetState:
    """All environments in the T-pose at rest, above the origin of terrain 0."""
    n, dofs = engine.num_envs, engine.state.dof_pos.shape[1]
    root_pos, root_rot = torch.zeros(n, 3), torch.zeros(n, 4)
    root_pos[:, 2], root_rot[:, 3] = height, 1.0
    fields = {
        "root_pos": root_pos,
        "root_rot": root_rot,
        "root_vel": torch.zeros(n, 3),
        "root_ang_vel": torch.zeros(n, 3),
        "dof_pos": torch.zeros(n, dofs),
        "dof_vel": torch.zeros(n, dofs),
        "terrain_ids": torch.zeros(n, dtype=torch.long),
    }
    fields.update(changes)
    return ResetState(**{name: tensor.to(engine.device) for name, tensor in fields.items()})


def put(engine: Engine, state: ResetState) -> None:
    engine.reset(torch.arange(engine.num_envs, device=engine.device), state)


def run(engine: Engine, targets: Tensor, steps: int) -> None:
    for _ in range(steps):
        engine.step(targets.to(engine.device))


def zeros(engine: Engine) -> Tensor:
    return torch.zeros_like(engine.state.dof_pos)


def copied(engine: Engine) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in vars(engine.state).items()}


def poses(engine: Engine, character: Character, share: float, seed: int = 0) -> Tensor:
    """Random dofs in the inner share of their limits. (N, D) rad."""
    generator = torch.Generator().manual_seed(seed)
    at = torch.rand(engine.num_envs, character.dof_size, generator=generator)
    return share * (character.dof_lower + at * (character.dof_upper - character.dof_lower))


def near(got: Tensor, wanted: Tensor, tolerance: float) -> None:
    worst = float((got - wanted.to(got.device)).abs().max())
    assert worst <= tolerance, f"off by {worst}"


def test_shapes_and_rates(engine: Engine, character: Character) -> None:
    n, j, d = engine.num_envs, character.num_bodies, character.dof_size
    widths = {
        "root_pos": (n, 3),
        "root_rot": (n, 4),
        "root_vel": (n, 3),
        "root_ang_vel": (n, 3),
        "dof_pos": (n, d),
        "dof_vel": (n, d),
        "joint_rot": (n, j - 1, 4),
        "body_pos": (n, j, 3),
        "body_rot": (n, j, 4),
        "contact_forces": (n, j, 3),
        "diverged": (n,),
    }
    for name, shape in widths.items():
        tensor = getattr(engine.state, name)
        assert tuple(tensor.shape) == shape, name
        assert tensor.dtype == (torch.bool if name == "diverged" else torch.float32), name
        assert tensor.device.type == engine.device.type
    assert engine.control_dt == pytest.approx(1 / 30)


def test_reset_puts_the_character_there(engine: Engine, character: Character) -> None:
    generator = torch.Generator().manual_seed(0)

    def noise(width: int) -> Tensor:
        return torch.randn(engine.num_envs, width, generator=generator)

    to = placed(
        engine,
        HIGH,
        root_rot=torch.nn.functional.normalize(noise(4), dim=-1),
        root_vel=noise(3),
        root_ang_vel=noise(3),
        dof_pos=poses(engine, character, 0.6),
        dof_vel=noise(character.dof_size),
        terrain_ids=torch.arange(engine.num_envs) % 3,
    )
    put(engine, to)
    s, kinematics = engine.state, Kinematics(character, engine.device)
    for name in ("root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_pos", "dof_vel"):
        near(getattr(s, name), getattr(to, name), 2e-5)
    joint_rot = kinematics.dof_to_rot(to.dof_pos)
    body_pos, _ = kinematics.forward(to.root_pos, to.root_rot, joint_rot)
    near(s.joint_rot, joint_rot, 2e-5)
    near(s.body_pos, body_pos, 1e-4)
    assert not s.contact_forces.any()
    assert not s.diverged.any()


def test_a_reset_leaves_the_others_alone(engine: Engine) -> None:
    put(engine, placed(engine, HIGH))
    run(engine, zeros(engine), 3)
    before = copied(engine)
    one = placed(engine, 20.0)
    ids = torch.tensor([2], device=engine.device)
    engine.reset(ids, ResetState(**{name: tensor[:1] for name, tensor in vars(one).items()}))
    others = [0, 1, 3]
    for name, tensor in vars(engine.state).items():
        assert torch.equal(tensor[others], before[name][others]), name
    assert float(engine.state.root_pos[2, 2]) == pytest.approx(20.0, abs=1e-5)
    run(engine, zeros(engine), 1)
    assert float(engine.state.root_pos[2, 2]) == pytest.approx(20.0 - 0.5 * GRAVITY / 900, abs=5e-3)


def test_free_fall(engine: Engine) -> None:
    put(engine, placed(engine, HIGH, root_vel=torch.tensor([[1.0, -0.5, 0.0]]).expand(engine.num_envs, 3)))
    run(engine, zeros(engine), 15)
    s = engine.state
    near(s.root_vel, torch.tensor([1.0, -0.5, -0.5 * GRAVITY]), 0.05)
    near(s.root_pos, torch.tensor([0.5, -0.25, HIGH - 0.125 * GRAVITY]), 0.05)
    assert not s.contact_forces.any()


def test_standing_carries_the_weight(engine: Engine) -> None:
    """And the feet alone touch: on each terrain, at its height, in its own frame."""
    ids = torch.tensor([0, 1, 2, 0])
    root_pos = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [40.0, 40.0, 0.0], [0.0, 0.0, 0.0]])
    root_pos[:, 2] += STANDING
    put(engine, placed(engine, 0.0, root_pos=root_pos, terrain_ids=ids))
    total, steps = torch.zeros(engine.num_envs, device=engine.device), 15
    feet = torch.zeros_like(total)
    for _ in range(steps):
        run(engine, zeros(engine), 1)
        up = engine.state.contact_forces[..., 2]
        total += up.sum(-1) / steps
        feet += up[:, [11, 14]].sum(-1) / steps
    assert ((total - WEIGHT).abs() < 0.25 * WEIGHT).all(), total
    near(feet, total, 1.0)
    near(engine.state.root_pos[:, 2], root_pos[:, 2], 0.05)
    relative = engine.state.root_pos - root_pos.to(engine.device)
    near(relative, relative[:1].expand_as(relative), 0.02)  # terrains alike, only elsewhere


def test_environments_pass_through_each_other(engine: Engine) -> None:
    """All stand at one place of one terrain and do the same."""
    put(engine, placed(engine, STANDING))
    run(engine, zeros(engine), 10)
    near(engine.state.body_pos, engine.state.body_pos[:1].expand_as(engine.state.body_pos), 0.01)
    near(engine.state.root_pos[:, :2], torch.zeros(engine.num_envs, 2), 0.05)


def test_drives_reach_their_targets(engine: Engine, character: Character) -> None:
    """Targets of ball joints are rotation vectors: whatever the pose, the joint's rotation gets there."""
    targets = poses(engine, character, 0.4, seed=1)
    put(engine, placed(engine, HIGH))
    run(engine, targets, 45)  # 15 lags of kd / kp
    wanted = Kinematics(character).dof_to_rot(targets).to(engine.device)
    off = quat_to_exp_map(quat_mul(quat_conj(wanted), engine.state.joint_rot)).norm(dim=-1)
    assert float(off.max()) < 0.1, off.max(0)
    near(engine.state.dof_pos, targets, 0.1)


def test_dof_velocities_are_in_the_childs_frame(engine: Engine, character: Character) -> None:
    """The turn of a limb within a step is its dof velocity times the step, seen from the limb."""
    start = poses(engine, character, 0.5, seed=2)
    put(engine, placed(engine, HIGH, dof_pos=start))
    run(engine, poses(engine, character, 0.5, seed=3), 3)  # in motion
    before = copied(engine)
    run(engine, before["dof_pos"] + 0.1 * before["dof_vel"], 1)  # which is near to no torque
    kinematics = Kinematics(character, engine.device)
    turned = kinematics.dof_velocity(before["joint_rot"], engine.state.joint_rot, engine.control_dt)
    mean = 0.5 * (before["dof_vel"] + engine.state.dof_vel)
    fast = before["dof_vel"].abs() > 1.0
    assert fast.sum() > 20
    off = (turned - mean).abs()[fast] / (1.0 + mean.abs()[fast])
    assert float(off.median()) < 0.1
    assert float((off < 0.4).float().mean()) > 0.9


def test_velocities_are_those_of_the_world(engine: Engine) -> None:
    """A character that is turned and spins: its root rotation follows its angular velocity about the world's axes."""
    n = engine.num_envs
    turn = exp_map_to_quat(torch.tensor([[0.0, 0.0, math.pi / 2]])).expand(n, 4)
    spin = torch.tensor([[2.0, 0.0, 0.0]]).expand(n, 3)
    put(engine, placed(engine, HIGH, root_rot=turn, root_ang_vel=spin))
    run(engine, zeros(engine), 3)
    turned = quat_mul(engine.state.root_rot, quat_conj(turn.to(engine.device)))
    axis = quat_to_exp_map(turned)
    assert (axis[:, 0] > 0.1).all(), axis
    near(axis[:, 1:], torch.zeros(n, 2), 0.03)
    up = quat_rotate(engine.state.root_rot, torch.tensor([0.0, 0.0, 1.0], device=engine.device).expand(n, 3))
    assert (up[:, 1] < -0.1).all()  # z turns towards −y about +x


def test_targets_that_are_no_numbers(engine: Engine) -> None:
    """Whether the engine ignores them or its simulation diverges: nothing that is not a number comes out."""
    put(engine, placed(engine, STANDING))
    targets = zeros(engine)
    targets[1] = float("nan")
    run(engine, targets, 1)
    assert not engine.state.diverged[[0, 2, 3]].any()
    for name, tensor in vars(engine.state).items():
        assert torch.isfinite(tensor.float()).all(), name
    run(engine, zeros(engine), 1)
    assert not engine.state.diverged.any()


def test_a_saved_state_goes_on(engine: Engine) -> None:
    put(engine, placed(engine, STANDING + 0.2, terrain_ids=torch.tensor([0, 2, 0, 0])))
    run(engine, zeros(engine), 4)
    saved, before = engine.state_dict(), copied(engine)
    run(engine, zeros(engine), 1)
    after = copied(engine)
    put(engine, placed(engine, 5.0))
    engine.load_state_dict(saved)
    for name, tensor in vars(engine.state).items():
        wanted = before[name].float()
        near(tensor.float(), wanted, 2e-5 * (1.0 + float(wanted.abs().max())))
    run(engine, zeros(engine), 1)
    near(engine.state.root_pos, after["root_pos"], 5e-3)
    near(engine.state.dof_pos, after["dof_pos"], 2e-2)
    with pytest.raises(DataError, match="another"):
        engine.load_state_dict({name: tensor[:2] for name, tensor in saved.items()})


def test_touches_of_all_physics_steps_are_told(
    engine: Engine, character: Character, request: pytest.FixtureRequest
) -> None:
    if "[mujoco]" in request.node.name and sys.version_info < (3, 9):
        # A box 30 mm deep in another is told as 15 mm: no push that is strong enough ends within a control step.
        pytest.skip(
            "MuJoCo 3.2 (the last on Python 3.8) takes boxes as half as deep in each other as they are"
        )
    feet = [character.body_id(name) for name in ("right_foot", "left_foot")]
    up = torch.tensor([[0.0, 0.0, 0.7]]).expand(engine.num_envs, 3)
    # Soles 3 cm in the ground, moving up: they are pushed in the first physics steps, and no more in the last.
    put(engine, placed(engine, STANDING - 0.03, root_vel=up))
    run(engine, zeros(engine), 1)
    assert engine.touched is not None
    assert engine.touched.dtype == torch.bool
    assert engine.touched[:, feet].all()
    assert not engine.state.contact_forces[:, feet].any()
    run(engine, zeros(engine), 1)
    assert not engine.touched[:, feet].any()  # of this control step alone


def test_touches_are_those_of_the_last_control_step(engine: Engine, character: Character) -> None:
    feet = [character.body_id(name) for name in ("right_foot", "left_foot")]
    put(engine, placed(engine, STANDING - 0.02))
    run(engine, zeros(engine), 1)
    assert engine.touched is not None
    assert engine.touched[:, feet].all()
    assert not engine.touched[:, character.body_id("head")].any()
    put(engine, placed(engine, 5.0))
    run(engine, zeros(engine), 1)
    assert not engine.touched.any()
