"""`parc-tracker eval`: one model on one dataset."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rich.console import Console
from rich.table import Table

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import existing_file
from parc_core.config.resolve import AGENT_FILE, ARGS_FILE, ENV_FILE
from parc_core.config.train_args import read_train_args
from parc_core.engines.devices import check_device, parse_device
from parc_core.engines.registry import resolve_engine
from parc_core.errors import ConfigError
from parc_core.evaluate import Runner, assess_and_show
from parc_core.evaluation.result import EvalResult, percent
from parc_tracker.progress import counting_bar


def run_evaluation(
    model: Path, env_config: Path | None, dataset: Path | None, engine: str, device: str, out: Path | None
) -> None:
    """Evaluates a model and shows table and places.

    Raises:
        ConfigError, DataError: a file is missing or does not fit the others.
    """
    check_device(device, "--device")
    folder = model.absolute().parent
    env_file = _environment(env_config or folder / ENV_FILE, dataset)
    other = trained_elsewhere(folder, engine, device)
    if other:
        print(f"note: {other}")
    agent_file = folder / AGENT_FILE
    agent_config = load_agent_config(agent_file) if agent_file.is_file() else AgentConfig()
    with counting_bar("evaluating") as progress:
        found = assess_and_show(
            model,
            env_file,
            agent_config,
            out or folder / "evaluation",
            Runner(engine, device, progress=progress),
            training_dir=folder,
        )
    Console().print(table(found.result))
    for name, path in (("numbers", found.evaluation), ("report", found.report), ("video", found.video)):
        if path is not None:
            print(f"{name:<8} {path}")
    if found.note:
        print(found.note)


def trained_elsewhere(folder: Path, engine: str, device: str) -> str:
    """One line where the training beside the model ran on another engine or device than the evaluation will, else "".

    A model is not bound to either; physics differ a little, and so do the numbers.
    """
    if not (folder / ARGS_FILE).is_file():
        return ""
    try:
        args = read_train_args(folder / ARGS_FILE)
    except ConfigError:
        return ""  # of a training by another program: the evaluation needs nothing of it
    trained, here = (
        f"{resolve_engine(name, parse_device(where))} on {where}"
        for name, where in ((args.engine, args.device), (engine, device))
    )
    return "" if trained == here else f"trained with {trained}, evaluated with {here} (--engine, --device)"


def _environment(path: Path, dataset: Path | None) -> EnvFileConfig:
    env_file = load_env_config(existing_file(path, "--env-config", "parc-tracker eval"))
    if dataset is None:
        return env_file
    motion_file = str(existing_file(dataset, "--dataset", "parc-tracker eval"))
    dm = dataclasses.replace(env_file.env.dm, motion_file=motion_file)
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=dm))


def table(result: EvalResult) -> Table:
    """One row per clip, then the means."""
    rows = Table(title="Each clip once from its start")
    rows.add_column("motion")
    for name in ("completed %", "end time (s)", "error (m)", "return"):
        rows.add_column(name, justify="right")
    rows.add_column("termination")
    for clip in result.clips:
        rows.add_row(
            clip.name,
            percent(clip.shown_share),
            f"{clip.end_time_s:.1f}/{clip.length_s:.1f}",
            f"{clip.joint_error_m:.3f}",
            f"{clip.episode_return:.1f}",
            clip.end_reason,
        )
    mean = result.summary
    rows.add_section()
    share = percent(mean.mean_completed_fraction)
    rows.add_row(
        "mean",
        share,
        "",
        f"{mean.joint_error_m:.3f}",
        f"{mean.mean_return:.1f}",
        f"{mean.completed} of {mean.clips}",
    )
    return rows
