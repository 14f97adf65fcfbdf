"""Which exit code, and which words, the launcher of several processes has for what they left with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

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
