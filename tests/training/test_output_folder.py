"""An output folder that goes away while a training runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from parc_core.errors import ConfigError
from parc_core.supervisor.supervise import _last_line
from parc_core.training.logger import ProgressFile


@pytest.mark.parametrize("anew", [False, True])
def test_a_folder_that_was_moved(tmp_path: Path, anew: bool) -> None:
    progress = ProgressFile(tmp_path / "out" / "progress.jsonl")
    progress.check_place()
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    if anew:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "progress.jsonl").touch()
    with pytest.raises(ConfigError, match=r"out: was moved or removed while training; move it back"):
        progress.check_place()
    progress.close()
    assert not (tmp_path / "out" / "log.txt").exists()


def test_what_the_supervisor_says_of_it(tmp_path: Path) -> None:
    assert "out: was moved or removed" in _last_line(tmp_path / "out" / ".trainer" / "output.log", 0)
