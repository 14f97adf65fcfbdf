"""Rewards, terminations, observations and tracking errors against the reference's numbers."""

import dataclasses
from pathlib import Path
from typing import Optional

import numpy as np
import pytest
import torch

from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.envs import observations, rewards, terminations, tracking_error
from parc_core.envs.rewards import Pose
from tests.envs.observed import char_and_targets, observed


@pytest.fixture(scope="module")
def golden(golden_dir: Path) -> dict:
    path = golden_dir / "03_dm_util.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    data = np.load(path)
    return {k: torch.from_numpy(data[k]) if data[k].dtype.kind in "fi" else data[k] for k in data.files}


def pose(golden: dict, prefix: str = "") -> Pose:
    names = ("root_pos", "root_rot", "root_vel", "root_ang_vel", "joint_rot", "dof_vel", "key_pos")
    return Pose(*(golden[prefix + name] for name in names))


def close(actual: torch.Tensor, expected: torch.Tensor, atol: float = 2e-6) -> None:
    torch.testing.assert_close(actual, expected, atol=atol, rtol=1e-5)


@pytest.mark.parametrize("track_root", [0, 1])
@pytest.mark.parametrize("track_root_h", [0, 1])
def test_reward_terms(golden: dict, track_root: int, track_root_h: int) -> None:
    compared = rewards.compare(
        pose(golden),
        pose(golden, "tar_"),
        golden["joint_err_w"],
        golden["dof_err_w"],
        bool(track_root),
        bool(track_root_h),
    )
    scales = torch.tensor([term.scale for term in rewards.REWARD_TERMS])
    terms = rewards.reward_terms(compared, scales)
    close(terms, golden[f"reward_trackroot{track_root}_h{track_root_h}"])


def test_total_and_contact_reward(golden: dict) -> None:
    terms = golden["reward_trackroot1_h1"]
    weights = golden["reward_w_raw"]
    close(weights / weights.sum(), golden["reward_w_norm"])
    close(terms @ golden["reward_w_norm"].float(), golden["deepmimic_total_default"])
    contact = rewards.contact_reward(
        golden["contact_forces"], golden["tar_contacts"], golden["contact_weights"]
    )
    close(contact, golden["contact_reward"])
    close(contact.mean(-1), golden["contact_reward_mean"])
    close(observations.contact_obs(golden["contact_forces"], 1e-5), golden["char_contacts_eps1e5"])


def seen(golden: dict, keys: bool, **settings: bool) -> observations.Observed:
    """The file's poses, with or without key bodies."""
    char, tar_keys = pose(golden), golden["tobs_key_pos"]
    targets = observations.Targets(
        *(golden[f"tobs_{name}"] for name in ("root_pos", "root_rot", "joint_rot")),
        key_pos=tar_keys if keys else tar_keys[:, :, :0],
        contacts=torch.zeros(*tar_keys.shape[:2], 15),
    )
    if not keys:
        char = dataclasses.replace(char, key_pos=char.key_pos[:, :0])
    return observed(char, targets, **settings)


@pytest.mark.parametrize("global_obs", [0, 1])
@pytest.mark.parametrize("height", [0, 1])
def test_observations(golden: dict, global_obs: int, height: int) -> None:
    settings = {"root_height_obs": bool(height), "global_root_height_obs": bool(height)}
    char, target = char_and_targets(seen(golden, keys=True, global_obs=bool(global_obs), **settings))
    close(char, golden[f"char_obs_g{global_obs}_h{height}"])
    close(target, golden[f"tar_obs_g{global_obs}_gh{height}"], atol=5e-6)


def test_observations_without_keys(golden: dict) -> None:
    char, target = char_and_targets(seen(golden, keys=False))
    close(char, golden["char_obs_nokey_g0_h0"])
    close(target, golden["tar_obs_nokey_g0_gh0"], atol=5e-6)


def test_tracking_error(golden: dict) -> None:
    errors = tracking_error.tracking_errors(
        pose(golden),
        pose(golden, "tar_"),
        golden["body_pos"],
        golden["tar_body_pos"],
        golden["body_rot"],
        golden["tar_body_rot"],
    )
    close(errors, golden["tracking_error"])


def failures(golden: dict, pose_dist: Optional[torch.Tensor], track_root: bool, fall: bool) -> torch.Tensor:
    failed = torch.zeros(len(golden["root_pos"]), dtype=torch.bool)
    if pose_dist is not None:
        failed |= terminations.pose_failed(golden["body_pos"], golden["tar_body_pos"], pose_dist)
        if track_root:
            failed |= terminations.root_far(golden["root_pos"], golden["tar_root_pos"], 0.6)
            failed |= terminations.root_turned(golden["root_rot"], golden["tar_root_rot"], 1.309)
    if fall:
        may_touch = torch.zeros(golden["body_pos"].shape[1], dtype=torch.bool)
        may_touch[golden["done_contact_body_ids_feet"]] = True
        failed |= terminations.fallen(
            golden["contact_forces"], golden["body_pos"], golden["termination_heights"], may_touch
        )
    return failed


@pytest.mark.parametrize(
    ("variant", "pose_on", "track_root", "fall"),
    [
        ("default", True, True, False),
        ("notrack", True, False, False),
        ("nopose", False, False, False),
        ("feet_pose_track", True, True, True),
        ("feet_nopose", False, False, True),
        ("feet_pose_notrack", True, False, True),
    ],
)
def test_done_flags(golden: dict, variant: str, pose_on: bool, track_root: bool, fall: bool) -> None:
    dist = golden["pose_termination_dist"] if pose_on else None
    done = terminations.done_flags(golden["done_time"], 10.0, failures(golden, dist, track_root, fall))
    assert done.tolist() == golden[f"done_{variant}"].tolist()


def test_done_without_early_termination(golden: dict) -> None:
    assert (
        terminations.done_flags(golden["done_time"], 10.0, None).tolist() == golden["done_noearly"].tolist()
    )


def test_done_flags_of_one_limit_for_all_bodies(golden: dict) -> None:
    """`pt1`: every body may be 1 m from its place."""
    dist = torch.full_like(golden["pose_termination_dist"], 1.0)
    done = terminations.done_flags(golden["done_time"], 10.0, failures(golden, dist, True, False))
    assert done.tolist() == golden["done_uniform_pt1"].tolist()


def test_tighter_limits_only_add_failures(golden: dict) -> None:
    """The files don't say which limits `tight` and `loose` had; the order of their failures is known all the same."""
    fails = {
        name: golden[f"done_{name}"] == terminations.DoneFlag.FAIL for name in ("tight", "default", "loose")
    }
    assert not (fails["loose"] & ~fails["default"]).any()
    assert not (fails["default"] & ~fails["tight"]).any()
    assert fails["tight"].any()


def test_key_bodies_and_flags(golden: dict) -> None:
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    ids = [character.body_id(name) for name in golden["key_body_names"].tolist()]
    assert ids == golden["key_body_ids"].tolist()
    for prefix in ("", "tar_"):
        keys = golden[prefix + "body_pos"][:, ids]
        assert keys.shape == golden[prefix + "key_pos"].shape
    for text in golden["done_flags"].tolist():
        name, value = text.split("=")
        assert getattr(terminations.DoneFlag, name) == int(value)
