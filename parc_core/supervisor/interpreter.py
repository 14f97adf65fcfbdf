"""Whether the interpreter that `trainer_python` names can train, asked before hours of work begin."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, Optional

from parc_core.errors import ConfigError
from parc_core.supervisor.probe import MARKER

TIMEOUT_S = 300.0
"""Isaac Gym and torch from a network drive, for the first time, take a minute."""


def check_trainer_python(python: str, engine: str, device: str, where: str) -> str:
    """Let the interpreter import torch, the engine and parc_core, and look for the device.

    Args:
        python: path of the interpreter.
        engine, device: as the tracker config has them.
        where: the config's name, for messages.

    Returns:
        Its version, such as "3.8.18".

    Raises:
        ConfigError: it cannot train; the line names what is missing and the command that fixes it.
    """
    script = str(Path(__file__).with_name("probe.py"))
    begin = f"{where}: 'trainer_python' names {python}, "
    try:
        done = subprocess.run(
            [python, script, engine, device],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise ConfigError(f"{begin}which cannot be started ({error.strerror}); correct the path") from error
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"{begin}which did not answer for {TIMEOUT_S:.0f} s; look what `{python} -c 'import torch'` does"
        ) from None
    answer = _answer(done.stdout.decode("utf-8", "replace"))
    if answer is None:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        said = f" ({' '.join(lines[-1].split())[:200]})" if lines else ""
        raise ConfigError(
            f"{begin}which ended with {done.returncode} when it was asked for its packages{said}; "
            "name a Python interpreter"
        )
    for what, fix in answer["problems"]:
        raise ConfigError(f"{begin}which cannot train: {what}" + (f"; run: {fix}" if fix else ""))
    return str(answer["python"])


def _answer(output: str) -> Optional[Dict[str, Any]]:
    """The probe's line among what packages print at import."""
    for line in reversed(output.splitlines()):
        if line.startswith(MARKER):
            return dict(json.loads(line[len(MARKER) :]))
    return None
