"""A run that was cancelled is cancelled for whoever called the flow: the server, a deployment, a shell."""

from __future__ import annotations

import pytest

from flows import deployed
from flows import tracker_iteration as module
from flows.deployed import tracker_iteration_deployed
from flows.form_configs import form_from_config
from parc_core.errors import EXIT_INTERRUPTED, Interrupted
from parc_tracker.flow import run_flow
from tasks.cancel import RunCancelled

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server", "store")]


@pytest.fixture(autouse=True)
def cancelled(monkeypatch):
    """Somebody cancels the run while its stages work."""

    def iteration(_settings):
        raise RunCancelled("the run was cancelled")

    monkeypatch.setattr(module, "_iteration", iteration)


def parameters(config, only_new_motions):
    form = form_from_config(config).model_copy(update={"only_new_motions": only_new_motions})
    return {name: getattr(form, name) for name in type(form).model_fields}


def test_the_command_leaves_with_75_and_says_how_to_go_on(tracker_config):
    with pytest.raises(
        Interrupted, match="run the same command to resume from the last checkpoint"
    ) as caught:
        run_flow(tracker_config)
    assert caught.value.exit_code == EXIT_INTERRUPTED


@pytest.mark.parametrize("only_new_motions", [False, True])
def test_a_deployed_run_ends_as_cancelled(tracker_config, only_new_motions):
    state = tracker_iteration_deployed(**parameters(tracker_config, only_new_motions), return_state=True)
    assert (state.type, state.message) == ("CANCELLED", "the run was cancelled")


def test_a_scheduled_run_is_cancelled_while_it_looks_for_new_motions(tracker_config, monkeypatch):
    def dataset_of(_settings):
        raise RunCancelled("cancelled while merging")

    monkeypatch.setattr(deployed, "dataset_of", dataset_of)
    state = tracker_iteration_deployed(**parameters(tracker_config, only_new_motions=True), return_state=True)
    assert (state.type, state.message) == ("CANCELLED", "cancelled while merging")
