"""Engine `isaac_gym` against a double of Isaac Gym that has the signatures of its stub: calls, order, frames."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch.testing import assert_close

pytest.importorskip("mypy", reason="the development tools are not installed")

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import EnvConfig, EnvFileConfig, PlaneConfig
from parc_core.config.resolve import write_yaml
from parc_core.config.sim_config import PhysxConfig, SimConfig
from parc_core.engines.engine import ResetState
from parc_core.engines.isaac_gym.engine import IsaacGymEngine
from parc_core.envs.factory import make_env
from parc_core.errors import ConfigError, DataError
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain
from parc_core.train import main
from tests.engines.isaac_gym.isaac_double import ASSET_EFFORT, CONTACT, Gym, modules
from tests.engines.scenes import flat, random_state, state, stepped
from tests.envs.scenes import HUMANOID, env_file, humanoid, motion, write_dataset

CPU = torch.device("cpu")
N = 5


@pytest.fixture
def gym(monkeypatch: pytest.MonkeyPatch) -> Gym:
    """Isaac Gym's double in the place of Isaac Gym."""
    double = Gym()
    for name, module in modules(double).items():
        monkeypatch.setitem(sys.modules, name, module)
    return double


def config(**env: Any) -> EnvFileConfig:
    return EnvFileConfig(env=EnvConfig(char_file=str(HUMANOID), **env))


def terrains() -> list[Heightfield]:
    rng = np.random.default_rng(0)
    rough = Heightfield(
        rng.integers(0, 3, (4, 6)).astype(np.float32) * 0.3, np.array([7.0, -3.0], np.float32), 0.4
    )
    return [flat(), stepped(), rough]


def engine_of(file: EnvFileConfig | None = None, n: int = N) -> IsaacGymEngine:
    return IsaacGymEngine(humanoid(), PackedTerrain(terrains(), CPU), file or config(), n, CPU)


def three(n: int = N) -> ResetState:
    """Anywhere, over all three terrains."""
    return replace(random_state(n, 1.0), terrain_ids=torch.arange(n) % 3)


def test_the_order_of_calls(gym: Gym) -> None:
    engine_of()
    names = gym.names()
    order = [
        "create_sim",
        "add_triangle_mesh",
        "load_asset",
        "create_env",
        "create_actor",
        "set_actor_dof_properties",
        "prepare_sim",
        "acquire_actor_root_state_tensor",
        "refresh_actor_root_state_tensor",
    ]
    assert [names.index(name) for name in order] == sorted(names.index(name) for name in order)
    last_of = {name: len(names) - 1 - names[::-1].index(name) for name in set(names)}
    assert last_of["add_triangle_mesh"] < names.index("load_asset")
    assert last_of["set_actor_dof_properties"] < names.index("prepare_sim")
    assert names.count("create_sim") == names.count("load_asset") == names.count("prepare_sim") == 1
    assert names.count("create_env") == names.count("create_actor") == N


def test_settings_reach_the_simulation(gym: Gym) -> None:
    physx = PhysxConfig(0.3, 0.01, 3.0, 5.0, 6, 2, 1, 0.001, 0, max_gpu_contact_pairs=12345)
    plane = PlaneConfig(dynamic_friction=0.7, static_friction=0.8, restitution=0.1)
    engine = engine_of(replace(config(plane=plane), sim=SimConfig(physx=physx, substeps=3)))
    (made,) = gym.of("create_sim")
    params = made["params"]
    assert (made["compute_device"], made["graphics_device"], made["type"].name) == (0, -1, "SIM_PHYSX")
    assert (params.dt, params.substeps, params.up_axis.name) == (1 / 60, 3, "UP_AXIS_Z")
    assert (params.gravity.x, params.gravity.y, params.gravity.z) == (0.0, 0.0, -9.81)
    assert params.use_gpu_pipeline is False
    assert params.physx.use_gpu is False
    for name, value in vars(physx).items():
        if name not in ("contact_collection", "drive_efforts"):
            assert getattr(params.physx, name) == value, name
    for mesh in gym.of("add_triangle_mesh"):
        ground = mesh["arg3"]
        assert (ground.dynamic_friction, ground.static_friction, ground.restitution) == (0.7, 0.8, 0.1)
    assert engine.control_dt == pytest.approx(1 / 30)
    engine.step(torch.zeros(N, 28))
    assert len(gym.of("simulate")) == 2  # 60 / 30


