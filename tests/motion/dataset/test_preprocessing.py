"""`compute_preprocessing_data`: what stage 1 wants of each clip, in the dataset's copies alone."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parc_core.character.mjcf import load_character
from parc_core.character.surface_points import surface_points
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.paths import resolve
from parc_core.errors import ConfigError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.dataset.preprocessing import Preprocessor, preprocess
from parc_core.motion.formats.container import read_misc, read_motion_terrain, write_motion_terrain
from parc_core.terrain.heightfield import Heightfield
from tests.motion.small_files import (
    container,
    motion_dict,
    plain_loads,
    small_clip,
    terrain_dict,
    write_small,
)

SHARED = Path(__file__).resolve().parents[3].parent / "shared"
GOLDEN = Path(os.environ.get("PARC_GOLDEN_DIR") or SHARED / "golden") / "files"
HUMANOID = resolve("data/assets/humanoid.xml")


@pytest.fixture(scope="module")
def preprocessor() -> Preprocessor:
    return Preprocessor(load_character(HUMANOID))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARC_INDEX", raising=False)


def ground(heights: float = 0.0) -> Heightfield:
    return Heightfield(np.full((9, 9), heights, np.float32), np.full(2, -1.6, np.float32), 0.4)


def config(root: Path, **settings: Any) -> DatasetConfig:
    return DatasetConfig(
        [str(root)], char_filepath=str(HUMANOID), compute_preprocessing_data=True, **settings
    )


def test_points_lie_on_the_surfaces() -> None:
    character = load_character(HUMANOID)
    points = surface_points(character)
    assert [len(part) for part in points] == [24, 44, 12, 16, 16, 12, 16, 16, 12, 16, 16, 36, 16, 16, 36]
    hand = character.body_names.index("right_hand")
    assert np.allclose(np.linalg.norm(points[hand], axis=1), 0.04, atol=1e-6)
    foot = points[character.body_names.index("left_foot")]
    assert np.allclose(foot.max(0), [0.1335, 0.045, 0.005]) and np.allclose(
        foot.min(0), [-0.0435, -0.045, -0.05]
    )
    shin = points[character.body_names.index("left_shin")]
    assert np.allclose(np.hypot(shin[:, 0], shin[:, 1]), 0.05, atol=1e-6)


def test_standing_binds_the_cells_below(preprocessor: Preprocessor) -> None:
    # In the T-pose the arms (to y = ±0.72 m, and a hand's 4 cm) reach 2 cells of 0.4 m to each side.
    found = preprocessor.compute(small_clip(frames=3), ground())
    assert len(found.hf_mask_inds) == 3
    for inds in found.hf_mask_inds:
        assert (
            inds.dtype == np.int64
            and inds[:, 0].tolist() == [4] * 5
            and inds[:, 1].tolist() == [2, 3, 4, 5, 6]
        )
    upper, lower = found.hf_maxmin[..., 0], found.hf_maxmin[..., 1]
    assert (upper[4, 4], lower[4, 4]) == (0, 0)  # the feet stand here
    assert np.isclose(upper[0, 0], 0.9 + 3.0) and np.isclose(lower[0, 0], -3.0)  # nobody is near
    arms = 0.9 + 0.236151 + 0.2435  # heights of pelvis, torso, upper arm
    assert np.allclose(upper[4, [2, 6]], arms - 0.04 - 0.8, atol=0.01) and np.allclose(lower[4, [2, 6]], -3.0)


def test_frames_move_the_cells(preprocessor: Preprocessor) -> None:
    clip = small_clip(frames=2)
    clip.root_pos[1, 0] = 0.8
    masks = preprocessor.compute(clip, ground()).hf_mask_inds
    assert set(masks[0][:, 0]) == {4} and set(masks[1][:, 0]) == {6}


def test_chunks_give_the_same(preprocessor: Preprocessor, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = small_clip(frames=7)
    clip.root_pos[:, 0] = np.linspace(-1, 1, 7)
    whole = preprocessor.compute(clip, ground())
    monkeypatch.setattr("parc_core.motion.dataset.preprocessing._CHUNK_FRAMES", 3)
    parts = preprocessor.compute(clip, ground())
    assert all(np.array_equal(a, b) for a, b in zip(whole.hf_mask_inds, parts.hf_mask_inds))
    assert np.array_equal(whole.hf_maxmin, parts.hf_maxmin)


def test_masks_of_a_published_clip(preprocessor: Preprocessor) -> None:
    """Those of the file were made before its motion was optimized: single border cells differ."""
    files = [path for path in sorted(GOLDEN.glob("*.pkl")) if b"hf_mask_inds" in path.read_bytes()]
    if not files:
        pytest.skip(f"no file with hf_mask_inds in {GOLDEN} (set PARC_GOLDEN_DIR)")
    for path in files:
        content = read_motion_terrain(path)
        if content.motion is None or content.terrain is None:
            continue
        want = [np.asarray(inds) for inds in read_misc(content, allow_torch=True)["hf_mask_inds"]]
        found = preprocessor.compute(content.motion, content.terrain).hf_mask_inds
        assert len(found) == len(want)
        wrong = 0
        for ours, theirs in zip(found, want):
            assert ours.shape[1:] == theirs.shape[1:]
            wrong += len({*map(tuple, ours.tolist())} ^ {*map(tuple, theirs.tolist())})
        assert wrong <= 0.02 * sum(map(len, want)), path.name


def test_copies_hold_it_and_inputs_stay(tmp_path: Path) -> None:
    source = write_small(tmp_path / "in" / "run" / "a.pkl", nx=9, ny=9)
    before = source.read_bytes()
    built = create_dataset(config(tmp_path / "in", save_path=str(tmp_path / "out")))
    assert source.read_bytes() == before
    (entry,) = read_motions_yaml(built["motions_yaml"]).entries
    outer = plain_loads(Path(entry.file).read_bytes())  # as PARC's tools do
    misc, terrain = plain_loads(outer["misc_data"]), plain_loads(outer["terrain_data"])
    assert len(misc["hf_mask_inds"]) == 4 and misc["hf_mask_inds"][0].shape[1] == 2
    assert terrain["hf_maxmin"].shape == (9, 9, 2)
    assert np.array_equal(terrain["hf"], plain_loads(plain_loads(before)["terrain_data"])["hf"])
    first = Path(entry.file).stat().st_mtime_ns
    again = create_dataset(config(tmp_path / "in", save_path=str(tmp_path / "out")))
    assert again["sha256"] == built["sha256"] and Path(entry.file).stat().st_mtime_ns == first


def with_masks(path: Path) -> Path:
    """A file with masks of its own, as torch tensors beside a numpy number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    masks = [torch.tensor([[0, 0]])] * 4
    path.write_bytes(container(motion_dict(), terrain_dict(), {"hf_mask_inds": masks, "k": np.float32(1)}))
    return path


