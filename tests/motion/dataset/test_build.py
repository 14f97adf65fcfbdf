"""The weighted dataset and its manifest."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.build import build_dataset, create_dataset, motion_weights
from parc_core.motion.dataset.dataset_file import display_names, read_motions_yaml
from parc_core.motion.dataset.file_index import FileFacts
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.dataset.merge_result import MergedMotion
from tests.motion.dataset.merging import config, own_folder
from tests.motion.small_files import write_small

CLIPS = Path(
    os.environ.get("PARC_CLIPS_DIR")
    or Path(__file__).resolve().parents[3].parent / "shared" / "data" / "motions"
)


__all__ = ["own_folder"]


def motion(name: str, frames: int, fps: int = 30) -> MergedMotion:
    facts = FileFacts("0" * 64, None, frames, fps, 3, 2, 0.4)
    return MergedMotion(f"{name}.pkl", name, name.partition("/")[0], facts, "/x")


def test_weights_by_hand() -> None:
    # Lengths 1, 3 (class a: 4 s) and 2 (class b: 2 s), 6 s in all, two classes:
    # 1 · ½ / (4/6) = 0.75, 3 · ½ / (4/6) = 2.25, 2 · ½ / (2/6) = 3: both classes weigh 3.
    weights = motion_weights([motion("a/x", 30), motion("a/y", 180, fps=60), motion("b/z", 60)])
    assert weights == pytest.approx([0.75, 2.25, 3.0])


@pytest.mark.parametrize(
    ("exponent", "weights"),
    [
        (0.0, [0.75, 2.25, 3.0]),
        (1.0, [1.0, 3.0, 2.0]),  # the seconds themselves
        (0.5, [6 / 4 * 2 / (2 + 2**0.5), 6 * 3 / 4 * 2 / (2 + 2**0.5), 6 * 2**0.5 / (2 + 2**0.5)]),
    ],
)
def test_large_classes_may_weigh_more(exponent: float, weights: list[float]) -> None:
    """Classes of 4 and 2 s: shares 4^a and 2^a."""
    motions = [motion("a/x", 30), motion("a/y", 180, fps=60), motion("b/z", 60)]
    assert motion_weights(motions, exponent) == pytest.approx(weights)
    assert sum(motion_weights(motions, exponent)) == pytest.approx(6.0)


def test_a_rare_class_is_not_drowned() -> None:
    """883 clips of one class beside 20 of another: docs/data.md."""
    motions = [motion("gesture/x", 60)] * 883 + [motion("flip/x", 60)] * 20
    shares, times = [], []
    for exponent in (0, 0.25, 0.5, 0.75, 1):
        weights = motion_weights(motions, exponent)
        shares.append(100 * sum(weights[883:]) / sum(weights))
        times.append(weights[-1] / weights[0])
    assert shares == pytest.approx([50, 28, 13, 5.5, 2.2], rel=0.01)
    assert times == pytest.approx([44, 17, 6.6, 2.6, 1], rel=0.01)


def test_files_of_a_data_set(tmp_path: Path) -> None:
    root = tmp_path / "in"
    write_small(root / "run" / "a.pkl", frames=30)
    write_small(root / "run" / "b.pkl", frames=90)
    write_small(root / "walk" / "c.pkl", frames=60)
    write_small(root / "walk" / "same.pkl", frames=60)
    (root / "walk" / "bad.pkl").write_bytes(b"x")
    merged = merge_folders(config(root), tmp_path / "out")
    built = build_dataset(merged, config(root), tmp_path / "out")

    motions = read_motions_yaml(built["motions_yaml"])
    assert [entry.weight for entry in motions.entries] == pytest.approx([0.75, 2.25, 3.0])
    assert all(Path(entry.file).is_absolute() and Path(entry.file).is_file() for entry in motions.entries)
    assert display_names(built["motions_yaml"], motions) == ["run/a", "run/b", "walk/c"]

    manifest = json.loads(Path(built["manifest"]).read_text())
    assert manifest["classes"] == {
        "run": {"motions": 2, "length": 4.0},
        "walk": {"motions": 1, "length": 2.0},
    }
    assert manifest["rejected"] == [
        {
            "path": str(root / "walk" / "bad.pkl"),
            "motion_class": "walk",
            "reason": manifest["rejected"][0]["reason"],
        }
    ]
    assert "corrupt pickle" in manifest["rejected"][0]["reason"]
    assert manifest["duplicates"][0]["same_as"] == str(root / "walk" / "c.pkl")
    assert manifest["names"] == {m.sha256: m.name for m in merged.motions}
    assert manifest["inputs"] == merged.fingerprint and manifest["sha256"] == built["sha256"]
    assert built["num_motions"] == 3 and built["num_rejected"] == 1 and built["num_duplicates"] == 1
    assert built["classes"] == {"run": 2, "walk": 1} and built["length"] == pytest.approx(6.0)
    json.dumps(built)


def test_hash_follows_the_content_not_the_place(tmp_path: Path) -> None:
    def build(out: str) -> dict[str, Any]:
        settings = config(tmp_path / "in")
        return build_dataset(merge_folders(settings, tmp_path / out), settings, tmp_path / out)

    file = write_small(tmp_path / "in" / "run" / "a.pkl")
    one, two = build("one"), build("two")
    assert one["sha256"] == two["sha256"]
    assert one["motions_yaml_sha256"] != two["motions_yaml_sha256"]  # absolute paths
    write_small(file, height=2)
    assert build("one")["sha256"] != one["sha256"]


def test_one_call_form(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    built = create_dataset(config(tmp_path / "in", save_path="sets/mine.yaml"))
    assert built["motions_yaml"] == str(tmp_path / "sets" / "mine.yaml")
    assert built["manifest"] == str(tmp_path / "sets" / "mine.manifest.json")
    assert len(read_motions_yaml(built["motions_yaml"]).entries) == 1
    assert create_dataset(config(tmp_path / "in", save_path="folder"))["motions_yaml"] == str(
        tmp_path / "folder" / "motions.yaml"
    )


def test_empty_class(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    (tmp_path / "in" / "walk").mkdir()
    with pytest.raises(DataError, match="class 'walk' has no motion to train on: its folders hold no"):
        create_dataset(config(tmp_path / "in"))


def test_class_of_which_all_is_rejected_says_why(tmp_path: Path) -> None:
    # "in" is a folder of every path: only the class's own files may be named.
    write_small(tmp_path / "in" / "run" / "a.pkl", frames=9)
    write_small(tmp_path / "in" / "in" / "b.pkl", frames=5)
    (tmp_path / "in" / "run" / "bad.pkl").write_bytes(b"x")
    with pytest.raises(DataError, match=r"class 'in' .*1 file\(s\) rejected, the first .*b\.pkl: 5 frames"):
        create_dataset(config(tmp_path / "in", min_num_frames=6))


def test_class_of_copies_alone_says_so(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    write_small(tmp_path / "in" / "walk" / "b.pkl")
    with pytest.raises(DataError, match=r"class 'walk' .* copies of others, .*b\.pkl of .*a\.pkl"):
        create_dataset(config(tmp_path / "in"))


def test_no_motion_at_all(tmp_path: Path) -> None:
    (tmp_path / "in" / "run").mkdir(parents=True)
    (tmp_path / "in" / "run" / "bad.pkl").write_bytes(b"x")
    with pytest.raises(DataError, match=r"the dataset would be empty: 1 file\(s\) rejected"):
        create_dataset(config(tmp_path / "in"))


def test_unwritable_output(tmp_path: Path) -> None:
    write_small(tmp_path / "in" / "run" / "a.pkl")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        create_dataset(config(tmp_path / "in", save_path=str(tmp_path / "file" / "motions.yaml")))


def test_real_clips(tmp_path: Path) -> None:
    roots = sorted(path for path in CLIPS.iterdir() if path.is_dir()) if CLIPS.is_dir() else []
    if not roots:
        pytest.skip(f"no clips in {CLIPS} (set PARC_CLIPS_DIR)")
    built = create_dataset(config(*roots, save_path=str(tmp_path / "set")))
    motions = read_motions_yaml(built["motions_yaml"])
    assert built["num_rejected"] == 0 and len(motions.entries) == len(list(CLIPS.rglob("*.pkl")))
    share = built["length"] / len(built["classes"])
    by_class: dict[str, float] = {}
    for entry, name in zip(motions.entries, display_names(built["motions_yaml"], motions)):
        key = name.partition("/")[0]
        by_class[key] = by_class.get(key, 0.0) + entry.weight
    assert by_class == pytest.approx({name: share for name in built["classes"]})