def test_contacts_are_those_of_parc(gym: Gym) -> None:
    """All substeps', with room for those of thousands of environments."""
    engine_of()
    physx = gym.of("create_sim")[0]["params"].physx
    assert physx.max_gpu_contact_pairs == 8 * 1024 * 1024
    assert physx.contact_collection.name == "CC_ALL_SUBSTEPS"


@pytest.mark.parametrize(("value", "name"), enumerate(("CC_NEVER", "CC_LAST_SUBSTEP", "CC_ALL_SUBSTEPS")))
def test_the_collection_of_contacts_is_a_setting(gym: Gym, value: int, name: str) -> None:
    engine = engine_of(replace(config(), sim=SimConfig(physx=PhysxConfig(contact_collection=value))))
    assert gym.of("create_sim")[0]["params"].physx.contact_collection.name == name
    engine.step(torch.zeros(N, 28))
    assert bool(engine.state.contact_forces.any()) == (value > 0)


def test_efforts_are_the_assets_or_the_motors(gym: Gym) -> None:
    for efforts in ("asset", "motors"):
        engine_of(replace(config(), sim=SimConfig(physx=PhysxConfig(drive_efforts=efforts))))
    given = [call["arg2"]["effort"] for call in gym.of("set_actor_dof_properties")]
    assert set(given[0].tolist()) == {float(np.float32(ASSET_EFFORT))}
    np.testing.assert_array_equal(given[-1], humanoid().effort.numpy())


def test_the_gpu_pipeline_goes_with_the_device(gym: Gym) -> None:
    from parc_core.engines.isaac_gym.sim import sim_params

    params = sim_params(config(), torch.device("cuda:1"))
    assert params.use_gpu_pipeline
    assert params.physx.use_gpu


def test_actors_and_their_drives(gym: Gym) -> None:
    engine_of()
    c = humanoid()
    (asset,) = gym.of("load_asset")
    assert Path(asset["rootpath"], asset["filename"]) == HUMANOID
    assert asset["options"].collapse_fixed_joints is False
    for i, env in enumerate(gym.of("create_env")):
        assert all(getattr(env[corner], axis) == 0.0 for corner in ("arg1", "arg2") for axis in "xyz"), i
    assert [a["group"] for a in gym.of("create_actor")] == list(range(N))
    assert {a["filter"] for a in gym.of("create_actor")} == {0}
    drives = gym.of("set_actor_dof_properties")[0]["arg2"]
    assert set(drives["driveMode"]) == {int(sys.modules["isaacgym.gymapi"].DOF_MODE_POS)}
    for field, wanted in (
        ("stiffness", c.kp),
        ("damping", c.kd),
        ("effort", torch.full((28,), ASSET_EFFORT)),
        ("armature", c.armature),
    ):
        np.testing.assert_array_equal(drives[field], wanted.numpy())
    assert set(drives["upper"]) == {3.0}  # limits are the asset's own


def test_reset_and_step_in_each_motions_frame(gym: Gym) -> None:
    engine = engine_of()
    to = three()
    engine.reset(torch.arange(N), to)
    assert_close(engine.state.root_pos, to.root_pos, atol=1e-5, rtol=0)
    assert_close(gym.shown["root"][:, :3], to.root_pos + engine.world.offsets[to.terrain_ids])
    joint_rot = Kinematics(humanoid()).dof_to_rot(to.dof_pos)
    body_pos, _ = Kinematics(humanoid()).forward(to.root_pos, to.root_rot, joint_rot)
    assert_close(engine.state.body_pos, body_pos, atol=1e-4, rtol=0)
    targets = torch.randn(N, 28, generator=torch.Generator().manual_seed(1))
    engine.step(targets)
    s = engine.state
    assert_close(s.root_pos, to.root_pos + to.root_vel / 30, atol=1e-5, rtol=0)
    assert_close(s.dof_pos, to.dof_pos + 0.75 * (targets - to.dof_pos), atol=1e-5, rtol=0)
    for name in ("root_rot", "root_vel", "root_ang_vel", "dof_vel"):
        assert_close(getattr(s, name), getattr(to, name))
    assert s.contact_forces.shape == (N, 15, 3)
    assert (s.contact_forces[..., 2] == CONTACT).all()
    assert not s.diverged.any()


