"""`parc-tracker convert`: flat motion files to containers and .npz."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from parc_core.config.dataset_config import DatasetConfig
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.formats.container import read_misc, read_motion_terrain, write_motion_terrain
from parc_core.motion.validation import validate
from parc_tracker.main import app
from tests.motion.small_files import RunsCode, small_clip, small_terrain, write_small


class OldTerrain:
    """An object of a class that the reader does not know."""

    def __init__(self) -> None:
        self.hf = np.arange(6, dtype=np.float32).reshape(3, 2)
        self.min_point, self.dxdy = np.zeros(2, np.float32), np.full(2, 0.4, np.float32)


def write_flat(path: Path, columns: int = 34, **others: Any) -> Path:
    frames = np.zeros((5, columns), np.float32)
    frames[:, 2], frames[:, 5], frames[:, 6] = 0.9, np.pi / 2, 0.5  # turned left, torso by 0.5 rad about x
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"frames": frames, "fps": 30, "loop_mode": "CLAMP", **others}))
    return path


def convert(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["convert", *map(str, arguments)])


def test_flat_file_with_a_terrain_object(tmp_path: Path) -> None:
    contacts = np.ones((5, 15), np.float32)
    write_flat(tmp_path / "in" / "run" / "a.pkl", contacts=contacts, terrain=OldTerrain())
    assert convert(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    found = read_motion_terrain(tmp_path / "out" / "run" / "a.pkl")
    validate(found, "a")
    assert found.motion is not None and found.terrain is not None
    assert np.allclose(found.motion.root_rot, [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)
    assert np.allclose(found.motion.joint_rot[:, 0], [np.sin(0.25), 0, 0, np.cos(0.25)], atol=1e-6)
    assert np.array_equal(found.motion.body_contacts, contacts)  # type: ignore[arg-type]
    assert found.terrain.hf.shape == (3, 2) and found.terrain.dx == 0.4


def test_mimickit_file_without_contacts(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.pkl", loop_mode=1)
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "out").exit_code == 0
    found = read_motion_terrain(tmp_path / "out" / "a.pkl")
    assert found.motion is not None and found.motion.loop_mode == "WRAP"
    assert found.motion.body_contacts is not None and not found.motion.body_contacts.any()
    assert found.motion.body_contacts.shape == (5, 15)
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "none", "--terrain", "none").exit_code == 0
    assert read_motion_terrain(tmp_path / "none" / "a.pkl").terrain is None


def test_motion_without_terrain_gets_a_flat_one_and_trains(tmp_path: Path) -> None:
    """Level at 0, below the whole path, of published data's cells."""
    frames = np.zeros((40, 34))
    frames[:, 0], frames[:, 1], frames[:, 2] = np.linspace(-1, 3, 40), np.linspace(0, -2, 40), 0.9
    write_flat(tmp_path / "in" / "walk" / "a.pkl", frames=frames.tolist())
    assert convert(tmp_path / "in", "--out", tmp_path / "out").exit_code == 0
    found = read_motion_terrain(tmp_path / "out" / "walk" / "a.pkl")
    validate(found, "a")
    assert found.terrain is not None and found.terrain.dx == 0.4 and not found.terrain.hf.any()
    high = found.terrain.min_point + 0.4 * (np.array(found.terrain.hf.shape) - 1)
    assert (found.terrain.min_point <= [-3, -4]).all() and (high >= [5, 2]).all()
    merged = merge_folders(
        DatasetConfig([str(tmp_path / "out")]), tmp_path / "set", index_path=tmp_path / "i"
    )
    assert [motion.name for motion in merged.motions] == ["walk/a"]


def test_further_keys_of_flat_files_stay_in_misc_data(tmp_path: Path) -> None:
    others = {
        "obs": np.ones((5, 3), np.float32),
        "obs_shapes": {"char": (5, 3)},
        "hf_mask_inds": [torch.zeros((2, 2), dtype=torch.long)] * 5,
        "min_point_offset": np.float32(0.5),
        "path_nodes": OldTerrain(),
        "opt:body_constraints": [[1, 2], None],
    }
    write_flat(tmp_path / "a.pkl", **others)
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "out").exit_code == 0
    misc = read_misc(read_motion_terrain(tmp_path / "out" / "a.pkl"))
    assert set(misc) == set(others)
    assert misc["obs_shapes"] == {"char": (5, 3)} and misc["min_point_offset"] == 0.5
    assert misc["hf_mask_inds"][4].shape == (2, 2) and misc["path_nodes"]["hf"].shape == (3, 2)
    assert misc["opt:body_constraints"] == [[1, 2], None] and misc["obs"].all()


