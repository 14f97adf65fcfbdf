"""docs/development.md shows how to add things as diffs: each applies to the sources, touches few files, and works.

A section is one row of `EXAMPLES`: its heading in the page, how many files its diff may touch, and a module that is run
in a copy of the tree with the diff applied. The module must fail in the tree as it is and end well in the copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "development.md"
COPIED = ("parc_core", "parc_tracker", "tasks", "flows", "deployments", "tests", "data")


class Example(NamedTuple):
    """One section of the page."""

    heading: str
    limit: int
    """Files that its diff may touch. Pages that are generated don't count and stand in no diff."""
    check: str
    """Module that shows that the change takes effect."""


EXAMPLES = (
    Example("Adding a reward term", 3, "tests.places.reward_term"),
    Example("Adding an observation", 4, "tests.places.observation"),
    Example("Adding a termination", 4, "tests.places.termination"),
    Example("Adding an engine", 2, "tests.places.engine"),
    Example("Adding a stage", 3, "tests.places.stage"),
)


def section(page: str, heading: str) -> str:
    """Text under a heading of level two, to the next one.

    Raises:
        AssertionError: there is no such heading, or more than one.
    """
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)
    found = [text for title, text in zip(parts[1::2], parts[2::2], strict=True) if title.strip() == heading]
    assert len(found) == 1, f"{len(found)} sections '{heading}'"
    return found[0]


def diff_of(text: str) -> str:
    """All fenced blocks of language diff, one after another."""
    return "".join(re.findall(r"^```diff\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL))


def touched_files(diff: str) -> set[str]:
    """Files that a diff changes, makes or deletes."""
    names = re.findall(r"^(?:---|\+\+\+) (?:[ab]/)?(\S+)", diff, flags=re.MULTILINE)
    return set(names) - {"/dev/null"}


def apply(diff: str, tree: Path) -> None:
    """Applies a diff, exactly.

    Raises:
        AssertionError: it does not fit the tree.
    """
    # Without a ceiling git would take a repository around the tree for the place of the paths.
    done = subprocess.run(
        ["git", "apply", "-"],
        cwd=tree,
        input=diff,
        text=True,
        capture_output=True,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def run_check(module: str, tree: Path) -> subprocess.CompletedProcess[str]:
    """Runs a module of a tree, which sees the packages of that tree alone."""
    return subprocess.run(
        [sys.executable, "-m", module],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def example_diff(example: Example) -> str:
    return diff_of(section(PAGE.read_text(encoding="utf-8"), example.heading))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.heading)
def test_few_files_are_touched(example: Example) -> None:
    files = touched_files(example_diff(example))
    assert 0 < len(files) <= example.limit, sorted(files)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.heading)
def test_the_diff_applies(example: Example, tree: Path) -> None:
    apply(example_diff(example), tree)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.heading)
def test_the_diff_takes_effect(example: Example, tree: Path) -> None:
    assert run_check(example.check, tree).returncode != 0, "the check ends well without the diff"
    apply(example_diff(example), tree)
    done = run_check(example.check, tree)
    assert done.returncode == 0, done.stdout + done.stderr


PAGE_OF_TWO = """# Page

## One

Text.

```diff
--- a/x.py
+++ b/x.py
@@ -1 +1 @@
-old
+new
```

```python
not_a = "diff"
```

```diff
--- /dev/null
+++ b/made.py
@@ -0,0 +1 @@
+made
```

## Two

Nothing.
"""


def test_diffs_are_found_by_heading() -> None:
    diff = diff_of(section(PAGE_OF_TWO, "One"))
    assert touched_files(diff) == {"x.py", "made.py"}
    assert "not_a" not in diff
    assert diff_of(section(PAGE_OF_TWO, "Two")) == ""
    with pytest.raises(AssertionError, match="0 sections 'Three'"):
        section(PAGE_OF_TWO, "Three")


def test_a_diff_must_fit(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("old\n")
    apply(diff_of(section(PAGE_OF_TWO, "One")), tmp_path)
    assert ((tmp_path / "x.py").read_text(), (tmp_path / "made.py").read_text()) == ("new\n", "made\n")
    (tmp_path / "made.py").unlink()
    with pytest.raises(AssertionError, match=r"x\.py"):
        apply(diff_of(section(PAGE_OF_TWO, "One")), tmp_path)