def test_resets_between_two_steps_are_written_once(gym: Gym) -> None:
    """Of two indexed writes Isaac Gym takes the last alone."""
    engine = engine_of()
    engine.reset(torch.arange(N), three())
    one = state(1, 3.0, terrain_ids=torch.tensor([2]))
    engine.reset(torch.tensor([3]), one)
    assert not gym.of("set_dof_state_tensor_indexed")
    engine.step(torch.zeros(N, 28))
    assert len(gym.of("set_actor_root_state_tensor_indexed")) == 1
    assert_close(engine.state.root_pos[3], one.root_pos[0], atol=1e-5, rtol=0)
    assert_close(engine.state.root_pos[0], three().root_pos[0] + three().root_vel[0] / 30, atol=1e-5, rtol=0)
    engine.reset(torch.tensor([4, 1]), state(2, 2.0))
    assert (engine.state.contact_forces[[4, 1]] == 0).all()
    assert (engine.state.contact_forces[0, :, 2] == CONTACT).all()
    engine.step(torch.zeros(N, 28))
    assert gym.of("set_dof_state_tensor_indexed")[-1]["arg2"].torch.tolist() == [1, 4]
    engine.step(torch.zeros(N, 28))
    assert len(gym.of("set_dof_state_tensor_indexed")) == 2


def test_diverged_simulations_are_put_back(gym: Gym) -> None:
    engine = engine_of()
    to = three()
    engine.reset(torch.arange(N), to)
    targets = torch.zeros(N, 28)
    targets[1, 4] = float("nan")
    engine.step(targets)
    assert engine.state.diverged.tolist() == [False, True, False, False, False]
    assert all(torch.isfinite(tensor.float()).all() for tensor in vars(engine.state).values())
    assert_close(engine.state.root_pos[1, :2], to.root_pos[1, :2], atol=1e-5, rtol=0)
    assert (engine.state.contact_forces[1] == 0).all()
    assert float(engine.state.body_pos[1, :, 2].min()) > 0.1
    engine.step(torch.zeros(N, 28))
    assert not engine.state.diverged.any()
    assert torch.isfinite(engine.state.dof_pos).all()


def test_a_saved_state_goes_on(gym: Gym) -> None:
    engine = engine_of()
    engine.reset(torch.arange(N), three())
    engine.step(torch.ones(N, 28))
    saved = engine.state_dict()
    engine.step(torch.zeros(N, 28))
    wanted = {name: tensor.clone() for name, tensor in vars(engine.state).items()}
    engine.reset(torch.arange(N), state(N, 4.0))
    engine.load_state_dict(saved)
    assert_close(engine.state.root_pos, saved["root_states"][:, :3], atol=1e-5, rtol=0)
    engine.step(torch.zeros(N, 28))
    for name, tensor in vars(engine.state).items():
        assert_close(tensor, wanted[name], atol=1e-5, rtol=0)
    with pytest.raises(DataError, match=r"belongs to another character or number of environments"):
        engine.load_state_dict({**saved, "terrain_ids": torch.zeros(2)})
    with pytest.raises(DataError, match=r"has no 'root_states': it belongs to another engine"):
        engine.load_state_dict({"qpos": torch.zeros(N, 36)})


