"""The trainer process: `python -m parc_core.train --arg_file train_args.txt [--key value …]`.

With `gpus` above 1 it starts one such process for each of them and waits for all; so does
`torchrun --nproc-per-node K -m parc_core.train …`, on several machines too.

Exit codes: 0 done, 75 interrupted with a checkpoint, 65 bad data, 78 bad config; others are crashes.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Tuple

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, env_warnings, load_env_config
from parc_core.config.resolve import AGENT_FILE, ARGS_FILE, ENV_FILE, PRIVATE_FOLDER, TERRAIN_FILE, write_yaml
from parc_core.config.schema import no_effect_warnings
from parc_core.config.tracker_config import check_share
from parc_core.config.train_args import (
    TrainArgs,
    args_from_mapping,
    output_folder,
    parse_tokens,
    read_train_args,
    write_train_args,
)
from parc_core.engines.devices import check_device, nth_device
from parc_core.engines.registry import before_torch, check_engine_name, heeds_physx
from parc_core.errors import EXIT_DONE, EXIT_INTERRUPTED, Interrupted, ParcError
from parc_core.system.die_with_parent import die_with_parent
from parc_core.system.files import remove_stale_in
from parc_core.system.follow import JsonLines
from parc_core.system.launch import is_launched, launch
from parc_core.system.peers import Peers
from parc_core.system.process_setup import only_errors, set_up_process
from parc_core.system.processes import usable_cores
from parc_core.system.signals import StopSignals
from parc_core.system.world import World, end_process, launched_local, launched_rank, launched_size
from parc_core.training.logger import PROGRESS, NoProgress, ProgressFile, append_error

if TYPE_CHECKING:
    import torch

OTHER_TRAINER_SECONDS = 30.0
"""For the processes of a training whose torchrun died to leave the folder: nothing else holds it for them."""
MANY_TERRAINS = 1000
"""With more terrains a training's terrain.pkl has no meshes."""


def main(argv: Optional[List[str]] = None) -> int:
    """Runs one training and returns the process's exit code."""
    set_up_process()
    argv = sys.argv[1:] if argv is None else argv
    if not is_launched():
        return _main(argv)
    code = 1
    try:
        code = _main(argv)
    except Exception:  # noqa: BLE001 - a crash is a crash; only its end differs
        traceback.print_exc()
    end_process(code)
    return code


def _main(argv: List[str]) -> int:
    try:
        args = parse_args(argv)
        if args.gpus > 1 and not is_launched():
            return _train_in_processes(args, argv)
        train(args)
    except Interrupted as stop:
        if launched_rank() == 0:
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


def _configs(args: TrainArgs) -> Tuple[EnvFileConfig, AgentConfig]:
    """The environment and agent files, which go together."""
    env_file, agent_config = load_env_config(args.env_config), load_agent_config(args.agent_config)
    env_file.env.dm.check_evaluations(agent_config.iters_per_evaluation, args.env_config)
    return env_file, agent_config


def _train_in_processes(args: TrainArgs, argv: List[str]) -> int:
    """Starts `args.gpus` trainers that train together. Returns the exit code that they agree on."""
    check_engine_name(args.engine, "train_args")
    check_device(args.device, "train_args", args.gpus)
    _configs(args)[1].check_processes(args.gpus)
    events = JsonLines(output_folder(args) / PROGRESS)
    events.events()  # those of before
    code = launch("parc_core.train", argv, args.gpus)
    if code > 128:  # a signal came here
        said = {event.get("event") for event in events.events()}
        if said & {"interrupted", "done"}:  # and all stopped in order, or were at their end
            return EXIT_INTERRUPTED if "interrupted" in said else EXIT_DONE
    return code


def train(args: TrainArgs) -> None:
    """Trains, or resumes the training that the output folder holds; in one of several processes, its part of it.

    Raises:
        ParcError: bad configs, bad data, interruption or divergence; see errors.py.
    """
    check_engine_name(args.engine, "train_args")
    before_torch(args.engine)  # nothing before this line imports torch
    env_file, agent_config = _configs(args)
    if is_launched():
        die_with_parent()
        check_share(args.num_envs, launched_size())
        agent_config.check_processes(launched_size())
        number, gpus = launched_local()
        args = dataclasses.replace(args, device=nth_device(args.device, number), gpus=gpus)
    with contextlib.nullcontext() if launched_rank() == 0 else only_errors():
        for line in notes(args, env_file, agent_config):
            print(f"note: {line}", flush=True)
        device = check_device(args.device, "train_args")
        # A signal that comes while processes wait for each other ends this one at once: there is nothing to be kept.
        with _progress(args) as progress, _joined(args, device) as (world, peers), StopSignals() as stop:
            _train_locked(args, env_file, agent_config, progress, stop, world, peers)


