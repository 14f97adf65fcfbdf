"""The torch environment of the experiment does what `TrackingEnv` does, in a way that a CUDA graph can record."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip(
    "warp", reason="the launched engine's module needs warp-lang (pip install 'parc-tracker[gpu]')"
)

from benchmarks import torch_env_graph
from benchmarks.torch_env import PARTS, GraphedTorchEnv
from benchmarks.torch_env_graph import line, rebuilder, table, verdicts
from benchmarks.training_scene import Scene, motion_listing
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from tests.envs.conftest import mixed  # noqa: F401 - a fixture
from tests.envs.scenes import env_of, physics, zero_action
from tests.envs.warp.launched_mujoco import LaunchedMujoco

N = 8


def graphed(listing: Path, num_envs: int = N, compiled: bool = False, **settings: Any) -> GraphedTorchEnv:
    env: Any = env_of(listing, num_envs, **settings)
    env.engine = LaunchedMujoco(physics(env))
    rebuilt = rebuilder(seed=0, compiled=compiled)(env)
    assert isinstance(rebuilt, GraphedTorchEnv)
    return rebuilt


def same_step(env: TrackingEnv, other: GraphedTorchEnv, action: torch.Tensor) -> set[int]:
    """One step of both, compared; returns the reasons why episodes ended."""
    obs, reward, done, info = env.step(action)
    got, got_reward, got_done, got_info = other.step(action)
    assert_close(got, obs, atol=2e-5, rtol=2e-5)
    assert_close(got_reward, reward, atol=2e-6, rtol=2e-6)
    assert torch.equal(got_done, done)
    assert torch.equal(got_info["motion_end"], info["motion_end"])
    assert torch.equal(other.fail_reason, env.fail_reason)
    return set(env.fail_reason.tolist())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"action_mode": "residual"},
        {"track_root": False, "pose_termination_dist": [0.05] * 14},
        {"use_contact_info": False},
        {"episode_length": 0.2},
    ],
    ids=str,
)
def test_steps_and_statistics_agree(mixed: Path, settings: dict[str, Any]) -> None:  # noqa: F811
    env, other = env_of(mixed, N, 3, **settings), graphed(mixed, **settings)
    assert_close(other.reset_to(*starts(N)), env.reset_to(*starts(N)), atol=2e-5, rtol=2e-5)
    g, reasons = torch.Generator().manual_seed(1), set()
    for step in range(14):
        if step % 5 == 2:
            physics(env)._qvel[:, :6] += 3.0 * torch.randn(N, 6, generator=g, dtype=torch.float64)
        other.load_state_dict(env.state_dict())
        reasons |= same_step(env, other, 0.4 * torch.randn(N, env.action_dim, generator=g))
        assert_close(other.stats._totals, env.stats._totals, atol=1e-4, rtol=1e-6)
        assert_close(other.fail_rates, env.fail_rates)
        env.reset_done()
    assert len(reasons) > 1, "a scene in which episodes end"
    assert int(env.stats._totals[0]) > 0


def starts(num_envs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Motions and times, some of them just before the end of the short one."""
    return torch.arange(num_envs) % 2, torch.linspace(0.0, 0.3, num_envs)


def test_a_diverged_simulation_earns_nothing_and_ends(mixed: Path) -> None:  # noqa: F811
    env, other = env_of(mixed, 2), graphed(mixed, 2)
    for each in (env, other):
        each.reset_to(*starts(2))
    physics(env)._qvel[1, 2] = float("nan")
    other.load_state_dict(env.state_dict())
    assert FailReason.DIVERGED in same_step(env, other, zero_action(env))


def test_a_restart_is_of_the_ended_alone(mixed: Path) -> None:  # noqa: F811
    env = graphed(mixed)
    env.reset_to(*starts(N))
    while not 0 < int((env.done != DoneFlag.NULL).sum()) < N:
        obs = env.step(zero_action(env))[0]
    ended, before, ids, times = env.done != 0, obs.clone(), env.motion_ids.clone(), env.motion_times.clone()
    assert env.reset_done() is obs
    assert torch.equal(obs[~ended], before[~ended])
    assert bool((obs[ended] != before[ended]).any(1).all())
    assert torch.equal(env.motion_ids[~ended], ids[~ended])
    assert torch.equal(env.motion_times[~ended], times[~ended])
    assert torch.equal(env.steps == 0, ended)
    assert not env.done.any()
    assert not env.fail_reason.any()
    assert float(env.stats.returns[ended].abs().max()) == 0.0
    frame = env.library.sample(env.motion_ids, env.motion_times)
    off = (env.engine.state.root_pos - frame.root_pos)[ended].abs()
    assert 0.0 < float(off[:, :2].max()) <= env.config.rand_root_pos_offset_scale + 1e-5
    assert_close(env.engine.state.dof_vel[ended], frame.dof_vel[ended], atol=2e-4, rtol=2e-5)
    other = env_of(mixed, N)
    other.load_state_dict(env.state_dict())
    assert_close(obs, other.observe(), atol=2e-5, rtol=2e-5)


def test_making_it_leaves_nothing_behind(mixed: Path) -> None:  # noqa: F811
    env = graphed(mixed)
    for name in PARTS.values():
        getattr(env, name)()
    env._clear()
    assert torch.equal(env.fail_rates, torch.ones(2))
    assert not torch.stack((env.steps, env.done, env.fail_reason, env.motion_ids)).any()
    assert not env.stats._totals.any()
    assert not env.stats.returns.any()


