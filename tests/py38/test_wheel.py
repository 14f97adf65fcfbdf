"""The wheel installs on Python 3.8 without the pipeline's packages, and trains there away from the sources."""

from __future__ import annotations

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from parc_core.config.paths import PROJECT_ROOT
from tests.py38.test_trainer_python import PYTHON38, needs_python38
from tests.test_wheel import run, wheel
from tests.training.test_train_process import AGENT, ENV

__all__ = ["wheel"]
pytestmark = pytest.mark.slow
NEEDED = {"torch", "numpy", "pyyaml"}


def requirements(wheel: Path) -> tuple[str, list[Requirement]]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    return metadata["Requires-Python"], [Requirement(r) for r in metadata.get_all("Requires-Dist")]


def test_metadata_asks_for_no_package_that_python_38_has_not(wheel):
    python, wanted = requirements(wheel)
    assert "3.8.0" in SpecifierSet(python) and "3.7.9" not in SpecifierSet(python)
    old = {"python_version": "3.8", "python_full_version": "3.8.18"}

    def names(extra: str) -> set[str]:
        env = {**old, "extra": extra}
        return {r.name.lower() for r in wanted if r.marker is None or r.marker.evaluate(env)}

    assert names("") == NEEDED
    assert names("mujoco") == {*NEEDED, "mujoco"}
    assert names("pipeline") == names("gpu") == NEEDED
    (mujoco,) = (r for r in wanted if r.name == "mujoco" and r.marker.evaluate({**old, "extra": "mujoco"}))
    assert "3.2.3" in mujoco.specifier and "3.3.0" not in mujoco.specifier


@needs_python38
def test_it_installs_and_trains_in_a_fresh_environment(wheel, motions, tmp_path):
    """pip takes torch, NumPy, PyYAML and MuJoCo from `.venv38`, and may fetch nothing."""
    venv, python = tmp_path / "venv", tmp_path / "venv/bin/python"
    run(PYTHON38, "-m", "venv", venv, cwd=tmp_path)
    (packages,) = (PROJECT_ROOT / ".venv38/lib").glob("python3.8/site-packages")
    (venv / "lib/python3.8/site-packages/packages.pth").write_text(f"{packages}\n")
    run(python, "-m", "pip", "install", "-q", "--no-index", f"{wheel}[mujoco,pipeline,gpu]", cwd=tmp_path)
    place = run(python, "-c", "import parc_core; print(parc_core.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(venv)

    files = sorted(motions.glob("*/*.pkl"))
    lines = [f"- file: {file}\n  weight: 1.0\n" for file in files]
    (tmp_path / "motions.yaml").write_text("motions:\n" + "".join(lines))
    env_text = ENV % (tmp_path / "motions.yaml") + "  char_file: data/assets/humanoid.xml\n"  # the wheel's
    (tmp_path / "env.yaml").write_text(env_text)
    (tmp_path / "agent.yaml").write_text(AGENT)
    options = {"env_config": "env.yaml", "agent_config": "agent.yaml", "output_dir": "out", "num_envs": 4}
    options |= {"max_samples": 64, "device": "cpu", "engine": "mujoco"}
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    run(python, "-m", "parc_core.train", *words, cwd=tmp_path)
    assert (tmp_path / "out/model.pt").is_file()
