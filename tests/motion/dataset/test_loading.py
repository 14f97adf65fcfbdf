"""Loading whole datasets from files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.formats.terrain_grid import write_terrain_pkl
from parc_core.terrain.grid import build_grid
from parc_core.terrain.heightfield import Heightfield
from tests.motion.make_clips import still_clip

CLIPS = Path(
    os.environ.get("PARC_CLIPS_DIR") or Path(__file__).resolve().parents[3].parent / "shared/data/motions"
)


def terrain(height=0.0):
    return Heightfield(np.full((4, 3), height, np.float32), np.zeros(2, np.float32), 0.4)


def write(path, clip=None, hf=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_motion_terrain(path, MotionTerrain(clip or still_clip(), hf))
    return path


def listing(tmp_path, *entries, terrain_file=None):
    lines = ["motions:"] + [f"  - file: {file}\n    weight: {weight}" for file, weight in entries]
    if terrain_file:
        lines.append(f"terrain: {terrain_file}")
    path = tmp_path / "motions.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_loads_in_the_order_of_the_file(tmp_path):
    b = write(tmp_path / "b.pkl", still_clip(4), terrain(1.0))
    a = write(tmp_path / "a.pkl", still_clip(7), terrain(2.0))
    data = load_dataset(listing(tmp_path, (b, 0.5), (a, 2)))
    assert data.names == ["b", "a"]
    assert data.files == [str(b), str(a)]
    assert data.weights == [0.5, 2.0]
    assert data.arrays.num_frames.tolist() == [4, 7]
    assert [float(t.hf[0, 0]) for t in data.terrains.heightfields()] == [1.0, 2.0]
    assert data.shared_terrain is None


def test_processes_give_the_same(tmp_path):
    files = [write(tmp_path / f"m{i}.pkl", still_clip(2 + i), terrain(i)) for i in range(5)]
    path = listing(tmp_path, *[(f, 1) for f in files])
    alone, together = load_dataset(path, workers=1), load_dataset(path, workers=2)
    assert together.arrays.num_frames.tolist() == alone.arrays.num_frames.tolist() == [2, 3, 4, 5, 6]
    assert together.terrains.lowest.tolist() == [0, 1, 2, 3, 4]


def test_equal_stems_get_different_names(tmp_path):
    first = write(tmp_path / "run" / "m.pkl", hf=terrain())
    second = write(tmp_path / "walk" / "m.pkl", still_clip(9), terrain())
    names = load_dataset(listing(tmp_path, (first, 1), (second, 1))).names
    assert len(set(names)) == 2


def test_one_terrain_for_all(tmp_path):
    bare = write(tmp_path / "bare.pkl")
    ground = write(tmp_path / "ground.pkl", hf=terrain(3.0))
    data = load_dataset(listing(tmp_path, (bare, 1), terrain_file=ground))
    assert data.terrains.lowest.tolist() == [3.0]
    assert data.shared_terrain is not None and float(data.shared_terrain.hf[0, 0]) == 3.0


def test_listed_twice(tmp_path):
    file = write(tmp_path / "m.pkl", hf=terrain())
    (tmp_path / "sub").mkdir()
    with pytest.raises(DataError, match=r"m\.pkl is listed twice"):
        load_dataset(listing(tmp_path, (file, 1), (tmp_path / "sub" / ".." / "m.pkl", 1)))


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_files_are_named(tmp_path, workers):
    good = write(tmp_path / "good.pkl", hf=terrain())
    bad = tmp_path / "bad.pkl"
    bad.write_bytes(b"not a pickle")
    with pytest.raises(DataError, match=r"bad\.pkl"):
        load_dataset(listing(tmp_path, (good, 1), (bad, 1)), workers=workers)


def test_all_bad_files_of_a_list_are_named_at_once(tmp_path):
    entries = [(write(tmp_path / "good.pkl", hf=terrain()), 1)]
    for number in range(13):
        (tmp_path / f"bad{number:02}.pkl").write_bytes(b"not a pickle")
        entries.append((tmp_path / f"bad{number:02}.pkl", 1))
    with pytest.raises(DataError) as error:
        load_dataset(listing(tmp_path, *entries))
    text = str(error.value)
    assert "bad00.pkl: corrupt" in text and "(so it is with bad01.pkl, bad02.pkl" in text
    assert "bad10.pkl and 2 more: repair them, or take them off the list)" in text and "good" not in text


def test_unusable_motions_are_named(tmp_path):
    nan = still_clip()
    nan.root_pos[1, 0] = np.nan
    bent = still_clip()
    bent.joint_rot[0, 0] = 0.7
    for clip, message in ((still_clip(1), "1 frame"), (nan, "non-finite"), (bent, "non-unit")):
        file = write(tmp_path / "bad.pkl", clip, terrain())
        with pytest.raises(DataError, match=rf"bad\.pkl.*{message}"):
            load_dataset(listing(tmp_path, (file, 1)))


def test_no_terrain_at_all(tmp_path):
    file = write(tmp_path / "bare.pkl")
    with pytest.raises(DataError, match=r"bare\.pkl.*terrain"):
        load_dataset(listing(tmp_path, (file, 1)))
    with pytest.raises(DataError, match="names it as its terrain"):
        load_dataset(listing(tmp_path, (file, 1), terrain_file=file))


def test_the_grid_of_a_training_is_no_terrain_for_all(tmp_path):
    """Its motions have been moved side by side; the terrain of mode file lies where the motions are."""
    file = write(tmp_path / "m.pkl", hf=terrain())
    for mode, refused in (("square", True), ("file", False)):
        write_terrain_pkl(tmp_path / "terrain.pkl", build_grid([terrain()], mode, 0, terrain().dx))
        ours = listing(tmp_path, (file, 1), terrain_file=tmp_path / "terrain.pkl")
        if refused:
            with pytest.raises(
                DataError, match=r"terrain\.pkl: holds the terrains of 1 motions side by side"
            ):
                load_dataset(ours)
        else:
            assert load_dataset(ours).shared_terrain is not None


def test_bad_weights_are_named(tmp_path):
    file = write(tmp_path / "m.pkl", hf=terrain())
    for weight in (-1, ".nan"):
        with pytest.raises(DataError, match=r"m\.pkl.*weight"):
            load_dataset(listing(tmp_path, (file, weight)))
    with pytest.raises(DataError, match="all weights are 0"):
        load_dataset(listing(tmp_path, (file, 0)))


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.pkl"):
        load_dataset(listing(tmp_path, (tmp_path / "gone.pkl", 1)))


@pytest.mark.skipif(not CLIPS.is_dir(), reason=f"no real clips: {CLIPS} is not there (set PARC_CLIPS_DIR)")
def test_real_clips(tmp_path):
    files = sorted(CLIPS.rglob("*.pkl"))
    data = load_dataset(listing(tmp_path, *[(f, 1) for f in files]))
    assert data.num_motions == len(files) > 0
    assert data.terrains.dx == pytest.approx(0.4)
