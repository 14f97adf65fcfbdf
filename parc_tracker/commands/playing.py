"""Models that play clips: evaluated, watched, compared, recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parc_tracker.commands.options import ENGINE_HELP, DeviceOption, EngineOption, EnvOption
from parc_tracker.json_option import JsonOption


def evaluate(
    model: Annotated[
        Path,
        typer.Option("--model", help="A model.pt (ours or PARC's), a checkpoint, or registry:NAME@best."),
    ],
    env_config: EnvOption = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            "--dataset", help="motions.yaml, or a folder of motions, instead of the environment file's."
        ),
    ] = None,
    engine: EngineOption = "auto",
    device: DeviceOption = "cpu",
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
    env_config: EnvOption = None,
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
    engine: EngineOption = "auto",
    device: DeviceOption = "cpu",
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
    engine: Annotated[str | None, typer.Option("--engine", help=ENGINE_HELP)] = None,
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
