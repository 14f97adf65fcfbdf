"""The deployed flow: a form's training, and iterations that come by themselves."""

from __future__ import annotations

import shutil

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported, isort: skip
from prefect.client.orchestration import get_client

from flows import deployed
from flows.deployed import MAX_STARTS, CrashedTooOften, tracker_iteration_deployed
from flows.form_configs import form_from_config
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from parc_core.registry.models import list_aliases, resolve_model
from parc_core.storage.store import Store
from tests.pipeline_fixtures import change

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def groups(form):
    """The arguments of a deployed flow."""
    return {name: getattr(form, name) for name in type(form).model_fields}


def test_iterations_come_only_with_new_motions(tracker_config, motions, store):
    form = form_from_config(change(tracker_config, max_samples=64))
    iterations = motions.parent / "iterations"
    shutil.move(motions, iterations / "iteration_1")
    form.motions.folders = [f"{iterations}/iteration_*"]
    form.only_new_motions = True

    assert tracker_iteration_deployed(**groups(form), return_state=True).name == "Completed"
    assert list_aliases(Store(), "tiny") == {"best": 1, "iteration-1": 1, "latest": 1}
    assert resolve_model(Store(), "tiny", 1)["lineage"]["parent"] is None

    state = tracker_iteration_deployed(**groups(form), return_state=True)
    assert (state.type, state.name) == ("COMPLETED", "Completed")  # the state that a deployment's page lists
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(state.state_details.flow_run_id).name == "no new motions"
    assert "no new motions since the last model of 'tiny'" in state.message

    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    new = iterations / "iteration_2" / "walk" / "walk_1.pkl"
    new.parent.mkdir(parents=True)
    write_motion_terrain(new, make_motion("walk", 1, character))
    assert tracker_iteration_deployed(**groups(form), return_state=True).name == "Completed"
    aliases = list_aliases(Store(), "tiny")
    assert aliases.pop("best") in (1, 2)
    assert aliases == {"iteration-1": 1, "iteration-2": 2, "latest": 2}
    first, second = (resolve_model(Store(), "tiny", version) for version in (1, 2))
    assert second["lineage"]["parent"]["sha256"] == first["files"]["model.pt"]["sha256"]
    assert second["lineage"]["dataset"]["motions"] == 3
    assert "no new motions" in tracker_iteration_deployed(**groups(form), return_state=True).message


def test_a_model_below_its_gate_is_kept_but_not_the_latest(tracker_config, store):
    form = form_from_config(change(tracker_config, max_samples=64, gate={"max_joint_error": 1e-9}))
    assert form.registration.max_joint_error == 1e-9
    tracker_iteration_deployed(**groups(form))
    assert resolve_model(Store(), "tiny", 1)["version"] == 1
    assert "latest" not in list_aliases(Store(), "tiny")


def test_a_run_that_always_crashes_is_left_alone(tracker_config, store, monkeypatch):
    class Runtime:
        run_count = MAX_STARTS + 1

    monkeypatch.setattr(deployed, "flow_run", Runtime)
    state = tracker_iteration_deployed(**groups(form_from_config(tracker_config)), return_state=True)
    assert state.is_failed()
    with pytest.raises(CrashedTooOften, match="started 11 times"):
        state.result()
