"""Engine `mujoco_warp`: places, resets, recovery, counters, saved states. Devices as in `test_warp_agreement.py`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed (pip install 'parc-tracker[gpu]')")

from parc_core.errors import DataError
from parc_core.terrain.heightfield import Heightfield
from tests.engines.mujoco_warp.warp_scenes import fields, on, oracle, reset, step, warp_engine
from tests.engines.scenes import (
    FEET,
    HIGH,
    LEG,
    cells_of,
    fine,
    flat,
    random_state,
    state,
    stepped,
    straddling,
)

pytestmark = pytest.mark.timeout(900)


PLACES = [(0.0, 0.0), (0.2, -0.2), (-0.6, 0.6), (1.58, 1.58), (2.3, -1.9), (-9.0, 5.0), (0.6, 0.19999)]


def test_columns_stand_where_those_of_the_cpu_engine_do(device: torch.device) -> None:
    """Also on the ties between cells and beyond the border."""
    terrain = Heightfield(
        np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32),
        np.array([-1.6, -1.6], np.float32),
        0.4,
    )
    n = len(PLACES)
    engine, reference = warp_engine(device, n, terrain), oracle(n, terrain)
    put = state(n, HIGH)
    put.root_pos[:, :2] = torch.tensor(PLACES)
    reset(engine, put)
    reference.reset(torch.arange(n), put)
    step(engine)
    reference.step(torch.zeros(n, 28))
    columns = torch.from_numpy(engine.data.mocap_pos.numpy())
    assert torch.equal(columns, reference._mocap.float())


def test_a_step_keeps_every_tensor_where_it_is(device: torch.device) -> None:
    engine = warp_engine(device, 2)
    tensors = {**vars(engine.state), **vars(engine.reset_state)}
    tensors.update(targets=engine.pd_targets, mask=engine.reset_mask, terrain_ids=engine.terrain_ids)
    places = {name: tensor.data_ptr() for name, tensor in tensors.items()}
    reset(engine, state(2))
    step(engine, steps=2)
    engine.load_state_dict(engine.state_dict())
    after = {**vars(engine.state), **vars(engine.reset_state)}
    after.update(targets=engine.pd_targets, mask=engine.reset_mask, terrain_ids=engine.terrain_ids)
    assert {name: tensor.data_ptr() for name, tensor in after.items()} == places


def test_reset_touches_only_the_masked_environments(device: torch.device) -> None:
    engine = warp_engine(device, 4, flat(), flat(1.0))
    reset(engine, random_state(4))
    step(engine)
    engine.state.contact_forces.fill_(7.0)
    engine.state.diverged.fill_(True)
    before = {name: tensor.clone() for name, tensor in fields(engine.state)}
    warmstart = engine.data.qacc_warmstart.numpy().copy()
    put = state(2, terrain_ids=torch.tensor([1, 1]))
    engine.reset(torch.tensor([3, 1], device=device), on(device, put))
    for name, tensor in fields(engine.state):
        assert torch.equal(tensor[[0, 2]], before[name][[0, 2]]), name
    assert_close(engine.state.root_pos[[1, 3]].cpu(), put.root_pos, atol=0, rtol=0)
    assert not engine.state.contact_forces[[1, 3]].any()
    assert engine.state.diverged.tolist() == [True, False, True, False]
    assert engine.terrain_ids.tolist() == [0, 1, 0, 1]
    after = engine.data.qacc_warmstart.numpy()
    assert np.array_equal(after[[0, 2]], warmstart[[0, 2]])
    assert not after[[1, 3]].any()
    assert np.abs(warmstart).max() > 0


@pytest.mark.parametrize("field", ["qpos", "qvel"])
def test_a_diverged_simulation_is_counted_and_stands_above_its_ground_again(
    field: str, device: torch.device
) -> None:
    engine = warp_engine(device, 3, stepped())
    put = state(3)
    put.root_pos[:, :2] = torch.tensor([[0.8, 0.2], [0.8, 0.0], [-0.6, 0.0]])
    put.root_pos[:2, 2] += 0.6
    reset(engine, put)
    step(engine)
    assert engine.counters()["diverged"] == 0
    undisturbed = engine.state_dict()
    step(engine)
    neighbour = engine.state.body_pos[1].clone()
    engine.load_state_dict(undisturbed)
    broken = {"qpos": engine._qpos, "qvel": engine._qvel}[field]
    broken[0, 2] = float("nan")
    engine._qvel[2, 10] = 1e7
    step(engine)
    assert engine.state.diverged.tolist() == [True, False, True]
    assert engine.counters()["diverged"] == 2
    for name, tensor in fields(engine.state):
        assert torch.isfinite(tensor).all(), name
    assert_close(engine.state.body_pos[1], neighbour, atol=1e-5, rtol=0)
    assert engine.state.root_pos[0, :2].tolist() == pytest.approx([0.8, 0.2], abs=0.02)
    assert float(engine.state.root_pos[0, 2]) == pytest.approx(0.6 + LEG, abs=0.3)
    assert not engine.state.contact_forces[[0, 2]].any()
    assert not engine.data.qacc_warmstart.numpy()[[0, 2]].any()
    step(engine, steps=15)
    assert not engine.state.diverged.any()
    assert engine.counters()["diverged"] == 0
    assert float(engine.state.contact_forces[0].norm(dim=-1).max()) < 5000.0
    assert 0.6 < float(engine.state.root_pos[0, 2]) < 0.6 + LEG + 0.1


@pytest.mark.parametrize(
    ("limit", "room", "counter"),
    [
        ("max_contacts_per_env", 3, "contact_overflows"),
        ("max_constraints_per_env", 8, "constraint_overflows"),
    ],
)
def test_missing_room_is_counted(
    limit: str, room: int, counter: str, device: torch.device, capfd: Any
) -> None:
    engine = warp_engine(device, 2, **{limit: room})
    put = state(2)
    put.root_pos[1, 2] = HIGH  # this one touches nothing, but elbows and knees are at their limits
    reset(engine, put)
    step(engine, steps=3)
    counts = engine.counters()
    # The room for contacts is shared by all environments, that for constraints is each one's own.
    assert counts[counter] == (6 if counter == "contact_overflows" else 3)
    assert sum(counts.values()) == counts[counter]
    assert not any(engine.counters().values())
    put.root_pos[:, 2] = HIGH
    reset(engine, put)
    step(engine)
    assert not any(engine.counters().values())  # a step without overflow is not counted for an earlier one
    assert "overflow" not in capfd.readouterr().out


def test_leaving_the_window_low_is_counted(device: torch.device) -> None:
    """A window of one column: whoever lies on it has head and feet beside it; not so who stands or lies high up."""
    engine = warp_engine(device, 3, terrain_window=1)
    put = state(3)
    put.root_pos[:, 2] = torch.tensor([LEG, 0.15, 3.0])
    put.root_rot[1:] = torch.tensor([0.0, 2**-0.5, 0.0, 2**-0.5])  # on its face, head towards x
    reset(engine, put)
    step(engine)
    assert engine.counters()["window_exits"] == 1
    step(engine, steps=2)
    assert engine.counters()["window_exits"] == 2


@pytest.mark.parametrize(("window", "exits"), [({}, 0), ({"terrain_window": 5}, 3)], ids=["2 m", "5 cells"])
def test_a_window_in_metres_carries_feet_on_fine_cells(
    window: dict[str, int], exits: int, device: torch.device
) -> None:
    put = straddling(2)
    put.root_pos[1, 2] = HIGH
    env = {"dm": cells_of(0.1), **window}
    engine, twin = warp_engine(device, 2, fine(0.1), **env), oracle(2, fine(0.1), **env)
    reset(engine, put)
    twin.reset(torch.arange(2), put)
    step(engine, put.dof_pos, 3)
    for _ in range(3):
        twin.step(put.dof_pos)
    for each in (engine, twin):
        assert bool(each.state.contact_forces[0, FEET].any()) == (exits == 0)
        assert each.counters()["window_exits"] == exits


def test_continues_bit_for_bit_from_a_saved_state() -> None:
    """On the CPU; a GPU adds forces in no fixed order."""
    cpu = torch.device("cpu")
    whole, half, resumed = (warp_engine(cpu, 4, stepped()) for _ in range(3))
    for engine in (whole, half):
        reset(engine, state(4, LEG + 0.05))
        step(engine, 0.2 * torch.randn(4, 28, generator=torch.Generator().manual_seed(0)), 5)
    saved = half.state_dict()
    assert all(tensor.device.type == "cpu" for tensor in saved.values())
    step(half)  # what was saved does not change with the engine
    resumed.load_state_dict(saved)
    for name, tensor in fields(whole.state):
        assert torch.equal(getattr(resumed.state, name), tensor), name
    for engine in (whole, resumed):
        step(engine, 0.1 * torch.randn(4, 28, generator=torch.Generator().manual_seed(1)), 5)
    assert whole.state.contact_forces.any()
    for name, tensor in fields(whole.state):
        assert torch.equal(getattr(resumed.state, name), tensor), name
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name


def test_recording_changes_nothing(device: torch.device) -> None:
    """The launches run once before they are recorded; the engine is put back after that."""
    engine = warp_engine(device, 2)
    reset(engine, random_state(2, 1.0))
    step(engine)
    before, counts = engine.state_dict(), engine._counters.clone()
    again = engine.capture(engine.launch_step)
    for name, tensor in engine.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert torch.equal(engine._counters, counts)
    again()
    assert not torch.equal(engine.state_dict()["qpos"], before["qpos"])


def test_states_of_others_are_refused() -> None:
    cpu = torch.device("cpu")
    engine, other = warp_engine(cpu, 2), oracle(2, flat())
    for one, two in ((engine, other), (other, engine)):
        with pytest.raises(DataError, match="belongs to another engine") as caught:
            one.load_state_dict(two.state_dict())
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="another character or number of environments"):
        engine.load_state_dict(warp_engine(cpu, 3).state_dict())
    with pytest.raises(DataError, match="has no 'time'"):
        engine.load_state_dict({"qpos": torch.zeros(2, 35)})