@contextlib.contextmanager
def _progress(args: TrainArgs) -> Iterator[ProgressFile]:
    """The locked progress file, which also gets the error that ends the training; another process's none."""
    path = output_folder(args) / PROGRESS
    if launched_rank() > 0:
        progress: ProgressFile = NoProgress(path)
    else:
        progress = ProgressFile(path, wait=OTHER_TRAINER_SECONDS if launched_size() > 1 else 0.0)
    try:
        yield progress
    except Interrupted:
        raise
    except Exception as error:
        append_error(path, str(error) or type(error).__name__, type(error).__name__)
        raise
    finally:
        progress.close()


@contextlib.contextmanager
def _joined(args: TrainArgs, device: torch.device) -> Iterator[Tuple[World, Peers]]:
    """The training's processes, and what looks whether they live."""
    world = World.join(device)

    def lost(why: str) -> None:
        print(f"error: {why}", file=sys.stderr, flush=True)
        append_error(output_folder(args) / PROGRESS, why, "ProcessLost")

    with Peers(world, lost) as peers:
        yield world, peers
        world.leave()


def notes(args: TrainArgs, env_file: EnvFileConfig, agent_config: AgentConfig) -> List[str]:
    """One line for each setting that has no effect. Those of a tracker config were said by who read it."""
    lines = list(args.ignored)
    if Path(args.env_config).parent.name != PRIVATE_FOLDER:
        lines += env_warnings(env_file, heeds_physx(args.engine)) + no_effect_warnings(agent_config)
    return lines


def _train_locked(
    args: TrainArgs,
    env_file: EnvFileConfig,
    agent_config: AgentConfig,
    progress: ProgressFile,
    stop: StopSignals,
    world: World,
    peers: Peers,
) -> None:
    """With the output folder held: configs, environment, terrain.pkl, training."""
    from parc_core.engines.memory import MemoryUse
    from parc_core.envs.factory import make_env
    from parc_core.learning.model_file import read_model_file
    from parc_core.learning.warm_start import check_critic_obs
    from parc_core.training.fingerprint import training_fingerprint
    from parc_core.training.held_out import make_held_out_clips
    from parc_core.training.trainer import Trainer
    from parc_core.training.training_state import RANK_STEP, TrainerOptions

    if args.in_model_file is not None:  # its normalizer comes with it and stays
        agent_config = dataclasses.replace(agent_config, normalizer_samples=0)
        check_critic_obs(read_model_file(args.in_model_file), env_file.env.critic_obs)
    folder = output_folder(args)
    num_envs, seed = args.num_envs // world.size, (args.seed + RANK_STEP * world.rank) % 2**63
    threads = 0 if world.size == 1 else max(1, usable_cores() // args.gpus)
    with MemoryUse(args.device, num_envs).explained():
        env = make_env(env_file, num_envs, args.device, args.engine, seed, threads)
        options = TrainerOptions(
            output_dir=folder,
            max_samples=args.max_samples,
            seed=args.seed,
            in_model_file=args.in_model_file,
            fingerprint=training_fingerprint(args, env_file, agent_config),
        )
        held_out = make_held_out_clips(args, env_file, agent_config, world.size, threads)
        # Refuses a folder of another training.
        trainer = Trainer(env, agent_config, options, progress, stop, world, peers, held_out)
        if world.is_writer:
            remove_stale_in(folder)
            write_inputs(folder, args, env_file, agent_config)
            for note in save_terrain(env, folder):
                print(f"note: {note}", flush=True)
        trainer.run()


def save_terrain(env: Any, folder: Path) -> List[str]:
    """Writes terrain.pkl into the training's folder.

    With more than `MANY_TERRAINS` terrains it goes without meshes, which are 30 times as large as the heights and which
    nothing here reads.

    Returns:
        What was left out, one line each.
    """
    count = env.terrain.num_terrains
    env.save_terrain(str(folder / TERRAIN_FILE), with_meshes=count <= MANY_TERRAINS)
    if count <= MANY_TERRAINS:
        return []
    return [f"{TERRAIN_FILE} of {count} terrains holds their heights and no meshes; PARC makes its own"]


def write_inputs(folder: Path, args: TrainArgs, env_file: EnvFileConfig, agent_config: AgentConfig) -> None:
    """The resolved configs and arguments beside the results: train_args.txt runs the training again."""
    dm = dataclasses.replace(env_file.env.dm, terrain_save_path=str(folder / TERRAIN_FILE))
    env = dataclasses.replace(env_file.env, dm=dm)
    write_yaml(folder / ENV_FILE, dataclasses.replace(env_file, env=env))
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
