"""Gradients of several processes, averaged while the next ones are computed."""

from __future__ import annotations

from typing import Callable, Dict, List, Sequence

import torch
from torch import Tensor

from parc_core.learning.networks import ActorCritic
from parc_core.system.world import World


class GradientAverage:
    """Replaces the gradients of some parameters, and numbers beside them, by their means over the processes of a world.

    All travel in one flat tensor: one message costs less than one for each layer. It is allocated once, so that a
    CUDA graph can hold the calls.
    """

    def __init__(self, params: Sequence[Tensor], world: World, num_entries: int = 0) -> None:
        """Args:
        params: whose `grad` is averaged; float32, the same in all processes.
        world: of the processes; all must make the same calls.
        num_entries: how many numbers are averaged beside.
        """
        self._params, self._world = list(params), world
        sizes = [param.numel() for param in self._params]
        self._flat = torch.zeros(sum(sizes) + num_entries, device=self._params[0].device)
        *parts, self._entries = self._flat.split([*sizes, num_entries])
        self._parts: List[Tensor] = [part.view_as(param) for part, param in zip(parts, self._params)]
        self._finish: Callable[[], None] = lambda: None

    @torch.no_grad()
    def begin(self, entries: Sequence[Tensor] = ()) -> None:
        """Sends the parameters' gradients, which are not to be used before `finish`, and `num_entries` numbers, ()."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._params]
        torch.cat([part.reshape(-1) for part in (*grads, *entries)], out=self._flat)
        self._finish = self._world.begin_mean_(self._flat)

    def finish(self) -> List[Tensor]:
        """The parameters' gradients are the means from here on. Returns those of the numbers, each of shape ()."""
        self._finish()
        for param, part in zip(self._params, self._parts):
            param.grad = part
        return list(self._entries.unbind())


class Averages:
    """The gradients of critic and actor, each sent as soon as they are there."""

    def __init__(
        self, critic: Sequence[Tensor], actor: Sequence[Tensor], names: Sequence[str], world: World
    ) -> None:
        """Args:
        critic, actor: their parameters.
        names: of the log entries that travel with the actor's gradients.
        """
        self.critic = GradientAverage(critic, world)
        self._actor, self._names = GradientAverage(actor, world, len(names)), list(names)

    @staticmethod
    def of(model: ActorCritic, params: Sequence[Tensor], names: Sequence[str], world: World) -> Averages:
        """Of a model's parameters that are trained, `params`; the other arguments as above."""
        of_critic = {id(parameter) for parameter in model.critic_parameters()}
        critic = [p for p in params if id(p) in of_critic]
        return Averages(critic, [p for p in params if id(p) not in of_critic], names, world)

    def finish(self, info: Dict[str, Tensor]) -> None:
        """With the actor's gradients there, too: all are means from here on, and so are the entries of `info`."""
        self._actor.begin([info[name] for name in self._names])
        self.critic.finish()
        info.update(zip(self._names, self._actor.finish()))
