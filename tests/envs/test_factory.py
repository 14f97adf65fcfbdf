"""From an env file to an environment, and what is said when that cannot be."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from parc_core.envs.factory import make_env
from parc_core.errors import ConfigError, DataError
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.container import read_motion_terrain, write_motion_terrain
from parc_core.motion.formats.terrain_grid import read_terrain_pkl
from tests.envs.scenes import (
    HUMANOID,
    env_file,
    env_of,
    humanoid,
    motion,
    physics,
    write_dataset,
    zero_action,
)


def one_line(stand: Path, message: str, **settings: Any) -> None:
    with pytest.raises((ConfigError, DataError), match=message) as caught:
        env_of(stand, **settings)
    assert "\n" not in str(caught.value)


def test_failure_rates_from_a_file(mixed: Path, tmp_path: Path) -> None:
    path = tmp_path / "rates.pt"
    torch.save(torch.tensor([0.25, 0.75]), path)
    assert env_of(mixed, dm={"fail_rates_path": str(path)}).fail_rates.tolist() == [0.25, 0.75]
    ignoring = env_of(mixed, dm={"fail_rates_path": str(path), "ignore_fail_rates": True})
    assert ignoring.fail_rates.tolist() == [1.0, 1.0]
    path.write_bytes(b"no tensor")
    one_line(mixed, r"rates\.pt: not readable as a PyTorch file", dm={"fail_rates_path": str(path)})
    torch.save({"a": 1}, path)
    one_line(mixed, r"rates\.pt: failure rates must be one tensor", dm={"fail_rates_path": str(path)})
    path.unlink()
    one_line(mixed, r"rates\.pt: no such file", dm={"fail_rates_path": str(path)})


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([0.5, math.nan], r"rates\.pt: the failure rate of motion 1 is nan"),
        ([math.inf, 0.5], r"rates\.pt: the failure rate of motion 0 is inf"),
        ([0.5, -0.1], "motion 1 is -0.1, but must be a share"),
        ([0.5, 1.5], "motion 1 is 1.5, but must be a share"),
        ([0.5, 0.5j], "real numbers"),
        ([0.5], "of 1 motions, but the dataset has 2"),
    ],
)
def test_failure_rates_that_are_none(mixed: Path, tmp_path: Path, rates: list[Any], message: str) -> None:
    path = tmp_path / "rates.pt"
    torch.save(torch.tensor(rates), path)
    one_line(mixed, message, dm={"fail_rates_path": str(path)})


def test_one_terrain_for_all_motions(tmp_path: Path) -> None:
    """terrain_build_mode file: motions stand on the dataset's `terrain`."""
    first, second = motion("stand"), motion("stand", 1)
    assert first.terrain is not None
    raised = replace(first.terrain, hf=np.full((20, 20), -0.5, np.float32))
    write_motion_terrain(tmp_path / "ground.pkl", MotionTerrain(None, raised))
    listing = write_dataset(tmp_path, {"a": first, "b": second}, str(tmp_path / "ground.pkl"))
    env = env_of(listing, dm={"terrain_build_mode": "file"})
    env.reset_to(torch.tensor([0, 1, 0, 1]), torch.zeros(4))
    assert env.terrain.num_terrains == 1
    assert not physics(env).terrain_ids.any()
    heights = env.observe()[:, 871:] + env.engine.state.root_pos[:, 2:]
    assert_close(heights, torch.full_like(heights, -0.5), atol=1e-5, rtol=0)
    for _ in range(10):
        env.step(zero_action(env))
    assert env.fail_reason.bool().all() or float(env.engine.state.body_pos[..., 2].min()) < 0.0
    env.save_terrain(tmp_path / "terrain.pkl")
    written = read_motion_terrain(tmp_path / "terrain.pkl").terrain
    assert written is not None
    assert float(written.hf.max()) == -0.5
    offsets = read_terrain_pkl(tmp_path / "terrain.pkl").motion_offsets
    assert offsets.shape == (2, 1, 2)
    assert not offsets.any()


def test_mode_file_without_a_terrain(stand: Path) -> None:
    with pytest.raises(DataError, match="needs a line `terrain: path`"):
        env_of(stand, dm={"terrain_build_mode": "file"})


def test_settings_that_cannot_be_met(stand: Path, tmp_path: Path) -> None:
    one_line(stand, "env.joint_err_w has 3 numbers", joint_err_w=[1.0, 1.0, 1.0])
    one_line(stand, r"env\.key_bodies", key_bodies=["paw"])
    one_line(stand, "num_envs is 0", num_envs=0)
    one_line(tmp_path / "motions.yaml", r"motions\.yaml")
    one_line(stand, "motion_file is not set", dm={"motion_file": None})


@pytest.mark.parametrize(
    ("engine", "device", "message"),
    [
        ("bullet", "cpu", "'engine' must be one of auto, mujoco, .* but is 'bullet'"),
        ("isaac_gym", "cpu", "engine isaac_gym needs Isaac Gym Preview 4, which this interpreter"),
        ("mujoco", "gpu", "'device' is 'gpu', but must be cpu, cuda"),
        ("mujoco", "meta", "'device' is 'meta', but must be cpu, cuda"),
    ],
)
def test_engines_and_devices_that_are_not_there(stand: Path, engine: str, device: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        make_env(env_file(stand), 1, device, engine)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(stand: Path) -> None:
    with pytest.raises(ConfigError, match="finds no CUDA GPU"):
        make_env(env_file(stand), 1, "cuda:0")


def handless(tmp_path: Path) -> Path:
    """The humanoid without its hands: 13 bodies."""
    text = HUMANOID.read_text()
    for side in ("right", "left"):
        start = text.index(f'<body name="{side}_hand"')
        end = text.index("</body>", start) + len("</body>")
        text = text[:start] + text[end:]
    path = tmp_path / "handless.xml"
    path.write_text(text)
    return path


def test_another_character_needs_its_own_motions_and_weights(stand: Path, tmp_path: Path) -> None:
    char = str(handless(tmp_path))
    one_line(stand, r"stand\.pkl", char_file=char)
    whole = motion("stand")
    assert whole.motion is not None
    names = humanoid().body_names
    keep = [i for i, name in enumerate(names) if "hand" not in name]
    contacts = whole.motion.body_contacts
    assert contacts is not None
    clip = replace(
        whole.motion,
        joint_rot=whole.motion.joint_rot[:, [i - 1 for i in keep[1:]]],
        body_contacts=contacts[:, keep],
    )
    listing = write_dataset(tmp_path, {"stand13": replace(whole, motion=clip)})
    one_line(listing, "env.joint_err_w has 14 numbers, but the character needs 12", char_file=char)
    env = env_of(
        listing,
        char_file=char,
        joint_err_w=[1.0] * 12,
        pose_termination_dist=[1.0] * 12,
        contact_weights=[5.0] * 13,
        key_bodies=["right_foot", "left_foot"],
        action_mode="residual",
    )
    env.reset_to(torch.zeros(4, dtype=torch.long), torch.zeros(4))
    for _ in range(20):
        _, _, done, _ = env.step(zero_action(env))
        assert not done.any()