class Recordable(TorchDispatchMode):
    """An operation that waits for the device, makes a size of values or brings a number from the host is an error."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "item", "lift_fresh", "tensor")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        assert not any(word in name for word in self.FORBIDDEN), f"{name} cannot be recorded"
        indices = args[1] if name in ("index", "index_put", "index_put_") else ()
        assert not any(i is not None and i.dtype == torch.bool for i in indices), "a mask as an index"
        result = func(*args, **kwargs)
        if name in ("_to_copy", "copy_", "_copy_from"):
            places = {value.device for value in (*args, result) if isinstance(value, torch.Tensor)}
            assert len(places) == 1, f"{name} from device to device"
        return result


def test_what_is_recorded_can_be(mixed: Path) -> None:  # noqa: F811
    env = graphed(mixed)
    env.reset()
    env.step(zero_action(env))
    with Recordable():
        for name in ("_aim", "_score", "_put", "_observe_masked"):
            getattr(env, name)()


def test_around_the_graphs_nothing_waits(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    env = graphed(mixed)
    env.reset()
    for name in PARTS.values():
        monkeypatch.setattr(env, name, lambda: None)
    monkeypatch.setattr(Recordable, "FORBIDDEN", ("_local_scalar_dense", "nonzero", "masked_select", "item"))
    action = zero_action(env)
    with Recordable():
        env.step(action)
        env.reset_done()


@pytest.mark.parametrize(
    "operation",
    [lambda x: x[x > 0.5], lambda x: float(x.sum()), lambda x: x + x.new_tensor(1.0), lambda x: x.nonzero()],
)
def test_what_cannot_be_recorded_would_be_noticed(operation: Callable[[torch.Tensor], Any]) -> None:
    with pytest.raises(AssertionError), Recordable():
        operation(torch.tensor([1.0, 0.0]))


def test_torch_compile_takes_each_part_whole(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """Traced to one graph each and run as it is traced; the code generator itself takes a minute."""
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **kw: real(f, backend="aot_eager", fullgraph=True, **kw))
    env, other = env_of(mixed, N), graphed(mixed, compiled=True)
    assert not other.eager_parts
    for each in (env, other):
        each.reset_to(*starts(N))
    reasons = set()
    for _ in range(6):
        other.load_state_dict(env.state_dict())
        reasons |= same_step(env, other, zero_action(env))
        assert_close(other.stats._totals, env.stats._totals, atol=1e-4, rtol=1e-6)
        env.reset_done()
    assert len(reasons) > 1


def test_a_variant_that_fails_or_hangs_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(device="cpu", engine="no such engine")
    counts = {"warm_up": 1, "iterations": 1, "steps": 1, "repeats": 1}
    row = torch_env_graph._in_own_process(120.0, scene, 2, Path("none.yaml"), "torch", counts)
    assert row["variant"] == "torch"
    assert "Error: " in row["error"]
    assert "Traceback" in row["traceback"]
    assert "error" in line(row)
    began = time.monotonic()
    row = torch_env_graph._in_own_process(0.01, scene, 2, Path("none.yaml"), "torch", counts)
    assert row["error"].startswith("stopped after")
    assert time.monotonic() - began < 60


def test_verdict() -> None:
    rows: list[dict[str, Any]] = [
        {"num_envs": 4096, "variant": "fused", "samples_per_second": 1000},
        {"num_envs": 4096, "variant": "torch", "samples_per_second": 900},
        {"num_envs": 4096, "variant": "compile", "samples_per_second": 960},
        {"num_envs": 8192, "variant": "fused", "samples_per_second": 1000},
        {
            "num_envs": 8192,
            "variant": "compile",
            "samples_per_second": 900,
            "eager_parts": ["scores", "places"],
        },
        {"num_envs": 16384, "variant": "fused", "error": "out of memory"},
    ]
    assert verdicts(rows) == [
        "4,096 environments: compile costs 4.0% samples/s, within 5%",
        "8,192 environments: compile costs 10.0% samples/s, more than 5% (not compiled: scores, places)",
        "16,384 environments: no comparison",
    ]
    assert len(table(rows).columns) == 7


@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", ["fused", "torch"])
def test_a_row_on_warps_cpu_device(tmp_path: Path, variant: str) -> None:
    pytest.importorskip(
        "mujoco_warp", reason="MuJoCo Warp is not installed (pip install 'parc-tracker[gpu]')"
    )
    scene = Scene(device="cpu", engine="mujoco_warp", net="fc_2layers_8units", precision="float32", epochs=1)
    counts = {"warm_up": 1, "iterations": 1, "steps": 2, "repeats": 2}
    row: dict[str, Any] = {"variant": variant, "num_envs": 2}
    for part in torch_env_graph.measure(scene, 2, motion_listing(None, 2, tmp_path), variant, counts):
        row.update(part)
    assert min(row["ms"]["step"], row["ms"]["physics"], row["ms"]["reset"]) > 0
    assert len(row["samples_per_second_each"]) == 2
    if variant == "torch":
        assert set(PARTS) < set(row["ms"])
        assert row["agreement"] == {"observation": 0.0, "reward": 0.0, "height points": 0.0, "done": 0.0}
    assert f"{row['samples_per_second']:,}" in line(row)
