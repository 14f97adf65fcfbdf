"""Datasets that no merge has looked at: a word about motions that cannot be right."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import pytest

from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.dataset.slips import warn_of_slips
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from tests.motion.small_files import write_small


def test_a_dataset_made_by_hand_is_judged_at_the_start(tmp_path: Path) -> None:
    character = load_character(resolve("data/assets/humanoid.xml"))
    walk = make_motion("walk", 0, character)
    assert walk.motion is not None
    clip = replace(walk.motion, root_pos=walk.motion.root_pos * 100)
    write_motion_terrain(tmp_path / "cm.pkl", MotionTerrain(clip, walk.terrain))
    files = [write_small(tmp_path / "good.pkl"), tmp_path / "cm.pkl"]
    write_motions_yaml(tmp_path / "motions.yaml", MotionsFile([MotionEntry(str(f), 1.0) for f in files]))
    loaded = load_dataset(tmp_path / "motions.yaml")
    with pytest.warns(UserWarning, match=r"cm\.pkl: .*; positions are probably in centimetres") as caught:
        warn_of_slips(tmp_path / "motions.yaml", loaded, character)
    assert len(caught) == 1
    (tmp_path / "manifest.json").write_text("{}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_slips(tmp_path / "motions.yaml", loaded, character)
