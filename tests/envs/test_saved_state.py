"""States of the environment: exact resumption, seeds, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import DataError
from tests.envs.scenes import check_resuming, env_of, zero_action
from tests.envs.test_tracking_env import actions


def trajectory(env: TrackingEnv, steps: int, seed: int) -> list[Tensor]:
    """Everything a trainer sees in some steps with resets."""
    seen = []
    for action in actions(env, steps, seed):
        obs, reward, done, _ = env.step(action)
        seen += [obs, reward, done, env.reset_done().clone()]
    return [*seen, env.fail_rates, env.motion_ids.clone(), env.start_times.clone()]


@pytest.mark.parametrize("before_reset", [False, True])
def test_goes_on_bit_for_bit_from_a_saved_state(mixed: Path, tmp_path: Path, before_reset: bool) -> None:
    """Also between step and reset_done, and through torch.save with weights_only."""
    whole, resumed = env_of(mixed, seed=1), env_of(mixed, seed=99)
    check_resuming(whole, resumed, trajectory, tmp_path / "state.pt", before_reset)


def test_a_state_of_another_kind_of_device_goes_on_with_own_random_numbers(stand: Path) -> None:
    """The state of a GPU's random generator is another thing than a CPU's."""
    env = env_of(stand)
    env.reset()
    own = env._generator.get_state()
    saved = {**env.state_dict(), "generator": torch.zeros(16, dtype=torch.uint8)}
    env.step(zero_action(env))
    env.load_state_dict(saved)
    assert torch.equal(env.steps, saved["steps"])
    assert torch.equal(env._generator.get_state(), own)


def test_same_seed_same_run(mixed: Path) -> None:
    runs = []
    for seed in (5, 5, 6):
        env = env_of(mixed, seed=seed)
        runs.append([env.reset().clone(), *trajectory(env, 6, seed=0)])
    assert all(torch.equal(a, b) for a, b in zip(runs[0], runs[1]))
    assert not torch.equal(runs[0][0], runs[2][0])


def test_states_of_other_runs_are_refused(stand: Path, mixed: Path) -> None:
    with pytest.raises(DataError, match="number of environments"):
        env_of(stand, num_envs=2).load_state_dict(env_of(stand, num_envs=3).state_dict())
    with pytest.raises(DataError, match="1 motions, but the dataset has 2"):
        env_of(mixed).load_state_dict(env_of(stand).state_dict())
