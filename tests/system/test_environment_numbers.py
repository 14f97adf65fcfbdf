"""Every number that is read from the environment: one line where it is none, or out of bounds."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
import torch

from parc_core.errors import ConfigError
from parc_core.storage.cache import cache_limit
from parc_core.storage.retry import Attempts
from parc_core.system.world import World


def join() -> Any:
    return World.join(torch.device("cpu"))


READERS: dict[str, Callable[[], Any]] = {
    "PARC_STORE_RETRY_TIMEOUT": lambda: Attempts("s3://b"),
    "PARC_STORE_PATIENCE": lambda: Attempts("s3://b"),
    "PARC_CACHE_GB": cache_limit,
    "WORLD_SIZE": join,
    "RANK": join,
    "MASTER_PORT": join,
}
BAD = [
    "inf",
    "-inf",
    "nan",
    "-1",
    "abc",
    "1e400",
    "9" * 5000,
    "1e30",
    "\n",
    "3 GB",
    "\x1b[2J",
    "0x10",
    "\udcff",
]


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in READERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")


@pytest.mark.parametrize("text", BAD)
@pytest.mark.parametrize("name", sorted(READERS))
def test_what_is_no_such_number(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError) as caught:
        READERS[name]()
    message = str(caught.value)
    assert message.startswith(f"{name} is '") and ": set it to " in message
    assert message.isprintable() and len(message) < 200 and caught.value.exit_code == 78


@pytest.mark.skipif(sys.version_info < (3, 9), reason="ast.unparse came with Python 3.9")
def test_none_is_read_elsewhere() -> None:
    """No `int(os.environ…)` or `float(…)` beside the one place; this test names what reads numbers."""
    found = []
    for folder in ("parc_core", "parc_tracker", "tasks", "flows", "deployments"):
        for path in (Path(__file__).parents[2] / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("int", "float"):
                    text = ast.unparse(node)
                    found += [f"{path.name}: {text}"] if "environ" in text or "getenv" in text else []
    assert not found
