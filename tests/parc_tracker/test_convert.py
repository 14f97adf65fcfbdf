"""`parc-tracker convert`: flat motion files to containers and .npz."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from parc_core.motion.formats.container import read_motion_terrain, validate
from parc_tracker.main import app
from tests.motion.small_files import RunsCode, write_small


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
    assert found.motion is not None and found.motion.loop_mode == "WRAP" and found.terrain is None


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
