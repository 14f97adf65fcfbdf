"""From files of motion capture to the character's motions: AMP, AMASS, climbs; real ones where they were downloaded."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from parc_core.config.paths import DATA_ROOT
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.formats.completion import flat_terrain
from parc_core.motion.plausibility import judge
from parc_core.motion.quality import QualityMeter
from parc_core.motion.retarget.captures import read_capture, retargeted
from parc_core.motion.retarget.climbs import boxes_beside
from parc_core.motion.retarget.geometry import rotation_vector
from parc_core.motion.retarget.result import RetargetedMotion
from parc_core.motion.skeleton import Skeleton, body_positions, multiply
from parc_core.motion.synthetic.generate import make_motion
from tests.motion.retarget.amass_files import archive, standing
from tests.motion.retarget.amp_files import poselib_dict, write_amp
from tests.motion.retarget.climb_files import PLACES, write_climb
from tests.motion.small_files import small_clip

RIGHT_FOOT, LEFT_FOOT = 11, 14
LIMBS = {
    "spine1": "torso",
    "neck": "head",
    **{
        f"{side}_{joint}": f"{side}_{body}"
        for side in ("left", "right")
        for joint, body in (
            ("shoulder", "upper_arm"),
            ("elbow", "lower_arm"),
            ("hip", "thigh"),
            ("knee", "shin"),
            ("ankle", "foot"),
        )
    },
}


@lru_cache(maxsize=1)
def humanoid() -> Character:
    return load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml")


def result(path: Path) -> RetargetedMotion:
    capture = read_capture(path.read_bytes(), path.name, humanoid())
    assert capture is not None
    return retargeted(capture, humanoid(), path.name, boxes_beside(path))


def test_amp_motions_are_exact_and_labelled(tmp_path: Path) -> None:
    """60 frames a second become every second frame; feet that stand on z = 0 touch it."""
    frames = 41
    root = np.tile([0.0, 0.0, 0.8814], (frames, 1))
    root[:, 0] = np.linspace(0, 0.01, frames)
    rotation = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 15, 1))
    found = result(write_amp(tmp_path / "a.npy", rotation, root_translation={"arr": root}, fps=60))
    assert found.terrain is None and found.scale == 1 and found.limit_share == 0
    assert found.clip.fps == 30 and found.clip.num_frames == 21
    assert np.allclose(found.clip.root_pos, root[::2], atol=1e-6)
    contacts = found.clip.body_contacts
    assert contacts is not None and contacts[:, [RIGHT_FOOT, LEFT_FOOT]].all() and contacts.sum() == 42


def test_amass_walks_like_the_motion_it_was_made_of(tmp_path: Path) -> None:
    """A synthetic walk as SMPL's joint rotations, and back: only the bodies' proportions differ."""
    made = make_motion("walk", 1, humanoid()).motion
    assert made is not None
    (tmp_path / "a.npz").write_bytes(as_amass(made))
    found = result(tmp_path / "a.npz").clip
    skeleton = Skeleton.of(humanoid())
    before, after = body_positions(made, skeleton), body_positions(found, skeleton)
    apart = np.linalg.norm((after - after[:, :1]) - (before - before[:, :1]), axis=-1)
    assert apart.mean() < 0.05 and apart.max() < 0.15
    ground = flat_terrain(found.root_pos[:, :2], "a")
    quality = QualityMeter(humanoid()).measure(found, ground)
    assert quality.penetration_max_m < 0.02 and quality.foot_skating_m_s < 0.1
    assert judge(found, ground, skeleton).text == ""
    path = found.root_pos[-1, :2] - found.root_pos[0, :2]
    assert np.linalg.norm(path - (made.root_pos[-1, :2] - made.root_pos[0, :2])) < 0.15


def as_amass(clip: MotionClip) -> bytes:
    from parc_core.motion.retarget.amass import JOINTS

    names = [name for name, _, _ in JOINTS]
    poses = np.zeros((clip.num_frames, 52, 3))
    axes = np.full((clip.num_frames, 4), 0.5)
    poses[:, 0] = rotation_vector(multiply(clip.root_rot.astype(float), axes))
    for joint, body in LIMBS.items():
        vectors = rotation_vector(clip.joint_rot[:, humanoid().body_id(body) - 1].astype(float))
        poses[:, names.index(joint)] = vectors[:, [1, 2, 0]]
    values = {
        **standing(),
        "poses": poses.reshape(clip.num_frames, -1),
        "trans": clip.root_pos + np.array([0, 0, 0.02]),
    }
    return archive({**values, "mocap_framerate": float(clip.fps)})


def test_a_climb_stays_on_its_box(tmp_path: Path) -> None:
    found = result(write_climb(tmp_path / "a"))
    assert found.terrain is not None and found.terrain.dx == pytest.approx(0.4, abs=1e-9)
    assert found.shift[:2] == (0.0, 0.0) and found.clip.num_frames == 90
    feet = body_positions(found.clip, Skeleton.of(humanoid()))[:, [RIGHT_FOOT, LEFT_FOOT]]
    top = float(found.terrain.hf.max())
    assert top == pytest.approx(0.5, rel=0.05)  # scaled like the body
    assert np.allclose(feet[5, :, 2], 0.05, atol=0.02) and np.allclose(feet[-5, :, 2], top + 0.05, atol=0.02)
    assert np.allclose(feet[-5, :, 0], PLACES[1][0] * top / 0.5, atol=0.03)
    assert QualityMeter(humanoid()).measure(found.clip, found.terrain).penetration_max_m < 0.03
    contacts = found.clip.body_contacts
    assert contacts is not None and contacts[-20:, [RIGHT_FOOT, LEFT_FOOT]].all()


def test_other_files_are_left_to_other_readers(tmp_path: Path) -> None:
    assert read_capture(b"HIERARCHY", "a.bvh", humanoid()) is None
    assert read_capture(b"\x80\x04N.", "a.pkl", humanoid()) is None
    buffer = io.BytesIO()
    np.savez(buffer, root_pos=small_clip().root_pos)
    assert read_capture(buffer.getvalue(), "a.npz", humanoid()) is None
    np.save(tmp_path / "a.npy", np.zeros((3, 22, 3)))
    with pytest.raises(
        DataError, match=r"a\.npy: an array of shape \[3, 22, 3\] is not a motion; of \.npy files"
    ):
        read_capture((tmp_path / "a.npy").read_bytes(), "a.npy", humanoid())


def test_poselib_motions_of_other_skeletons_are_retargeted(tmp_path: Path) -> None:
    """The same humanoid with longer thighs."""
    value = poselib_dict(np.tile([0.0, 0.0, 0.0, 1.0], (30, 15, 1)), np.tile([0.0, 0, 0.9814], (30, 1)))
    for body in (10, 13):
        value["skeleton_tree"]["local_translation"]["arr"][body, 2] -= 0.1
    np.save(tmp_path / "a.npy", np.array(value, dtype=object), allow_pickle=True)
    found = result(tmp_path / "a.npy")
    assert found.scale == pytest.approx(0.831416 / 0.931416, abs=1e-3)
    assert found.clip.body_contacts is not None and found.clip.body_contacts[:, [RIGHT_FOOT, LEFT_FOOT]].all()


CLIMBS = os.environ.get("PARC_CLIMBS_DIR", "")


@pytest.mark.skipif(not CLIMBS, reason="PARC_CLIMBS_DIR names no downloaded climbs (docs/mocap.md)")
@pytest.mark.parametrize("number", range(5))
def test_the_real_climbs(number: int) -> None:
    (path,) = Path(CLIMBS).glob(f"mocap_climb_seq_{number}/*.npy")
    found = result(path)
    assert found.terrain is not None
    quality = QualityMeter(humanoid()).measure(found.clip, found.terrain)
    assert quality.penetration_mean_m < 0.02 and quality.penetration_max_m < 0.12
    assert quality.foot_skating_m_s < 0.08 and found.limit_share < 0.03
    contacts = found.clip.body_contacts  # nobody floats above the boxes
    assert abs(found.shift[2]) < 0.1 and contacts is not None
    assert contacts[:, [RIGHT_FOOT, LEFT_FOOT]].mean() > 0.5
    assert judge(found.clip, found.terrain, Skeleton.of(humanoid())).text == ""
