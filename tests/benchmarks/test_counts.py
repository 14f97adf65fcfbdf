"""FLOPs and bytes by hand and against PyTorch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.counts import layer_sizes, observation_bytes, training_flops
from parc_core.learning.networks import ActorCritic, hidden_sizes

PARC = hidden_sizes("fc_3layers_2048units")


def test_parcs_networks():
    """1312·2048 + 2048·1024 + 1024·512 + 512·28 multiply-adds."""
    assert layer_sizes(1312, PARC, 28) == [2_686_976, 2_097_152, 524_288, 14_336]
    flops = training_flops(1312, 28, PARC, PARC, epochs=5)
    assert flops["rollout"] == 2 * 5_322_752 and flops["targets"] == 2 * 5_308_928
    assert flops["pass"] == pytest.approx(53.04e6, rel=1e-3)
    assert flops["total"] == flops["rollout"] + flops["targets"] + 5 * flops["pass"]


@pytest.mark.parametrize(("actor", "critic"), [([24, 12], [20]), ([16], [32, 16, 8])])
def test_a_pass_is_what_pytorch_does(actor, critic):
    model, batch = ActorCritic(30, 5, actor, critic), 7
    obs = torch.randn(batch, 30)
    with FlopCounterMode(display=False) as counter:
        (model.actor(obs).mode.sum() + model.critic(obs).sum()).backward()
    assert counter.get_total_flops() == batch * training_flops(30, 5, actor, critic, epochs=1)["pass"]


def test_observation_bytes():
    """Float32 observations of 10 numbers, kept in 2 bytes, 3 epochs."""
    counted = observation_bytes(10, 2, 3)
    assert counted == {"rollout": 160.0, "update": 380.0, "total": 540.0}
