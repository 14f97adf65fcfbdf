"""Floats in checkpoints: none is left for PyTorch 1.13 to refuse, none is changed."""

from __future__ import annotations

import math
import pickletools
import zipfile

import torch

from parc_core.learning.plain_values import with_floats, with_marked_floats
from parc_core.training.checkpoint import load_checkpoint, save_checkpoint
from tests.training.test_trainer import assert_same

STATE = {
    "samples": 64,
    "hours": 0.1,
    "rng": [3, 2**32 - 1, None, (1e-300, -0.0), {"lr": math.inf}],
    "weights": torch.ones(2),
    "flag": True,
}


def opcodes(path):
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        return {opcode.name for opcode, _, _ in pickletools.genops(archive.read(name))}


def test_a_checkpoint_holds_no_float_and_comes_back_as_it_was(tmp_path):
    path = save_checkpoint(tmp_path, STATE, keep=1)
    assert "BINFLOAT" not in opcodes(path)
    torch.save(STATE, tmp_path / "plain.pt")
    assert "BINFLOAT" in opcodes(tmp_path / "plain.pt")
    state = load_checkpoint(path)
    del state["format"]
    assert_same(state, STATE)


def test_checkpoints_of_earlier_versions_stay_readable():
    """They hold bare floats."""
    assert_same(with_floats(STATE), STATE)
    marked = with_marked_floats({"nan": math.nan})
    assert math.isnan(with_floats(marked)["nan"]) and isinstance(with_floats(marked)["nan"], float)
