"""Stage 6: the trained model, with its lineage, into the registry."""

from __future__ import annotations

from pathlib import Path

from prefect import get_run_logger

from parc_core.config.env_config import load_env_config
from parc_core.config.train_args import read_train_args
from parc_core.storage.atomic import PathLike
from parc_core.storage.registry import register_model
from parc_core.storage.store import Store
from tasks.caching import Result, code_version, file_ref, local_path, stage


@stage(name="register model", code=("parc_core/storage",))
def register(
    model_name: str, training: Result, configs: Result, dataset: Result, before: Result, after: Result
) -> Result:
    """Makes the model the next version of `model_name`, and `latest`.

    Args:
        model_name: name in the registry.
        training: the result of `train`.
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`.
        before: the evaluation of the model that the training started from.
        after: the evaluation of the trained model.

    Returns:
        `name`, `version`, `manifest` (reference), `model` (reference to the registered model.pt).
    """
    parent = read_train_args(local_path(configs["train_args"])).in_model_file
    run_dir = Path(training["run_dir"])
    files: dict[str, PathLike] = {
        "model.pt": local_path(training["model"]),
        "dm_env.yaml": local_path(configs["dm_env"]),
        "agent_config.yaml": local_path(configs["agent_config"]),
        "train_args.txt": local_path(configs["train_args"]),
        "log.txt": run_dir / "log.txt",
        "evaluation.json": local_path(after["evaluation"]),
        **{Path(ref["uri"]).name: local_path(ref) for ref in (after["report"], after["video"]) if ref},
    }
    manifest = {
        "action_mode": load_env_config(local_path(configs["dm_env"])).env.action_mode,
        "lineage": {
            "dataset": dataset,
            "parent": file_ref(parent) if parent else None,
            "configs": configs,
            "samples": training["samples"],
            "code": code_version("parc_core"),
        },
        "metrics": {"before": before["summary"], "after": after["summary"]},
    }
    model = register_model(Store(), model_name, files, manifest)
    get_run_logger().info("registered as %s version %d", model_name, model["version"])
    return {
        "name": model_name,
        "version": model["version"],
        "manifest": model["ref"],
        "model": model["files"]["model.pt"],
    }
