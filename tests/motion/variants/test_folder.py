"""Variants of a folder: names, what the files say, what is refused, and what changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parc_core.config.dataset_config import DatasetConfig
from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.identity import clip_identity
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.formats.container import read_misc, read_motion_terrain, write_motion_terrain
from parc_core.motion.variants.folder import ORIGINAL, SOURCE_KEY, VariantOptions, make_variants
from tests.motion.variants.step_clip import flat, step_clip

OPTIONS = VariantOptions(count=3, mirror=True)


def write(folder: Path, name: str = "step", content: MotionTerrain | None = None) -> None:
    (folder / "steps").mkdir(parents=True, exist_ok=True)
    write_motion_terrain(folder / "steps" / f"{name}.pkl", content or MotionTerrain(step_clip(), flat()))


def contents(folder: Path) -> dict:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.pkl"))}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("variants")
    write(root / "in")
    return root, make_variants(str(root / "in"), root / "out", OPTIONS)


def test_names_keep_the_clip(made):
    root, result = made
    names = [name.rsplit("/", 1)[-1] for name in contents(root / "out")]
    assert "step_var000.pkl" in names and "step_var000_mirror.pkl" in names and "step_mirror.pkl" in names
    assert {clip_identity(name) for name in names} == {"step"}
    assert sorted(result.files) == sorted(str(root / "out" / name) for name in contents(root / "out"))
    kept = [row for row in result.numbers if row["kind"] != ORIGINAL]
    assert len(kept) + len(result.dropped) == 3 and len(kept) >= 2
    assert len(result.files) == 2 * len(kept) + 1


def test_files_say_what_they_are(made):
    root, _ = made
    misc = read_misc(read_motion_terrain(root / "out/steps/step_var000_mirror.pkl"))
    assert misc[SOURCE_KEY] == "steps/step" and misc["variant_clip"] == "step"
    assert misc["variant_kind"] == "surroundings" and misc["variant_mirrored"] is True
    assert misc["variant_number"] == 0 and misc["variant_seed"] == 0


def test_surroundings_leave_the_motion_as_it_is(made):
    root, _ = made
    before = read_motion_terrain(root / "in/steps/step.pkl").motion
    after = read_motion_terrain(root / "out/steps/step_var000.pkl").motion
    for name in ("root_pos", "root_rot", "joint_rot", "body_contacts"):
        assert getattr(after, name).tobytes() == getattr(before, name).tobytes()


def test_a_data_set_takes_them_all(made):
    root, result = made
    merged = merge_folders(
        DatasetConfig(folder_paths=[str(root / "out")]), root / "merged", index_path=root / "index"
    )
    assert len(merged.motions) == len(result.files) and not merged.rejected


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_neither_other_motions_nor_processes_change_a_byte(made, tmp_path, workers):
    root, _ = made
    write(tmp_path / "in")
    write(tmp_path / "in", "another", MotionTerrain(step_clip(70), flat()))
    make_variants(str(tmp_path / "in"), tmp_path / "out", OPTIONS, workers=workers)
    again = contents(tmp_path / "out")
    assert {name: again[name] for name in contents(root / "out")} == contents(root / "out")


def test_what_is_no_motion_is_skipped_with_its_reason(made, tmp_path):
    root, _ = made
    write(tmp_path / "in")
    (tmp_path / "in/steps/broken.pkl").write_bytes(b"no pickle")
    (tmp_path / "in/steps/step_var000.pkl").write_bytes((root / "out/steps/step_var000.pkl").read_bytes())
    centimetres = replace(step_clip(), root_pos=step_clip().root_pos * np.float32(100))
    write(tmp_path / "in", "large", MotionTerrain(centimetres, flat()))
    result = make_variants(str(tmp_path / "in"), tmp_path / "out", VariantOptions(count=1))
    assert result.sources == 1
    reasons = " | ".join(reason for _, reason in result.skipped)
    assert len(result.skipped) == 3
    assert "broken.pkl" in reasons and "a variant itself" in reasons and "centimetres" in reasons


def test_a_motion_without_terrain_gets_a_flat_one(tmp_path):
    clip = replace(step_clip(), root_pos=step_clip().root_pos - np.array([0, 0, 0.5], np.float32))
    write(tmp_path / "in", "bare", MotionTerrain(clip, None))
    result = make_variants(str(tmp_path / "in"), tmp_path / "out", VariantOptions(count=1))
    assert len(result.files) == 1


def test_mirror_images_alone(tmp_path):
    write(tmp_path / "in")
    result = make_variants(str(tmp_path / "in"), tmp_path / "out", VariantOptions(count=0, mirror=True))
    assert [Path(file).name for file in result.files] == ["step_mirror.pkl"]


@pytest.mark.parametrize(
    "options, message",
    [
        (VariantOptions(count=0), "--variants is 0"),
        (VariantOptions(count=-1, mirror=True), "--variants is -1"),
        (VariantOptions(seed=-1), "seed is -1"),
        (
            VariantOptions(kinds=("walls",)),
            "no kind of variant named 'walls'; choose from surroundings, footing, both",
        ),
        (VariantOptions(kinds=()), "no kind of variant is given"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, message):
    write(tmp_path / "in")
    with pytest.raises(ConfigError, match=message):
        make_variants(str(tmp_path / "in"), tmp_path / "out", options)


def test_a_folder_without_a_usable_motion(tmp_path):
    (tmp_path / "in/steps").mkdir(parents=True)
    (tmp_path / "in/steps/broken.pkl").write_bytes(b"no pickle")
    with pytest.raises(DataError, match=r"no motion to make variants of; .*broken\.pkl") as caught:
        make_variants(str(tmp_path / "in"), tmp_path / "out", VariantOptions(count=1))
    assert str(caught.value).count("broken.pkl") == 1
