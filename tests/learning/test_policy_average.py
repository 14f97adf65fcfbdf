"""The average of the actor's weights, against one by hand."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from parc_core.learning.policy_average import PolicyAverage
from tests.learning.test_model_file import agent_of

HALF_LIFE, BATCH = 300, 100


def averaged(agent, updates):
    """The average after `updates` updates, in each of which the weights are drawn anew; and every one's weights."""
    torch.manual_seed(3)
    average, seen = PolicyAverage(agent, HALF_LIFE, BATCH), []
    for _ in range(updates):
        with torch.no_grad():
            for parameter in agent.model.parameters():
                parameter.normal_()
        average.update()
        seen.append(agent.model.actor_layers[0].weight.detach().clone())
    return average, seen


@pytest.mark.parametrize("updates", [1, 3, 9])
def test_by_hand(updates):
    average, seen = averaged(agent_of(), updates)
    want = torch.zeros_like(seen[0], dtype=torch.float64)
    for count, weights in enumerate(seen, start=1):
        share = max(
            1 / count, 1 - 0.5 ** (1 / 3)
        )  # the plain mean at first; then half the weight after 3 updates
        want = (1 - share) * want + share * weights.double()
    got = average.agent.model.actor_layers[0].weight
    assert_close(got.detach().double(), want, rtol=0, atol=1e-6)
    assert average.updates == updates


def test_critic_and_normalizers_are_those_of_the_training():
    agent = agent_of()
    average, _ = averaged(agent, 3)
    ours, theirs = average.agent.state_dict(), agent.state_dict()
    assert ours.keys() == theirs.keys()
    differing = {key for key in ours if not torch.equal(ours[key], theirs[key])}
    assert differing == {
        key for key in ours if key.startswith(("_model._actor", "_model._action")) and "logstd" not in key
    }
    obs = torch.randn(4, agent.obs_norm._mean.numel())
    assert torch.equal(average.agent.values(obs), agent.values(obs))
    assert not torch.equal(average.agent.act_mode(obs), agent.act_mode(obs))


def test_what_a_checkpoint_holds_brings_back_both():
    agent, other = agent_of(), agent_of()
    average, _ = averaged(agent, 4)
    other_average = PolicyAverage(other, HALF_LIFE, BATCH)
    other.load_state_dict(average.agent.state_dict())
    other_average.load_state(average.state())
    for got, want in ((other, agent), (other_average.agent, average.agent)):
        assert_close(dict(got.state_dict()), dict(want.state_dict()), rtol=0, atol=0)
    assert other_average.updates == 4
