"""Stage 5: every clip once with the deterministic policy."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger

from parc_core.config.env_config import load_env_config
from parc_core.config.train_args import read_train_args
from parc_core.evaluation.evaluate import evaluate_model
from parc_core.learning.initial_model import write_initial_model
from parc_core.run_folder import store_folder
from parc_core.storage.atomic import write_json
from tasks.caching import Result, content_key, file_ref, local_path, stage

CODE = ("parc_core/evaluation", "parc_core/recording", "parc_core/envs", "parc_core/engines")


def _inputs(parameters: dict[str, Any]) -> Any:
    """Content alone: two evaluations of one model on the same data are the same."""
    configs = parameters["configs"]
    return [
        configs["dm_env"],
        configs["agent_config"],
        parameters["dataset"]["sha256"],
        parameters.get("model"),
    ]


@stage(name="evaluate", code=CODE, inputs=_inputs)
def evaluate(configs: Result, dataset: Result, model: dict[str, str] | None = None) -> Result:
    """Plays every clip of the dataset and measures how well the model follows.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`; its content is part of the cache key.
        model: reference to a model; None = the one that the training starts from.

    Returns:
        `evaluation` (reference to its JSON), `model` (reference), `mean` (return, completed, joint error).
    """
    key = content_key("evaluate", (), _inputs({"configs": configs, "dataset": dataset, "model": model}))
    folder = store_folder() / "evaluations" / key.rpartition("-")[2][:16]
    args = read_train_args(local_path(configs["train_args"]))
    if model is None:
        model_file = folder / "initial_model.pt"
        write_initial_model(local_path(configs["train_args"]), model_file)
    else:
        model_file = local_path(model)
    env_file = load_env_config(args.env_config)
    found = evaluate_model(model_file, env_file, args.engine, args.device, folder)
    path = folder / "evaluation.json"
    write_json(path, found)
    mean = found["mean"]
    get_run_logger().info("mean over %d motions: %s", len(found["motions"]), mean)
    return {"evaluation": file_ref(path), "model": file_ref(model_file), "mean": mean}
