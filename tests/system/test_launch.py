"""Which exit code, and which words, the launcher of several processes has for what they left with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch.distributed.launcher.api

from parc_core.config.paths import PROJECT_ROOT
from parc_core.system.launch import _exit_code


@pytest.mark.parametrize(
    ("codes", "expected", "said"),
    [
        ({0: 75, 1: 75}, 75, ""),
        ({0: -15, 1: 75}, 75, ""),  # torchrun ends who is slower to leave
        ({1: 78}, 78, ""),
        ({0: 1, 1: 65}, 65, ""),
        (
            {0: 1, 1: -9},
            70,
            "error: process 1 of 2 was killed by SIGKILL\n",
        ),  # and not the one that noticed it
        ({0: -15, 1: -11}, 70, "error: process 1 of 2 was killed by SIGSEGV\n"),
        ({0: -15}, 70, "error: process 0 of 2 was killed by SIGTERM\n"),
        ({0: 1}, 70, ""),
    ],
)
def test_exit_codes(codes, expected, said, capsys):
    failures = {rank: SimpleNamespace(exitcode=code) for rank, code in codes.items()}
    assert _exit_code(SimpleNamespace(failures=failures), 2) == expected
    assert capsys.readouterr().err == said


def launched(module: str, folder: Path) -> subprocess.Popen:
    """A process that launches one of a module in `folder`, whose folder for temporary files is in there, too."""
    (folder / "temporary").mkdir()
    launcher = f"import sys; from parc_core.system.launch import launch; sys.exit(launch({module!r}, [], 1))"
    paths = os.pathsep.join((str(PROJECT_ROOT), str(folder)))
    env = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(folder / "temporary")}
    return subprocess.Popen([sys.executable, "-c", launcher], env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.skipif(
    "shutdown_timeout" not in torch.distributed.launcher.api.LaunchConfig.__dataclass_fields__,
    reason="this PyTorch kills after 30 s",
)
def test_who_is_told_to_stop_may_finish_its_iteration(tmp_path):
    (tmp_path / "slow_to_stop.py").write_text(
        "import signal, sys, time\n"
        "def stop(*_): time.sleep(33.0); print('finished', flush=True); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(120.0)\n"
    )
    process = launched("slow_to_stop", tmp_path)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=100)[0] == "finished\n"
    assert process.returncode == 128 + signal.SIGTERM
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("code", [0, 65])
def test_nothing_is_left_in_the_temporary_folder(code, tmp_path):
    (tmp_path / "ends.py").write_text(f"import sys; print('done', flush=True); sys.exit({code})\n")
    process = launched("ends", tmp_path)
    assert process.communicate(timeout=100)[0] == "done\n"
    assert process.returncode == code
    assert list((tmp_path / "temporary").iterdir()) == []
