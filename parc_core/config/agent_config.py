"""Agent config: the keys of `agent_config.yaml` with PARC's defaults (spec section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Optional

from parc_core.config.paths import PathLike, load_yaml
from parc_core.config.schema import from_mapping, section, setting
from parc_core.errors import ConfigError

_DEBUG_LOG = "curves go to TensorBoard, log.txt and progress.jsonl"


@dataclass(frozen=True)
class ModelConfig:
    """Networks and the policy's distribution."""

    actor_net: str = "fc_3layers_2048units"
    """The actor's layers: `fc_2layers_1024units` = 1024, 512; `fc_3layers_2048units` = 2048, 1024, 512."""
    critic_net: str = "fc_3layers_2048units"
    """The critic's layers."""
    activation: Literal["relu", "elu", "silu", "gelu"] = setting("relu", ours=True)
    """What follows each hidden layer of both."""
    layer_norm: bool = setting(False, ours=True)
    """Layer normalization between each hidden layer and its activation."""
    actor_init_output_scale: float = setting(0.01, at_least=0)
    """The mean's output weights start uniform in ± this."""
    actor_std_type: Literal["FIXED", "CONSTANT", "VARIABLE"] = "FIXED"
    """FIXED: as set; CONSTANT: one learned number per action; VARIABLE: given by the network."""
    action_std: float = setting(0.05, above=0)
    """Standard deviation of normalized actions (at the start, if it is learned or falls)."""
    action_std_end: Optional[float] = setting(None, above=0, ours=True)
    """FIXED only: the standard deviation goes linearly from action_std to this; null = it stays."""
    action_std_anneal_samples: Optional[float] = setting(None, above=0, ours=True)
    """Samples over which it does so; null = the first nine tenths of the training (`max_samples`)."""

    def __post_init__(self) -> None:
        """Raises ConfigError where the keys of the falling standard deviation do not go together."""
        if self.action_std_end is None and self.action_std_anneal_samples is not None:
            raise ConfigError(
                "model.action_std_anneal_samples needs model.action_std_end; set it, or leave both out"
            )
        if self.action_std_end is not None and self.actor_std_type != "FIXED":
            raise ConfigError(
                f"model.action_std_end needs actor_std_type FIXED, which is {self.actor_std_type}; leave it out"
            )


@dataclass(frozen=True)
class OptimizerConfig:
    """Gradient descent."""

    type: Literal["SGD", "Adam", "AdamW", "Muon"] = "SGD"
    """Optimizer; Muon (ours): orthogonalized steps of the matrices between hidden layers, AdamW for all else."""
    learning_rate: float = setting(5e-5, above=0)
    """Step size (at the start, with a schedule)."""
    momentum: float = setting(0.9, at_least=0, below=1)
    """Momentum of SGD and of Muon's matrices (for which 0.95 is usual)."""
    weight_decay: float = setting(0.0, at_least=0)
    """L2 penalty (SGD, Adam) or decoupled decay (AdamW, Muon)."""
    schedule: Literal["constant", "linear", "adaptive"] = setting(
        "constant", ours=True, always_fingerprinted=True
    )
    """linear: the learning rate falls to 0 at max_samples; adaptive: it follows how much the policy changes."""
    desired_kl: float = setting(0.01, above=0, ours=True)
    """adaptive: every minibatch / 1.5 if KL(old ‖ new) is over twice this, × 1.5 if under half (1e-5 to 1e-2)."""


