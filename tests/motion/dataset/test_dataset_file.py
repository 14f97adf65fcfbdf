"""`motions.yaml` as dataset file."""

from __future__ import annotations

from pathlib import Path

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset import dataset_file
from parc_core.motion.dataset.dataset_file import (
    MotionEntry,
    MotionsFile,
    display_names,
    manifest_path,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.system.files import write_json


def test_round_trip(tmp_path: Path) -> None:
    motions = MotionsFile([MotionEntry("/a/ü b.pkl", 0.1), MotionEntry("/a/c.pkl", 1e-7)], "/t.pkl")
    write_motions_yaml(tmp_path / "motions.yaml", motions)
    assert read_motions_yaml(tmp_path / "motions.yaml") == motions


def test_parc_keys_alone(tmp_path: Path) -> None:
    write_motions_yaml(tmp_path / "m.yaml", MotionsFile([MotionEntry("/a.pkl", 2)]))
    assert (tmp_path / "m.yaml").read_text() == "motions:\n- file: /a.pkl\n  weight: 2.0\n"


def test_data_dir_and_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", "/data")
    (tmp_path / "beside.pkl").write_bytes(b"")
    text = "motions:\n- {file: $DATA_DIR/a.pkl, weight: 5e-5}\n- file: beside.pkl\n- file: else/where.pkl\n"
    (tmp_path / "m.yaml").write_text(text + "terrain: $DATA_DIR/t.pkl\n")
    motions = read_motions_yaml(tmp_path / "m.yaml")
    assert motions.entries[0] == MotionEntry("/data/a.pkl", 5e-5)  # YAML 1.1 reads 5e-5 as text
    assert motions.entries[1] == MotionEntry(str(tmp_path / "beside.pkl"), 1.0)
    assert motions.entries[2].file == "else/where.pkl"
    assert motions.terrain == "/data/t.pkl"


def test_data_dir_unset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("parc_core.config.paths.DATA_ROOT", tmp_path)
    (tmp_path / "m.yaml").write_text("motions:\n- {file: $DATA_DIR/a.pkl, weight: 1}\n")
    with pytest.raises(ConfigError, match="DATA_DIR"):
        read_motions_yaml(tmp_path / "m.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("motions: [", r"m\.yaml, line \d+: broken YAML"),
        ("- a", "needs a list 'motions'"),
        ("motions: 3", "needs a list 'motions'"),
        ("motions: []", "motions is empty"),
        ("motions: [{weight: 1}]", r"motions\[0\] has no 'file'"),
        ("motions: [{file: a, weight: -1}]", r"motions\[0\] \(a\): weight is -1"),
        ("motions: [{file: a, weight: .nan}]", "weight is nan"),
        ("motions: [{file: a, weight: much}]", "weight is 'much'"),
        ("motions: [{file: a, weight: true}]", "weight is True"),
        ("motions: [{file: a, weight: 0}]", "all weights are 0"),
        ("motions: [{file: a}]\nterain: x", "unknown key 'terain'; the nearest known key is 'terrain'"),
        ("motions: [{file: a, weigth: 5}]", r"motions\[0\]: unknown key 'weigth'; .* is 'weight'"),
        ("motions: [{file: a}]\nmotions: [{file: b}]", "line 2: broken YAML: key 'motions' is given twice"),
        ("motions: [{file: a, weight: 1, weight: 2}]", "key 'weight' is given twice"),
        ("motions: [{file: a, weight: 1:30}]", "'1:30' means a number to base 60"),
        ("motions: [{file: a, weight: 010}]", "'010' means an octal number"),
        ("motions: [{file: a, weight: 1.0e+999}]", "weight is inf, a number from 0 to 1e\\+30"),
        ("motions: [{file: a, weight: 1.0e+39}]", "weight is 1e\\+39"),
        ("motions: [{file: a, weight: 1.0e-60}]", "all weights are 0"),
        ("motions:\n- file: /a.pkl\n  weight: 1.0e+999\n", "weight is not from 0"),  # as we write entries
        ("motions: [{file: a, weight: [1]}]", r"weight is \[1\]"),
        ("motions: [{file: %s}]" % ("x" * 100_000), "names no file: it is too long"),
        ('motions: [{file: "a\\0b"}]', "names no file: it holds a NUL"),
        ("motions: [{file: a}]\nterrain: 3", "terrain is 3, a path"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_motions_yaml(tmp_path / "m.yaml")
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none\.yaml: there is no such dataset file; check the path, or create"
    ):
        read_motions_yaml(tmp_path / "none.yaml")


def test_display_names(tmp_path: Path) -> None:
    motions = MotionsFile([MotionEntry(f"/x/{name}.pkl", 1) for name in ("a", "b", "c")])
    other = MotionsFile([MotionEntry("/x/a.pkl", 1), MotionEntry("/y/a.pkl", 1)])
    path = tmp_path / "motions.yaml"
    assert display_names(path, motions) == ["a", "b", "c"]
    assert display_names(path, other) == ["a#0", "a#1"]
    write_json(manifest_path(path), {"motions": [{"file": "a.pkl", "name": "run/a"}]})
    assert display_names(path, motions) == ["run/a", "b", "c"]
    assert manifest_path(path).name == "manifest.json"
    assert manifest_path(tmp_path / "set.yaml").name == "set.manifest.json"


def test_plain_files_are_read_as_yaml_reads_them(tmp_path):
    """The quick way for files that we wrote gives what YAML gives, and leaves every other file to YAML."""
    entries = [
        MotionEntry(f"/data/run_{k}-a.pkl", weight) for k, weight in enumerate([1.0, 0.25, 1e-09, 1e16])
    ]
    path = tmp_path / "motions.yaml"
    write_motions_yaml(path, MotionsFile(entries))
    text = path.read_text()
    assert dataset_file._plain_entries(text) == entries == read_motions_yaml(path).entries
    path.write_text(text + "# a comment\n")
    assert dataset_file._plain_entries(path.read_text()) is None
    assert read_motions_yaml(path).entries == entries
    write_motions_yaml(path, MotionsFile([*entries, MotionEntry("/data/a b: '#'.pkl", 1.0)]))
    assert dataset_file._plain_entries(path.read_text()) is None
    assert read_motions_yaml(path).entries[-1].file == "/data/a b: '#'.pkl"
