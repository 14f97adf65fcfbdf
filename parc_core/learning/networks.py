"""Actor and critic: separate MLPs; parameter names are those of PARC's model files."""

from __future__ import annotations

import copy
import math
import re
from typing import List, Sequence, Union

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.nn.parameter import Parameter

from parc_core.errors import ConfigError
from parc_core.learning.distribution import DiagGaussian
from parc_core.learning.towers import (
    PARCS_LAYERS,
    LayerKind,
    linear_layers,
    make_linear,
    make_tower,
    tower_forward,
)

# The published network names do not follow one rule: a 3-layer 2048 net is not 2048-2048-1024.
NAMED_NETS = {"fc_3layers_2048units": [2048, 1024, 512]}
NET_NAME = re.compile(r"^fc_([1-4])layers_(\d+)units$")
STD_TYPES = ("FIXED", "CONSTANT", "VARIABLE")


def hidden_sizes(net: str) -> List[int]:
    """Hidden widths of a network name.

    fc_2layers_1024units = 1024, 512; fc_3layers_1024units = 1024, 1024, 512; fc_3layers_2048units =
    2048, 1024, 512; others alike (the last layer is half as wide, one layer alone is not), which
    gives CPUs small ones such as fc_2layers_128units = 128, 64.

    Raises:
        ConfigError: for a name of another form.
    """
    if net in NAMED_NETS:
        return list(NAMED_NETS[net])
    match = NET_NAME.match(str(net))
    if match is None or int(match.group(2)) < 2:
        raise ConfigError(
            f"model: unknown network {net!r}; use fc_<1-4>layers_<width>units, for example "
            "fc_2layers_1024units or fc_3layers_2048units"
        )
    layers, width = int(match.group(1)), int(match.group(2))
    return [width] if layers == 1 else [width] * (layers - 1) + [width // 2]


class GaussianHead(nn.Module):
    """Mean layer and log standard deviation: FIXED, CONSTANT (learned) or VARIABLE (of the state)."""

    def __init__(self, in_dim: int, action_dim: int, std_type: str, std: float, output_scale: float) -> None:
        super().__init__()
        if std_type not in STD_TYPES:
            raise ConfigError(
                "model.actor_std_type: {!r} is none of {}".format(std_type, ", ".join(STD_TYPES))
            )
        logstd = math.log(std)
        if std_type == "VARIABLE":
            self._logstd_net: Union[nn.Linear, Parameter] = nn.Linear(in_dim, action_dim)
            init.uniform_(self._logstd_net.weight, -output_scale, output_scale)
            init.constant_(self._logstd_net.bias, logstd)
        else:
            learned = std_type == "CONSTANT"
            self._logstd_net = Parameter(Tensor([logstd] * action_dim), requires_grad=learned)
        self._mean_net = nn.Linear(in_dim, action_dim)
        init.uniform_(self._mean_net.weight, -output_scale, output_scale)
        init.zeros_(self._mean_net.bias)

    @property
    def depends_on_state(self) -> bool:
        """Whether the standard deviation is the network's (VARIABLE)."""
        return isinstance(self._logstd_net, nn.Module)

    @property
    def mean_net(self) -> nn.Linear:
        """(B, F) → means (B, D)."""
        return self._mean_net

    @torch.no_grad()
    def set_std(self, std: float) -> None:
        """Sets the standard deviation of all actions; only one that the state does not give."""
        assert isinstance(self._logstd_net, Parameter)
        self._logstd_net.fill_(math.log(std))

    def forward(self, features: Tensor) -> DiagGaussian:
        """(B, F) → distribution over (B, D)."""
        logstd = self._logstd_net
        if isinstance(logstd, nn.Module):
            logstd = logstd(features)
        return DiagGaussian(self._mean_net(features), logstd)


class ActorCritic(nn.Module):
    """Two MLPs over the same normalized observation, beside which the critic may see further numbers.

    Attributes:
        dtype: type of the hidden layers' products and activations. Parameters, output layers and all that comes after
            them are float32 in any case.
    """

    def __init__(
        self,
        obs_dim: int,
        action_dim: int,
        actor_hidden: Sequence[int],
        critic_hidden: Sequence[int],
        std_type: str = "FIXED",
        std: float = 0.05,
        output_scale: float = 0.01,
        kind: LayerKind = PARCS_LAYERS,
        critic_dim: int = 0,
    ) -> None:
        """Args:
        critic_dim: P, how many numbers the critic sees beside the observation.
        """
        super().__init__()
        self.dtype = torch.float32
        self._obs_dim = obs_dim
        self._actor_layers = make_tower(obs_dim, actor_hidden, kind)
        self._action_dist = GaussianHead(actor_hidden[-1], action_dim, std_type, std, output_scale)
        self._critic_layers = make_tower(obs_dim + critic_dim, critic_hidden, kind)
        self._critic_out = make_linear(critic_hidden[-1], 1)

    @property
    def head(self) -> GaussianHead:
        """What makes the policy's distribution of the actor's features."""
        return self._action_dist

    @property
    def actor_layers(self) -> nn.Sequential:
        """(B, O) → the features that `head` takes, (B, F)."""
        return self._actor_layers

    def with_own_actor(self) -> ActorCritic:
        """Networks with a copy of the actor and the same critic."""
        other = copy.deepcopy(self)
        other._critic_layers, other._critic_out = self._critic_layers, self._critic_out
        return other

    def critic_parameters(self) -> List[Parameter]:
        """Those that the critic alone has; the actor has all others, and none is shared."""
        return [*self._critic_layers.parameters(), *self._critic_out.parameters()]

    def hidden_matrices(self) -> List[Tensor]:
        """Weights between hidden layers: neither of the observation nor of the outputs."""
        towers = (self._actor_layers, self._critic_layers)
        return [layer.weight for tower in towers for layer in linear_layers(tower)[1:]]

    def actor(self, norm_obs: Tensor) -> DiagGaussian:
        """(B, O or O + P) normalized → distribution over normalized actions (B, D). It sees the first O alone."""
        if norm_obs.shape[-1] != self._obs_dim:
            norm_obs = norm_obs[..., : self._obs_dim]
        dist: DiagGaussian = self._action_dist(tower_forward(self._actor_layers, norm_obs, self.dtype))
        return dist

    def critic(self, norm_obs: Tensor) -> Tensor:
        """(B, O + P) normalized → values (B,)."""
        values: Tensor = self._critic_out(tower_forward(self._critic_layers, norm_obs, self.dtype))
        return values.squeeze(-1)
