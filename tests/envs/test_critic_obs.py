"""What the critic sees beside the observation: the terms by hand, and when the environment changes them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch.testing import assert_close

from parc_core.config.env_config import EnvConfig
from parc_core.config.schema import from_mapping
from parc_core.envs import critic_obs as terms
from parc_core.envs.critic_obs import CRITIC_TERMS, PrivilegedState
from parc_core.errors import ConfigError
from parc_core.rotations import yaw_quat
from parc_core.system.world import ONE_PROCESS
from tests.envs.scenes import env_of, humanoid, motion, shortened, write_dataset

ALL = list(CRITIC_TERMS)


def privileged(**changes: Any) -> PrivilegedState:
    """One environment of a root and one other body."""
    still = torch.tensor([[[0.0, 0.0, 1.0], [0.0, 0.0, 2.0]]])
    ref = SimpleNamespace(
        pose=SimpleNamespace(root_pos=still[:, 0], root_rot=yaw_quat(torch.zeros(1))), body_pos=still
    )
    values = {
        "config": EnvConfig(root_pos_termination_dist=0.6, root_rot_termination_angle=1.0),
        "task": SimpleNamespace(limit_scale=torch.ones(1), max_body_dist=torch.tensor([0.5])),
        "root_pos": still[:, 0],
        "root_rot": yaw_quat(torch.zeros(1)),
        "body_pos": still,
        "contact_forces": torch.zeros(1, 2, 3),
        "ref": ref,
        "left": torch.tensor([1.0]),
        "fail_rates": torch.tensor([0.25]),
    }
    return PrivilegedState(**{**values, **changes})  # type: ignore[arg-type]


def test_errors_are_shares_of_the_limits() -> None:
    off = torch.tensor([[[0.3, 0.0, 1.0], [0.3, 0.4, 2.0]]])
    turned = privileged(root_pos=off[:, 0], root_rot=yaw_quat(torch.tensor([0.75])), body_pos=off)
    # 0.3 of 0.6 m, 0.75 of 1 rad, and relative to the root 0.4 of 0.5 m.
    assert_close(terms.errors(turned), torch.tensor([[0.5, 0.75, 0.8]]))
    turned.task.limit_scale.fill_(0.5)
    assert_close(terms.errors(turned), torch.tensor([[1.0, 1.5, 1.6]]))
    turned.task.limit_scale.fill_(0.1)
    assert_close(terms.errors(turned), torch.full((1, 3), 2.0))


def test_a_limit_of_nothing_gives_numbers() -> None:
    none = SimpleNamespace(limit_scale=torch.ones(1), max_body_dist=torch.zeros(1))
    assert_close(terms.errors(privileged(task=none)), torch.zeros(1, 3))


def test_time_left() -> None:
    left = torch.tensor([0.0, 0.3, torch.inf])
    got = terms.time_left(privileged(left=left))
    assert_close(got[0], torch.ones(3))
    assert_close(got[1], torch.exp(torch.tensor([-1.0, -0.3, -0.1])))
    assert_close(got[2], torch.zeros(3))


def test_forces_and_failure_rate() -> None:
    pushed = privileged(contact_forces=torch.tensor([[[0.0, 0.0, 0.0], [0.0, 300.0, 400.0]]]))
    assert_close(terms.forces(pushed), torch.tensor([[0.0, 6.0]]).log().clamp_min(0.0))
    assert terms.fail_rate(pushed).tolist() == [[0.25]]


def test_the_config_knows_every_term_and_no_other() -> None:
    (names,) = get_args(get_type_hints(EnvConfig)["critic_obs"])
    assert list(get_args(names)) == ALL
    with pytest.raises(ConfigError, match="critic_obs"):
        from_mapping(EnvConfig, {"critic_obs": ["height"]}, "env.yaml")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 0.5 s, and one that loops."""
    short = shortened(motion("stand"), 16)
    assert short.motion is not None
    loop = replace(short, motion=replace(short.motion, loop_mode="WRAP"))
    return write_dataset(tmp_path_factory.mktemp("clips"), {"short": short, "loop": loop})


def test_where_the_critic_sees_no_more_nothing_changes(clips: Path) -> None:
    plain, more = env_of(clips, 3), env_of(clips, 3, critic_obs=ALL)
    assert plain.critic_dim == 0 and plain.critic_obs.shape == (3, 0)
    assert "critic_obs" not in plain.state_dict()
    assert torch.equal(plain.reset(), more.reset())
    assert plain.obs_dim == more.obs_dim
    bodies = humanoid().num_bodies
    assert more.critic_dim % 8 == 0 and 0 <= more.critic_dim - (3 + bodies + 1 + 1 + bodies) < 8


def test_they_are_of_the_state_whose_observation_came_last(clips: Path) -> None:
    env = env_of(clips, 2, critic_obs=["time_left", "fail_rate"])
    env.reset_to(torch.tensor([0, 1]), torch.tensor([0.4, 0.4]))
    scale = torch.tensor(terms.TIMES)
    assert_close(env.critic_obs[:, :3], torch.stack((torch.exp(-0.1 / scale), torch.zeros(3))))
    assert env.critic_obs[:, 3:].tolist() == [[1.0, 0.0, 0.0, 0.0, 0.0]] * 2
    for _ in range(3):
        done = env.step(torch.zeros(2, env.action_dim))[2]
    assert done.tolist() == [1, 0]  # at the motion's end
    assert_close(env.critic_obs[0, :3], torch.ones(3))
    looping = env.critic_obs[1].clone()
    env.reset_done()
    assert float(env.critic_obs[0, 0]) < 1.0 and torch.equal(env.critic_obs[1], looping)


def test_a_saved_state_has_them_as_they_were_seen(clips: Path) -> None:
    """With the failure rates from before the end of the iteration, when they were looked at."""
    env = env_of(clips, 2, critic_obs=ALL)
    env.reset()
    env.sampler.counts += 100  # episodes that all failed, …
    env.sampler.counts[1] = 0  # or rather not
    env.end_iteration(ONE_PROCESS)
    seen, saved = env.critic_obs.clone(), env.state_dict()
    env.observe()
    assert not torch.equal(env.critic_obs, seen)
    other = env_of(clips, 2, seed=1, critic_obs=ALL)
    other.reset()
    other.load_state_dict(saved)
    assert torch.equal(other.critic_obs, seen)
