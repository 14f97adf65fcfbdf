"""The fused environment in use: repeatable, resumable, without waiting for the device, as good for the evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("warp", reason="the fused environment needs warp-lang (pip install 'parc-tracker[gpu]')")

from parc_core.envs.warp.env import FusedTrackingEnv
from parc_core.errors import DataError
from parc_core.evaluation.evaluate import evaluate_clips
from parc_core.system.world import World
from tests.envs.scenes import check_resuming, env_of, zero_action
from tests.envs.warp.launched_mujoco import LaunchedMujoco, fused_of, pair_of


def fused(listing: Path, num_envs: int = 4, seed: int = 0, **settings: Any) -> FusedTrackingEnv:
    return fused_of(env_of(listing, num_envs, **settings), seed)


def trajectory(env: FusedTrackingEnv, steps: int, seed: int) -> list[Tensor]:
    """Everything a trainer sees in some steps with resets; four are an iteration."""
    g, seen = torch.Generator().manual_seed(seed), []
    for step in range(1, steps + 1):
        obs, reward, done, _ = env.step(0.3 * torch.randn(env.num_envs, env.action_dim, generator=g))
        seen += [obs.clone(), reward, done, env.reset_done().clone()]
        if step % 4 == 0:
            env.end_iteration(World())
            seen.append(env.fail_rates.clone())
    return [*seen, env.motion_ids.clone(), env.start_times.clone()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_same_seed_same_run(mixed: Path) -> None:
    runs = []
    for seed in (5, 5, 6):
        env = fused(mixed, seed=seed)
        runs.append([env.reset().clone(), *trajectory(env, 15, seed=0)])
    assert same(runs[0], runs[1])
    assert not torch.equal(runs[0][0], runs[2][0])


@pytest.mark.parametrize("before_reset", [False, True])
def test_goes_on_bit_for_bit_from_a_saved_state(mixed: Path, tmp_path: Path, before_reset: bool) -> None:
    """Also between step and reset_done, and through torch.save with weights_only."""
    whole, resumed = fused(mixed, seed=1), fused(mixed, seed=99)
    check_resuming(whole, resumed, trajectory, tmp_path / "state.pt", before_reset)


def test_states_of_other_runs_are_refused(stand: Path, mixed: Path) -> None:
    with pytest.raises(DataError, match="1 motions, but the dataset has 2"):
        fused(mixed).load_state_dict(fused(stand).state_dict())


class _Trial(LaunchedMujoco):
    """Recording a graph runs the launches once, for their code to be loaded; the physics is put back afterwards."""

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        saved = self.state_dict()
        launches()
        self.load_state_dict(saved)
        return launches


def test_recording_the_step_leaves_nothing_behind(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = fused(mixed)
    monkeypatch.setattr("tests.envs.warp.launched_mujoco.LaunchedMujoco", _Trial)
    tried = fused(mixed)
    assert isinstance(tried.engine, _Trial)
    assert torch.equal(tried.fail_rates, torch.ones(2))
    assert not tried.sampler.counts.any()
    assert not tried.steps.any()
    assert not tried.stats.returns.any()
    runs = [[env.reset().clone(), *trajectory(env, 5, seed=0)] for env in (plain, tried)]
    assert same(*runs)
    assert plain.episode_stats() == tried.episode_stats()


class _Operations(TorchDispatchMode):
    """Names every torch operation; one that reads a value back or has a size that depends on values is an error."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "item", "is_nonzero")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        assert not any(waiting in name for waiting in self.WAITING), f"{name} waits for the device"
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        assert not any(i is not None and i.dtype == torch.bool for i in indices), "a mask as an index waits"
        self.names.append(name)
        return func(*args, **(kwargs or {}))


def test_an_iteration_waits_for_nothing(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel beside the recorded graphs costs its start, so these are few."""
    env = fused(mixed)
    env.reset()
    monkeypatch.setattr(env.engine, "launch_step", lambda: None)
    monkeypatch.setattr(env.engine, "launch_reset", lambda: None)
    action = zero_action(env)
    with _Operations() as seen:
        env.step(action)
        env.reset_done()
        env.end_iteration(World())
    kernels = [name for name in seen.names if name not in ("detach", "select", "slice", "view", "alias")]
    assert 20 < len(kernels) < 55, kernels


def test_counts_of_the_engines_of_all_processes_are_read(mixed: Path) -> None:
    class Twice(World):
        def sum_(self, tensor: Tensor) -> Tensor:
            return tensor.mul_(2)

    stats = fused(mixed).episode_stats(Twice(0, 2))
    assert (stats["Window_Exits"], stats["Contact_Overflows"], stats["Diverged"]) == (6.0, 0.0, 2.0)


def test_waiting_would_be_noticed() -> None:
    values = torch.tensor([1.0, 0.0])
    with pytest.raises(AssertionError, match="waits"), _Operations():
        values[values > 0.5] = 2.0
    with pytest.raises(AssertionError, match="waits"), _Operations():
        float(values.sum())


def test_clips_are_evaluated_alike(mixed: Path) -> None:
    results = []
    for env in pair_of(mixed, 2, action_mode="residual", episode_length=1e6):
        results.append(evaluate_clips(env, lambda obs: torch.zeros(len(obs), 28)))
    for want, got in zip(*results, strict=True):
        assert (got.name, got.end_reason, got.steps) == (want.name, want.end_reason, want.steps)
        assert got.joint_error_m == pytest.approx(want.joint_error_m, abs=2e-3)
        assert got.episode_return == pytest.approx(want.episode_return, rel=1e-2)
        assert got.tracking_errors == pytest.approx(want.tracking_errors, rel=0.1, abs=2e-3)
    assert results[0][0].completed


def test_a_broken_policy_shows_as_a_diverged_simulation(stand: Path) -> None:
    """An action that is not a number is not clamped to one."""
    env = fused(stand, num_envs=2)
    env.reset()
    action = zero_action(env)
    action[1, 3] = float("nan")
    env.step(action)
    targets = env.engine.pd_targets
    assert bool(torch.isfinite(targets[0]).all())
    assert torch.isnan(targets[1]).tolist() == [i == 3 for i in range(env.action_dim)]


def test_observations_are_written_in_place(stand: Path) -> None:
    env = fused(stand)
    obs = env.reset()
    assert env.step(zero_action(env))[0] is obs
    assert env.reset_done() is obs
    assert env.observe() is obs
    before = obs.clone()
    assert torch.equal(env.observe(), before)


def test_rewards_and_flags_stay_what_they_were(mixed: Path) -> None:
    env = fused(mixed)
    env.reset_to(torch.tensor([0, 1, 0, 1]), torch.tensor([0.3, 0.0, 0.0, 1.0]))
    kept = env.step(zero_action(env))[1:]
    copies = kept[0].clone(), kept[1].clone(), kept[2]["motion_end"].clone()
    env.step(zero_action(env) + 0.3)
    assert env.done.any()
    env.reset_done()
    for was, copy in zip((kept[0], kept[1], kept[2]["motion_end"]), copies, strict=True):
        assert torch.equal(was, copy)