def test_containers_without_contacts_get_zeros(tmp_path: Path) -> None:
    clip = replace(small_clip(), body_contacts=None)
    write_motion_terrain(tmp_path / "a.pkl", MotionTerrain(clip, small_terrain()))
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "out").exit_code == 0
    found = read_motion_terrain(tmp_path / "out" / "a.pkl")
    assert found.motion is not None and found.motion.body_contacts is not None


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "a.csv",
            b"0.1,0.2,0.3,1,0,0,0\n0.1,0.2,0.3,1,0,0,0\n",
            "a table of 7 comma-separated columns (CSV)",
        ),
        ("a.fbx", b"Kaydara FBX Binary  \x00", "an FBX file"),
        ("a.json", b'{"frames": []}', "a JSON file"),
        ("a.pkl.gz", b"\x1f\x8b\x08\x00", "compressed with gzip; decompress it first"),
        ("a.pkl", b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        ("b.pkl", b"\x00\x01\x02", "corrupt pickle"),
    ],
)
def test_files_of_other_programs_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    result = convert(tmp_path / name, "--out", tmp_path / "out")
    assert result.exit_code == 65 and f"{name}: {message}" in result.output.replace("\n", " ").replace(
        "  ", " "
    )


def test_torch_archives_are_named(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "model.pt")
    result = convert(tmp_path / "model.pt", "--out", tmp_path / "out")
    assert result.exit_code == 65 and "a file of torch" in result.output


def test_a_folder_of_other_programs_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.fbx").write_bytes(b"Kaydara FBX Binary  ")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert (
        result.exit_code == 65
        and "it holds 1 .fbx" in result.output
        and "export them as BVH" in result.output
    )


def test_film_frame_rates_are_resampled_and_said(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.pkl", fps=29.97, frames=np.tile([0.0, 0, 0.9] + [0.0] * 31, (100, 1)))
    result = convert(tmp_path / "a.pkl", "--out", tmp_path / "out")
    assert result.exit_code == 0 and "resampled from 29.97 to 30 frames per second" in result.output
    found = read_motion_terrain(tmp_path / "out" / "a.pkl")
    assert found.motion is not None and (found.motion.fps, found.motion.num_frames) == (30, 100)
    assert not found.notes


def test_implausible_motions_are_refused_unless_asked_for(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.pkl", frames=np.tile([0.0, 0, 90.0] + [0.0] * 31, (9, 1)))
    result = convert(tmp_path / "a.pkl", "--out", tmp_path / "out")
    assert (
        result.exit_code == 65 and "centimetres" in result.output and "--allow-implausible" in result.output
    )
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "out", "--allow-implausible").exit_code == 0


def test_npz_holds_arrays_alone(tmp_path: Path) -> None:
    write_small(tmp_path / "a.pkl")
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "out", "--to", "npz").exit_code == 0
    with np.load(tmp_path / "out" / "a.npz", allow_pickle=False) as found:
        assert found["joint_rot"].shape == (4, 14, 4) and found["hf"].shape == (3, 2)
        assert found["loop_mode"] == "CLAMP" and found["fps"] == 30


def test_npz_and_back(tmp_path: Path) -> None:
    """What the container format holds but misc_data; in a folder a .pkl goes before an .npz of its name."""
    original = write_small(tmp_path / "in" / "a.pkl").read_bytes()
    assert convert(tmp_path / "in", "--out", tmp_path / "in", "--to", "npz").exit_code == 0
    assert convert(tmp_path / "in", "--out", tmp_path / "same").exit_code == 0
    (tmp_path / "in" / "a.pkl").unlink()
    assert convert(tmp_path / "in", "--out", tmp_path / "back").exit_code == 0
    assert (
        (tmp_path / "back" / "a.pkl").read_bytes() == (tmp_path / "same" / "a.pkl").read_bytes() == original
    )


