"""`parc-tracker eval`: one model on one dataset."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from parc_core.character.mjcf import load_character
from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import existing_file, resolve
from parc_core.config.resolve import AGENT_FILE, ARGS_FILE, ENV_FILE, configs_beside
from parc_core.config.train_args import read_train_args
from parc_core.engines.devices import check_device
from parc_core.engines.registry import resolve_engine
from parc_core.errors import ConfigError
from parc_core.evaluate import EvaluationFiles, Runner, evaluate_and_report
from parc_core.evaluation.result import EvalResult, percent, worst_first
from parc_core.evaluation.statistics import statistics, to_csv
from parc_core.motion.dataset.dataset_file import display_names, read_motions_yaml
from parc_core.motion.dataset.of_folder import dataset_of_folder
from parc_core.pull import model_folder
from parc_core.registry.names import is_reference
from parc_core.system.files import write_text
from parc_core.video.mp4 import check_encoder
from parc_core.video.video import record_clips
from parc_tracker.progress import counting_bar
from parc_tracker.tables import cell, only_json, print_json, print_table

COMMAND = "parc-tracker eval"
_RULES = {"joint_error": "success at 0.5 m"}
"""Rules of success that papers have another name for."""
MPJPE = ("global MPJPE (mm)", "root-relative MPJPE (mm)")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What else an evaluation is asked for."""

    random_starts: int = 1
    seed: int = 0
    videos: tuple[str, ...] = ()
    """Clips to be written as mp4."""
    worst: int = 0
    """So many more, the worst first."""
    csv: Path | None = None
    """Place of the table as CSV; `-` is stdout."""
    json: bool = False
    """Print JSON instead of the table."""


def run_evaluation(
    model: Path,
    env_config: Path | None,
    dataset: Path | None,
    engine: str,
    device: str,
    out: Path | None,
    wanted: Wanted = Wanted(),
) -> None:
    """Evaluates a model and shows table and places.

    Args:
        model: file of a model or a checkpoint, or `registry:NAME@best`.
        env_config: default: `dm_env.yaml` beside it.
        dataset: a `motions.yaml`, or a folder of motions; default: what `env_config` names.
        engine, device: where to play.
        out: folder of the results; default: `evaluation/` beside the model, `evaluation/<name>/` for a checkpoint.
        wanted: what else.

    Raises:
        ConfigError, DataError: a file is missing or does not fit the others.
    """
    check_device(device, "--device")
    if is_reference(str(model)):
        model = model_folder(str(model), dataset is None, COMMAND)
    model = existing_file(model, "--model", COMMAND)
    folder = configs_beside(model)
    if out is None:
        out = folder / "evaluation" if folder == model.parent else folder / "evaluation" / model.stem
    csv_alone = str(wanted.csv) == "-"
    if wanted.json and csv_alone:
        raise ConfigError("--json and --csv - both print to stdout; give --csv a file")
    if wanted.videos or wanted.worst:
        check_encoder()
    with only_json(wanted.json or csv_alone):
        env_file = environment(env_config or folder / ENV_FILE, dataset, out)
        motion_file = resolve(env_file.env.dm.motion_file or "")
        other = trained_elsewhere(folder, engine, device)
        if other:
            print(f"note: {other}")
        agent_file = folder / AGENT_FILE
        agent_config = load_agent_config(agent_file) if agent_file.is_file() else AgentConfig()
        with counting_bar("evaluating") as progress:
            names = display_names(motion_file, read_motions_yaml(motion_file))
            places = [clip_place(name, names) for name in wanted.videos]
            runner = Runner(engine, device, wanted.seed, progress, wanted.random_starts)
            held_out = held_out_beside(folder) if dataset is None else None
            found = evaluate_and_report(
                model, env_file, agent_config, out, runner, training_dir=folder, held_out=held_out
            )
        places += [k for k in worst_first(found.result.clips)[: wanted.worst] if k not in places]
        videos: list[Path] = []
        if places:
            videos = record_clips(
                model,
                env_file,
                out / "videos",
                places,
                agent_config=agent_config,
                engine=engine,
                device=device,
                seed=wanted.seed,
            )
    _show(found, videos, wanted)


