"""Motion folders by pattern."""

from __future__ import annotations

import fsspec
import pytest

from flows.folder_patterns import expand_folders
from parc_core.errors import ConfigError


def test_a_star_stands_for_any_folder(tmp_path):
    for name in ("iteration_2", "iteration_1", "other"):
        (tmp_path / name / "recorded").mkdir(parents=True)
    (tmp_path / "iteration_3").mkdir()
    (tmp_path / "iteration_4").write_text("a file")
    folders = expand_folders([f"{tmp_path}/other", f"{tmp_path}/iteration_*/recorded", f"{tmp_path}/o*"])
    # `other` comes twice and counts once.
    assert folders == [f"{tmp_path}/other", *(f"{tmp_path}/iteration_{n}/recorded" for n in (1, 2))]


def test_in_object_storage():
    memory = fsspec.filesystem("memory")
    for n in (2, 1):
        memory.pipe_file(f"/patterns/iteration_{n}/recorded/walk/a.pkl", b"")
    memory.pipe_file("/patterns/iteration_3", b"")
    assert expand_folders(["memory://patterns/iteration_*"]) == [
        "memory:///patterns/iteration_1",
        "memory:///patterns/iteration_2",
    ]


def test_plain_names_are_kept_as_they_are(tmp_path):
    assert expand_folders(["s3://bucket/motions", "nowhere"]) == ["s3://bucket/motions", "nowhere"]


def test_a_pattern_without_a_match(tmp_path):
    with pytest.raises(ConfigError, match=r"iteration_\*': no folder matches"):
        expand_folders([f"{tmp_path}/iteration_*"])
