"""The model that a training starts from, as a file: what "before" means in a comparison."""

from __future__ import annotations

from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.config.train_args import read_train_args
from parc_core.learning.agent import make_agent
from parc_core.learning.checkpoint import seed_everything
from parc_core.learning.model_file import load_into, read_model_file, write_model_file
from parc_core.storage.atomic import PathLike


def write_initial_model(arg_file: PathLike, model_file: PathLike) -> None:
    """Writes the model at zero samples of the training that `arg_file` describes.

    Raises:
        ConfigError, DataError: as the training itself would.
    """
    from parc_core.envs.factory import make_env

    args = read_train_args(arg_file)
    agent_config = load_agent_config(args.agent_config)
    # Networks depend on the environment's shapes alone: one environment on the CPU is enough.
    env = make_env(load_env_config(args.env_config), 1, "cpu", "mujoco", args.seed)
    seed_everything(args.seed)
    agent = make_agent(env, agent_config.model, agent_config.norm_obs_clip)
    if args.in_model_file is not None:
        load_into(agent, read_model_file(args.in_model_file))
    write_model_file(model_file, agent)