def test_the_ground_is_where_the_motions_are(gym: Gym) -> None:
    """Every cell of every terrain has its quad in the world, at its height."""
    engine = engine_of()
    quads: dict[tuple[int, int], float] = {}
    for vertices, triangles in gym.meshes[:-1]:
        corners = vertices[triangles]
        level = corners[np.ptp(corners[..., 2], axis=1) == 0]
        for middle in level.reshape(-1, 2, 3, 3).reshape(-1, 6, 3):
            place = 0.5 * (middle.min(0) + middle.max(0))
            quads[round(float(place[0]) * 100), round(float(place[1]) * 100)] = float(place[2])
    for k, terrain in enumerate(terrains()):
        for (i, j), height in np.ndenumerate(terrain.hf):
            x, y, _ = (
                np.array([*(terrain.min_point + np.array([i, j]) * 0.4), 0.0])
                + engine.world.offsets[k].numpy()
            )
            assert quads[round(x * 100), round(y * 100)] == height
    assert len(gym.meshes[-1][1]) == 8  # the rim


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("create_sim", "made no simulation on cpu"),
        ("prepare_sim", "no room for 5 environments on cpu; lower num_envs"),
        ("load_asset", "Isaac Gym cannot load it"),
    ],
)
def test_failures_are_one_line(gym: Gym, fail: str, message: str) -> None:
    gym.fail.add(fail)
    with pytest.raises(ConfigError, match=message) as caught:
        engine_of()
    assert "\n" not in str(caught.value)


def test_other_joints_are_refused(gym: Gym) -> None:
    gym.dof_names = [f"dof_{i}" for i in range(28)]
    with pytest.raises(ConfigError, match=r"Isaac Gym reads the dofs dof_0, .* this project abdomen, "):
        engine_of()
    with pytest.raises(ConfigError, match=r"control_freq \(40 Hz\) must divide env.sim_freq \(60 Hz\)"):
        engine_of(config(control_freq=40))


def test_the_window(gym: Gym, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARC_VIEWER", "1")
    engine = engine_of()
    assert gym.of("create_sim")[0]["graphics_device"] == 0
    engine.step(torch.zeros(N, 28))
    assert gym.names()[-4:] == ["viewer_camera_look_at", "step_graphics", "draw_viewer", "sync_frame_time"]
    gym.closed = True
    engine.step(torch.zeros(N, 28))
    engine.step(torch.zeros(N, 28))
    assert len(gym.of("destroy_viewer")) == len(gym.of("draw_viewer")) == 1


def test_the_environment_runs_on_it(gym: Gym, tmp_path: Path) -> None:
    motions = write_dataset(tmp_path, {"walk": motion("walk"), "stairs": motion("stairs")})
    env = make_env(env_file(motions, char_file=str(HUMANOID)), 3, "cpu", engine="isaac_gym")
    assert env.reset().shape == (3, 1312)
    for _ in range(4):
        obs, reward, _, _ = env.step(torch.zeros(3, 28))
        env.reset_done()
        assert torch.isfinite(obs).all()
        assert torch.isfinite(reward).all()
    saved = env.state_dict()
    env.load_state_dict(saved)
    assert_close(env.engine.state.root_pos, saved["engine"]["root_states"][:, :3], atol=1e-5, rtol=0)


def test_a_training_runs_on_it(gym: Gym, tmp_path: Path) -> None:
    """Trainer, learner, checkpoints and going on; what is learned of a double says nothing."""
    motions = write_dataset(tmp_path, {"walk": motion("walk")})
    write_yaml(tmp_path / "env.yaml", env_file(motions, char_file=str(HUMANOID)))
    nets = {"actor_net": "fc_2layers_64units", "critic_net": "fc_2layers_64units"}
    agent = {
        "model": nets,
        "steps_per_iter": 4,
        "iters_per_output": 1,
        "iters_per_checkpoint": 1,
        "test_episodes": 0,
    }
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(agent))
    values = {
        "env_config": str(tmp_path / "env.yaml"),
        "agent_config": str(tmp_path / "agent.yaml"),
        "output_dir": str(tmp_path / "out"),
        "num_envs": "4",
        "device": "cpu",
        "engine": "isaac_gym",
    }
    for samples in ("32", "64"):  # the second goes on with the first
        words = [
            word for key, value in {**values, "max_samples": samples}.items() for word in (f"--{key}", value)
        ]
        assert main(words) == 0
    assert (tmp_path / "out" / "model.pt").is_file()
    assert len(gym.of("simulate")) >= 2 * 64 / 4
