"""One iteration of the tracker: from motion folders to a registered model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from prefect import flow

from parc_core.config.tracker_config import NEEDS_FOLDERS
from parc_core.errors import ConfigError
from parc_core.motion.dataset.held_out import about_held_out
from parc_core.storage.references import local_path
from tasks.cancel import RunEnded, watching_for_cancel
from tasks.configs import emit_configs
from tasks.dataset import build_dataset, given_dataset, warn_of_overlap
from tasks.evaluate import evaluate
from tasks.merge import merge_motions, name_what_was_left_out
from tasks.record import record_motions
from tasks.register import register
from tasks.results import Result
from tasks.settings import Settings, load_settings
from tasks.stage import refreshing
from tasks.train import train

FLOW_NAME = "parc"
"""One name, from a shell and on a server."""


@flow(name=FLOW_NAME, persist_result=False)
def tracker_iteration(config: str, refresh: Sequence[str] = (), iterations: int = 1) -> Any:
    """Merges motions, trains a tracker on them, evaluates it before and after, and registers it.

    Args:
        config: Path of the tracker config.
        refresh: Stages to re-run, ignoring their cached results, by the names of their functions; train resumes
            from its checkpoints all the same.
        iterations: Of several, each but the first trains on the motions that the model before it has recorded, too,
            and starts from that model.

    Returns:
        The results of the last iteration's stages by name: `dataset`, `training`, `before`, `after`, `model`,
        `recording` (None where none was asked for); and `iterations`, those of all.
    """
    try:
        with refreshing(refresh), watching_for_cancel():
            return _iterations(load_settings(config), iterations)
    except RunEnded as error:
        return error.state()


def _iterations(settings: Settings, count: int) -> dict[str, Any]:
    if count > 1 and settings.create_dataset is None:
        raise ConfigError(NEEDS_FOLDERS)
    results: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        if count > 1:
            settings = dataclasses.replace(settings, record=True)
        results.append(_iteration(settings if number == 1 else _following(settings, results[-1], number)))
    return {**results[-1], "iterations": results}


def _following(settings: Settings, done: dict[str, Any], number: int) -> Settings:
    """The first iteration's settings for a later one: its motions, what the last model recorded, and that model."""
    create_dataset = dict(settings.create_dataset or {})
    if done["model"]["recordings"] is not None:
        create_dataset["folder_paths"] = [*create_dataset["folder_paths"], done["model"]["recordings"]]
    tracker = {**settings.tracker, "in_model_file": str(local_path(done["model"]["model"]))}
    if tracker.get("output_dir"):
        tracker["output_dir"] += f"_iteration_{number}"
    return dataclasses.replace(settings, tracker=tracker, create_dataset=create_dataset)


def _iteration(settings: Settings) -> dict[str, Any]:
    dataset = dataset_of(settings)
    held_out = held_out_of(settings, dataset)
    configs = emit_configs(settings.tracker, dataset)
    before = evaluate(configs, dataset, held_out=held_out)
    training = train(configs, dataset, settings.max_samples, settings.trainer_python, held_out)
    after = evaluate(
        configs, dataset, training["model"], before, settings.model_name, training["log"], held_out
    )
    recording = None
    if (
        settings.record
    ):  # before the model is registered: its manifest, which never changes, names the recording
        recording = record_motions(configs, dataset, training["model"], settings.record_limits)
    model = register(settings.model_name, training, configs, dataset, before, after, settings.gate, recording)
    return {
        "dataset": dataset,
        "training": training,
        "before": before,
        "after": after,
        "recording": recording,
        "model": model,
    }


def dataset_of(settings: Settings) -> Result:
    """The dataset that is named, or one made of the motion folders."""
    if settings.create_dataset is None:
        return given_dataset(settings.dataset_file)
    return _dataset_of_folders(settings.create_dataset)


def held_out_of(settings: Settings, dataset: Result) -> Result | None:
    """The dataset of the clips that the training never sees, where there are any; the log names those that it sees."""
    if settings.held_out_file:
        held_out = given_dataset(settings.held_out_file)
    elif settings.held_out is not None:
        with about_held_out():
            held_out = _dataset_of_folders(settings.held_out)
    else:
        return None
    warn_of_overlap(dataset, held_out)
    return held_out


def _dataset_of_folders(config: dict[str, Any]) -> Result:
    merged = merge_motions(config)
    name_what_was_left_out(merged)
    return build_dataset(merged, config)
