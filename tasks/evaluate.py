"""Stage 5: every clip once with the deterministic policy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import get_run_logger

from parc_core.assess import Runner, assess, assess_and_show
from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import existing_file
from parc_core.config.schema import to_mapping
from parc_core.config.train_args import read_train_args
from parc_core.evaluation.result import Summary, load
from parc_core.run_folder import store_folder
from parc_core.storage.atomic import sha256_file
from parc_core.storage.store import Ref
from tasks.caching import SIMULATION, Result, content_key, file_ref, local_path, stage
from tasks.configs import character_content

CODE = (
    *SIMULATION,
    *(
        f"parc_core/learning/{name}.py"
        for name in ("agent", "clip_test", "distribution", "model_file", "networks", "normalizer", "towers")
    ),
    "parc_core/evaluation",
    "parc_core/recording",
    "parc_core/assess.py",
)


def _inputs(parameters: dict[str, Any]) -> Any:
    """Content alone: two evaluations of one model on the same data are the same."""
    configs = parameters["configs"]
    args = read_train_args(local_path(configs["train_args"]))
    parent = None
    if parameters.get("model") is None and args.in_model_file is not None:
        parent = sha256_file(existing_file(args.in_model_file, "in_model_file", "train_args"))
    return [
        configs["dm_env"],
        configs["agent_config"],
        character_content(configs),
        parameters["dataset"]["sha256"],
        parent,
        [args.engine, args.device, args.seed],
        *(parameters.get(name) for name in ("model", "before", "model_name")),
    ]


@stage(name="evaluate", code=CODE, inputs=_inputs)
def evaluate(
    configs: Result,
    dataset: Result,
    model: Ref | None = None,
    before: Result | None = None,
    model_name: str = "",
) -> Result:
    """Plays every clip of the dataset and measures how well the model follows.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`; its content is part of the cache key.
        model: reference to a model; None = the one that the training starts from.
        before: an earlier evaluation, to compare with in the report.
        model_name: title of the report.

    A trained model gets a video and a report, too.

    Returns:
        `evaluation` (reference to its JSON), `summary`, `report` and `video` (references or None).
    """
    log = get_run_logger()
    inputs = {
        "configs": configs,
        "dataset": dataset,
        "model": model,
        "before": before,
        "model_name": model_name,
    }
    folder = store_folder() / "evaluations" / content_key("", (), _inputs(inputs))[1:17]
    args = read_train_args(local_path(configs["train_args"]))
    env_file, agent_config = load_env_config(args.env_config), load_agent_config(args.agent_config)
    runner = Runner(
        args.engine, args.device, args.seed, lambda done, total: log.debug("%d of %d", done, total)
    )
    if model is None:
        found = assess(args.in_model_file, env_file, agent_config, folder, runner)
    else:
        found = assess_and_show(
            local_path(model),
            env_file,
            agent_config,
            folder,
            runner,
            title=model_name,
            before=load(local_path(before["evaluation"])) if before else None,
            training_dir=configs["run_dir"],
            settings={"environment": to_mapping(env_file), "agent": to_mapping(agent_config)},
        )
    log.info(_headline(found.result.summary))
    if found.note:
        log.warning(found.note)
    return {
        "evaluation": file_ref(found.evaluation),
        "summary": asdict(found.result.summary),
        "report": file_ref(found.report) if found.report else None,
        "video": file_ref(found.video) if found.video else None,
    }


def _headline(summary: Summary) -> str:
    return (
        f"{summary.completed} of {summary.clips} clips completed, "
        f"{summary.mean_completed_fraction:.0%} of their length, "
        f"joint error {summary.joint_error_m:.3f} m, return {summary.mean_return:.2f}"
    )
