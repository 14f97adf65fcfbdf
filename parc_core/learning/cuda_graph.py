"""A training step as a CUDA graph, recorded once and replayed."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

import torch
from torch import Tensor

WARM_UP_STEPS = 3  # before recording: libraries choose their kernels and the optimizer makes its state


class GraphedStep:
    """Calls `step(ids)`; on CUDA as a graph whose only input is which samples the minibatch has.

    Gathering, losses, gradients and the optimizer's step are recorded at the first full minibatch; the host then only
    replays them. Smaller minibatches (the last one may be) and other devices call `step` itself.
    """

    def __init__(
        self,
        step: Callable[[Tensor], None],
        size: int,
        optimizer: torch.optim.Optimizer,
        sums: Tensor,
        enabled: bool,
    ) -> None:
        """Args:
        step: takes (B,) int64 places of samples.
        size: B of what is recorded.
        optimizer: what the step changes: parameters, state and a learning rate that is a tensor.
        sums: what the step adds to.
        enabled: whether to record at all.
        """
        self._step, self._size, self._enabled = step, size, enabled
        self._optimizer, self._sums = optimizer, sums
        self._ids = torch.zeros(size, dtype=torch.int64, device=sums.device)
        self._graph: Optional[torch.cuda.CUDAGraph] = None

    def __call__(self, ids: Tensor) -> None:
        """One step on the samples `ids` (B,)."""
        if not self._enabled or len(ids) < self._size:
            self._step(ids)
            return
        self._ids.copy_(ids)
        if self._graph is None:
            self._graph = self._record()
        self._graph.replay()

    @property
    def recorded(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def invalidate(self) -> None:
        """Re-capture the graph on the next step."""
        self._graph = None

    def _record(self) -> torch.cuda.CUDAGraph:
        """The graph of one step on `self._ids`; recording it changes nothing."""
        undo = Snapshot(self._optimizer, self._sums)
        device = self._ids.device
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self._step(self._ids)
        torch.cuda.current_stream(device).wait_stream(stream)
        undo.restore()
        self._optimizer.zero_grad(set_to_none=True)  # gradients then live in the graph's own memory
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(device)
        # In a stream of its own, whose priority the kernels then keep, or in one made for that.
        own = None if current == torch.cuda.default_stream(device) else current
        with torch.cuda.graph(graph, stream=own):
            self._step(self._ids)
        return graph


class Snapshot:
    """Parameters, optimizer state, rate and other tensors before some trial steps, put back in place after them."""

    def __init__(self, optimizer: torch.optim.Optimizer, *others: Tensor) -> None:
        self._optimizer, self._others = optimizer, others
        self._params = [p for group in optimizer.param_groups for p in group["params"]]
        self._values = [p.detach().clone() for p in self._params]
        self._state = [_clones(optimizer.state.get(p, {})) for p in self._params]
        self._groups = [_clones(group) for group in optimizer.param_groups]  # a rate that is a tensor
        self._other_values = [other.clone() for other in others]

    @torch.no_grad()
    def restore(self) -> None:
        """State that the steps created becomes 0, which is where every optimizer here begins."""
        for param, value, before in zip(self._params, self._values, self._state):
            param.copy_(value)
            _put_back(self._optimizer.state.get(param, {}), before)
        for group, before in zip(self._optimizer.param_groups, self._groups):
            _put_back(group, before)
        for other, value in zip(self._others, self._other_values):
            other.copy_(value)


def _clones(values: Mapping[str, Any]) -> Dict[str, Tensor]:
    return {name: value.clone() for name, value in values.items() if isinstance(value, Tensor)}


def _put_back(values: Mapping[str, Any], before: Dict[str, Tensor]) -> None:
    for name, value in values.items():
        if isinstance(value, Tensor):
            value.copy_(before.get(name, torch.zeros_like(value)))
