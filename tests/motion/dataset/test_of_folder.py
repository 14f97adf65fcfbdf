"""A folder of motions as a dataset."""

from __future__ import annotations

import os

import pytest

from parc_core.errors import DataError
from parc_core.motion.dataset.of_folder import dataset_of_folder


def test_a_file_whose_name_is_not_utf_8_is_skipped_with_a_line(tmp_path):
    (tmp_path / "walk").mkdir()
    place = os.fsencode(tmp_path / "walk") + b"/w\xff.pkl"
    try:
        with open(place, "wb") as file:
            file.write(b"anything")
    except OSError:
        pytest.skip("this file system takes no such names")
    said: list[str] = []
    with pytest.raises(DataError, match="holds no motion"):
        dataset_of_folder(tmp_path, tmp_path / "out", 15, said.append)
    (line,) = said
    assert line.endswith("its name is not UTF-8; rename it") and line.encode("utf-8")
