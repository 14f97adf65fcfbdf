"""MuJoCo's physics in a process whose MUJOCO_GL names an OpenGL library that cannot be loaded."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from parc_core.config.paths import PROJECT_ROOT
from parc_core.engines.packages import import_package

pytest.importorskip("mujoco")

PHYSICS = """
import os
from parc_core.engines.registry import check_engine, ENGINES
from parc_core.engines.packages import import_package
from parc_core.supervisor.probe import engine_problems
import torch
assert check_engine("mujoco", torch.device("cpu")) == "mujoco"
assert engine_problems("mujoco", "cpu") == []
model = import_package("mujoco").MjModel.from_xml_string("<mujoco><worldbody/></mujoco>")
print(model.nbody, os.environ["MUJOCO_GL"])
"""


def run(script: str, backend: str) -> str:
    env = {**os.environ, "MUJOCO_GL": backend, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", ["no-such-library", "osmesa", "egl", "disable"])
def test_physics_needs_no_opengl_and_the_users_choice_stays(backend):
    assert run(PHYSICS, backend) == f"1 {backend}\n"


def test_another_fault_is_not_hidden(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    with pytest.raises(ModuleNotFoundError, match="mujoco_nothing"):
        import_package("mujoco_nothing")
    assert os.environ["MUJOCO_GL"] == "osmesa"


def test_mujoco_warp_too():
    pytest.importorskip("mujoco_warp")
    script = (
        "from parc_core.engines.packages import import_package; print(import_package('mujoco_warp').__name__)"
    )
    assert run(script, "no-such-library").splitlines()[-1] == "mujoco_warp"
