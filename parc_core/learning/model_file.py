"""model.pt: PARC's flat state_dict, read and written; our checkpoints are read as models too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from parc_core.errors import ConfigError, DataError
from parc_core.learning.agent import Agent
from parc_core.learning.networks import ActorCritic
from parc_core.learning.normalizer import Normalizer
from parc_core.learning.plain_values import with_floats
from parc_core.learning.towers import RELU, kind_in
from parc_core.motion.formats import torch_file
from parc_core.motion.formats.safe_pickle import printable
from parc_core.system.files import PathLike, atomic_write

CHECKPOINT_FORMAT = "parc-tracker checkpoint 1"
ACTOR, CRITIC = "_model._actor_layers", "_model._critic_layers"
REQUIRED_KEYS = (
    "_obs_norm._count",
    "_obs_norm._mean",
    "_obs_norm._std",
    "_a_norm._mean",
    "_a_norm._std",
    "_model._actor_layers.0.weight",
    "_model._action_dist._mean_net.weight",
    "_model._critic_layers.0.weight",
    "_model._critic_out.weight",
)


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds."""

    path: str
    """Where it was read."""
    state: Dict[str, Tensor]
    """Flat state_dict with PARC's names, on the CPU."""
    moments: Optional[Dict[str, Any]] = None
    """The normalizer's float64 moments; only our checkpoints have them."""


def load_tensors(path: PathLike) -> Any:
    """torch.load of plain tensors and containers, on the CPU; nothing in the file can run code.

    Raises:
        DataError: the file is missing, damaged or holds other objects.
    """
    try:
        return with_floats(torch_file.load(path))
    except (ValueError, RuntimeError) as error:
        raise DataError(
            f"{path}: not readable as a PyTorch file of tensors ({error}); use another file"
        ) from error


def read_model_file(path: PathLike) -> ModelFile:
    """Reads PARC's or our model.pt, or one of our checkpoints.

    Raises:
        DataError: unreadable, keys missing, arrays of another kind or shape, or numbers not finite.
    """
    content: Any = load_tensors(path)
    moments: Any = None
    of_checkpoint = isinstance(content, dict) and content.get("format") == CHECKPOINT_FORMAT
    if of_checkpoint:
        moments = content.get("obs_moments")
        content = content.get("agent")
    if not isinstance(content, dict):
        content = {}
    missing = [key for key in REQUIRED_KEYS if key not in content]
    if missing:
        raise DataError(
            f"{path}: is not a tracker model ('{missing[0]}' is missing); give PARC's or our model.pt"
        )
    for key, value in content.items():
        fault = _fault(str(key), value)
        if fault:
            raise DataError(f"{path}: '{printable(str(key))}' {fault}; use an earlier model")
    if of_checkpoint:
        check_moments(str(path), moments, content["_obs_norm._mean"])
    return ModelFile(str(path), dict(content), moments)


def _fault(key: str, value: Any) -> str:
    """What is wrong with an array of a model, or nothing."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
        return "is not a tensor of finite numbers"
    kind = torch.int64 if key.endswith("_count") else torch.float32
    if value.dtype != kind:
        return f"holds {_words(value.dtype)} numbers, not {_words(kind)} ones"
    if value.numel() == 0 or value.ndim != (2 if key.endswith(".weight") else 1):
        return f"has the shape {list(value.shape)[:8]}"
    if not torch.isfinite(value).all():
        return "is not a tensor of finite numbers"
    if (kind == torch.int64 and int(value.min()) < 0) or (key.endswith("_std") and float(value.min()) <= 0):
        return "holds a count or standard deviation below its least"
    return ""


def _words(dtype: torch.dtype) -> str:
    return str(dtype).rpartition(".")[2]


def check_moments(path: str, moments: Any, mean: Tensor) -> None:
    """Refuses what a checkpoint gives as a normalizer's moments and is not.

    Args:
        path: of the checkpoint, for the message.
        moments: see `Normalizer.moments`.
        mean: (dim,) of the same normalizer.

    Raises:
        DataError: missing, of another kind or shape, or out of bounds.
    """
    if not _are_moments(moments, mean):
        raise DataError(f"{path}: 'obs_moments' are not those of a normalizer; use an earlier checkpoint")


def _are_moments(moments: Any, mean: Tensor) -> bool:
    """Whether it is what `Normalizer.moments` gives: count, and mean and m2 of the shape of `mean`, float64."""
    if not isinstance(moments, dict) or type(moments.get("count")) is not int:
        return False
    parts: List[Any] = [moments.get("mean"), moments.get("m2")]
    return (
        0 <= moments["count"] < 2**63  # model files hold it as int64
        and all(isinstance(part, Tensor) and part.dtype == torch.float64 for part in parts)
        and all(part.shape == mean.shape and bool(torch.isfinite(part).all()) for part in parts)
        and bool((parts[1] >= 0).all())
    )


def write_model_file(path: PathLike, agent: Agent) -> None:
    """Writes the agent's flat state_dict atomically."""
    with atomic_write(path) as file:
        torch_file.save(agent.model_state(), file)


