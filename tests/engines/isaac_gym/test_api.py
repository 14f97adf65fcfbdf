"""Isaac Gym comes before torch, or the user is told; and the checks of its API catch mistakes."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from parc_core.config.paths import PROJECT_ROOT
from parc_core.engines.isaac_gym import api as isaac_api
from parc_core.engines.registry import check_engine
from parc_core.errors import EXIT_BAD_CONFIG, ConfigError
from parc_tracker.doctor import engines

CPU = torch.device("cpu")
# What the real package does: it refuses to be imported after torch.
FAKE_GYMAPI = """
import sys
if "torch" in sys.modules:
    raise ImportError("PyTorch was imported before isaacgym modules.  Please import torch after isaacgym modules.")
print("isaacgym imported first")
"""


def fake_package(folder: Path, gymapi: str = FAKE_GYMAPI) -> None:
    package = folder / "isaacgym"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "gymapi.py").write_text(gymapi)


def python(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    path = f"{folder}:{PROJECT_ROOT}"
    return subprocess.run(
        [sys.executable, *args],
        env={"PYTHONPATH": path, "PATH": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def trainer(folder: Path, engine: str) -> subprocess.CompletedProcess[str]:
    """A trainer whose env config is missing: it ends there, after the engine's import."""
    values = {
        "env_config": "missing.yaml",
        "agent_config": "missing.yaml",
        "output_dir": "out",
        "num_envs": "1",
        "max_samples": "1",
        "device": "cpu",
        "engine": engine,
    }
    return python(folder, "-m", "parc_core.train", *(w for k, v in values.items() for w in (f"--{k}", v)))


def test_the_trainer_imports_isaac_gym_before_torch(tmp_path: Path) -> None:
    fake_package(tmp_path)
    done = trainer(tmp_path, "isaac_gym")
    assert done.stdout.startswith("isaacgym imported first"), done.stderr
    assert "missing.yaml" in done.stderr
    assert "isaacgym" not in trainer(tmp_path, "mujoco").stdout


def test_a_trainer_without_isaac_gym_says_so(tmp_path: Path) -> None:
    done = trainer(tmp_path, "isaac_gym")
    assert done.returncode == EXIT_BAD_CONFIG
    assert done.stderr.startswith(
        "error: engine isaac_gym needs Isaac Gym Preview 4, which this interpreter (Python"
    )
    assert "trainer_python" in done.stderr
    assert done.stderr.count("\n") == 1


def test_torch_first_is_refused_in_one_line(tmp_path: Path) -> None:
    fake_package(tmp_path)
    code = "import torch\nfrom parc_core.engines.registry import check_engine\n"
    code += "check_engine('isaac_gym', torch.device('cpu'))"
    done = python(tmp_path, "-c", code)
    assert "ConfigError: engine isaac_gym: Isaac Gym must be imported before torch" in done.stderr


def test_a_broken_installation_is_no_crash(tmp_path: Path) -> None:
    fake_package(tmp_path, "raise ImportError('libpython3.8.so.1.0: cannot open shared object file')")
    done = trainer(tmp_path, "isaac_gym")
    assert done.returncode == EXIT_BAD_CONFIG
    assert "isaacgym.gymapi does not load (libpython3.8.so.1.0: cannot open" in done.stderr
    assert done.stderr.count("\n") == 1


def test_new_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Isaac Gym's PhysX dies there without a word."""
    for name in ("isaacgym", "isaacgym.gymapi"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    with pytest.raises(
        ConfigError, match=r"does not run on NVIDIA H100 \(compute capability 9.0; .*mujoco_warp"
    ):
        check_engine("isaac_gym", torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 9))
    assert check_engine("isaac_gym", torch.device("cuda:0")) == "isaac_gym"
    assert check_engine("isaac_gym", CPU) == "isaac_gym"


def test_the_doctor_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isaac_api, "is_installed", lambda: False)
    assert not engines.check_engine("isaac_gym").ok
    assert "docs/isaac-gym.md" in engines.check_engine("isaac_gym").fix
    monkeypatch.setattr(isaac_api, "is_installed", lambda: True)
    assert engines.check_engine("isaac_gym").ok


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    pytest.importorskip("mypy", reason="the development tools are not installed")
    from tests.engines.isaac_gym.isaac_double import Gym, modules

    return modules(Gym())["isaacgym.gymapi"]


def test_the_double_refuses_what_the_stub_does_not_have(api: types.ModuleType) -> None:
    gym, params = api.acquire_gym(), api.SimParams()
    with pytest.raises(AttributeError, match="timestep"):
        params.timestep = 0.1
    with pytest.raises(AttributeError, match="position_iterations"):
        params.physx.position_iterations = 4
    with pytest.raises(TypeError, match=r"SimParams.substeps must be int, is 2\.0"):
        params.substeps = 2.0
    with pytest.raises(TypeError, match=r"up_axis must be UpAxis"):
        params.up_axis = api.SIM_PHYSX
    with pytest.raises(AttributeError, match="make_sim"):
        gym.make_sim()
    with pytest.raises(TypeError, match="takes 4 arguments, 5 were given"):
        gym.create_sim(0, 0, api.SIM_PHYSX, params, None)
    with pytest.raises(TypeError, match="no keyword 'device'"):
        gym.create_sim(device=0)
    with pytest.raises(TypeError, match="no keyword 'arg1'"):
        gym.fetch_results(api.Sim(), arg1=True)
    with pytest.raises(TypeError, match="misses arg1"):
        gym.fetch_results(api.Sim())
    with pytest.raises(TypeError, match="must be Sim"):
        gym.simulate(None)
    with pytest.raises(TypeError, match="flat array of uint32"):
        gym.add_triangle_mesh(
            api.Sim(), np.zeros(9, np.float32), np.zeros(3, np.int32), api.TriangleMeshParams()
        )
    with pytest.raises(RuntimeError, match="prepare_sim comes before"):
        gym.acquire_dof_state_tensor(api.Sim())
    with pytest.raises(TypeError, match="get_asset_dof_properties takes 1 arguments"):  # known from its text
        gym.get_asset_dof_properties(api.Asset(), 1)
    assert not hasattr(api, "SIM_BULLET")


@pytest.mark.slow
def test_the_type_check_catches_mistakes(tmp_path: Path) -> None:
    from tests.engines.isaac_gym.isaac_types import ENGINE_FILES, check

    assert check().returncode == 0, check().stdout
    (source,) = (path for path in ENGINE_FILES if path.name == "sim.py")
    wrong = tmp_path / "wrong_sim.py"
    text = source.read_text()
    for right, mistake in (
        ("physx.rest_offset =", "physx.rest_offest ="),
        ("prepare_sim(sim)", "prepare_sim(sim, 1)"),
        ("gymapi.DOF_MODE_POS", "gymapi.DOF_MODE_POSITION"),
        ("gymapi.Vec3(0.0, 0.0, GRAVITY)", "GRAVITY"),
    ):
        assert right in text
        text = text.replace(right, mistake)
    wrong.write_text(text)
    found = check([wrong]).stdout
    for word in (
        "rest_offest",
        "Too many arguments",
        "DOF_MODE_POSITION",
        "Incompatible types in assignment",
    ):
        assert word in found
