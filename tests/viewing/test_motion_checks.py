"""Faults that are put into good motions are marked where they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.synthetic import make_dataset
from parc_core.viewing.motion_checks import MotionChecker
from parc_core.viewing.source import MotionSource
from tests.evaluation.sample_data import make_env_file
from tests.viewing.scenes import humanoid


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    (file,) = make_dataset(["walk"], 1, 0, tmp_path_factory.mktemp("walk"), workers=1)
    return read_motion_terrain(file)


@pytest.fixture(scope="module")
def checker():
    return MotionChecker(humanoid())


def moved(content, frames, by):
    root = content.motion.root_pos.copy()
    root[frames] += np.array(by, np.float32)
    return dataclasses.replace(content.motion, root_pos=root)


def kinds(found):
    return {mark.kind for mark in found.marks}


def test_a_good_motion_has_no_marks(checker, content):
    found = checker.check(content.motion, content.terrain)
    assert found.marks == () and found.series["penetration_m"].max() < 0.05


def test_a_jump_is_marked_at_its_time(checker, content):
    found = checker.check(moved(content, slice(30, None), (0.5, 0.0, 0.0)), content.terrain)
    (jump,) = (mark for mark in found.marks if mark.kind == "jump")
    assert jump.start_s == pytest.approx(29 / content.motion.fps)
    assert jump.end_s == pytest.approx(30 / content.motion.fps)


def test_a_motion_in_the_ground_is_marked_with_its_depth(checker, content):
    found = checker.check(moved(content, slice(None), (0.0, 0.0, -0.2)), content.terrain)
    assert "penetration" in kinds(found) and found.marks[0].start_s == 0.0
    assert "cm deep" in found.marks[0].text
    assert found.series["penetration_m"].max() > 0.15


def test_a_contact_in_the_air_is_marked_with_the_bodys_name(checker, content):
    found = checker.check(moved(content, slice(None), (0.0, 0.0, 0.5)), content.terrain)
    assert kinds(found) == {"floating"}
    assert any("foot is said to touch in the air" in mark.text for mark in found.marks)


def test_a_source_of_motions_gives_their_frames_and_ground(tmp_path):
    env_file = make_env_file(tmp_path, ["stand", "stairs"])
    source = MotionSource(load_dataset(env_file.env.dm.motion_file), humanoid())
    source.select(1)
    frame = source.frame(10)
    assert frame.ref_pos is None and frame.touching.any() and not source.can_push
    assert source.frame(10**6).body_pos[0] == pytest.approx(source.frame(source.num_frames - 1).body_pos[0])
    xy, heights, dx = source.ground()
    assert xy.shape == (*heights.shape, 2) and np.ptp(heights) > 0.2 and dx == pytest.approx(0.4)
    scene = source.scene(0)
    assert scene.num_frames == source.num_frames and scene.figures[0].contacts is not None
