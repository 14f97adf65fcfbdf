"""Merging motion folders: what is kept, what is told, and that inputs stay as they are."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset import file_index
from parc_core.motion.dataset.merge import inputs_fingerprint, merge_folders
from parc_core.motion.dataset.merge_result import read_merge_result, write_merge_result
from parc_core.motion.dataset.sources import find_motions
from parc_core.system.files import read_regular, sha256_file
from tests.motion.dataset.merging import config, names, own_folder, reasons
from tests.motion.small_files import RunsCode, container, motion_dict, write_small

__all__ = ["own_folder"]


def test_classes_are_first_level_folders(tmp_path: Path) -> None:
    # A parent folder named like a class captures nothing.
    root = tmp_path / "walk" / "data"
    write_small(root / "run" / "a.pkl", height=1.0)
    write_small(root / "run" / "deep" / "er" / "b.pkl", height=1.1)
    write_small(root / "walk" / "c.pkl", height=1.2)
    write_small(root / "walk" / "run" / "d.pkl", height=1.3)
    result = merge_folders(config(root), tmp_path / "out")
    assert result.classes == ["run", "walk"]
    assert names(result) == ["run/a", "run/b", "walk/c", "walk/d"]
    assert [m.motion_class for m in result.motions] == ["run", "run", "walk", "walk"]
    for motion in result.motions:
        assert result.path_of(motion).read_bytes() == Path(motion.source).read_bytes()
        assert motion.sha256 == sha256_file(motion.source)
        assert (motion.facts.frames, motion.facts.fps, motion.facts.nx, motion.facts.ny) == (4, 30, 3, 2)
        assert motion.file == f"{motion.name.replace('/', '__')}__{motion.sha256[:8]}.pkl"


def test_two_roots_share_classes_and_equal_content_counts_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    write_small(one / "run" / "a.pkl", height=1.0)
    write_small(two / "run" / "a.pkl", height=2.0)  # same name, other content
    write_small(two / "run" / "b.pkl", height=1.0)  # other name, same content
    write_small(two / "walk" / "a.pkl", height=3.0)  # told apart by its class
    result = merge_folders(config(one, two, one), tmp_path / "out")
    first, second = sha256_file(one / "run" / "a.pkl")[:8], sha256_file(two / "run" / "a.pkl")[:8]
    assert names(result) == [*sorted([f"run/a-{first}", f"run/a-{second}"]), "walk/a"]
    assert {(d.path, d.same_as) for d in result.duplicates} == {
        (str(one / "run" / "a.pkl"), str(one / "run" / "a.pkl")),
        (str(two / "run" / "b.pkl"), str(one / "run" / "a.pkl")),
    }
    assert len({m.file for m in result.motions}) == 3


def test_what_is_skipped(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_small(root / "run" / "a.pkl")
    for name in ("ignore_me", "run/please_ignore", "run/.hidden"):
        write_small(root / name / "b.pkl", height=2)
    (root / "run" / "notes.txt").write_text("x")
    write_small(root / "loose.pkl", height=3)
    result = merge_folders(config(root), tmp_path / "out")
    assert result.classes == ["run"] and names(result) == ["run/a"]
    assert reasons(result) == {"loose.pkl": "lies beside the class folders, not in one"}


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_small(tmp_path / "far" / "a.pkl")
    root.mkdir()
    (root / "run").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "loop").symlink_to(tmp_path / "far")
    classes, files = find_motions([str(root)])
    assert classes == ["run"] and [f.relative for f in files] == ["run/a.pkl"]


def test_limits_and_halved_classes(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for i, name in enumerate("abcde"):
        write_small(root / "run" / f"{name}.pkl", height=1 + i)
    write_small(root / "walk" / "short.pkl", frames=3)
    write_small(root / "walk" / "wide.pkl", nx=5)
    write_small(root / "walk" / "deep.pkl", ny=6)
    write_small(root / "walk" / "fits.pkl", nx=4, ny=5)
    limits = {"min_num_frames": 4, "max_terrain_dim_x": 4, "max_terrain_dim_y": 5}
    halved = {"cut_some_classes_in_half": True, "motion_classes_to_cut_in_half": ["run"]}
    result = merge_folders(config(root, **limits, **halved), tmp_path / "out")
    assert names(result) == ["run/a", "run/c", "run/e", "walk/fits"]
    told = reasons(result)
    assert told["short.pkl"] == "3 frames, fewer than min_num_frames = 4"
    assert told["wide.pkl"] == "terrain of 5 x 2 cells, more than max_terrain_dim_x = 4"
    assert told["deep.pkl"] == "terrain of 3 x 6 cells, more than max_terrain_dim_y = 5"
    assert "every second file" in told["b.pkl"] and "every second file" in told["d.pkl"]
    whole = merge_folders(config(root, motion_classes_to_cut_in_half=["run"]), tmp_path / "out")
    assert len(whole.motions) == 9  # named, but not switched on


def test_npz_files_are_named_with_the_command_that_converts_them(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in "acd":
        write_small(root / "run" / f"{name}.pkl", height=ord(name) / 100)
    np.savez(root / "run" / "b.npz", root_pos=np.zeros((4, 3)))
    halved = {"cut_some_classes_in_half": True, "motion_classes_to_cut_in_half": ["run"]}
    result = merge_folders(config(root, **halved), tmp_path / "out")
    assert names(result) == ["run/a", "run/d"]  # b.npz is none of the files that are halved
    assert reasons(result)["b.npz"] == "an .npz file; convert it: parc-tracker convert FILE --out FOLDER"


def test_bad_files_are_listed_and_stop_nothing(tmp_path: Path) -> None:
    root, trap = tmp_path / "in" / "run", tmp_path / "ran"
    good = write_small(root / "good.pkl")
    files = {
        "code.pkl": pickle.dumps(RunsCode(trap)),
        "code_in_misc.pkl": container(misc={"x": RunsCode(trap)}),
        "cut.pkl": good.read_bytes()[:-50],
        "empty.pkl": b"",
        "legacy.pkl": pickle.dumps({"frames": np.zeros((4, 34)), "loop_mode": "CLAMP"}),
        "nan.pkl": container(motion_dict(root_pos=np.full((4, 3), np.nan, np.float32))),
        "shape.pkl": container(motion_dict(root_rot=np.zeros((4, 3), np.float32))),
    }
    for name, data in files.items():
        (root / name).write_bytes(data)
    (root / "gone.pkl").symlink_to(root / "nowhere.pkl")
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert names(result) == ["run/good"]
    assert not trap.exists()
    told = reasons(result)
    assert set(told) == {*files, "gone.pkl"}
    assert told["code.pkl"].startswith("refused, its pickle asks for")
    assert told["code_in_misc.pkl"].startswith("misc_data: refused")
    assert told["cut.pkl"].startswith("corrupt pickle") and told["empty.pkl"].startswith("corrupt pickle")
    assert told["legacy.pkl"].startswith("the flat legacy layout")
    assert told["nan.pkl"].startswith("root_pos holds 12 non-finite")
    assert told["shape.pkl"].startswith("motion_data: root_rot has shape [4, 3]")
    assert told["gone.pkl"] == "cannot be read (No such file or directory)"
    assert all("\n" not in reason for reason in told.values())


def test_inputs_stay_untouched(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for name in ("run/a", "walk/b"):
        write_small(root / f"{name}.pkl", height=len(name))
    (root / "run" / "bad.pkl").write_bytes(b"x")

    def state() -> dict[str, tuple[str, int]]:
        return {str(p): (sha256_file(p), p.stat().st_mtime_ns) for p in root.rglob("*") if p.is_file()}

    before = state()
    merge_folders(config(root), tmp_path / "out")
    assert state() == before


def test_unchanged_files_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "in"
    for i in range(3):
        write_small(root / "run" / f"{i}.pkl", height=1 + i)
    (root / "run" / "bad.pkl").write_bytes(b"x")
    first = merge_folders(config(root), tmp_path / "out")
    assert first.num_read == 4

    reads: list[str] = []
    for module in ("file_index", "merge"):
        monkeypatch.setattr(
            f"parc_core.motion.dataset.{module}.read_regular",
            lambda path, *limit: reads.append(Path(path).name) or read_regular(path, *limit),
        )
    assert inputs_fingerprint(config(root)) == first.fingerprint
    again = merge_folders(config(root), tmp_path / "out")
    assert again.num_read == 0 and reads == []
    assert (again.motions, again.rejected) == (first.motions, first.rejected)

    write_small(root / "run" / "1.pkl", height=4)
    write_small(root / "run" / "new.pkl", height=4.5)
    third = merge_folders(config(root), tmp_path / "out")
    assert third.num_read == 2 and len(third.motions) == 4
    assert set(reads) == {"1.pkl", "new.pkl"}


def test_same_size_and_time_but_other_content_is_seen(tmp_path: Path) -> None:
    file = write_small(tmp_path / "in" / "run" / "a.pkl", height=1)
    first = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    old = file.stat()
    write_small(file, height=2)
    os.utime(file, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    assert merge_folders(config(tmp_path / "in"), tmp_path / "out").motions != first.motions


def test_a_damaged_or_lost_copy_is_made_again(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    write_small(tmp_path / "in" / "run" / "b.pkl", height=2)
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    one, two = (result.path_of(m) for m in result.motions)
    one.write_bytes(b"x" * one.stat().st_size)
    two.unlink()
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert [sha256_file(result.path_of(m)) for m in result.motions] == [m.sha256 for m in result.motions]


def test_a_file_that_changes_meanwhile_is_left_out(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    changing = write_small(tmp_path / "in" / "run" / "b.pkl", height=2)
    gone = write_small(tmp_path / "in" / "run" / "c.pkl", height=3)

    def after_reading(done: int, total: int, what: str) -> None:
        if what == "reading motions" and done == total:
            write_small(changing, height=4)
            gone.unlink()

    result = merge_folders(config(tmp_path / "in"), tmp_path / "out", progress=after_reading)
    assert names(result) == ["run/a"]
    assert reasons(result)["b.pkl"].startswith("changed while being merged")
    assert reasons(result)["c.pkl"].startswith("vanished while being merged")
    assert names(merge_folders(config(tmp_path / "in"), tmp_path / "out")) == ["run/a", "run/b"]


def test_a_broken_index_costs_only_time(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    first = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert file_index.default_index_path().is_file()
    for text in ("{", "[]", '{"x": 3}'):
        file_index.default_index_path().write_text(text)
        again = merge_folders(config(tmp_path / "in"), tmp_path / "out")
        assert again.motions == first.motions and again.num_read == 1


def test_an_unwritable_index_warns(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="will be read again next time"):
        result = merge_folders(
            config(tmp_path / "in"), tmp_path / "out", index_path=tmp_path / "file" / "index.json"
        )
    assert len(result.motions) == 1


def test_workers_give_the_same(tmp_path: Path) -> None:
    for i in range(6):
        write_small(tmp_path / "in" / f"class_{i % 2}" / f"{i}.pkl", height=1 + i)
    (tmp_path / "in" / "class_0" / "bad.pkl").write_bytes(b"x")
    steps: list[tuple[int, int, str]] = []
    alone = merge_folders(config(tmp_path / "in"), tmp_path / "a", index_path=tmp_path / "a.json", workers=1)
    many = merge_folders(
        config(tmp_path / "in"),
        tmp_path / "b",
        progress=lambda *step: steps.append(step),
        index_path=tmp_path / "b.json",
        workers=2,
    )
    assert (alone.motions, alone.rejected) == (many.motions, many.rejected)
    assert alone.fingerprint == many.fingerprint
    assert steps == [(7, 7, "reading motions"), (6, 6, "copying motions")]
    assert sorted(p.name for p in (tmp_path / "a").rglob("*")) == sorted(
        p.name for p in (tmp_path / "b").rglob("*")
    )


def test_fingerprint_follows_content_and_relative_path_alone(tmp_path: Path) -> None:
    one = write_small(tmp_path / "one" / "run" / "a.pkl")
    write_small(tmp_path / "two" / "run" / "a.pkl")
    first = inputs_fingerprint(config(tmp_path / "one"))
    assert first == inputs_fingerprint(config(tmp_path / "two"))  # moved
    os.utime(one)
    assert first == inputs_fingerprint(config(tmp_path / "one"))  # touched
    write_small(one, height=5)
    changed = inputs_fingerprint(config(tmp_path / "one"))
    assert changed != first
    one.rename(one.with_name("b.pkl"))
    assert inputs_fingerprint(config(tmp_path / "one")) not in (first, changed)


def test_output_inside_an_input_folder_is_not_an_input(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    first = merge_folders(config(tmp_path / "in"), tmp_path / "in")
    again = merge_folders(config(tmp_path / "in"), tmp_path / "in")
    assert first.classes == again.classes == ["run"]
    assert first.fingerprint == again.fingerprint


def test_result_file_round_trip(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    write_small(tmp_path / "in" / "run" / "b.pkl")
    (tmp_path / "in" / "run" / "bad.pkl").write_bytes(b"x")
    result = merge_folders(config(tmp_path / "in"), tmp_path / "out")
    assert result.motions and result.rejected and result.duplicates
    write_merge_result(tmp_path / "merge.json", result)
    # How many files had to be read says nothing about the result.
    assert read_merge_result(tmp_path / "merge.json") == replace(result, num_read=0)
    first = json.loads((tmp_path / "merge.json").read_text(encoding="utf-8"))["motions"][0]
    fields = ["file", "name", "motion_class", "sha256", "frames", "fps", "nx", "ny", "dx", "source"]
    assert list(first) == fields, "files written before read the same"
    (tmp_path / "merge.json").write_text("{}")
    with pytest.raises(DataError, match="not the result of a merge"):
        read_merge_result(tmp_path / "merge.json")


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folder_paths: .*/none: no such folder"):
        merge_folders(config(tmp_path / "none"), tmp_path / "out")


def test_folder_without_classes(tmp_path: Path) -> None:
    write_small(tmp_path / "run" / "a.pkl")
    with pytest.raises(DataError, match="no class folder inside; give the folder above"):
        merge_folders(config(tmp_path / "run"), tmp_path / "out")


def test_unwritable_output(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        merge_folders(config(tmp_path / "in"), tmp_path / "file" / "out")


def test_other_character_other_bodies(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    result = merge_folders(config(tmp_path / "in", char_filepath=""), tmp_path / "out")
    assert names(result) == ["run/a"]
    assert file_index.inspect(str(tmp_path / "in" / "run" / "a.pkl"), 10).error == (
        "joint_rot has shape [4, 14, 4], [4, 9, 4] is needed"
    )
