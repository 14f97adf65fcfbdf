"""The optimizer and its learning rate, which a GPU may change by itself."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import torch
from torch import Tensor, nn
from torch.nn.parameter import Parameter

from parc_core.config.agent_config import OptimizerConfig
from parc_core.errors import ConfigError
from parc_core.learning.muon import Muon
from parc_core.learning.networks import ActorCritic

# Limits and factor of the rate that follows the KL divergence, as in rsl_rl (algorithms/ppo.py).
ADAPTIVE_MIN, ADAPTIVE_MAX, ADAPTIVE_FACTOR = 1e-5, 1e-2, 1.5

KINDS: Dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """SGD, Adam or AdamW over the trainable parameters; or Muon over the hidden matrices and Adam over the others.

    On CUDA one kernel does a whole step and the rate is a tensor, so that steps can be replayed as a graph; a PyTorch
    without these gets the plain one.
    """
    params = trainable(model)
    kind = config.type.lower()
    if kind == "muon":
        return _muon(model, params, config)
    if kind not in KINDS:
        raise ConfigError(f"optimizer.type: {config.type!r} is none of SGD, Adam, AdamW, Muon")
    return _of_kind(kind, params, config)


def _muon(model: nn.Module, params: List[Parameter], config: OptimizerConfig) -> Muon:
    matrices = model.hidden_matrices() if isinstance(model, ActorCritic) else []
    if not matrices:
        raise ConfigError(
            "optimizer.type: Muon is for matrices between hidden layers, which networks of one layer do not have; use "
            "larger model.actor_net and critic_net, or Adam"
        )
    known = {id(matrix) for matrix in matrices}
    others = _of_kind("adamw", [p for p in params if id(p) not in known], config)
    return Muon(matrices, others, config.momentum, config.weight_decay)


def _of_kind(kind: str, params: List[Parameter], config: OptimizerConfig) -> torch.optim.Optimizer:
    options: Dict[str, Any] = {"lr": config.learning_rate, "weight_decay": config.weight_decay}
    if kind == "sgd":
        options["momentum"] = config.momentum
    if params[0].is_cuda:
        rate = torch.tensor(config.learning_rate, device=params[0].device)
        extra = {"fused": True} if kind == "sgd" else {"fused": True, "capturable": True}
        try:
            return KINDS[kind](params, **{**options, "lr": rate}, **extra)
        except (TypeError, ValueError, RuntimeError):
            return KINDS[kind](params, **options)
    return KINDS[kind](params, **options)


def trainable(model: nn.Module) -> List[Parameter]:
    """The parameters that are learned."""
    return [p for p in model.parameters() if p.requires_grad]


class LearningRate:
    """The rate of all parameter groups of an optimizer: a number, or on CUDA a tensor."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer

    @property
    def _groups(self) -> List[Dict[str, Any]]:
        return self._optimizer.param_groups  # loading a state makes new ones

    @property
    def on_device(self) -> bool:
        """Whether it is a tensor."""
        return isinstance(self._groups[0]["lr"], Tensor)

    @property
    def now(self) -> Tensor:
        """() float32 on the parameters' device."""
        rate = self._groups[0]["lr"]
        if isinstance(rate, Tensor):
            return rate.detach()
        return torch.tensor(float(rate), device=self._groups[0]["params"][0].device)

    def set(self, rate: float) -> None:
        """Sets it; a tensor stays where it is."""
        for group in self._groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    @torch.no_grad()
    def follow(self, kl: Tensor, desired: float) -> None:
        """Divides the rate by 1.5 where kl () is more than twice `desired`, times 1.5 where less than half of it.

        Within 1e-5 … 1e-2. Source: rsl_rl's `adaptive` schedule.
        """
        rate = self._groups[0]["lr"]
        if not isinstance(rate, Tensor):
            self.set(followed(rate, float(kl), desired))
            return
        slower, faster = kl > 2.0 * desired, (kl > 0.0) & (kl < 0.5 * desired)
        factor = 1.0 + (ADAPTIVE_FACTOR - 1.0) * faster + (1.0 / ADAPTIVE_FACTOR - 1.0) * slower
        rate.mul_(factor).clamp_(ADAPTIVE_MIN, ADAPTIVE_MAX)


def followed(rate: float, kl: float, desired: float) -> float:
    """`LearningRate.follow` for numbers."""
    if kl > 2.0 * desired:
        rate /= ADAPTIVE_FACTOR
    elif 0.0 < kl < 0.5 * desired:
        rate *= ADAPTIVE_FACTOR
    return min(max(rate, ADAPTIVE_MIN), ADAPTIVE_MAX)


def optimizer_state(optimizer: torch.optim.Optimizer) -> Dict[str, Any]:
    """Its state for a checkpoint that every device can resume from: the rates are numbers."""
    state = optimizer.state_dict()
    groups = [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]
    return {"state": state["state"], "param_groups": groups}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Dict[str, Any]) -> None:
    """Restores momentum and the like, and the rate; how this device does its steps stays.

    The state's tensors are new ones afterwards: a graph of steps has to be recorded again.
    """
    rates = [float(group["lr"]) for group in state["param_groups"]]
    own = [group["lr"] for group in optimizer.param_groups]
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
    for group, lr, rate in zip(optimizer.param_groups, own, rates):
        group["lr"] = lr.fill_(rate) if isinstance(lr, Tensor) else rate
