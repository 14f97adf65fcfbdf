"""One iteration of the tracker: from motion folders to a registered model."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.caching import Result
from tasks.configs import emit_configs
from tasks.dataset import build_dataset, given_dataset
from tasks.evaluate import evaluate
from tasks.merge import merge_motions
from tasks.register import register
from tasks.settings import Settings, load_settings
from tasks.train import train


@flow(name="tracker-iteration")
def tracker_iteration(config: str) -> dict[str, Any]:
    """Merges motions, trains a tracker on them, evaluates it before and after, and registers it.

    Args:
        config: Path of the tracker config.

    Returns:
        The results of the stages by name: `dataset`, `training`, `before`, `after`, `model`.
    """
    settings = load_settings(config)
    dataset = dataset_of(settings)
    configs = emit_configs(settings.tracker, dataset)
    before = evaluate(configs, dataset)
    training = train(configs, dataset, settings.max_samples, settings.trainer_python)
    after = evaluate(configs, dataset, training["model"], before, settings.model_name)
    model = register(settings.model_name, training, configs, dataset, before, after)
    return {"dataset": dataset, "training": training, "before": before, "after": after, "model": model}


def dataset_of(settings: Settings) -> Result:
    """The data set that is named, or one made of the motion folders."""
    if settings.create_dataset is None:
        return given_dataset(settings.dataset_file)
    return build_dataset(merge_motions(settings.create_dataset), settings.create_dataset)
