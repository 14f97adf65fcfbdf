"""Stage 5: every clip once with the deterministic policy."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import get_run_logger

from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import load_env_config
from parc_core.config.train_args import read_train_args
from parc_core.evaluation.evaluate import evaluate_model
from parc_core.run_folder import store_folder
from parc_core.storage.store import Ref
from tasks.caching import Result, content_key, file_ref, local_path, stage

CODE = ("parc_core/evaluation", "parc_core/recording", "parc_core/envs", "parc_core/engines")


def _inputs(parameters: dict[str, Any]) -> Any:
    """Content alone: two evaluations of one model on the same data are the same."""
    configs = parameters["configs"]
    model, before = parameters.get("model"), parameters.get("before")
    return [configs["dm_env"], configs["agent_config"], parameters["dataset"]["sha256"], model, before]


@stage(name="evaluate", code=CODE, inputs=_inputs)
def evaluate(
    configs: Result, dataset: Result, model: Ref | None = None, before: Result | None = None
) -> Result:
    """Plays every clip of the dataset and measures how well the model follows.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`; its content is part of the cache key.
        model: reference to a model; None = the one that the training starts from.
        before: an earlier evaluation, to compare with in the report.

    Returns:
        `evaluation` (reference to its JSON), `summary`, `report` and `video` (references or None).
    """
    log = get_run_logger()
    inputs = {"configs": configs, "dataset": dataset, "model": model, "before": before}
    folder = store_folder() / "evaluations" / content_key("", (), _inputs(inputs))[1:17]
    args = read_train_args(local_path(configs["train_args"]))
    found = evaluate_model(
        local_path(model) if model else args.in_model_file,
        load_env_config(args.env_config),
        agent_config=load_agent_config(args.agent_config),
        engine=args.engine,
        device=args.device,
        seed=args.seed,
        progress=lambda done, total: log.debug("%d of %d clips", done, total),
    )
    path = folder / "evaluation.json"
    found.save(path)
    summary = asdict(found.summary)
    log.info(
        "%d of %d clips completed, joint error %.3f m, return %.2f",
        summary["completed"],
        summary["clips"],
        summary["joint_error_m"],
        summary["mean_return"],
    )
    return {"evaluation": file_ref(path), "summary": summary, "report": None, "video": None}
