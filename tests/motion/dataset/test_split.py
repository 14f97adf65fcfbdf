"""A dataset in two parts: what stays together, how much of each class, the same choice for the same seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.clip_list import list_clips, shared_identities
from parc_core.motion.dataset.dataset_file import (
    MotionEntry,
    MotionsFile,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.dataset.split import choose_held_out, parse_share, split_dataset
from tests.motion.dataset.merging import config, own_folder
from tests.motion.small_files import write_small

__all__ = ["own_folder"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """10 walks, each with a variant and a mirror image; 10 runs; one jump."""
    root = tmp_path / "in"
    for i in range(10):
        write_small(root / "walk" / f"w{i}.pkl", frames=30, height=1 + i / 100)
        write_small(root / "walk" / f"w{i}_var001.pkl", frames=30, height=1.2 + i / 100)
        write_small(root / "walk" / f"w{i}_mirror.pkl", frames=30, height=1.4 + i / 100)
        write_small(root / "run" / f"r{i}.pkl", frames=60, height=1.6 + i / 100)
    write_small(root / "jump" / "j.pkl", frames=90)
    return Path(create_dataset(config(root, save_path=str(tmp_path / "out")))["motions_yaml"])


def test_variants_and_mirror_images_stay_with_their_clip(dataset: Path, tmp_path: Path) -> None:
    found = split_dataset(dataset, tmp_path / "out", 0.2, seed=3)
    train, held_out = (list_clips(found[part]["motions_yaml"]) for part in ("train", "held_out"))
    assert not {clip.identity for clip in train} & {clip.identity for clip in held_out}
    assert len(train) + len(held_out) == 41
    assert sorted({clip.identity for clip in held_out}) == found["held_out_clips"]
    walks = [clip for clip in held_out if clip.motion_class == "walk"]
    assert len(walks) == 6 and len({clip.identity for clip in walks}) == 2
    assert found["held_out"]["classes"] == {"run": 2, "walk": 6}  # of a single jump nothing
    assert found["held_out"]["clips"] == 4 and found["held_out"]["motions"] == 8
    assert shared_identities(found["train"]["motions_yaml"], found["held_out"]["motions_yaml"]) == []
    assert shared_identities(dataset, found["held_out"]["motions_yaml"]) == [clip.name for clip in held_out]


def test_classes_are_drawn_alike_in_both_parts(dataset: Path, tmp_path: Path) -> None:
    found = split_dataset(dataset, tmp_path / "out", 0.2)
    for part in ("train", "held_out"):
        weights: dict[str, float] = {}
        for clip in list_clips(found[part]["motions_yaml"]):
            weights[clip.motion_class] = weights.get(clip.motion_class, 0) + clip.entry.weight
        assert list(weights.values()) == pytest.approx([found[part]["length"] / len(weights)] * len(weights))


def test_parts_weigh_as_their_dataset_does(tmp_path: Path) -> None:
    """Also the parts of a part: here every second counts alike."""
    root = tmp_path / "in"
    for i in range(8):
        write_small(root / "walk" / f"w{i}.pkl", frames=30, height=1 + i / 100)
        write_small(root / "run" / f"r{i}.pkl", frames=60, height=1.6 + i / 100)
    of = config(root, save_path=str(tmp_path / "out"), class_exponent=1.0)
    listing = create_dataset(of)["motions_yaml"]
    for folder in ("once", "twice"):
        listing = split_dataset(listing, tmp_path / folder, 0.25)["train"]["motions_yaml"]
        clips = list_clips(listing)
        assert [clip.entry.weight for clip in clips] == pytest.approx(
            [clip.facts["length"] for clip in clips if clip.facts]
        )


def test_the_parts_load_and_name_their_clips(dataset: Path, tmp_path: Path) -> None:
    found = split_dataset(dataset, tmp_path / "elsewhere", 0.5)
    loaded = load_dataset(found["held_out"]["motions_yaml"])
    assert loaded.num_motions == found["held_out"]["motions"] and "/" in loaded.names[0]
    manifest = json.loads((tmp_path / "elsewhere" / "held_out.manifest.json").read_text())
    assert manifest["split"]["part"] == "held_out" and manifest["split"]["share"] == 0.5
    assert len(manifest["sha256"]) == 64


def test_the_same_seed_chooses_the_same_clips() -> None:
    class_of = {f"{name}{i}": name for name in "ab" for i in range(50)}
    first = choose_held_out(class_of, 0.1, seed=0)
    assert first == choose_held_out(dict(reversed(class_of.items())), 0.1, seed=0)
    assert first != choose_held_out(class_of, 0.1, seed=1)
    assert len(first) == 10 and sum(each.startswith("a") for each in first) == 5
    # A clip more in one class changes nothing in the other.
    assert {each for each in choose_held_out({**class_of, "a50": "a"}, 0.1, 0) if each[0] == "b"} == {
        each for each in first if each[0] == "b"
    }


@pytest.mark.parametrize(
    ("classes", "share", "count"), [("aaab", 0.01, 1), ("abcd", 0.5, 2), ("aabb", 0.99, 2)]
)
def test_at_least_one_is_held_out_and_every_class_keeps_one(classes: str, share: float, count: int) -> None:
    class_of = {f"{name}{i}": name for i, name in enumerate(classes)}
    assert len(choose_held_out(class_of, share, 0)) == count


def test_a_dataset_without_manifest_keeps_its_weights(tmp_path: Path) -> None:
    files = [
        write_small(tmp_path / f"{name}.pkl", height=1 + i / 9) for i, name in enumerate(["a", "a_var1", "b"])
    ]
    listing = tmp_path / "motions.yaml"
    write_motions_yaml(
        listing, MotionsFile([MotionEntry(str(file), 2.0 + i) for i, file in enumerate(files)])
    )
    found = split_dataset(listing, tmp_path, 0.5)
    parts = [read_motions_yaml(found[part]["motions_yaml"]).entries for part in ("train", "held_out")]
    assert sorted(entry.weight for part in parts for entry in part) == [2.0, 3.0, 4.0]
    assert sorted(len(part) for part in parts) == [1, 2] and found["train"]["length"] is None


def test_equal_names_of_two_folders_are_one_clip(tmp_path: Path) -> None:
    """As merged they are told apart by their hash, which makes them no other clips."""
    for i, root in enumerate(("one", "two")):
        write_small(tmp_path / root / "walk" / "a.pkl", height=1 + i / 9)
        write_small(tmp_path / root / "walk" / f"{root}.pkl", height=1.3 + i / 9)
    built = create_dataset(config(tmp_path / "one", tmp_path / "two", save_path=str(tmp_path / "out")))
    clips = list_clips(built["motions_yaml"])
    assert sorted(clip.identity for clip in clips) == ["a", "a", "one", "two"]


def test_one_clip_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two clips that are no variants"):
        choose_held_out({"a": ""}, 0.1, 0)


def test_shares_are_written_as_percent_or_fraction() -> None:
    assert parse_share("10%") == pytest.approx(0.1) and parse_share(" 0.25 ") == 0.25
    for bad in ("10", "0", "100%", "ten", "5%5", "nan", ""):
        with pytest.raises(ConfigError, match=r"such as 10% or 0\.1"):
            parse_share(bad)