@dataclass(frozen=True)
class AgentConfig:
    """PPO and its running."""

    agent_name: Literal["DM_PPO"] = "DM_PPO"
    """PARC's name of its tracker's agent."""
    model: ModelConfig = section(ModelConfig)
    discount: float = setting(0.99, at_least=0, below=1)
    """Discount per control step."""
    td_lambda: float = setting(0.95, at_least=0, at_most=1)
    """λ of the TD(λ) returns."""
    value_bounds: Literal["exact", "reference"] = setting("exact", ours=True, always_fingerprinted=True)
    """Clamp of values in the returns: what the reward allows, or PARC's [0, 100]."""
    steps_per_iter: int = setting(32, at_least=1)
    """Control steps of every environment per iteration."""
    batch_size: int = setting(4, at_least=1)
    """Samples per minibatch and environment: a minibatch has batch_size × num_envs samples."""
    update_epochs: int = setting(5, at_least=1)
    """Passes over the samples per iteration."""
    ppo_clip_ratio: float = setting(0.2, above=0)
    """Clip range ε of the probability ratio."""
    norm_adv_clip: float = setting(4.0, above=0)
    """Normalized advantages are clipped to ± this."""
    norm_obs_clip: float = setting(10.0, above=0)
    """Normalized observations are clipped to ± this."""
    action_bound_weight: float = setting(10.0, at_least=0)
    """Weight of the penalty on action means beyond the bounds."""
    action_entropy_weight: float = setting(0.0, at_least=0)
    """Weight of the entropy bonus."""
    action_reg_weight: float = setting(0.0, at_least=0)
    """Weight of the penalty on the size of the distribution's parameters."""
    critic_loss_weight: float = setting(10.0, at_least=0)
    """Weight of the critic's loss."""
    critic_loss_type: Literal["L2", "L1"] = "L2"
    """Critic's loss: squared or absolute error."""
    clip_grad_norm: bool = True
    """Limit the gradient's norm."""
    max_grad_norm: float = setting(1000.0, above=0)
    """The limit."""
    optimizer: OptimizerConfig = section(OptimizerConfig)
    policy_average_samples: Optional[float] = setting(None, above=0, ours=True)
    """Half-life of an average of the actor's weights, which is evaluated and becomes model.pt; null = no average."""
    pipelined: bool = setting(False, ours=True)
    """The update from one rollout runs beside the collection of the next, which acts as before that update."""
    matmul_precision: Literal["auto", "float32", "tf32", "bf16"] = setting("auto", ours=True)
    """Hidden layers: bf16 (parameters stay float32), TF32 (CUDA) or float32; auto = bf16 on CUDA, else float32."""
    center_heights: bool = setting(False, ours=True)
    """The normalizer subtracts the mean of the observed terrain heights, which lie about 0.9 m below the root."""
    normalizer_samples: int = setting(300_000_000, at_least=0)
    """The observation normalizer learns from this many samples, then stays; 0 with in_model_file, whose own stays."""
    iters_per_output: int = setting(100, at_least=1, shapes_training=False)
    """Iterations between lines of log.txt (the first and the last iteration have one, too)."""
    iters_per_checkpoint: int = setting(200, at_least=1, shapes_training=False)
    """Iterations between checkpoints."""
    test_episodes: int = setting(16, at_least=0, shapes_training=False)
    """Episodes of the deterministic test at each output (at least one of every environment); 0 = none."""
    iters_per_evaluation: int = setting(0, at_least=0, ours=True, shapes_training=False)
    """Iterations between plays of all clips (at most as many as there are environments) from their start (columns
    `Eval_…`; first and last, too); 0 = never."""
    exp_anneal_samples: Optional[float] = setting(None, above=0)
    """Samples over which exp_prob goes from its beginning to its end; null = it stays at its beginning."""
    exp_prob_beg: float = setting(1.0, at_least=0, at_most=1)
    """Share of environments that sample their action (the others take the mean), at the start."""
    exp_prob_end: float = setting(1.0, at_least=0, at_most=1)
    """The same after exp_anneal_samples."""
    max_rollbacks: int = setting(3, at_least=0, ours=True, shapes_training=False)
    """After a non-finite loss training goes back to the last good checkpoint, at most this often in a row."""
    max_diverged_share: float = setting(0.01, at_least=0, at_most=1, ours=True, shapes_training=False)
    """Training stops where simulations diverge in more than this share of the steps over three outputs in a row."""
    num_checkpoints_kept: int = setting(3, at_least=1, ours=True, shapes_training=False)
    """Newest checkpoints that stay whole, to resume from."""
    num_models_kept: int = setting(20, at_least=0, ours=True, shapes_training=False)
    """Older checkpoints that stay with the model alone, spread evenly over the training; 0 = none."""
    use_tensorboard: bool = setting(True, ours=True, shapes_training=False)
    """Write TensorBoard curves into the output folder."""
    use_wandb: bool = setting(False, shapes_training=False)
    """Send the curves to Weights & Biases, too; without its package, a login or a network training goes without."""
    project_name: Optional[str] = setting("parc", shapes_training=False)
    """Project there."""
    exp_name: Optional[str] = setting("tracker", shapes_training=False)
    """Name of the run there."""
    debug_log: Any = setting(False, no_effect=_DEBUG_LOG, shapes_training=False)

    def check_processes(self, count: int) -> None:
        """Raises ConfigError where the training cannot run in so many processes."""
        if self.pipelined and count > 1:
            raise ConfigError(
                f"pipelined: the update runs beside the collection in a training of one process alone, and here are "
                f"{count}: set pipelined: false, or gpus: 1"
            )


def load_agent_config(path: PathLike) -> AgentConfig:
    """Read an agent file.

    Raises:
        ConfigError: see `paths.load_yaml` and `schema.from_mapping`.
    """
    return from_mapping(AgentConfig, load_yaml(path), str(path))
