"""The one file of all motions: made once, taken by content, never trusted when damaged."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset import loading
from parc_core.motion.dataset.dataset_cache import cache_path, content_digests, dataset_key
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.system.files import sha256_file
from parc_core.terrain.heightfield import Heightfield
from tests.motion.make_clips import still_clip


def ground(height):
    return Heightfield(np.full((3, 2), height, np.float32), np.array([1.0, 2.0], np.float32), 0.4)


def write(path, frames=4, height=0.0):
    write_motion_terrain(path, MotionTerrain(still_clip(frames), ground(height)))
    return path


@pytest.fixture
def dataset(tmp_path):
    files = [write(tmp_path / f"m{k}.pkl", 3 + k, float(k)) for k in range(3)]
    write_motions_yaml(tmp_path / "motions.yaml", MotionsFile([MotionEntry(str(f), 1.0) for f in files]))
    return tmp_path / "motions.yaml"


@pytest.fixture
def reads(monkeypatch):
    """Counts how often motion files are read."""
    seen = []
    original = loading.read_files
    monkeypatch.setattr(loading, "read_files", lambda job: seen.append(job.files) or original(job))
    return seen


def assert_same(a, b):
    first, second = a.arrays.to_dict(), b.arrays.to_dict()
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], name)
        assert first[name].dtype == second[name].dtype
    assert (a.names, a.weights, a.files) == (b.names, b.weights, b.files)


def test_second_start_reads_one_file(dataset, reads):
    plain = load_dataset(dataset, cache=False)
    assert not cache_path(dataset).exists()
    first, second = load_dataset(dataset, cache=True), load_dataset(dataset, cache=True)
    assert len(reads) == 2 and cache_path(dataset).is_file()
    assert_same(first, plain)
    assert_same(second, plain)


def test_small_data_sets_have_none_by_default(dataset, monkeypatch):
    load_dataset(dataset)
    assert not cache_path(dataset).exists()
    monkeypatch.setattr(loading, "CACHE_MIN_MOTIONS", 3)
    load_dataset(dataset)
    assert cache_path(dataset).exists()


def test_content_counts_and_not_time_or_size(dataset, reads):
    load_dataset(dataset, cache=True)
    file = dataset.parent / "m1.pkl"
    os.utime(file, ns=(1, 1))
    load_dataset(dataset, cache=True)
    assert len(reads) == 1
    before = file.stat()
    write(file, 4, 7.0)  # other heights, same size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert load_dataset(dataset, cache=True).terrains.lowest.tolist() == [0.0, 7.0, 2.0]
    assert load_dataset(dataset, cache=True).terrains.lowest.tolist() == [0.0, 7.0, 2.0]
    assert len(reads) == 2 and len(list(cache_path(dataset).parent.iterdir())) == 1


def test_moved_data_set_keeps_its_cache(dataset, reads, tmp_path):
    load_dataset(dataset, cache=True)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in [*dataset.parent.glob("*.pkl"), cache_path(dataset).parent]:
        file.rename(moved / file.name)
    entries = [MotionEntry(str(moved / f"m{k}.pkl"), 2.0) for k in range(3)]
    write_motions_yaml(moved / "motions.yaml", MotionsFile(entries))
    assert load_dataset(moved / "motions.yaml", cache=True).weights == [2.0, 2.0, 2.0]
    assert len(reads) == 1


def test_order_character_and_shared_terrain_are_part_of_the_key(dataset):
    files = [str(dataset.parent / f"m{k}.pkl") for k in range(3)]
    keys = {
        dataset_key(files, None, 15),
        dataset_key(files[::-1], None, 15),
        dataset_key(files, None, 16),
        dataset_key(files[:2], files[2], 15),
    }
    assert len(keys) == 4


def _cut(path):
    path.write_bytes(path.read_bytes()[:-200])


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255  # inside the largest array: its CRC-32 no longer fits
    path.write_bytes(bytes(data))


def _foreign(path):
    path.write_bytes(b"something else altogether")


def _objects(path):
    np.savez(path, key=np.array([{"a": 1}], dtype=object))


def _misfit(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["num_frames"] = arrays["num_frames"] + 1
    np.savez(path, **arrays)


@pytest.mark.parametrize("damage", [_cut, _flip, _foreign, _objects, _misfit])
def test_damaged_files_are_said_once_and_made_anew(dataset, reads, damage):
    good = load_dataset(dataset, cache=True)
    damage(cache_path(dataset))
    with pytest.warns(UserWarning, match=r"motions\.npz: is damaged") as said:
        again = load_dataset(dataset, cache=True)
    assert len(said) == 1 and len(reads) == 2
    assert_same(again, good)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_dataset(dataset, cache=True)
    assert len(reads) == 2


def test_a_folder_that_cannot_be_written_costs_time_alone(dataset, reads):
    cache_path(dataset).parent.write_text("a file in the folder's place")
    with pytest.warns(UserWarning, match="read one by one next time"):
        assert load_dataset(dataset, cache=True).num_motions == 3


def test_nothing_is_kept_of_files_that_changed_while_they_were_read(dataset, monkeypatch):
    original = loading.read_files

    def changing(job):
        found = original(job)
        write(dataset.parent / "m0.pkl", 9, 9.0)
        return found

    monkeypatch.setattr(loading, "read_files", changing)
    load_dataset(dataset, cache=True)
    assert not cache_path(dataset).exists()


def test_digests_are_those_of_the_contents(tmp_path):
    files = [write(tmp_path / f"{k}.pkl", 2 + k) for k in range(3)]
    assert content_digests(files) == [sha256_file(file) for file in files]
    write(files[1], 8, 5.0)
    assert content_digests(files) == [sha256_file(file) for file in files]
