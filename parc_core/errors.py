"""Errors that a user can act on, with the exit code of the process contract.

0 done, 75 interrupted with a checkpoint, 65 bad data, 78 bad config, 69 store or Prefect server out of reach
(worth another attempt); anything else is a crash.
"""

from __future__ import annotations

import re

EXIT_DONE = 0
EXIT_BAD_DATA = 65
EXIT_UNREACHABLE = 69
EXIT_CRASH = 70
EXIT_INTERRUPTED = 75
EXIT_BAD_CONFIG = 78

_LONGEST = 4000
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tabs and line ends, and halves of characters, which no encoding has."""
_LINE_END = re.compile("[\t\n\u2028\u2029]+")


class ParcError(Exception):
    """Base: the message is one line that says what, where and what to do."""

    exit_code = EXIT_CRASH

    def __str__(self) -> str:
        """The message as every terminal and log can take it: what a file says in it is cut, and steers nothing."""
        text = super().__str__()
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"
        return _UNPRINTABLE.sub("?", _LINE_END.sub(" ", text))


class DataError(ParcError):
    """A motion, dataset, model or checkpoint file cannot be used as it is."""

    exit_code = EXIT_BAD_DATA


class ConfigError(ParcError):
    """A setting is missing, unknown, of the wrong type or impossible on this machine."""

    exit_code = EXIT_BAD_CONFIG


class StoreUnreachable(ParcError):
    """The object store did not answer for a minute; another attempt may find it again."""

    exit_code = EXIT_UNREACHABLE


class ServerUnreachable(ParcError):
    """The Prefect server that the settings name does not answer; another attempt may find it again."""

    exit_code = EXIT_UNREACHABLE


class Interrupted(ParcError):
    """Training was asked to stop; a checkpoint is on disk."""

    exit_code = EXIT_INTERRUPTED


class TrainingDiverged(ParcError):
    """Losses stayed non-finite after the allowed number of rollbacks."""

    exit_code = EXIT_CRASH
