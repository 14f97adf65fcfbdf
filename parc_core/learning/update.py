"""The update: passes over a rollout in shuffled minibatches, each of them one CUDA graph on a GPU."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import torch
from torch import Tensor

from parc_core.learning.agent import Agent
from parc_core.learning.optimizers import LearningRate, trainable
from parc_core.learning.ppo import Batch, ppo_loss, training_targets
from parc_core.learning.rollout import Rollout

WARM_UP_STEPS = 3  # before recording: libraries choose their kernels and the optimizer makes its state


class Updater:
    """update_epochs passes over a rollout in shuffled minibatches of batch_size · num_envs samples.

    Memory for the minibatches is allocated once. On CUDA gathering, losses, gradients and the optimizer's step are
    recorded once as a graph whose only input is which samples the minibatch has; the host replays it and waits for the
    GPU once, at the end.
    """

    def __init__(
        self,
        agent: Agent,
        optimizer: torch.optim.Optimizer,
        rollout: Rollout,
        bounds: Tuple[float, float],
        config,
        use_graph: Optional[bool] = None,
    ) -> None:
        """Args:
        bounds: lowest and highest possible value, for the bootstrap.
        config: the agent config.
        use_graph: None = on CUDA, where the optimizer can be recorded.
        """
        self.rate = LearningRate(optimizer)
        self._agent, self._optimizer, self._rollout = agent, optimizer, rollout
        self._bounds, self._config = bounds, config
        self._params = trainable(agent.model)
        self._size = min(rollout.num_samples, math.ceil(config.batch_size * rollout.rewards.shape[1]))
        self._use_graph = self.rate.on_device and use_graph is not False
        self._graph: Optional[torch.cuda.CUDAGraph] = None
        self._data: Batch = rollout.flat()
        for name in ("adv", "tar_val"):
            self._data[name] = torch.zeros_like(self._data["a_logp"])
        # What all samples share is no part of a minibatch's gathering.
        shared = [name for name, value in self._data.items() if len(value) != rollout.num_samples]
        self._shared = {name: self._data.pop(name) for name in shared}
        self._batch = {
            name: value.new_empty(self._size, *value.shape[1:]) for name, value in self._data.items()
        }
        self._ids = torch.zeros(self._size, dtype=torch.int64, device=rollout.rewards.device)
        self._names: List[str] = []
        self._sums = torch.empty(0)

    def run(self, generator: torch.Generator, beat: Callable[[], None]) -> Dict[str, float]:
        """Updates the agent from the rollout.

        Args:
            generator: shuffles the samples.
            beat: called after each minibatch.

        Returns:
            Means over the minibatches (loss, actor_loss, …, grad_norm), not finite if the update diverged;
            learning_rate of the last; healthy = 1 if weights and the normalizer's moments are finite, else 0.
        """
        info = self._targets()
        if self._names:
            self._sums.zero_()
        count = 0
        for _ in range(self._config.update_epochs):
            order = torch.randperm(self._rollout.num_samples, generator=generator, device=self._ids.device)
            for ids in order.split(self._size):
                self._minibatch(ids)
                count += 1
                beat()
        info.update(zip(self._names, (self._sums / count).unbind()))
        info["learning_rate"] = self.rate.now
        info["healthy"] = self._healthy()
        numbers = torch.stack([value.float() for value in info.values()]).tolist()  # the one transfer
        return dict(zip(info, numbers))

    @property
    def has_graph(self) -> bool:
        """Whether a graph was recorded."""
        return self._graph is not None

    def forget_graph(self) -> None:
        """Has the graph recorded anew: the optimizer's state was loaded and lies elsewhere now."""
        self._graph = None

    def _targets(self) -> Dict[str, Tensor]:
        """Fills in return targets and advantages of the rollout; returns their log entries."""
        rollout = self._rollout
        values = self._agent.values(self._data["norm_obs"]).view_as(rollout.rewards)
        targets, info = training_targets(rollout, values, self._bounds, self._config)
        for name, value in targets.items():
            self._data[name].copy_(value.flatten())
        return info

    def _minibatch(self, ids: Tensor) -> None:
        if len(ids) < self._size or not self._use_graph:  # the last one may be smaller
            self._step(ids)
            return
        self._ids.copy_(ids)
        if self._graph is None:
            self._graph = self._record()
        self._graph.replay()

    def _step(self, ids: Tensor) -> None:
        """One gradient step on the samples `ids` (B,); the gradient norm is that before clipping."""
        config, batch = self._config, dict(self._shared)
        for name, value in self._data.items():
            batch[name] = torch.index_select(value, 0, ids, out=self._batch[name][: len(ids)])
        loss, info = ppo_loss(self._agent.model, batch, config)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        limit = config.max_grad_norm if config.clip_grad_norm else float("inf")
        info["grad_norm"] = torch.nn.utils.clip_grad_norm_(self._params, limit).detach()
        if config.optimizer.schedule == "adaptive":
            self.rate.follow(info["kl"], config.optimizer.desired_kl)
        self._optimizer.step()
        if not self._names:
            self._names, self._sums = list(info), torch.zeros(len(info), device=ids.device)
        self._sums += torch.stack([info[name] for name in self._names])

    def _healthy(self) -> Tensor:
        """() bool: weights and the normalizer's moments are finite."""
        peaks = torch.stack([parameter.detach().abs().max() for parameter in self._agent.model.parameters()])
        return torch.isfinite(peaks).all() & self._agent.obs_norm.moments_finite()

    # -- the graph ------------------------------------------------------------------------------------

    def _record(self) -> torch.cuda.CUDAGraph:
        """The graph of one step on the samples `self._ids`; nothing is changed by recording it."""
        undo = Snapshot(self._params, self._optimizer)
        device = self._ids.device
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        sums = self._sums.clone() if self._names else None
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):
                self._step(self._ids)
        torch.cuda.current_stream(device).wait_stream(stream)
        undo.restore()
        if sums is None:
            self._sums.zero_()
        else:
            self._sums.copy_(sums)
        self._optimizer.zero_grad(set_to_none=True)  # gradients then live in the graph's own memory
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step(self._ids)
        return graph


class Snapshot:
    """Parameters, optimizer state and rate before some trial steps, put back in place after them."""

    def __init__(self, params: Sequence[Tensor], optimizer: torch.optim.Optimizer) -> None:
        self._params, self._optimizer = params, optimizer
        self._values = [p.detach().clone() for p in params]
        self._state = [_clones(optimizer.state.get(p, {})) for p in params]
        self._groups = [_clones(group) for group in optimizer.param_groups]  # a rate that is a tensor

    @torch.no_grad()
    def restore(self) -> None:
        """State that the steps made anew becomes 0, which is where every optimizer here begins."""
        for param, value, before in zip(self._params, self._values, self._state):
            param.copy_(value)
            _put_back(self._optimizer.state.get(param, {}), before)
        for group, before in zip(self._optimizer.param_groups, self._groups):
            _put_back(group, before)


def _clones(values: Mapping[str, Any]) -> Dict[str, Tensor]:
    return {name: value.clone() for name, value in values.items() if isinstance(value, Tensor)}


def _put_back(values: Mapping[str, Any], before: Dict[str, Tensor]) -> None:
    for name, value in values.items():
        if isinstance(value, Tensor):
            value.copy_(before.get(name, torch.zeros_like(value)))
