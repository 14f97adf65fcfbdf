"""An average of the actor's weights over the training, which acts more steadily than the weights of one moment."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import torch
from torch import Tensor
from torch.nn.parameter import Parameter

from parc_core.learning.agent import Agent


class PolicyAverage:
    """The exponential average of the weights that the actor had after each update.

    The first updates count alike, until a plain mean of them forgets as fast: where the networks began has no weight.

    Attributes:
        agent: acts by the average; critic and normalizers are those of the training.
        updates: how many are in it; 0 = `agent` is of no use yet.
    """

    def __init__(self, agent: Agent, half_life: float, samples_per_update: int) -> None:
        """Args:
        agent: in training.
        half_life: samples after which an update counts half.
        samples_per_update: of all processes.
        """
        self._training = agent
        self.agent = agent.with_model(agent.model.with_own_actor())
        self.updates = 0
        self._pace = 1.0 - 0.5 ** (samples_per_update / half_life)

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the actor's weights of now; nothing waits for a GPU."""
        self.updates += 1
        share = max(self._pace, 1.0 / self.updates)
        for _, average, now in self._pairs():
            average.copy_(now) if self.updates == 1 or not now.requires_grad else average.lerp_(now, share)

    def _pairs(self) -> List[Tuple[str, Parameter, Parameter]]:
        """(name, average, now) of the actor's weights."""
        now = dict(self._training.model.named_parameters())
        of_critic = {id(parameter) for parameter in self._training.model.critic_parameters()}
        return [
            (name, average, now[name])
            for name, average in self.agent.model.named_parameters()
            if id(now[name]) not in of_critic
        ]

    def state(self) -> Dict[str, Any]:
        """What a checkpoint holds beside the model, which is the average: the actor's weights in training."""
        return {"updates": self.updates, "actor": {name: now.detach() for name, _, now in self._pairs()}}

    @torch.no_grad()
    def load_state(self, state: Dict[str, Any]) -> None:
        """Restores what `state` returned, after the agent in training has got the checkpoint's model."""
        self.updates = int(state["updates"])
        actor: Dict[str, Tensor] = state["actor"]
        for name, average, now in self._pairs():
            average.copy_(now)
            now.copy_(actor[name])
