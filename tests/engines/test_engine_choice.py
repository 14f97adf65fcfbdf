"""Which engine runs where, and what is missing for it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.engines.registry import ENGINES, check_engine, make_engine, resolve_engine
from parc_core.errors import ConfigError
from parc_core.rotations import normalize
from parc_core.terrain.packed import PackedTerrain
from tests.engines.scenes import flat
from tests.envs.scenes import humanoid

CPU = torch.device("cpu")
needs_warp = pytest.mark.skipif(
    importlib.util.find_spec("mujoco_warp") is None, reason="MuJoCo Warp is not installed"
)


def test_auto_is_the_gpu_engine_on_a_gpu_alone() -> None:
    assert resolve_engine("auto", CPU) == "mujoco"
    assert resolve_engine("auto", torch.device("cuda:0")) == "mujoco_warp"
    assert check_engine("auto", CPU) == "mujoco"


def test_engines_are_told_where_they_do_not_run() -> None:
    with pytest.raises(
        ConfigError, match=r"^engine mujoco does not run on cuda:0; set `device: cpu`, or `eng"
    ):
        check_engine("mujoco", torch.device("cuda:0"))


def test_the_table_names_what_is_there() -> None:
    """Each row's module holds its class, which is an engine of that name, and can be asked for without torch."""
    import ast

    for name, spec in ENGINES.items():
        path = PROJECT_ROOT.joinpath(*spec.module.split(".")).with_suffix(".py")
        classes = {n.name: n for n in ast.parse(path.read_text()).body if isinstance(n, ast.ClassDef)}
        assert f'name = "{name}"' in ast.unparse(classes[spec.class_name]).replace("'", '"')
    code = "import sys, parc_core.engines.registry\nassert not {'torch', 'numpy', 'yaml'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=False).returncode == 0


@needs_warp
def test_the_gpu_engine_may_run_on_the_cpu_when_it_is_named() -> None:
    assert check_engine("mujoco_warp", CPU) == "mujoco_warp"
    engine = make_engine("mujoco_warp", humanoid(), PackedTerrain([flat()], CPU), EnvFileConfig(), 3, CPU)
    assert (engine.name, engine.num_envs, engine.device) == ("mujoco_warp", 3, CPU)


@pytest.mark.parametrize("missing", ["warp", "mujoco_warp"])
def test_missing_packages_are_named_in_one_line(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    with pytest.raises(ConfigError, match=r"^engine mujoco_warp needs `pip install -e '/.*\[gpu\]'`$"):
        check_engine("mujoco_warp", CPU)


def test_a_broken_package_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "parc_core.engines.mujoco.engine", None)
    with pytest.raises(ConfigError, match=r"^engine mujoco needs `pip install -e '/.*\[mujoco\]'` \("):
        make_engine("mujoco", humanoid(), PackedTerrain([flat()], CPU), EnvFileConfig(), 1, CPU)


ARM = """
<mujoco>
  <compiler angle="degree"/>
  <default><joint stiffness="7" damping="0.7"/><geom density="500"/></default>
  <worldbody>
    <body name="base" pos="0 0 1">
      <freejoint/>
      <geom type="box" size="0.5 0.5 0.5"/>
      <body name="tail" pos="-1 0 0">
        <joint name="wag" axis="0 0 1" range="-90 90"/>
        <geom type="sphere" size="0.1"/>
      </body>
      <body name="arm" pos="1 2 3" euler="20 30 40">
        <joint name="arm_x" axis="1 0 0" range="-10 20"/>
        <joint name="arm_y" axis="0 1 0" range="-30 40"/>
        <joint name="arm_z" axis="0 0 1" range="-50 60"/>
        <geom fromto="0 0 0 0 2 0" size="0.1" type="capsule"/>
        <body name="ring" pos="0.1 0.2 0.3" euler="0 50 0">
          <geom type="sphere" size="0.01"/>
          <body name="hand" pos="0 2 0.5" euler="90 0 0">
            <joint name="grip" axis="1 2 2" range="-40 50"/>
            <geom type="sphere" size="0.1"/>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="wag" gear="5"/>
    <motor joint="arm_x" gear="1"/><motor joint="arm_y" gear="2"/><motor joint="arm_z" gear="3"/>
    <motor joint="grip" gear="4"/>
  </actuator>
</mujoco>
"""


@needs_warp
def test_other_characters_are_placed_and_read(tmp_path: Path) -> None:
    """Turned bodies, a hinge off the axes, a fixed joint between others: against the kinematics in torch."""
    from parc_core.engines.mujoco_warp.engine import MujocoWarpEngine

    (tmp_path / "arm.xml").write_text(ARM)
    character = load_character(tmp_path / "arm.xml")
    n, g = 5, torch.Generator().manual_seed(0)
    config = EnvFileConfig(env=EnvConfig())
    engine = MujocoWarpEngine(character, PackedTerrain([flat()], CPU), config, n, CPU)
    to = engine.reset_state
    to.root_pos.copy_(torch.randn(n, 3, generator=g))
    to.root_rot.copy_(normalize(torch.randn(n, 4, generator=g)))
    to.dof_pos.copy_(torch.randn(n, 5, generator=g))
    for name in ("root_vel", "root_ang_vel", "dof_vel"):
        getattr(to, name).copy_(torch.randn(getattr(to, name).shape, generator=g))
    engine.reset_mask.fill_(True)
    engine.launch_reset()
    kinematics = Kinematics(character)
    joint_rot = kinematics.dof_to_rot(to.dof_pos)
    body_pos, body_rot = kinematics.forward(to.root_pos, to.root_rot, joint_rot)
    s = engine.state
    expected = {**vars(to), "joint_rot": joint_rot, "body_pos": body_pos, "body_rot": body_rot}
    for name in ("root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_vel", "dof_pos", "joint_rot"):
        assert_close(
            getattr(s, name), expected[name], atol=3e-6, rtol=0, msg=lambda text, name=name: name + text
        )
    assert_close(s.body_pos, body_pos, atol=1e-5, rtol=0)
    assert_close(s.body_rot, body_rot, atol=3e-6, rtol=0)
    # MuJoCo's own forward kinematics agrees: coordinates lie where it has them.
    import mujoco

    data = mujoco.MjData(engine.model)
    data.qpos[:] = engine.state_dict()["qpos"][0].numpy()
    mujoco.mj_forward(engine.model, data)
    for b, name in enumerate(character.body_names):
        np.testing.assert_allclose(s.body_pos[0, b], data.body(name).xpos, atol=1e-5)
