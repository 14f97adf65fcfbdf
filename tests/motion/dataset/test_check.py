"""What a look at motion folders says of each file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.check import check_dataset, check_folders, totals
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.terrain.heightfield import Heightfield
from tests.motion.dataset.merging import config, own_folder
from tests.motion.small_files import small_clip, write_small

__all__ = ["own_folder"]
FLAT = Heightfield(np.zeros((4, 4), np.float32), np.array([-0.8, -0.8], np.float32), 0.4)


def _clip(path: Path, seconds: float = 2.0, height: float = 0.9, touching: bool = True) -> Path:
    """Stands still; the humanoid's soles are 0.9 m below its root."""
    clip = small_clip(round(30 * seconds) + 1, height)
    contacts = np.full_like(clip.body_contacts, float(touching))
    write_motion_terrain(path, MotionTerrain(dataclasses.replace(clip, body_contacts=contacts), FLAT))
    return path


def test_each_file_gets_its_verdict_and_the_reason(tmp_path: Path) -> None:
    root = tmp_path / "in"
    _clip(root / "stand" / "good.pkl")
    (root / "stand" / "good_again.pkl").write_bytes((root / "stand" / "good.pkl").read_bytes())
    _clip(root / "stand" / "deep.pkl", height=0.6)
    _clip(root / "stand" / "short.pkl", seconds=0.2)
    _clip(root / "stand" / "bare.pkl", touching=False)
    _clip(root / "stand" / "hangs.pkl", height=1.4)
    (root / "stand" / "broken.pkl").write_bytes(b"x")
    checks = check_folders(config(root))
    assert [(each.name, each.verdict) for each in checks] == [
        ("stand/broken", "refused"),
        ("stand/bare", "odd"),
        ("stand/deep", "odd"),
        ("stand/hangs", "odd"),
        ("stand/short", "odd"),
        ("stand/good_again", "copy"),
        ("stand/good", "ok"),
    ]
    found = {each.name.partition("/")[2]: each for each in checks}
    assert found["bare"].remarks == ["no contact is labelled: the contact reward says nothing"]
    assert found["short"].remarks == ["only 0.20 s long"]
    assert "inside its terrain at worst" in found["deep"].remarks[0]
    (remark,) = found["hangs"].remarks  # g T²/8 off the parabola
    assert remark.startswith("4.91 m off free fall from 0.0 to 2.0 s: hard or impossible")
    assert found["hangs"].off_free_fall_m == pytest.approx(9.81 * 2.0**2 / 8)
    assert found["good"].off_free_fall_m == 0.0
    assert 0.25 < found["deep"].penetration_max_m < 0.3 and found["good"].penetration_max_m < 0.05
    assert found["good"].terrain_cells == [4, 4] and found["good"].contact_share == 1.0
    assert found["good"].length_s == pytest.approx(2.0) and found["good"].foot_skating_m_s == 0.0
    assert totals(checks) == {
        "files": 7,
        "usable": 5,
        "odd": 4,
        "refused": 1,
        "copies": 1,
        "clips": 5,
        "length_s": pytest.approx(8.2),
        "flat": 5,
        "classes": {"stand": 5},
    }


def test_a_dataset_file_is_looked_at_the_same_way(tmp_path: Path) -> None:
    _clip(tmp_path / "in" / "stand" / "a_var001.pkl")
    write_small(tmp_path / "in" / "walk" / "b.pkl", frames=40)
    built = create_dataset(config(tmp_path / "in", save_path=str(tmp_path / "out")))
    seen = []
    checks = check_dataset(
        built["motions_yaml"], "data/assets/humanoid.xml", lambda *args: seen.append(args[:2])
    )
    assert {each.name: each.identity for each in checks} == {"stand/a_var001": "a", "walk/b": "b"}
    folders = {each.name: each for each in check_folders(config(tmp_path / "in"))}
    for each in checks:
        assert dataclasses.replace(each, file="") == dataclasses.replace(folders[each.name], file="")
    assert seen == [(1, 2), (2, 2)]
