"""Which clip `eval --video` means."""

from __future__ import annotations

import pytest

from parc_core.errors import ConfigError
from parc_tracker.evaluate import clip_place

NAMES = ["walk/a", "walk/b", "jump/a", "jump/c"]


def test_a_clip_is_found_by_its_name_or_its_unique_last_part():
    assert [clip_place(name, NAMES) for name in ("jump/a", "b", "c")] == [2, 1, 3]


@pytest.mark.parametrize(("name", "message"), [("a", "2 clips are called so"), ("walk/bb", "it has walk/b")])
def test_others_are_refused_with_one_that_there_is(name, message):
    with pytest.raises(ConfigError, match=message):
        clip_place(name, NAMES)
