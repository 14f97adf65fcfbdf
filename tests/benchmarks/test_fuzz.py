"""Broken and hostile files for every reader, and the harness that reads them."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz, fuzz_cases, fuzz_values
from benchmarks.fuzz_readers import READERS
from parc_core.errors import DataError


def test_no_reader_falls_over() -> None:
    rows = fuzz.measure(seed=0, count=800)
    assert [row["number"] for row in rows] == list(range(800))
    short = [row for row in rows if row["outcome"] not in ("value", "refused")]
    assert not short
    values = {row["reader"] for row in rows if row["outcome"] == "value"}
    assert {
        "motion",
        "legacy",
        "npz",
        "npy",
        "amass",
        "take",
        "boxes",
        "motions.yaml",
        "model",
        "manifest",
        "log",
        "evaluation",
        "merge result",
        "recording",
        "train args",
        "claim",
        "alias",
        "lease",
        "failure rates",
    } <= values


def test_values_inside_valid_files_are_exchanged() -> None:
    chance = random.Random(0)
    for name, cases in fuzz_values.valid().items():
        for case in cases:
            whole = fuzz_values.encoded(case)
            found = {fuzz_values.changed(case, chance) for _ in range(20)}
            assert len(found - {whole}) >= 10, name


def crash(_: Path) -> None:
    raise IndexError("underflow")


def refuse(path: Path) -> None:
    raise DataError(f"{path}: no")


def hang(_: Path) -> None:
    time.sleep(60)


def die(_: Path) -> None:
    os._exit(3)


def run_code(path: Path) -> None:
    (path.parent / "executed").touch()


@pytest.mark.parametrize(
    ("reader", "outcome"),
    [
        (crash, "raw traceback"),
        (refuse, "refused"),
        (hang, "over budget"),
        (die, "over budget"),
        (run_code, "executed"),
    ],
)
def test_the_harness_tells_what_a_reader_does(
    reader: Any, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fuzz, fuzz_cases):
        monkeypatch.setattr(module, "READERS", {"log": ("log.txt", reader)})
    monkeypatch.setattr(fuzz, "BUDGET_S", 0.3)
    rows = fuzz.measure(seed=0, count=2)
    assert rows[-1]["outcome"] == outcome


@pytest.mark.parametrize("name", sorted(fuzz_values.valid()))
def test_every_valid_file_gives_a_value(name: str, tmp_path: Path) -> None:
    """Else a change inside it would end at the check that it fails already."""
    file, read = READERS[name]
    for number, case in enumerate(fuzz_values.valid()[name]):
        path = tmp_path / str(number) / file
        path.parent.mkdir(parents=True)
        path.write_bytes(fuzz_values.encoded(case))
        read(path)