def test_old_masks_stay_unless_overridden(tmp_path: Path) -> None:
    source = with_masks(tmp_path / "in" / "run" / "a.pkl")
    kept = merge_folders(config(tmp_path / "in"), tmp_path / "kept")
    assert kept.path_of(kept.motions[0]).read_bytes() == source.read_bytes()
    new = merge_folders(config(tmp_path / "in", override_old_hf_mask_inds=True), tmp_path / "new")
    copy = new.path_of(new.motions[0])
    assert copy.name.endswith(f"__{new.motions[0].sha256[:8]}.pkl")
    misc = plain_loads(plain_loads(copy.read_bytes())["misc_data"])
    assert misc["k"] == 1.0 and type(misc["k"]) is float
    assert len(misc["hf_mask_inds"]) == 4 and misc["hf_mask_inds"][0].tolist() != [[0, 0]]


def test_equal_copies_count_once(tmp_path: Path, preprocessor: Preprocessor) -> None:
    source = write_small(tmp_path / "in" / "run" / "a.pkl")
    done = preprocess(read_motion_terrain(source), preprocessor, override=False)
    write_motion_terrain(tmp_path / "in" / "run" / "b.pkl", done)
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert len(result.motions) == 1 and [Path(d.path).name for d in result.duplicates] == ["b.pkl"]


def test_unreadable_misc_data_leaves_the_file_out(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    bad = container(motion_dict(fps=60), terrain_dict(), [1, 2])  # checked as a pickle, but no dict
    (tmp_path / "in" / "run" / "b.pkl").write_bytes(bad)
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert [m.name for m in result.motions] == ["run/a"]
    assert [(Path(r.path).name, r.reason) for r in result.rejected] == [
        ("b.pkl", "misc_data is a list, not a dict")
    ]


def test_damaged_copy_is_made_again(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    first = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    copy = first.path_of(first.motions[0])
    content = copy.read_bytes()
    copy.write_bytes(b"damaged")
    assert merge_folders(config(tmp_path / "in"), tmp_path / "out").motions == first.motions
    assert copy.read_bytes() == content


def test_needs_a_character(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    with pytest.raises(ConfigError, match="compute_preprocessing_data: needs char_filepath"):
        merge_folders(replace(config(tmp_path / "in"), char_filepath=""), tmp_path / "out")


def test_other_misc_data_stays(preprocessor: Preprocessor) -> None:
    mt = MotionTerrain(small_clip(), ground(), pickle.dumps({"path_nodes": np.arange(6).reshape(2, 3)}))
    misc = read_misc(preprocess(mt, preprocessor, override=False))
    assert misc["path_nodes"].tolist() == [[0, 1, 2], [3, 4, 5]] and len(misc["hf_mask_inds"]) == 4
