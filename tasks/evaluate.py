"""Stage 5: every clip once with the deterministic policy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prefect import get_run_logger

from parc_core.config.schema import to_mapping
from parc_core.engines.registry import resolve_engine
from parc_core.evaluate import EvaluationFiles, Runner, evaluate_and_report, evaluate_and_save
from parc_core.evaluation.result import ClipResult, EvalResult, Summary, load, percent
from parc_core.storage.references import file_ref, local_path, work_folder
from parc_core.storage.store import Ref
from tasks.artifacts import show_curves, show_page
from tasks.cancel import check_cancelled
from tasks.configs import configs_here
from tasks.links import file_line
from tasks.results import Result, content_key
from tasks.stage import by_result, stage

WORST = 10
"""Clips in the table of the run's page."""


def _inputs(parameters: dict[str, Any]) -> Any:
    """Content only: two evaluations of one model on the same data are the same."""
    configs = parameters["configs"]
    arguments = configs["arguments"]
    parent = configs["in_model_file"] if parameters.get("model") is None else None
    return [
        configs["dm_env"],
        configs["agent_config"],
        configs["character"],
        parameters["dataset"]["sha256"],
        parent,
        # The engine that is meant, whatever the device: it alone makes a difference.
        [resolve_engine(arguments["engine"], arguments["device"]), arguments["seed"]],
        parameters.get("model"),
        _evaluation_of(parameters.get("before")),
        parameters.get("model_name"),
        *([parameters["held_out"]["sha256"]] if parameters.get("held_out") else []),
    ]


def _evaluation_of(result: Result | None) -> Any:
    return result and result["evaluation"]


@stage(name="evaluate", runs=("parc_core.evaluate",), inputs=_inputs, lease=by_result)
def evaluate(
    configs: Result,
    dataset: Result,
    model: Ref | None = None,
    before: Result | None = None,
    model_name: str = "",
    log_txt: Ref | None = None,
    held_out: Result | None = None,
) -> Result:
    """Plays every clip of the dataset and measures how well the model follows.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`; its content is part of the cache key.
        model: reference to a model; None = the one that the training starts from.
        before: an earlier evaluation, to compare with in the report.
        model_name: title of the report.
        log_txt: reference to the training's table, for the report's curves.
        held_out: dataset of clips that the training never sees, to be evaluated beside the others.

    A trained model gets a video and a report, too.

    Returns:
        `evaluation` (reference to its JSON), `summary`, `report` and `video` (references or None); with held-out clips
        `held_out`, the summary of those.
    """
    log = get_run_logger()
    inputs = {
        "configs": configs,
        "dataset": dataset,
        "model": model,
        "before": before,
        "model_name": model_name,
        "held_out": held_out,
    }
    folder = work_folder() / "evaluations" / content_key("", "", _inputs(inputs))[1:17]
    env_file, agent_config, args = configs_here(configs, dataset, held_out)
    unseen = args.held_out_dataset

    def progress(done: int, total: int) -> None:
        check_cancelled()
        log.debug("%d of %d", done, total)

    runner = Runner(args.engine, args.device, args.seed, progress)
    if model is None:
        found = evaluate_and_save(args.in_model_file, env_file, agent_config, folder, runner, unseen)
    else:
        found = evaluate_and_report(
            local_path(model),
            env_file,
            agent_config,
            folder,
            runner,
            title=model_name,
            before=load(local_path(before["evaluation"])) if before else None,
            training_dir=local_path(log_txt).parent if log_txt else None,
            settings={"environment": to_mapping(env_file), "agent": to_mapping(agent_config)},
            held_out=unseen,
            args=args,
        )
    result = _stored(found)
    _show(model_name if model else "before training", found, result)
    if log_txt is not None:
        show_curves(local_path(log_txt).parent)
    return result


def _stored(found: EvaluationFiles) -> Result:
    """The stage's result, with the evaluation's files in the store."""
    result = {
        "evaluation": file_ref(found.evaluation),
        "summary": asdict(found.result.summary),
        "report": file_ref(found.report) if found.report else None,
        "video": file_ref(found.video) if found.video else None,
    }
    if found.result.held_out is not None:
        result["held_out"] = asdict(found.result.held_out.summary)
    return result


def _show(title: str, found: EvaluationFiles, result: Result) -> None:
    """The evaluation in the log and as a page of the run."""
    log = get_run_logger()
    for line in _headlines(found.result):
        log.info(line)
    if found.note:
        log.warning(found.note)
    page = _page(title, found.result, result)
    show_page("evaluation", page, f"Evaluation: {title}, each clip played once")


def _page(title: str, evaluation: EvalResult, result: Result) -> str:
    return "\n".join(
        [
            f"# Evaluation: {title}",
            "  \n".join(_headlines(evaluation)),
            "",
            *_worst(evaluation.clips),
            "",
            *(_worst(evaluation.held_out.clips, "held-out clips") if evaluation.held_out else []),
            "",
            *(file_line(name, result[name]) for name in ("report", "video", "evaluation") if result[name]),
        ]
    )


def _headlines(evaluation: EvalResult) -> list[str]:
    lines = [_headline(evaluation.summary)]
    if evaluation.held_out is not None:
        lines.append(f"held out: {_headline(evaluation.held_out.summary)}")
    return lines


def _worst(clips: Sequence[ClipResult], what: str = "clips") -> list[str]:
    """The clips that need a look first, as a table: lost earliest, then tracked worst."""
    worst = sorted(clips, key=lambda clip: (clip.completed, clip.completed_fraction, -clip.joint_error_m))
    rows = [
        f"| {_cell(clip.name)} | {percent(clip.shown_share)} | {clip.joint_error_m:.3f} | "
        f"{_cell(clip.end_reason)} |"
        for clip in worst[:WORST]
    ]
    title = f"## The {len(rows)} worst of {len(clips)} {what}" if len(rows) < len(clips) else f"## All {what}"
    head = ["| clip | tracked | joint error (m) | end |", "|---|---|---|---|"]
    return [title, "", *head, *rows]


def _cell(text: str) -> str:
    """A text that comes from a file's name, with nothing in it that Markdown or a table reads."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&-])", r"\\\1", " ".join(text.split()))


def _headline(summary: Summary) -> str:
    return (
        f"{summary.completed} of {summary.clips} clips completed, "
        f"tracked {percent(summary.shown_tracked_share)}, "
        f"joint error {summary.joint_error_m:.3f} m, return {summary.mean_return:.2f}"
    )
