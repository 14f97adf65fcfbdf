"""Pages with scenes: valid, small, and without anything from a network."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from parc_core.errors import DataError
from parc_core.viewing.offline import offline_page, player_parts, scene_element
from parc_core.viewing.packing import unpack
from tests.viewing.scenes import DT, humanoid, walking


class _Page(HTMLParser):
    """Scripts of a page, and its open elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def test_a_page_is_whole_and_needs_no_network():
    text = offline_page([walking(), walking(name="other", lost_s=0.5)], humanoid(), "clips <of> a run")
    page = _Page(text)
    assert page.open == [] and page.addresses == []
    assert not re.search(r"https?:|import\s|fetch\(|XMLHttpRequest", text)
    assert "<title>clips &lt;of&gt; a run</title>" in text
    clips = json.loads(page.scripts[0])
    assert [clip["name"] for clip in clips] == ["walk/0", "other"]
    assert clips[1]["marks"] == [{"kind": "lost", "from": 0.5, "to": 1.3, "text": "lost: pose"}]


def test_ten_seconds_are_small():
    text = offline_page([walking(frames=301)], humanoid(), "ten seconds")
    assert len(text) < 200_000  # the promise is 3 MB
    assert len(scene_element(walking(frames=301))) < 60_000 * 10


def test_a_name_cannot_end_its_script():
    name = '</script><script>alert("x")</script>'
    page = _Page(scene_element(walking(name=name)))
    assert len(page.scripts) == 1 and json.loads(page.scripts[0])["name"] == name


def test_an_element_starts_where_it_is_told():
    assert 'start="0.500"' in scene_element(walking(), start_s=0.5)
    assert 'start="0.000"' in scene_element(walking(), start_s=-1.0)


def test_the_players_parts_name_the_character_once():
    parts = player_parts(humanoid(), np.zeros((3, 2)))
    assert parts.count('id="parc-character"') == 1 and "parc-scene" in parts


def test_no_clip_is_an_error():
    with pytest.raises(DataError, match="no clip"):
        offline_page([], humanoid(), "nothing")


def test_scrubbing_finds_the_frame_that_is_shown():
    scene = walking(frames=31)
    assert [scene.frame_at(t) for t in (-1.0, 0.0, 0.4 * DT, 0.6 * DT, 0.5, 1.0, 9.0)] == [
        0,
        0,
        0,
        1,
        15,
        30,
        30,
    ]
    packed = json.loads(_Page(scene_element(scene)).scripts[0])
    x = unpack(packed["data"], 31)[scene.frame_at(0.5), 0] * 0.0005
    assert x == pytest.approx(scene.figures[0].root_pos[15, 0], abs=0.0005)
