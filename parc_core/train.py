"""The trainer process: `python -m parc_core.train --arg_file train_args.txt [--key value …]`.

Exit codes: 0 done, 75 interrupted with a checkpoint, 65 bad data, 78 bad config; others are crashes.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import List, Optional

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.emit import AGENT_FILE, ARGS_FILE, ENV_FILE, write_yaml
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.preflight import check_device
from parc_core.config.schema import no_effect_warnings
from parc_core.config.train_args import (
    TrainArgs,
    args_from_mapping,
    output_folder,
    parse_tokens,
    read_train_args,
    write_train_args,
)
from parc_core.errors import EXIT_DONE, Interrupted, ParcError
from parc_core.learning.logger import ProgressFile
from parc_core.learning.stop import StopSignals


def main(argv: Optional[List[str]] = None) -> int:
    """Runs one training and returns the process's exit code."""
    try:
        args = parse_args(sys.argv[1:] if argv is None else argv)
        train(args)
    except Interrupted as stop:
        print(stop, flush=True)
        return stop.exit_code
    except ParcError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return EXIT_DONE


def parse_args(argv: List[str]) -> TrainArgs:
    """The argument file's values; those on the command line come first.

    Raises:
        ConfigError: unknown argument, missing value, wrong type.
    """
    parser = argparse.ArgumentParser(
        prog="python -m parc_core.train",
        description="Train a motion tracker.",
        epilog="Any key of the argument file can be given here too and comes first: --max_samples 1000000",
    )
    parser.add_argument("--arg_file", help="file of '--key value' lines, such as <output_dir>/train_args.txt")
    known, rest = parser.parse_known_args(argv)
    overrides = parse_tokens(rest, "command line")
    if known.arg_file is None:
        return args_from_mapping(overrides, "command line")
    return read_train_args(known.arg_file, overrides)


def train(args: TrainArgs) -> None:
    """Trains, or goes on with the training that the output folder holds.

    Raises:
        ParcError: bad configs, bad data, interruption or divergence; see errors.py.
    """
    env_file, agent_config = load_env_config(args.env_config), load_agent_config(args.agent_config)
    for line in [*args.ignored, *no_effect_warnings(env_file), *no_effect_warnings(agent_config)]:
        print(f"note: {line}", flush=True)
    check_device(args.device, "train_args")
    progress = ProgressFile(output_folder(args) / "progress.jsonl")
    try:
        with StopSignals() as stop:
            _train_locked(args, env_file, agent_config, progress, stop)
    except Interrupted:
        raise
    except Exception as error:
        progress.write(
            "error", None, None, message=str(error) or type(error).__name__, kind=type(error).__name__
        )
        raise
    finally:
        progress.close()


def _train_locked(
    args: TrainArgs,
    env_file: EnvFileConfig,
    agent_config: AgentConfig,
    progress: ProgressFile,
    stop: StopSignals,
) -> None:
    """With the output folder held: configs, environment, terrain.pkl, training."""
    from parc_core.envs.factory import make_env
    from parc_core.learning.fingerprint import training_fingerprint
    from parc_core.learning.trainer import Trainer, TrainerOptions

    if args.in_model_file is not None:  # its normalizer comes with it and stays
        agent_config = dataclasses.replace(agent_config, normalizer_samples=0)
    folder = output_folder(args)
    env = make_env(env_file, args.num_envs, args.device, args.engine, args.seed)
    options = TrainerOptions(
        output_dir=folder,
        max_samples=args.max_samples,
        seed=args.seed,
        in_model_file=args.in_model_file,
        fingerprint=training_fingerprint(args, env_file, agent_config),
    )
    trainer = Trainer(env, agent_config, options, progress, stop)  # refuses a folder of another training
    write_inputs(folder, args, env_file, agent_config)
    env.save_terrain(str(folder / "terrain.pkl"))
    trainer.run()


def write_inputs(folder: Path, args: TrainArgs, env_file: EnvFileConfig, agent_config: AgentConfig) -> None:
    """The resolved configs and arguments beside the results: train_args.txt runs the training again."""
    write_yaml(folder / ENV_FILE, env_file)
    write_yaml(folder / AGENT_FILE, agent_config)
    own = dataclasses.replace(
        args,
        env_config=str(folder / ENV_FILE),
        agent_config=str(folder / AGENT_FILE),
        output_dir=str(folder),
        ignored=(),
    )
    write_train_args(folder / ARGS_FILE, own)


if __name__ == "__main__":
    sys.exit(main())
