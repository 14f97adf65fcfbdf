"""Golden files that no test reads are named, so that nobody takes silence for agreement."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_every_file_has_a_reader(golden_dir: Path) -> None:
    """Files are read under the names that stand in the tests of this folder, with `*` for any characters."""
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_[0-9]*.py"))
    named = re.findall(r"[\"/{ ]((?:0|1|\w+_)[\w.{}*]*\.(?:npz|pt))", sources)
    patterns = [re.compile(re.sub(r"\\\*|\\\{.*?\\\}", ".*", re.escape(name))) for name in named]
    files = [path.name for path in golden_dir.iterdir() if path.suffix in (".npz", ".pt")]
    unread = sorted(name for name in files if not any(pattern.fullmatch(name) for pattern in patterns))
    if unread:
        pytest.skip(f"read by no test: {', '.join(unread)}")
