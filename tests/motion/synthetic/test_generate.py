"""Synthetic motions keep what they promise, whatever kind and seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from parc_core import rotations
from parc_core.character.kinematics import Kinematics
from parc_core.character.masses import body_masses, mass_centers
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.motion.formats.container import motion_terrain_bytes, read_misc, read_motion_terrain
from parc_core.motion.synthetic import KINDS, balance, make_dataset, make_motion
from parc_core.motion.synthetic.ik import SIDES, find_leg
from parc_core.motion.validation import validate
from tests.terrain.lookup import heights_at

SEEDS = (0, 7, 100)
CASES = [(kind, seed) for kind in KINDS for seed in SEEDS]
FPS = 30


@pytest.fixture(scope="module")
def character():
    return load_character(PROJECT_ROOT / "data/assets/humanoid.xml")


@pytest.fixture(scope="module")
def motions(character):
    return {case: make_motion(*case, character) for case in CASES}


@pytest.fixture(scope="module")
def bodies(character, motions):
    """Positions (n, 15, 3) and rotations (n, 15, 4) of the bodies of each motion."""
    kinematics = Kinematics(character)
    return {
        case: kinematics.forward(
            *(torch.from_numpy(getattr(mt.motion, key)) for key in ("root_pos", "root_rot", "joint_rot"))
        )
        for case, mt in motions.items()
    }


def corners(character, body_pos, body_rot, side):
    """Corners of the sole over the frames, (n, 4, 3): two at the heel, two at the toe."""
    leg = find_leg(character, side)
    local = torch.tensor(
        [[x, y, -leg.sole] for x in (-leg.heel, leg.toe) for y in (-leg.half_width, leg.half_width)]
    )
    return (body_pos[:, None, leg.foot] + rotations.quat_rotate(body_rot[:, None, leg.foot], local)).numpy()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_valid_and_two_to_six_seconds(motions, case):
    mt = motions[case]
    validate(mt, str(case))
    assert 2 * FPS <= mt.motion.num_frames <= 6 * FPS
    assert (mt.motion.fps, mt.motion.loop_mode) == (FPS, "CLAMP")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_feet_and_contact_labels(character, motions, bodies, case):
    """A labelled foot touches the ground and its toe stays where it is; no foot goes into the ground."""
    mt = motions[case]
    for side in SIDES:
        sole = corners(character, *bodies[case], side)
        above = sole[..., 2] - heights_at(mt.terrain, sole[..., :2])
        contact = mt.motion.body_contacts[:, find_leg(character, side).foot] > 0.5
        assert above.min() > -0.005
        assert np.abs(above.min(axis=1)[contact]).max() < 0.005
        if not contact.all():
            assert above.min(axis=1)[~contact].max() > 0.04  # it does leave the ground
        toe = sole[:, 2:].mean(axis=1)
        both = contact[1:] & contact[:-1]
        assert np.linalg.norm(np.diff(toe, axis=0), axis=-1)[both].max() < 0.005
        # Wherever the foot stands flat all of its sole is on one height: it keeps off edges.
        flat = contact & (np.ptp(sole[..., 2], axis=1) < 1e-3)
        assert np.abs(above[flat]).max() < 0.005


@pytest.mark.parametrize("case", CASES, ids=str)
def test_someone_always_stands(character, motions, case):
    feet = [find_leg(character, side).foot for side in SIDES]
    contacts = motions[case].motion.body_contacts
    assert (contacts[:, feet].max(axis=1) == 1.0).all()
    assert set(np.unique(np.delete(contacts, feet, axis=1))) == {0.0}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_within_limits_and_smooth(character, motions, case):
    kinematics = Kinematics(character)
    clip = motions[case].motion
    joint_rot = torch.from_numpy(clip.joint_rot)
    dof = kinematics.rot_to_dof(joint_rot)
    assert (dof > character.dof_lower).all()
    assert (dof < character.dof_upper).all()
    velocity = kinematics.dof_velocity(joint_rot[:-1], joint_rot[1:], 1 / FPS)
    assert velocity.abs().max() < 12.0  # rad/s
    assert torch.diff(velocity, dim=0).abs().max() < 12.0  # rad/s from frame to frame: no jumps
    speed = np.linalg.norm(np.diff(clip.root_pos[:, :2], axis=0), axis=-1) * FPS
    assert speed.max() < 1.6
    assert np.abs(np.diff(clip.root_pos, n=2, axis=0)).max() * FPS**2 < 7.0  # m/s², under g


@pytest.mark.parametrize("case", CASES, ids=str)
def test_balanced(character, motions, bodies, case):
    """The zero-moment point of the whole body stays over the feet that stand."""
    mt = motions[case]
    mass, local = body_masses(character)
    centers = mass_centers(*bodies[case], local)
    feet = [find_leg(character, side).foot for side in SIDES]
    contact = mt.motion.body_contacts[:, feet] > 0.5
    soles = np.stack([corners(character, *bodies[case], side) for side in SIDES], axis=1)  # (n, 2, 4, 3)
    ground = np.where(contact, soles[..., 2].min(axis=2), np.inf).min(axis=1)
    zmp = balance.measured_zmp(centers, mass.numpy(), ground, 1 / FPS)[1:-1]
    off = [
        _outside(point, frame[standing].reshape(-1, 3)[:, :2])
        for point, frame, standing in zip(zmp, soles[1:-1], contact[1:-1])
    ]
    assert max(off) < 0.01


def _outside(point, hull_points):
    """m by which a point lies outside the convex hull of points, along the worst of 24 directions."""
    angles = np.linspace(0.0, 2 * np.pi, 24, endpoint=False)
    directions = np.stack((np.cos(angles), np.sin(angles)))
    return max(0.0, float((point @ directions - (hull_points @ directions).max(axis=0)).max()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_hands_hang_beside_the_hips(character, bodies, case):
    """Never inside the body: thighs are 0.14 m wide on each side, hands have a radius of 0.04 m."""
    position, rotation = bodies[case]
    heading_inv = rotations.heading_quat_inv(rotation[:, 0])
    for name, sign in (("left_hand", 1.0), ("right_hand", -1.0)):
        local = rotations.quat_rotate(heading_inv, position[:, character.body_id(name)] - position[:, 0])
        assert (sign * local[:, 1]).min() > 0.19
    if case[0] == "stand":
        assert local[:, 2].abs().max() < 0.2


@pytest.mark.parametrize("case", CASES, ids=str)
def test_terrain_is_the_path_and_a_margin(motions, case):
    mt = motions[case]
    size = np.array(mt.terrain.hf.shape)
    assert (size >= 8).all()
    assert (size <= 20).all()
    last = mt.terrain.min_point + (size - 1) * mt.terrain.dx
    assert (mt.motion.root_pos[:, :2] > mt.terrain.min_point + 3 * 0.4 - 0.2).all()
    assert (mt.motion.root_pos[:, :2] < last - 3 * 0.4 + 0.2).all()
    np.testing.assert_allclose(np.round(mt.terrain.min_point / 0.4), mt.terrain.min_point / 0.4, atol=1e-5)


def test_kinds_do_what_their_names_say(motions):
    def rise(case):
        ground = heights_at(motions[case].terrain, motions[case].motion.root_pos[[0, -1], :2])
        return float(ground[1] - ground[0])

    def way(case):
        ends = motions[case].motion.root_pos[[0, -1], :2]
        return float(np.linalg.norm(ends[1] - ends[0]))

    for seed in SEEDS:
        assert 0.09 < rise(("step_up", seed)) < 0.23
        assert -0.23 < rise(("step_down", seed)) < -0.09
        assert abs(rise(("stairs", seed))) > 0.2
        assert rise(("gap", seed)) == pytest.approx(0.0, abs=1e-5)
        assert way(("walk", seed)) > 1.0
        assert way(("stand", seed)) < 0.1
        squat = motions[("squat", seed)].motion.root_pos[:, 2]
        assert squat[0] - squat.min() > 0.08
        root_rot = torch.from_numpy(motions[("turn", seed)].motion.root_rot)
        turned = rotations.quat_diff_angle(root_rot[0], root_rot[-1])
        assert float(turned) > 1.0


@pytest.mark.parametrize("kind", list(KINDS))
def test_same_seed_same_bytes(character, motions, kind):
    again = motion_terrain_bytes(make_motion(kind, SEEDS[1], character))
    assert again == motion_terrain_bytes(motions[(kind, SEEDS[1])])
    assert again != motion_terrain_bytes(motions[(kind, SEEDS[0])])


def test_unknown_kind_names_the_nearest(character):
    with pytest.raises(ConfigError, match="did you mean stairs"):
        make_motion("stair", 0, character)


def test_data_set_over_processes_equals_one_process(character, tmp_path):
    seen = []
    files = make_dataset(
        ["walk", "stand"], 2, 5, tmp_path / "a", workers=2, progress=lambda *at: seen.append(at)
    )
    assert [str(path.relative_to(tmp_path / "a")) for path in files] == [
        "walk/walk_5.pkl", "walk/walk_6.pkl", "stand/stand_5.pkl", "stand/stand_6.pkl",
    ]  # fmt: skip
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    alone = make_dataset(["walk", "stand"], 2, 5, tmp_path / "b", workers=1, character=character)
    assert [path.read_bytes() for path in files] == [path.read_bytes() for path in alone]
    content = read_motion_terrain(files[0])
    assert read_misc(content) == {"synthetic_kind": "walk", "synthetic_seed": 5}


def test_impossible_data_sets(character, tmp_path):
    with pytest.raises(ConfigError, match="count is 0"):
        make_dataset(["walk"], 0, 0, tmp_path)
    with pytest.raises(ConfigError, match="did you mean walk"):
        make_dataset(["wlak"], 1, 0, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't make the folder"):
        make_dataset(["walk"], 1, 0, tmp_path / "file")


def test_motions_are_cut_to_their_longest_duration(tmp_path, character):
    whole = make_dataset(["walk"], 1, 0, tmp_path / "whole", workers=1, character=character)
    cut = make_dataset(["walk"], 1, 0, tmp_path / "cut", workers=1, character=character, max_seconds=1.5)
    a, b = (read_motion_terrain(files[0]).motion for files in (whole, cut))
    assert a is not None and b is not None and a.num_frames > 46 == b.num_frames
    assert np.array_equal(a.joint_rot[:46], b.joint_rot) and np.array_equal(a.root_pos[:46], b.root_pos)
    with pytest.raises(ConfigError, match="max_seconds"):
        make_dataset(["walk"], 1, 0, tmp_path, max_seconds=0.0)