def zipped(*members: tuple[str, bytes], **how: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def hostile_npz() -> dict[str, tuple[bytes, str]]:
    one = npy(np.zeros((4, 3)))
    encrypted = bytearray(zipped(("root_pos.npy", one)))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    unknown = bytearray(zipped(("root_pos.npy", one)))
    unknown[8] = 97
    unknown[unknown.index(b"PK\x01\x02") + 10] = 97
    huge = one.replace(b"(4, 3)", b"(9999999999, 3)")[: len(one) + 9]
    motion = {
        "root_pos": np.zeros((4, 3)),
        "root_rot": np.tile([0.0, 0, 0, 1], (4, 1)),
        "joint_rot": np.tile([0.0, 0, 0, 1], (4, 14, 1)),
        "loop_mode": np.array("CLAMP"),
    }

    def whole(**others: Any) -> bytes:
        return zipped(*((f"{key}.npy", npy(value)) for key, value in {**motion, **others}.items()))

    return {
        "bomb": (
            zipped(("root_pos.npy", bytes(300 << 20)), compression=zipfile.ZIP_DEFLATED),
            "grows beyond all measure",
        ),
        "encrypted": (bytes(encrypted), "encrypted"),
        "unknown": (bytes(unknown), "an unknown compression, 97"),
        "other": (zipped(("readme.txt", b"x")), "'readme.txt' is not an array"),
        "shape": (zipped(("root_pos.npy", huge)), "corrupt .npz"),
        "header": (zipped(("root_pos.npy", b"\x93NUMPY\x01\x00\x10\x00" + b"[" * 16)), "corrupt .npz"),
        "descr": (zipped(("root_pos.npy", one.replace(b"'<f8'", b"'|O8'"))), "not of plain numbers"),
        "number": (whole(fps=np.array(30), root_pos=np.array(3.0)), "root_pos has shape []"),
        "fps array": (whole(fps=np.arange(100_000)), "fps is an array of shape [100000]"),
        "fps huge": (whole(fps=np.array(1e30)), "fps is 1e+30"),
        "loop array": (
            whole(fps=np.array(30), loop_mode=np.array(["CLAMP"] * 9000)),
            "loop_mode is an array",
        ),
        "dx": (
            whole(fps=np.array(30), hf=np.zeros((2, 2)), min_point=np.zeros(2), dx=np.arange(9)),
            "one dx",
        ),
    }


@pytest.mark.filterwarnings("error")
def test_hostile_npz_files_stop_nothing(tmp_path: Path) -> None:
    files = hostile_npz()
    (tmp_path / "in").mkdir()
    for name, (data, _) in files.items():
        (tmp_path / "in" / f"{name}.npz").write_bytes(data)
    write_flat(tmp_path / "in" / "good.pkl")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 65
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.pkl"]
    for name, (_, message) in files.items():
        line = next(line for line in result.output.splitlines() if f"{name}.npz: " in line)
        assert message in line and len(line) < 1000


def test_pipes_and_odd_names_stop_nothing(tmp_path: Path) -> None:
    write_flat(tmp_path / "in" / "good.pkl")
    os.mkfifo(tmp_path / "in" / "pipe.pkl")
    with open(os.fsencode(tmp_path) + b"/in/\xff.pkl", "wb") as file:
        file.write((tmp_path / "in" / "good.pkl").read_bytes())
    with open(os.fsencode(tmp_path) + b"/in/\xfe.pkl", "wb") as file:
        file.write(b"x")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 65 and "it is a named pipe, not a file" in result.output
    assert "%FE.pkl: corrupt pickle" in result.output
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == [b"good.pkl", b"\xff.pkl"]


def test_what_is_no_motion_in_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", frames=np.zeros(3))
    np.savez(tmp_path / "object.npz", root_pos=np.array([{}], dtype=object))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:60])
    for name, message in (
        ("other", "root_pos is missing"),
        ("object", "plain arrays"),
        ("cut", "corrupt .npz"),
    ):
        result = convert(tmp_path / f"{name}.npz", "--out", tmp_path / "out")
        assert result.exit_code == 65 and f"{name}.npz: " in result.output and message in result.output


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": 37}, "another skeleton must be retargeted"),
        (
            {"joint_names": ["hips"] * 15},
            "joint_names are not those of this character, such as 'hips'; a motion of",
        ),
        ({"contacts": np.zeros((5, 14))}, "contacts has shape [5, 14]"),
        ({"loop_mode": 7}, "loop_mode is 7"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("inf")}, "fps is inf"),
    ],
)
def test_refused_with_one_line_and_the_others_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_flat(tmp_path / "in" / "bad.pkl", **changes)
    write_flat(tmp_path / "in" / "good.pkl")
    result = convert(tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 65 and message in result.output and "bad.pkl" in result.output
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.pkl"]


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    write_flat(tmp_path / "a.pkl", extra=RunsCode(tmp_path / "ran"))
    assert convert(tmp_path / "a.pkl", "--out", tmp_path / "out").exit_code == 0
    assert not (tmp_path / "ran").exists()


def test_inputs_are_never_overwritten(tmp_path: Path) -> None:
    path = write_flat(tmp_path / "a.pkl")
    before = path.read_bytes()
    assert convert(path, "--out", tmp_path).exit_code == 65
    assert path.read_bytes() == before
    assert convert(path, "--out", tmp_path / "out", "--to", "csv").exit_code == 78
