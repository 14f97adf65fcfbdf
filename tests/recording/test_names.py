"""Classes and names of recordings."""

from __future__ import annotations

import json
from pathlib import Path

from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile
from parc_core.recording.names import recording_places


def places(tmp_path: Path, files: list[str]) -> list[str]:
    motions = MotionsFile([MotionEntry(file, 1.0) for file in files])
    return [place.path for place in recording_places(tmp_path / "motions.yaml", motions)]


def test_classes_hold_fifty_numbers(tmp_path):
    found = places(tmp_path, [f"/d/teaser/teaser_{k}_2_opt_dm.pkl" for k in (0, 49, 50, 57, 149, 150)])
    assert [path.partition("/")[0] for path in found] == [
        "teaser_0_49",
        "teaser_0_49",
        "teaser_50_99",
        "teaser_50_99",
        "teaser_100_149",
        "teaser_150_199",
    ]
    assert found[3] == "teaser_50_99/teaser_57_2_opt_dm_dm.pkl"


def test_a_motion_without_a_number_inside_keeps_its_class(tmp_path):
    assert places(tmp_path, ["/d/walks/walk_0.pkl", "/d/walks/run.pkl"]) == [
        "walks/walk_0_dm.pkl",
        "walks/run_dm.pkl",
    ]


def test_merged_copies_have_the_class_and_stem_of_the_manifest(tmp_path):
    """The hash of the copy is all digits: by its name alone it would be class `walk__a__walk_12345650_…`."""
    item = {
        "file": "/m/walk__a_walk__12345678.pkl",
        "name": "walk/a_walk",
        "motion_class": "walk",
        "source": "/in/walk/a_walk.pkl",
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"motions": [item]}))
    assert places(tmp_path, ["/m/walk__a_walk__12345678.pkl"]) == ["walk/a_walk_dm.pkl"]
    (tmp_path / "manifest.json").unlink()
    assert places(tmp_path, ["/m/walk__a_walk__12345678.pkl"]) == ["walk/a_walk_dm.pkl"]


def test_stems_are_unique_over_the_whole_dataset(tmp_path):
    found = places(tmp_path, ["/d/a/x.pkl", "/d/b/x.pkl", "/e/b/x.pkl", "/e/c/y.pkl"])
    assert found == ["a/x_dm.pkl", "b/b_x_dm.pkl", "b/b_2_x_dm.pkl", "c/y_dm.pkl"]


def test_nothing_that_a_merge_passes_over(tmp_path):
    """PARC drops paths with `ignore` in them, and hidden folders are none of ours."""
    found = places(tmp_path, ["/d/ignored/please_ignore_me.pkl", "/d/.hidden/x.pkl"])
    assert all("ignore" not in path and not path.startswith(".") for path in found)
    assert found[1] == "hidden/x_dm.pkl"