def _show(found: EvaluationFiles, videos: Sequence[Path], wanted: Wanted) -> None:
    """The table, or what programs read; and where the files are."""
    files = {"numbers": found.evaluation, "report": found.report, "video": found.video}
    if str(wanted.csv) == "-":
        print(to_csv(found.result.clips), end="")
        return
    if wanted.csv is not None:
        write_text(wanted.csv, to_csv(found.result.clips))
        files["csv"] = wanted.csv
    if wanted.json:
        places: dict[str, Any] = {name: path and str(path) for name, path in files.items()}
        if videos:
            places["videos"] = [str(path) for path in videos]
        print_json({**found.result.to_json(), "files": places, "note": found.note})
        return
    print_table(table(found.result))
    print(success_lines(found.result))
    if found.result.held_out is not None:
        print_table(table(found.result.held_out, "Held-out clips, which the training never saw"))
        print(success_lines(found.result.held_out))
    for name, path in [*files.items(), *(("mp4", path) for path in videos)]:
        if path is not None:
            print(f"{name:<8} {path}")
    if found.note:
        print(found.note)


def clip_place(name: str, names: Sequence[str]) -> int:
    """Place of a clip in its dataset, by its name or the unique last part of it.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = [k for k, other in enumerate(names) if other == name]
    found = found or [k for k, other in enumerate(names) if other.rpartition("/")[2] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"--video {name}: {len(found)} clips are called so, such as {names[found[0]]}")
    close = difflib.get_close_matches(name, names, 1) or list(names[:1])
    raise ConfigError(f"--video {name}: the dataset has no such clip; it has {close[0]}, for example")


def success_lines(result: EvalResult) -> str:
    """Success by each rule and from random starts, with 95 % intervals."""
    found = statistics(result.clips)["overall"]
    parts = {_RULES.get(rule, rule.replace("_", " ")): part for rule, part in found["success"].items()}
    if "random_starts" in found:
        parts["from random starts"] = found["random_starts"]["completed"]
    lines = []
    for name, part in parts.items():
        low, high = part["interval"]
        lines.append(
            f"{name:<20}{part['count']} of {part['of']} ({percent(part['share'])}; 95%: "
            f"{100 * low:.0f}-{100 * high:.0f}%)"
        )
    return "\n".join(lines)


def held_out_beside(folder: Path) -> Path | None:
    """The dataset of the clips that the training beside the model never saw, where it names one that is here."""
    if not (folder / ARGS_FILE).is_file():
        return None
    try:
        named = read_train_args(folder / ARGS_FILE).held_out_dataset
    except ConfigError:
        return None  # of a training by another program
    return Path(named) if named and Path(named).is_file() else None


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
        f"{resolve_engine(name, where)} on {where}"
        for name, where in ((args.engine, args.device), (engine, device))
    )
    return "" if trained == here else f"trained with {trained}, evaluated with {here} (--engine, --device)"


def environment(path: Path, dataset: Path | None, out: Path, command: str = COMMAND) -> EnvFileConfig:
    """The environment file with the dataset that is asked for, or that it names.

    Raises:
        ConfigError, DataError: a file is missing, or no motion can be used.
    """
    env_file = load_env_config(existing_file(path, "--env-config", command))
    dm = env_file.env.dm
    if dataset is None:
        if dm.motion_file is None or not resolve(dm.motion_file).is_file():
            raise ConfigError(
                f"{path}: its dataset (motion_file) is {dm.motion_file}, which is not here; give --dataset, or pull"
                " the model again with --with-dataset"
            )
        return env_file
    if resolve(dataset).is_dir():
        num_bodies = load_character(resolve(env_file.env.char_file)).num_bodies
        motion_file = str(dataset_of_folder(resolve(dataset), out / "dataset", num_bodies, _note))
    else:
        motion_file = str(existing_file(dataset, "--dataset", command))
    dm = dataclasses.replace(dm, motion_file=motion_file)
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=dm))


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def table(result: EvalResult, title: str = "Each clip once from its start") -> Table:
    """One row per clip, then the means."""
    rows = Table(title=title)
    rows.add_column("motion")
    for name in ("tracked", "end time (s)", "joint error (m)", *MPJPE, "return"):
        rows.add_column(name, justify="right")
    rows.add_column("ended by")
    for clip in result.clips:
        rows.add_row(
            cell(clip.name),
            percent(clip.shown_share),
            f"{clip.end_time_s:.2f}/{clip.length_s:.2f}",
            f"{clip.joint_error_m:.3f}",
            f"{clip.mpjpe_global_mm:.1f}",
            _mm(clip.mpjpe_mm),
            f"{clip.episode_return:.1f}",
            cell(clip.end_reason),
        )
    mean = result.summary
    rows.add_section()
    rows.add_row(
        "mean",
        percent(mean.shown_tracked_share),
        "",
        f"{mean.joint_error_m:.3f}",
        f"{mean.mpjpe_global_mm:.1f}",
        _mm(mean.mpjpe_mm),
        f"{mean.mean_return:.1f}",
        f"{mean.completed} of {mean.clips} completed",
    )
    return rows
