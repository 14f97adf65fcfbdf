"""Stage 7: what the trained model makes of its motions, as motions for the next iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger

from parc_core.engines.registry import resolve_engine
from parc_core.errors import DataError
from parc_core.record import RecordJob, record
from parc_core.recording.names import FOLDER
from parc_core.recording.recorder import RecordOptions
from parc_core.recording.result import FILE, Recording, load_recording
from parc_core.storage.references import fetch, file_ref, local_path, publish, work_folder
from parc_core.storage.store import Ref, Store
from parc_core.system.files import content_sha256
from tasks.artifacts import show_page
from tasks.cancel import check_cancelled
from tasks.configs import configs_here
from tasks.links import file_line
from tasks.results import Result, content_key
from tasks.stage import by_result, stage

RECORDINGS = "recordings"
"""Folder of all recordings, in the store and in the work folder."""


def _inputs(parameters: dict[str, Any]) -> Any:
    """Content only, as for evaluations."""
    configs = parameters["configs"]
    arguments = configs["arguments"]
    return [
        [configs[name] for name in ("dm_env", "agent_config", "character")],
        parameters["dataset"]["sha256"],
        parameters["model"],
        resolve_engine(arguments["engine"], arguments["device"]),
        parameters.get("limits") or {},
    ]


def _is_whole(result: Result) -> bool:
    """All recordings are on this machine and in the store."""
    try:
        recording = load_recording(local_path(result["recording"]).parent)
    except DataError:
        return False
    return recording is not None and not fetch(_files(recording, result["folder"].rpartition("/")[0]))


def _files(recording: Recording, key: str) -> list[tuple[str, Path, str]]:
    """(key, local file, SHA-256) of each recorded motion."""
    return [
        (f"{key}/{motion.file}", work_folder() / key / motion.file, motion.sha256)
        for motion in recording.motions
        if motion.recorded
    ]


@stage(name="record", runs=("parc_core.record",), inputs=_inputs, is_valid=_is_whole, lease=by_result)
def record_motions(
    configs: Result, dataset: Result, model: Ref, limits: dict[str, float] | None = None
) -> Result:
    """Lets the model perform every motion of the dataset and keeps what it could do.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`.
        model: reference to the trained model.
        limits: largest values of a recording's numbers, see `motion.quality.Quality`.

    Returns:
        `recording` (reference to recording.json), `folder` (key of the folder of motion classes in the store),
        `summary`.
    """
    log = get_run_logger()
    inputs = {"configs": configs, "dataset": dataset, "model": model, "limits": limits}
    key = f"{RECORDINGS}/{content_key('', '', _inputs(inputs))[1:17]}"
    folder = work_folder() / key
    env_file, agent_config, args = configs_here(configs, dataset)

    def progress(done: int, total: int, what: str) -> None:
        check_cancelled()
        log.info("recording %s: %d of %d motions decided", what, done, total)

    job = RecordJob(
        model_file=local_path(model),
        env_file=env_file,
        agent_config=agent_config,
        out_dir=folder,
        engine=args.engine,
        device=args.device,
        options=RecordOptions(limits=dict(limits or {})),
    )
    recording = record(job, progress)
    files = _files(recording, key)
    beside = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    publish(
        files + [(f"{key}/{path.name}", path, content_sha256(path)) for path in beside if path.name != FILE]
    )
    summary = recording.summary()
    if files:
        log.info(_headline(summary))
    else:
        log.warning("%s; the next iteration gets none of them", _headline(summary))
    result = {"recording": file_ref(folder / FILE), "folder": f"{key}/{FOLDER}", "summary": summary}
    show_page("recording", _page(recording, result), "Motions that the model could perform")
    return result


def address(recorded: Result) -> str:
    """The folder of motion classes, as `folder_paths` of a dataset name it."""
    store = Store()
    return str(store.root / recorded["folder"]) if store.root is not None else store.uri(recorded["folder"])


def _headline(summary: dict[str, Any]) -> str:
    starts = ", ".join(
        f"{count} from {float(fraction):.0%}" for fraction, count in summary["by_start_fraction"].items()
    )
    return f"{summary['recorded']} of {summary['motions']} motions recorded" + (
        f" ({starts})" if starts else ""
    )


def _page(recording: Recording, result: Result) -> str:
    """Counts, the motions that could not be recorded, and where the others are."""
    lost = [motion for motion in recording.motions if not motion.recorded]
    lines = [
        "# Recording",
        _headline(result["summary"]),
        "",
        file_line("recording", result["recording"]),
        f"Motions for the next iteration: `{address(result)}`",
    ]
    if lost:
        lines += ["", "| not recorded | why |", "| --- | --- |"]
        lines += [f"| {_cell(motion.name)} | {_cell(motion.why_not)} |" for motion in lost[:20]]
        if len(lost) > 20:
            lines.append(f"| … and {len(lost) - 20} more | see recording.json |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
