"""What the trainer imports runs on Python 3.8 with torch, numpy and yaml alone (Isaac Gym's last Python is 3.8)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from parc_core.engines.registry import ENGINES

ROOT = Path(__file__).resolve().parents[1]
START = "parc_core.train"
THIRD_PARTY = {"torch", "numpy", "yaml"}
# Engines are imported by name, when chosen; those of newer Pythons are not looked at, nor the environment for them.
ENGINE_MODULES = [spec.module for spec in ENGINES.values() if spec.oldest_python <= (3, 8)]
OTHER_PYTHON = (
    *(f"{spec.module.rpartition('.')[0]}." for spec in ENGINES.values() if spec.oldest_python > (3, 8)),
    "parc_core.envs.warp.",
    "parc_core.learning.norm_silu_kernels",  # where Triton is
)
# Third-party packages that may be imported inside functions, where they are optional.
VERMIN = "from vermin import main; main()"
HINTS = ("--eval-annotations", "--feature", "union-types")
OPTIONAL = {"tensorboard", "wandb", "fsspec", "s3fs", "mujoco", "mujoco_warp", "warp", "isaacgym", "prefect"}
TYPE_CHECKING = ast.dump(ast.Name("TYPE_CHECKING", ast.Load()))  # what is below it is never imported


def module_file(name):
    """The source of a module of this project, None for others."""
    base = ROOT.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def imports_of(path):
    """(module, is it at the top level) of every import; `from a import b` gives a and a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    top = {id(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))}
    lazy = {
        id(inner)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        or (isinstance(function, ast.If) and ast.dump(function.test) == TYPE_CHECKING)
        for inner in ast.walk(function)
    }
    for node in ast.walk(tree):
        if id(node) not in top:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{path}: relative import"
            names = [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            yield name, id(node) not in lazy


def closure():
    """{module: file} of everything in this project that the trainer can import, lazily or not."""
    found, queue = {}, [START, *ENGINE_MODULES]
    while queue:
        name = queue.pop()
        path = module_file(name)
        if path is None or name in found or name.startswith(OTHER_PYTHON):
            continue
        found[name] = path
        queue += [parent for parent in (name.rpartition(".")[0],) if parent]
        queue += [module for module, _ in imports_of(path) if module.startswith("parc_core")]
    return found


CLOSURE = closure()


def test_the_closure_is_the_trainer():
    for name in (
        "parc_core.training.trainer",
        "parc_core.envs.factory",
        "parc_core.motion.library",
        *ENGINE_MODULES,
    ):
        assert name in CLOSURE
    assert not any(name.startswith(("parc_tracker", "tasks", "flows", "prefect")) for name in CLOSURE)


@pytest.mark.parametrize("name", sorted(CLOSURE))
def test_imports(name):
    for module, at_top in imports_of(CLOSURE[name]):
        package = module.split(".")[0]
        if package in ("parc_core", "__future__") or package in sys.stdlib_module_names:
            continue
        allowed = THIRD_PARTY if at_top else THIRD_PARTY | OPTIONAL
        assert package in allowed, f"{name} imports {package} ({'at the top' if at_top else 'lazily'})"


# The probe has none: it must be readable for Pythons that lack the __future__ import, too.
@pytest.mark.parametrize("name", sorted(set(CLOSURE) - {"parc_core.supervisor.probe"}))
def test_annotations_are_not_evaluated(name):
    """`X | Y` in annotations is harmless on 3.8 only with the __future__ import."""
    tree = ast.parse(CLOSURE[name].read_text(encoding="utf-8"))
    annotated = any(
        isinstance(node, (ast.AnnAssign, ast.FunctionDef, ast.ClassDef)) for node in ast.walk(tree)
    )
    names = [
        n
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for n in node.names
    ]
    assert not annotated or any(alias.name == "annotations" for alias in names)


def vermin(files, *options):
    command = [sys.executable, "-c", VERMIN, "--target=3.8-", "--violations", *options, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ruff(files):
    options = ["--isolated", "--target-version=py38", "--select=E9,F", "--quiet"]
    command = [sys.executable, "-m", "ruff", "check", *options, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_vermin():
    """Language features and standard library of Python 3.8; annotations are left out, for nothing evaluates them
    but the config schema, which `test_config_hints` covers."""
    result = vermin(CLOSURE.values(), "--no-parse-comments")
    assert result.returncode == 0, result.stdout + result.stderr
    # vermin passes a file that it takes for one of both Pythons 2 and 3 (`(a > b).long()` did it) unread.
    assert "incompatible versions" not in result.stdout.lower().replace("incompatible versions:     2.x", "")


def test_config_hints():
    """typing.get_type_hints evaluates the config dataclasses' annotations: these must be 3.8's too."""
    config = [path for name, path in CLOSURE.items() if name.startswith("parc_core.config")]
    files = [path for path in config if "@dataclass" in path.read_text(encoding="utf-8")]
    assert len(files) >= 4  # environment, agent, tracker, arguments
    result = vermin(files, *HINTS)
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_for_python_38():
    result = ruff(CLOSURE.values())
    assert result.returncode == 0, result.stdout + result.stderr


NEWER = {
    "match": "def f(x):\n    match x:\n        case 1:\n            return 2\n",
    "parentheses": "def f(a, b):\n    with (a() as x, b() as y):\n        return x, y\n",
    "method": "print('ab'.removeprefix('a'))\n",
    "merged dicts": "def f():\n    return {1: 2} | {3: 4}\n",
    "module": "import graphlib\n\nprint(graphlib)\n",
}
SYNTAX = ("match", "parentheses")  # all that a linter without types can know


@pytest.mark.parametrize("name", sorted(NEWER))
def test_newer_python_is_found(name, tmp_path):
    """The checks above do fail: on syntax and library that Python 3.8 lacks."""
    (tmp_path / "new.py").write_text(NEWER[name])
    assert vermin([tmp_path / "new.py"], "--no-parse-comments").returncode != 0
    assert (ruff([tmp_path / "new.py"]).returncode != 0) == (name in SYNTAX)
    (tmp_path / "new.py").write_text("def f(x: int) -> int:\n    return x\n")
    assert vermin([tmp_path / "new.py"], "--no-parse-comments").returncode == 0
    assert ruff([tmp_path / "new.py"]).returncode == 0


def test_a_newer_annotation_in_the_config_is_found(tmp_path):
    (tmp_path / "new.py").write_text("class Config:\n    steps: int | None = None\n")
    assert vermin([tmp_path / "new.py"], *HINTS).returncode != 0
