"""Captured clips on other ground, measured by MuJoCo's own collisions; and mirrored."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.variants.make import BOTH, FOOTING, VariantMaker
from parc_core.motion.variants.mirror import Mirror, mirrored_terrain
from tests.motion.variants.mujoco_contacts import ground_depths, told_share
from tests.motion.variants.step_clip import body, flat, step_clip

CLIPS = Path(
    os.environ.get("PARC_CLIPS_DIR") or Path(__file__).resolve().parents[3].parent / "shared/data/motions"
)
DEEPER = 0.005  # m


def test_mujoco_sees_no_deeper_contacts_on_new_ground():
    made = VariantMaker(body(), step_clip(), flat()).make(FOOTING, 0, 0)
    before = ground_depths(body(), step_clip(), flat())
    assert (ground_depths(body(), made.clip, made.terrain) - before).max() < DEEPER * told_share()
    raised = made.terrain.hf + np.float32(0.05)  # the measure finds what is wrong
    sunk = ground_depths(body(), made.clip, type(flat())(raised, made.terrain.min_point, made.terrain.dx))
    assert sunk.min() > 0.03 * told_share()
    assert told_share() == pytest.approx(1.0 if sys.version_info >= (3, 9) else 0.5)


@pytest.mark.parametrize("name", ["walking/walk", "running/run", "jumping/jump"])
def test_captured_clips(name):
    path = CLIPS / "mocap_flat" / f"{name}.pkl"
    if not path.is_file():
        pytest.skip(f"no captured clips: {path} is not there (set PARC_CLIPS_DIR)")
    content = read_motion_terrain(path)
    clip, terrain = content.motion, content.terrain
    before = ground_depths(body(), clip, terrain)
    made = VariantMaker(body(), clip, terrain).make(BOTH, 0, 1)
    assert np.ptp(made.terrain.hf) > 0.1 and (made.clip.root_pos[:, :2] == clip.root_pos[:, :2]).all()
    after = ground_depths(body(), made.clip, made.terrain)
    assert (after - before).max() < DEEPER * told_share()
    image = ground_depths(body(), Mirror(body().character).clip(made.clip), mirrored_terrain(made.terrain))
    np.testing.assert_allclose(image, after, atol=1e-3)
