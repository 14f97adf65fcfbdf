"""Another ground under the feet: heights exactly under them, feet where they were, and what is not kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parc_core.motion.skeleton import body_positions
from parc_core.motion.variants.acceptance import check_footing
from parc_core.motion.variants.clearance import with_contacts
from parc_core.motion.variants.footing import LEAST_RELIEF, Refooter
from parc_core.motion.variants.implausible import ImplausibleError
from parc_core.motion.variants.make import BOTH, FOOTING, VariantMaker
from parc_core.motion.variants.source import Source
from parc_core.motion.variants.stances import BODY, find_pads, find_stances
from parc_core.terrain.heightfield import grid_index
from tests.motion.variants.step_clip import FRAMES, LAND, LEFT_X, LEVEL, LIFT, RIGHT_X, body, flat, step_clip


@pytest.fixture(scope="module")
def source() -> Source:
    return Source.of(body(), step_clip(), flat())


@pytest.fixture(scope="module")
def made(source):
    """Several, of which each has passed all checks."""
    refooter, kept = Refooter(body(), source), []
    for seed in range(20):
        try:
            found = refooter.put(np.random.default_rng(seed), 1.0)
            check_footing(body(), source, found)
            kept.append(found)
        except ImplausibleError:
            continue
    assert len(kept) >= 6
    return kept


def test_stances_are_those_of_the_clip(source):
    stances = source.stances(body(), LEVEL)
    right, again, left = sorted(stances, key=lambda stance: (stance.side, stance.first))
    assert (left.side, left.first, left.last) == (1, 0, FRAMES - 1)
    # The foot counts as standing while it moves slower than 0.4 m/s: a few frames of the swing's ends.
    assert right.first == 0 and LIFT <= right.last <= LIFT + 8
    assert LAND - 8 <= again.first <= LAND and again.last == FRAMES - 1


def test_every_foothold_is_a_pad_of_its_cell(source):
    pads = find_pads(source.stances(body(), LEVEL), flat())
    assert pads.count == 3
    cells = grid_index(flat(), np.array([[x, 0.0] for x in (*RIGHT_X, LEFT_X)]))
    assert sorted(pads.of_cell[tuple(cells.T)].tolist()) == [0, 1, 2]


def test_a_shared_cell_makes_one_pad(source):
    half_a_cell = np.array([0.2, 0.0], np.float32)  # along x: each foot stands on two cells
    shifted = replace(flat(), min_point=flat().min_point + half_a_cell)
    assert find_pads(source.stances(body(), LEVEL), shifted).count == 1


def test_ground_is_exactly_under_the_standing_feet(made):
    for found in made:
        pos = body_positions(found.clip, body().skeleton)
        for leg, frames in zip(
            body().legs, ((0, 15, LIFT, LAND, FRAMES - 1), (0, LIFT, 45, LAND, FRAMES - 1))
        ):
            ankle = pos[list(frames), leg.foot]
            sole = np.stack(
                [
                    ankle[:, :2] + (dx, dy)
                    for dx in (-leg.heel, leg.toe)
                    for dy in (-leg.half_width, leg.half_width)
                ]
            )
            index = grid_index(found.terrain, sole)
            ground = found.terrain.hf[index[..., 0], index[..., 1]]
            np.testing.assert_allclose(
                ground, np.broadcast_to(ankle[:, 2] - leg.sole, ground.shape), atol=1e-4
            )


def test_heights_differ(made):
    for found in made:
        assert np.ptp(found.terrain.hf[found.used]) >= LEAST_RELIEF - 1e-6
    assert len({found.ground for found in made}) >= 3


def test_feet_stay_where_they_are_seen_from_above(source, made):
    before = source.body_pos.numpy()
    for found in made:
        pos = body_positions(found.clip, body().skeleton)
        for leg in body().legs:
            np.testing.assert_allclose(pos[:, leg.foot, :2], before[:, leg.foot, :2], atol=1e-4)
        assert (found.clip.root_pos[:, :2] == source.clip.root_pos[:, :2]).all()
        assert found.clip.root_rot is source.clip.root_rot
        # Trunk and arms keep their pose, bit for bit.
        others = [
            k
            for k in range(14)
            if k + 1 not in {b for leg in body().legs for b in (leg.thigh, leg.shin, leg.foot)}
        ]
        assert (found.clip.joint_rot[:, others] == source.clip.joint_rot[:, others]).all()


def test_nothing_gets_into_the_ground(source, made):
    for found in made:
        depth = body().meter.depths(found.clip, found.terrain)
        assert depth.max() < 1e-3 and source.depth.max() < 1e-3


def test_contacts_are_kept_where_feet_stand(source, made):
    right = body().legs[0].foot
    for found in made:
        contacts = found.clip.body_contacts
        assert (contacts[: LIFT + 1, right] == 1).all() and (contacts[LAND:, right] == 1).all()
        assert (contacts <= source.clip.body_contacts).all()


def test_a_lifted_foot_touches_no_more(source):
    left = body().legs[1].foot
    for lift, touches in ((0.01, 1.0), (0.03, 0.0)):
        root = source.clip.root_pos + np.array([0, 0, lift], np.float32)
        lifted = with_contacts(replace(source.clip, root_pos=root), body(), source, source.terrain)
        assert (lifted.body_contacts[:, left] == touches).all()


def test_the_same_seed_gives_the_same_bytes():
    def of(kind: str, seed: int):
        found = VariantMaker(body(), step_clip(), flat()).make(kind, seed, 2)
        return found.clip.root_pos.tobytes(), found.clip.joint_rot.tobytes(), found.terrain.hf.tobytes()

    assert of(FOOTING, 0) == of(FOOTING, 0) != of(FOOTING, 1)
    assert of(BOTH, 0) == of(BOTH, 0)


def test_on_stairs_the_footing_stays():
    terrain = flat()
    terrain.hf[8:] = LEVEL + 0.2
    with pytest.raises(ImplausibleError, match="not on flat ground"):
        VariantMaker(body(), step_clip(), terrain).make(FOOTING, 0, 0)


def test_uneven_ground_elsewhere_is_kept():
    terrain = flat(16)
    terrain.hf[0, 0] = LEVEL + 1.0
    made = VariantMaker(body(), step_clip(), terrain).make(FOOTING, 0, 0)
    assert made.terrain.hf[0, 0] == terrain.hf[0, 0] and (made.terrain.min_point == terrain.min_point).all()


def test_feet_in_one_place_have_no_relief():
    clip = step_clip()
    clip = replace(
        clip,
        **{name: getattr(clip, name)[:2] for name in ("root_pos", "root_rot", "joint_rot", "body_contacts")},
    )
    crossed = replace(clip, joint_rot=np.tile(np.array([0, 0, 0, 1], np.float32), (2, 14, 1)))
    root = crossed.root_pos.copy()
    root[:, 2] = LEVEL + body().legs[0].length + body().legs[0].sole
    terrain = replace(flat(), dx=4.0)  # one cell for both feet
    with pytest.raises(ImplausibleError, match="footholds come out level"):
        VariantMaker(body(), replace(crossed, root_pos=root), terrain).make(FOOTING, 0, 0)


def test_a_foot_that_never_stands():
    clip = step_clip()
    with pytest.raises(ImplausibleError, match="a foot never stands: right"):
        VariantMaker(body(), replace(clip, root_pos=clip.root_pos + np.float32(0.3)), flat()).make(
            FOOTING, 0, 0
        )


def test_a_body_on_the_ground_keeps_both_feet_on_its_height():
    clip = step_clip()
    root = clip.root_pos.copy()
    root[:, 2] -= 0.6  # the legs are below the ground: shins and hips are on it
    lying = Source.of(body(), replace(clip, root_pos=root), flat())
    stances = find_stances(lying.points, body().cover, body().legs, LEVEL, 30)
    assert {stance.side for stance in stances} == {0, 1, BODY}
    assert find_pads(stances, flat()).count == 1


def broken(found, **changes):
    return replace(found, clip=replace(found.clip, **changes))


def test_what_is_not_kept(source, made):
    found = made[0]
    shaken = found.clip.root_pos.copy()
    shaken[40, 2] += 0.02
    with pytest.raises(ImplausibleError, match="a leg does not reach the ground"):
        check_footing(body(), source, broken(found, root_pos=shaken))
    hidden = replace(
        found,
        foot_target=tuple(
            body_positions(broken(found, root_pos=shaken).clip, body().skeleton)[:, leg.foot]
            for leg in body().legs
        ),
    )
    with pytest.raises(ImplausibleError, match="the pelvis is accelerated too much"):
        check_footing(body(), source, broken(hidden, root_pos=shaken))
    raised = replace(found.terrain, hf=found.terrain.hf + np.float32(0.03))
    with pytest.raises(ImplausibleError, match=r"a body is in the ground: 0\.03 m"):
        check_footing(body(), source, replace(found, terrain=raised))
    with pytest.raises(ImplausibleError, match="a foot comes too near the ground"):
        check_footing(
            body(), source, replace(found, terrain=replace(raised, hf=found.terrain.hf + np.float32(0.018)))
        )
    arm = body().character.body_id("right_lower_arm") - 1
    bent = found.clip.joint_rot.copy()
    bent[:, arm] = [0, 0, np.sin(-0.1), np.cos(-0.1)]
    with pytest.raises(ImplausibleError, match=r"a joint leaves its range: 0\.2"):
        check_footing(body(), source, broken(found, joint_rot=bent))
    bent = found.clip.joint_rot.copy()
    bent[50, arm] = [0, 0, np.sin(0.3), np.cos(0.3)]
    with pytest.raises(ImplausibleError, match="a joint is accelerated too much"):
        check_footing(body(), source, broken(found, joint_rot=bent))
