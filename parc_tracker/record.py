"""`parc-tracker record`: what a model makes of a dataset's motions, as files for the next iteration."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.dataset_config import DatasetConfig, load_dataset_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import existing_file
from parc_core.config.record_config import RecordConfig, read_record_mapping
from parc_core.config.resolve import AGENT_FILE, ENV_FILE, configs_beside
from parc_core.config.schema import from_mapping
from parc_core.engines.devices import check_device
from parc_core.errors import ConfigError, DataError
from parc_core.pull import model_folder
from parc_core.record import MOTIONS_FILE, RecordJob, record
from parc_core.recording.names import FOLDER
from parc_core.recording.recorder import RecordOptions
from parc_core.recording.result import FILE, Recording
from parc_tracker.progress import counting_bar
from parc_tracker.record_places import Output, dataset_on_this_machine
from parc_tracker.tables import cell, only_json, print_json, print_table

COMMAND = "parc-tracker record"


def run_record(config: RecordConfig, as_json: bool = False, where: str = COMMAND) -> None:
    """Records and shows how many motions of each class could be performed.

    Args:
        config: what to record, and where.
        as_json: print `recording.json` instead of a table.
        where: what messages say a setting belongs to.

    Raises:
        ConfigError: a setting that cannot be met here.
        DataError: a file is missing or does not fit the others, or no motion could be performed.
    """
    check_device(config.device, where)
    output = Output(config.output_dir)
    with only_json(as_json), counting_bar("recording") as bar:
        job, skipped = _job(config, output, where)
        for line in skipped:
            print(line)

        def progress(done: int, total: int, what: str) -> None:
            bar(done, total)
            output.publish()

        recording = record(job, progress)
        output.publish()
    if as_json:
        print_json({**recording.to_json(), "files": {"recordings": output.address(FOLDER)}})
    else:
        print_table(table(recording))
        print(f"recordings {output.address(FOLDER)}")
        print(f"numbers    {output.address(FILE)}")
    if not any(motion.recorded for motion in recording.motions):
        raise DataError(f"none of {len(recording.motions)} motions was recorded: {_most_often(recording)}")


def record_config(file: Path | None, given: Mapping[str, Any], limits: Sequence[str]) -> RecordConfig:
    """A recording config with what the command line says in place of the file's values.

    Args:
        file: its keys; None = none.
        given: values by key; None = not given.
        limits: `NAME=VALUE` each, beside the file's.

    Raises:
        ConfigError: a key is missing or has a wrong value.
    """
    keys: dict[str, Any] = {"device": "cpu"} if file is None else read_record_mapping(file)
    keys.update({key: value for key, value in given.items() if value is not None})
    if keys.get("dataset_file") is not None:
        keys["create_dataset_config"] = None
    for key, option in (("model_file", "--model"), ("output_dir", "--out")):
        if keys.get(key) is None:
            raise ConfigError(f"{COMMAND}: {option} is missing; name one, or give --config a file with {key}")
    if limits:
        keys["limits"] = {**(keys.get("limits") or {}), **dict(map(_limit, limits))}
    return from_mapping(RecordConfig, keys, str(file or COMMAND))


def _limit(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise ConfigError(f"--limit {text}: write NAME=NUMBER, such as penetration_max_m=0.1") from None


def _job(config: RecordConfig, output: Output, where: str) -> tuple[RecordJob, list[str]]:
    """Everything on this machine, and one line for each motion file that was left out."""
    wants_dataset = config.dataset_file is None and config.create_dataset_config is None
    model = model_folder(config.model_file, wants_dataset, where)
    env_path = config.env_file or configs_beside(model) / ENV_FILE
    env_file = load_env_config(existing_file(env_path, "env_file", where))
    agent_path = config.agent_file or configs_beside(model) / AGENT_FILE
    agent = AgentConfig()
    if config.agent_file is not None or Path(agent_path).is_file():
        agent = load_agent_config(existing_file(agent_path, "agent_file", where))
    dataset_config = None
    lines: list[str] = []
    if config.create_dataset_config is not None:
        dataset_config = load_dataset_config(config.create_dataset_config)
    elif config.dataset_file is not None:
        dataset_config = _of_folder(config.dataset_file, env_file)
    if dataset_config is not None:
        motions, lines = output.merge(dataset_config)
        env_file = _on(env_file, motions)
    elif config.dataset_file is not None:
        env_file = _on(env_file, dataset_on_this_machine(config.dataset_file, output.folder, where))
    return (
        RecordJob(
            model_file=model,
            env_file=env_file,
            agent_config=agent,
            out_dir=output.folder,
            engine=config.engine,
            device=config.device,
            num_envs=config.num_envs,
            options=RecordOptions(config.observations, dict(config.limits)),
            dataset_config=dataset_config,
        ),
        lines,
    )


def _of_folder(place: str, env_file: EnvFileConfig) -> DatasetConfig | None:
    """A folder of motion classes as the dataset to be made of it; None where a `motions.yaml` is meant."""
    if place.endswith((".yaml", ".yml")) or os.path.isfile(os.path.join(place, MOTIONS_FILE)):
        return None
    if "://" not in place and not os.path.isdir(place):
        return None
    return DatasetConfig([place], char_filepath=env_file.env.char_file)


def _on(env_file: EnvFileConfig, motions: Path) -> EnvFileConfig:
    dm = dataclasses.replace(env_file.env.dm, motion_file=str(motions))
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=dm))


def _most_often(recording: Recording) -> str:
    """Why motions were given up, the commonest reason first."""
    reasons = Counter(motion.why_not for motion in recording.motions)
    (reason, count), *_ = reasons.most_common(1)
    return f"{reason} ({count} of them); train longer, or see {FILE}"


def table(recording: Recording) -> Table:
    """One row per class of recordings, then all."""
    summary: dict[str, Any] = recording.summary()
    fractions = list(summary["by_start_fraction"])
    rows = Table(title="Motions recorded, by where their recordings start")
    rows.add_column("class")
    for name in ("recorded", *(f"from {float(fraction):.0%}" for fraction in fractions)):
        rows.add_column(name, justify="right")
    for name in ("joint error (m)", "penetration (m)", "skating (m/s)"):
        rows.add_column(name, justify="right")
    by_class: dict[str, list[Any]] = {}
    for motion in recording.motions:
        by_class.setdefault(motion.motion_class, []).append(motion)
    for name, motions in sorted(by_class.items()):
        part = Recording("", {}, motions)
        rows.add_row(cell(name), *_cells(part.summary(), fractions))
    rows.add_section()
    rows.add_row("all", *_cells(summary, fractions))
    return rows


def _cells(summary: dict[str, Any], fractions: list[str]) -> list[str]:
    quality = summary["quality"]
    numbers = (quality[name] for name in ("joint_error_m", "penetration_mean_m", "foot_skating_m_s"))
    return [
        f"{summary['recorded']} of {summary['motions']}",
        *(str(summary["by_start_fraction"].get(fraction, 0)) for fraction in fractions),
        *("-" if number is None else f"{number:.3f}" for number in numbers),
    ]
