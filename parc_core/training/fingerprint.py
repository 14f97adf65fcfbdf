"""What a training is: the settings and data that shape its numbers, as flat key → text."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, Iterator, Tuple

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.config.schema import to_mapping
from parc_core.config.train_args import TrainArgs
from parc_core.engines.devices import parse_device
from parc_core.engines.registry import resolve_engine
from parc_core.errors import DataError
from parc_core.motion.dataset.dataset_cache import content_digests
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.system.files import sha256_file

# Outputs and their pace may change between two parts of one training; files count by their content.
LEFT_OUT = {
    "agent.iters_per_output",
    "agent.iters_per_checkpoint",
    "agent.iters_per_evaluation",
    "agent.num_checkpoints_kept",
    "agent.max_rollbacks",
    "agent.max_diverged_share",
    "agent.test_episodes",
    "agent.use_tensorboard",
    "agent.use_wandb",
    "agent.project_name",
    "agent.exp_name",
    "agent.debug_log",
    "env.env.char_file",
    "env.env.dm.motion_file",
    "env.env.dm.terrain_save_path",
    "env.env.dm.fail_rate_quantiles",
    # Room: as long as it suffices (counted in log.txt) it changes nothing.
    "env.env.max_contacts_per_env",
    "env.env.max_constraints_per_env",
}

# Keys that came later, with the value that leaves a training as it was: a checkpoint from before still goes on.
CAME_LATER = {
    "agent.matmul_precision": "'auto'",
    "agent.optimizer.desired_kl": "0.01",
    "agent.center_heights": "False",
    "agent.model.action_std_end": "None",
    "agent.model.action_std_anneal_samples": "None",
    "env.env.solver_iterations": "10",
    **{f"env.env.{term}_strictness": "1.0" for term in ("pose", "vel", "root_pos", "root_vel", "key_pos")},
}


def training_fingerprint(args: TrainArgs, env_file: EnvFileConfig, agent: AgentConfig) -> Dict[str, str]:
    """Settings of agent and environment, contents of dataset, character and model to start from.

    max_samples and the device are not part of it: a training may be prolonged or moved.
    """
    parts = dict(_flat("agent", to_mapping(agent)))
    parts.update(_flat("env", to_mapping(env_file)))
    parts = {key: value for key, value in parts.items() if key not in LEFT_OUT}
    parts = {key: value for key, value in parts.items() if CAME_LATER.get(key) != value}
    parts["num_envs"] = str(args.num_envs)
    parts["seed"] = str(args.seed)
    parts["engine"] = resolve_engine(args.engine, parse_device(args.device))
    parts["character"] = _content(env_file.env.char_file)
    if env_file.env.dm.motion_file is not None:
        parts["dataset"] = dataset_content(env_file.env.dm.motion_file)
    if args.in_model_file is not None:
        parts["in_model_file"] = _content(args.in_model_file)
    return parts


def dataset_content(motions_yaml: str) -> str:
    """SHA-256 over the weights and contents of a dataset's motions, in their order; paths do not count."""
    motions = read_motions_yaml(resolve(motions_yaml))
    digests = content_digests([resolve(entry.file) for entry in motions.entries])
    lines = [f"{digest} {entry.weight!r}" for digest, entry in zip(digests, motions.entries)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _content(path: str) -> str:
    try:
        return sha256_file(resolve(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); correct the path") from error


def _flat(prefix: str, value: Any) -> Iterator[Tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{prefix}.{key}", inner)
    else:
        yield prefix, repr(value)
