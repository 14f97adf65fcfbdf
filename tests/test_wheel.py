"""The wheel, installed away from the checkout: the command finds its data files, another Python its own packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from parc_core import __version__
from parc_core.config.paths import PROJECT_ROOT
from parc_core.supervisor import interpreter

PACKAGES = ("parc_core", "parc_tracker", "tasks", "flows", "deployments")


def run(*command: object, cwd: Path, code: int = 0, **environment: str) -> str:
    """What a command prints, away from this checkout."""
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PREFECT_API_URL")}
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={**env, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the project's folder stays as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in (*PACKAGES, "data"):
        shutil.copytree(PROJECT_ROOT / name, folder / "source" / name, ignore=ignore)
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(PROJECT_ROOT / name, folder / "source")
    build = ("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder / "dist")
    run(sys.executable, *build, folder / "source", cwd=folder)
    (built,) = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a fresh environment with the wheel. torch, MuJoCo and Prefect are those of this one: pip may fetch nothing."""
    venv = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=wheel.parent)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    # Its .pth files are not read there, so this project's editable install stays out.
    (packages / "heavy.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ("-m", "pip", "install", "-q", "--no-index", "--ignore-installed", "--no-deps")
    run(venv / "bin/python", *install, wheel, cwd=wheel.parent)
    return venv / "bin"


@pytest.mark.slow
def test_it_has_the_version_and_every_data_file(wheel, bin_folder, tmp_path):
    assert wheel.name.startswith(f"parc_tracker-{__version__}-")
    assert run(bin_folder / "parc-tracker", "--version", cwd=tmp_path) == f"parc-tracker {__version__}\n"
    show = "import parc_core.config.paths as p, importlib.metadata as m; print(p.DATA_ROOT, m.version('parc-tracker'))"
    root, version = run(bin_folder / "python", "-c", show, cwd=tmp_path).split()
    assert version == __version__
    assert Path(root).is_relative_to(bin_folder.parent)
    ours = {path.relative_to(PROJECT_ROOT) for path in (PROJECT_ROOT / "data").rglob("*") if path.is_file()}
    assert ours == {path.relative_to(root) for path in Path(root).rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_command_works_in_any_folder(bin_folder, tmp_path):
    """doctor, sample motions, and the flow from motions to a registered model."""
    command = bin_folder / "parc-tracker"
    said = run(command, "doctor", cwd=tmp_path)
    assert "missing" not in said and str(bin_folder.parent) in said
    assert "install -e" not in "".join(line for line in said.splitlines() if "isaac" not in line)
    run(command, "make-motions", "--kind", "walk", "--count", "1", "--out", "motions", cwd=tmp_path)
    (tmp_path / "dataset.yaml").write_text("folder_paths: [motions]\nsave_path: motions.yaml\n")
    tracker = {
        "create_dataset_config": "dataset.yaml",
        "env_config": "data/configs/demo/env.yaml",  # the wheel's: there is no such file here
        "agent_config": "data/configs/demo/agent.yaml",
        "num_envs": 4,
        "max_samples": 256,
        "device": "cpu",
    }
    (tmp_path / "tracker.yaml").write_text(yaml.safe_dump(tracker))
    places = {"PARC_STORE": str(tmp_path / "store"), "PREFECT_HOME": str(tmp_path / "prefect")}
    said = run(command, "run", "--config", "tracker.yaml", cwd=tmp_path, **places)
    assert "registered" in said, said
    (model,) = (tmp_path / "store").glob("models/*/1/model.pt")
    # By its place in the project, so that the model means the same in every installation and checkout.
    assert f'"parc_tracker": "{__version__}"' in (model.parent / "manifest.json").read_text()
    assert "char_file: data/assets/humanoid.xml\n" in (model.parent / "dm_env.yaml").read_text()
    evaluated = ("eval", "--model", model, "--device", "cpu", "--out", "evaluated")
    assert "return" in run(command, *evaluated, cwd=tmp_path, **places)


@pytest.fixture
def other_python(tmp_path: Path) -> Path:
    """An interpreter without any package."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "other", cwd=tmp_path)
    return tmp_path / "other/bin/python"


ASK = """
import sys
from parc_core.supervisor.interpreter import check_trainer_python
from parc_core.errors import ConfigError
try:
    check_trainer_python(sys.argv[1], "mujoco", "cpu", "t.yaml")
except ConfigError as error:
    print(error)
"""
TRAIN = """
import sys
from pathlib import Path
from parc_core.supervisor.supervise import Listener, supervise
look = (
    "import torch, parc_core.config.paths as p;"
    "print(torch.__file__, p.__file__, p.resolve('data/assets/humanoid.xml'))"
)
supervise([sys.argv[1], "-c", look], Path("run"), Listener(output=print))
"""


@pytest.mark.slow
def test_another_python_sees_parc_core_and_its_own_packages(bin_folder, other_python, tmp_path):
    ours = bin_folder / "python"
    said = run(ours, "-c", ASK, other_python, cwd=tmp_path)
    assert "torch: No module named 'torch'; numpy: No module named 'numpy'" in said, said
    assert f"run: {other_python} -m pip install 'torch>=1.13' numpy pyyaml" in said

    packages = Path(sysconfig.get_path("purelib", vars={"base": str(other_python.parents[1])}))
    for name, body in (("torch", "__version__ = '1.0'"), ("numpy", "")):
        (packages / f"{name}.py").write_text(body)
    shutil.copytree(Path(yaml.__file__).parent, packages / "yaml")
    assert "torch is 1.0" in run(ours, "-c", ASK, other_python, cwd=tmp_path)

    (tmp_path / "run").mkdir()
    torch, paths, character = run(ours, "-c", TRAIN, other_python, cwd=tmp_path).split()
    assert torch == str(packages / "torch.py")
    assert not list(packages.glob("parc_core*")) and Path(paths).is_file()
    assert Path(character).is_relative_to(bin_folder.parent) and Path(character).is_file()


@pytest.mark.parametrize("links", [True, False])
def test_another_pythons_import_folder_holds_parc_core_alone(tmp_path, monkeypatch, links):
    package = tmp_path / "site-packages/parc_core"
    (package / "shipped").mkdir(parents=True)
    (package / "new.py").write_text("")
    (tmp_path / "site-packages/torch.py").write_text("")
    monkeypatch.setattr(interpreter, "_PACKAGE", package)
    if not links:
        (tmp_path / "import/parc_core").mkdir(parents=True)
        (tmp_path / "import/parc_core/of_an_earlier_version.py").write_text("")

        def refuse(*_args, **_options):
            raise OSError("no links here")

        monkeypatch.setattr(Path, "symlink_to", refuse)
    for _ in range(2):  # a training that goes on finds its folder again
        folder = interpreter.import_folder("/other/python", tmp_path / "import")
        assert [path.name for path in folder.iterdir()] == ["parc_core"]
        assert sorted(path.name for path in (folder / "parc_core").iterdir()) == ["new.py", "shipped"]


def test_a_checkout_and_the_same_python_need_no_import_folder(tmp_path):
    for python in (sys.executable, "/other/python"):
        assert interpreter.import_folder(python, tmp_path / "import") == PROJECT_ROOT
    assert not (tmp_path / "import").exists()
