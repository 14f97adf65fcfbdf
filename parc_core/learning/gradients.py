"""Gradients of several processes, averaged in one message."""

from __future__ import annotations

from typing import Dict, List, Sequence

import torch
from torch import Tensor

from parc_core.system.world import World


class GradientAverage:
    """Replaces the gradients and a step's log entries by their means over the processes of a world.

    All travel in one flat tensor: one message costs less than one for each layer. It is allocated once, so that a
    CUDA graph can hold the call.
    """

    def __init__(self, params: Sequence[Tensor], num_entries: int, world: World) -> None:
        """Args:
        params: whose `grad` is averaged; float32, the same in all processes.
        num_entries: how many numbers are averaged beside.
        world: of the processes; all must call this for the same steps.
        """
        self._params, self._world = list(params), world
        sizes = [param.numel() for param in self._params]
        self._flat = torch.zeros(sum(sizes) + num_entries, device=self._params[0].device)
        *parts, self._entries = self._flat.split([*sizes, num_entries])
        self._parts: List[Tensor] = [part.view_as(param) for part, param in zip(parts, self._params)]

    @torch.no_grad()
    def __call__(self, info: Dict[str, Tensor]) -> None:
        """Changes `grad` of all parameters and the entries of `info`, each of shape (), to their means."""
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._params]
        torch.cat([*(grad.flatten() for grad in grads), torch.stack(list(info.values()))], out=self._flat)
        self._world.mean_(self._flat)
        for param, part in zip(self._params, self._parts):
            param.grad = part
        info.update(zip(list(info), self._entries.unbind()))
