"""Type-checks engine `isaac_gym` against the signatures of Isaac Gym (`python -m tests.engines.isaac_gym.isaac_types`).

The stubs of PyPI's isaacgym-stubs name two attributes `lambda`, which is not an identifier, so mypy reads a fixed copy.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from parc_core.config.paths import PROJECT_ROOT

ENGINE_FILES = sorted((PROJECT_ROOT / "parc_core" / "engines" / "isaac_gym").glob("*.py"))


def stub_text() -> str:
    """The stub of isaacgym.gymapi, with `lambda` renamed to `lambda_` and arrays annotated by their dtype.

    Raises:
        FileNotFoundError: isaacgym-stubs is not installed.
    """
    try:
        files = importlib.metadata.files("isaacgym-stubs") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError("isaacgym-stubs is not installed (pip install -e '.[dev]')") from error
    (path,) = (file for file in files if file.name == "gymapi.pyi")
    text = re.sub(r"(def |@)lambda\b", r"\1lambda_", Path(str(path.locate())).read_text())
    # Scalars only: arrays of Vec3 and such have no dtype that numpy's annotations know.
    return re.sub(
        r"numpy\.ndarray\[((?:numpy\.)?u?(?:int|float)\d+)\]", r"numpy.ndarray[Any, numpy.dtype[\1]]", text
    )


def check(files: list[Path] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs mypy on the engine's files (or others) with Isaac Gym's signatures."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "isaacgym")
        package.mkdir()
        (package / "__init__.pyi").write_text("from . import gymapi as gymapi\n")
        (package / "gymapi.pyi").write_text(stub_text())
        settings = Path(folder, "mypy.ini")
        settings.write_text(
            "[mypy]\npython_version = 3.11\nignore_missing_imports = true\ncheck_untyped_defs = true\n"
            "follow_imports_for_stubs = true\n"
            "[mypy-torch.*,numpy.*]\nfollow_imports = silent\n"
            "[mypy-isaacgym.*]\nignore_errors = true\n"  # the stubs' own numpy annotations are of no numpy that was
        )
        names = [str(path) for path in files or ENGINE_FILES]
        cache = str(PROJECT_ROOT / ".mypy_cache" / "isaacgym")
        return subprocess.run(
            [sys.executable, "-m", "mypy", "--config-file", str(settings), "--cache-dir", cache, *names],
            cwd=PROJECT_ROOT,
            env={**os.environ, "MYPYPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )


if __name__ == "__main__":
    result = check()
    print(result.stdout + result.stderr, end="")
    sys.exit(result.returncode)