def load_into(agent: Agent, model: ModelFile) -> None:
    """Copies a model into an agent of the same architecture, normalizers included. A critic that sees more than the
    file's starts with its values: the further numbers have weight 0.

    Raises:
        ConfigError: the architectures differ; the message names both.
    """
    own = agent.state_dict()
    state = with_wider_critic(model.state, own)
    check_architecture(model.path, state, own)
    agent.load_state_dict(state)
    if model.moments is None:
        agent.obs_norm.moments_from_stats()
    else:
        agent.obs_norm.load_moments(model.moments)


def with_wider_critic(state: Dict[str, Tensor], own: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """A model's arrays, where all that `own` differs in are further numbers that its critic sees: with weights of 0 for
    these; else as they are."""
    key, more = f"{CRITIC}.0.weight", critic_dim_of(own)
    weights = state[key]
    if critic_dim_of(state) > 0 or more == 0:
        return state
    wider = {**state, key: torch.cat((weights, weights.new_zeros(len(weights), more)), dim=1)}
    return wider if _shapes(wider) == _shapes(own) else state


def critic_dim_of(state: Dict[str, Tensor]) -> int:
    """How many numbers a model's critic sees beside the observation."""
    return max(0, state[f"{CRITIC}.0.weight"].shape[1] - state[f"{ACTOR}.0.weight"].shape[1])


def check_architecture(path: str, state: Dict[str, Tensor], own: Dict[str, Tensor]) -> None:
    """Refuses arrays of another architecture than the agent's own.

    Raises:
        ConfigError: naming both.
    """
    if _shapes(state) != _shapes(own):
        raise ConfigError(
            f"{path}: holds another architecture ({describe(state)}) than the configs ask for "
            f"({describe(own)}); set model.actor_net, critic_net, activation, layer_norm, actor_std_type and "
            "env.critic_obs alike, or use another file"
        )


def _shapes(state: Dict[str, Tensor]) -> Dict[str, torch.Size]:
    return {key: value.shape for key, value in state.items()}


def check_actions(path: str, state: Dict[str, Tensor], own: Dict[str, Tensor]) -> None:
    """Refuses a model whose actions mean something else here: other bounds, so another action_mode.

    Raises:
        ConfigError: says what to set.
    """
    for key in ("_a_norm._mean", "_a_norm._std"):
        if not torch.allclose(own[key].cpu(), state[key], rtol=1e-2, atol=1e-2):
            raise ConfigError(
                f"{path}: was trained with other action bounds; set env.action_mode, residual_action_scale "
                "and char_file as in the dm_env.yaml beside it"
            )


def build_agent(model: ModelFile, norm_obs_clip: float = 10.0, device: str = "cpu") -> Agent:
    """An agent of the file's own architecture, for evaluation.

    Args:
        norm_obs_clip: the agent config's key; model files do not hold it.

    Raises:
        DataError: the file's arrays do not fit together.
    """
    state = model.state
    actor, critic = _tower_sizes(state, ACTOR), _tower_sizes(state, CRITIC)
    obs_dim = state["_model._actor_layers.0.weight"].shape[1]
    action_dim = state["_model._action_dist._mean_net.weight"].shape[0]
    variable = "_model._action_dist._logstd_net.weight" in state
    std_type = "VARIABLE" if variable else "FIXED"
    kind, critic_dim = kind_in(state, ACTOR), critic_dim_of(state)
    nets = ActorCritic(obs_dim, action_dim, actor, critic, std_type, kind=kind, critic_dim=critic_dim)
    agent = Agent(nets, Normalizer(obs_dim, norm_obs_clip), Normalizer(action_dim))
    try:
        load_into(agent, model)
    except ConfigError as error:
        raise DataError(f"{model.path}: its arrays do not fit together ({describe(state)})") from error
    return agent.to(device).eval()


def describe(state: Dict[str, Tensor]) -> str:
    """One line, e.g. "obs 1312, actor 1024-512, critic 1024-512, actions 28, one std per action"."""
    logstd = (
        "state-dependent std" if "_model._action_dist._logstd_net.weight" in state else "one std per action"
    )
    return "obs {}, actor {}, critic {}, actions {}, {}".format(
        state["_model._actor_layers.0.weight"].shape[1],
        "-".join(map(str, _tower_sizes(state, ACTOR))) + _kind_words(state, ACTOR),
        "-".join(map(str, _tower_sizes(state, CRITIC))) + _kind_words(state, CRITIC) + _more_words(state),
        state["_model._action_dist._mean_net.weight"].shape[0],
        logstd,
    )


def _kind_words(state: Dict[str, Tensor], tower: str) -> str:
    """E.g. " layer norm silu"; nothing for PARC's ReLU."""
    kind = kind_in(state, tower)
    return " layer norm" * kind.layer_norm + ("" if kind.activation == RELU else f" {kind.activation}")


def _more_words(state: Dict[str, Tensor]) -> str:
    """E.g. " that sees 40 numbers more"; nothing for PARC's critic."""
    more = critic_dim_of(state)
    return f" that sees {more} numbers more" if more > 0 else ""


def _tower_sizes(state: Dict[str, Tensor], prefix: str) -> List[int]:
    """Widths of a tower: its linear layers have the even indices."""
    sizes: List[int] = []
    while f"{prefix}.{2 * len(sizes)}.weight" in state:
        sizes.append(state[f"{prefix}.{2 * len(sizes)}.weight"].shape[0])
    return sizes
