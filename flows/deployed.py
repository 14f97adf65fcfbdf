"""The flow that is deployed: its parameters are the form that the Prefect UI shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.runtime import flow_run

from flows.form import Environment, Form, Learning, Motions, Registration, StageName, Training
from flows.form_configs import write_configs
from flows.hand_over import nothing_new, start_training, trained_elsewhere
from flows.tracker_iteration import FLOW_NAME, dataset_of, tracker_iteration
from parc_core.errors import ParcError
from parc_core.registry.iterations import begin_iteration, end_iteration, is_trained
from parc_core.storage.references import work_folder
from parc_core.storage.store import Store
from tasks.cancel import RunEnded, watching_for_cancel
from tasks.settings import load_settings

MAX_STARTS = 10
"""A run that was started more often fails: the automation that retries crashed runs doesn't count them."""


class CrashedTooOften(ParcError):
    """A run that was started again and again without finishing."""


@flow(name=FLOW_NAME, persist_result=False)
def tracker_iteration_deployed(
    motions: Motions,
    training: Training,
    learning: Learning,
    environment: Environment,
    registration: Registration,
    refresh: list[StageName] = [],  # noqa: B006 - the form's default; nothing changes it
    only_new_motions: bool = False,
) -> Any:
    """Merges motions, trains a tracker on them, evaluates it before and after, and registers it.

    Args:
        motions: What to train on; with patterns like iteration_*/recorded new folders count by themselves.
        training: How long, where and from what.
        learning: Networks and PPO.
        environment: Observations, rewards, terminations.
        registration: The model's name, and what it has to reach.
        refresh: Stages to re-run, ignoring their cached results.
        only_new_motions: Train the next iteration if there are other motions than those of the model that was
            registered last under the same name, else end at once and say so. An iteration starts from the latest
            model of that name unless another one is given; its own gets the alias iteration-NUMBER.
    """
    _refuse_endless_crashes()
    form = Form(
        motions=motions,
        training=training,
        learning=learning,
        environment=environment,
        registration=registration,
        refresh=refresh,
    )
    return _next_iteration(form) if only_new_motions else _run(form)


def _next_iteration(form: Form) -> Any:
    """The pipeline as a numbered iteration, unless its motions have been trained on already.

    A check that is a deployment of its own leaves the training to a run of the other one.
    """
    store, name = Store(), form.registration.model_name
    try:
        with watching_for_cancel():
            dataset = dataset_of(load_settings(str(write_configs(form, _requests()))))
    except RunEnded as error:
        return error.state()
    if is_trained(store, name, dataset["sha256"]):
        end_iteration(store, name)
        return nothing_new(name)
    trainer = trained_elsewhere()
    if trainer is not None:
        return start_training(trainer, form, dataset["sha256"])
    iteration = begin_iteration(store, name, dataset["sha256"], form.training.in_model_file)
    get_run_logger().info(
        "iteration %d: %d motions, starts from %s",
        iteration.number,
        dataset["motions"],
        iteration.parent or "scratch",
    )
    form.training = form.training.model_copy(update={"in_model_file": iteration.parent})
    result = _run(form)
    end_iteration(store, name)
    return result


def _run(form: Form) -> Any:
    """The pipeline inside the run that is under way, so that its stages and artifacts belong to it."""
    return tracker_iteration.fn(str(write_configs(form, _requests())), form.refresh)


def _requests() -> Path:
    return work_folder() / "requests"


def _refuse_endless_crashes() -> None:
    if flow_run.run_count > MAX_STARTS:
        raise CrashedTooOften(
            f"started {flow_run.run_count} times without finishing; look at the logs of the last attempts,"
            " then start a new run with the same parameters to resume from the last checkpoint"
        )
