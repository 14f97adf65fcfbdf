"""One iteration of the tracker: from motion folders to a registered model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import flow

from tasks.cancel import RunEnded, watching_for_cancel
from tasks.configs import emit_configs
from tasks.dataset import build_dataset, given_dataset
from tasks.evaluate import evaluate
from tasks.merge import merge_motions, name_what_was_left_out
from tasks.register import register
from tasks.results import Result
from tasks.settings import Settings, load_settings
from tasks.stage import refreshing
from tasks.train import train

FLOW_NAME = "parc"
"""One name, from a shell and on a server."""


@flow(name=FLOW_NAME, persist_result=False)
def tracker_iteration(config: str, refresh: Sequence[str] = ()) -> Any:
    """Merges motions, trains a tracker on them, evaluates it before and after, and registers it.

    Args:
        config: Path of the tracker config.
        refresh: Stages to re-run, ignoring their cached results, by the names of their functions; train resumes
            from its checkpoints all the same.

    Returns:
        The results of the stages by name: `dataset`, `training`, `before`, `after`, `model`.
    """
    try:
        with refreshing(refresh), watching_for_cancel():
            return _iteration(load_settings(config))
    except RunEnded as error:
        return error.state()


def _iteration(settings: Settings) -> dict[str, Any]:
    dataset = dataset_of(settings)
    configs = emit_configs(settings.tracker, dataset)
    before = evaluate(configs, dataset)
    training = train(configs, dataset, settings.max_samples, settings.trainer_python)
    after = evaluate(configs, dataset, training["model"], before, settings.model_name, training["log"])
    model = register(settings.model_name, training, configs, dataset, before, after, settings.gate)
    return {"dataset": dataset, "training": training, "before": before, "after": after, "model": model}


def dataset_of(settings: Settings) -> Result:
    """The dataset that is named, or one made of the motion folders."""
    if settings.create_dataset is None:
        return given_dataset(settings.dataset_file)
    merged = merge_motions(settings.create_dataset)
    name_what_was_left_out(merged)
    return build_dataset(merged, settings.create_dataset)
