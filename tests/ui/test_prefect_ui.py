"""What a person does in the Prefect UI: starts a run with changed values, watches it, retries a failed one."""

from __future__ import annotations

import contextlib
import re

import pytest

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported
from parc_core.registry.models import resolve_model
from parc_core.storage.store import Store
from tests.prefect_processes import wait_for

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

RUN_LIMIT = 180_000  # ms
MANUAL_RUNS = {"deployments": {"name": {"any_": ["tracker-iteration"]}}}


def open_form(page, server):
    id = server.deployment("tracker-iteration")["id"]
    page.goto(f"{server.url}/v2/deployments/deployment/{id}/run")
    page.get_by_label("Samples (Optional)").wait_for()


def open_artifact(page, server, id, key):
    """From a run's page to its artifact of this key, which is the only one."""
    page.goto(f"{server.url}/v2/runs/flow-run/{id}")
    page.get_by_role("tab", name="Artifacts").click()
    page.get_by_role("tabpanel").get_by_text(key, exact=True).click()
    page.get_by_test_id(re.compile("timeline-card")).get_by_role("link").first.click()


def manual_runs(server):
    return server.http.post("/flow_runs/filter", json=MANUAL_RUNS).raise_for_status().json()


def submit(page, server):
    """Sends the form; the id of the run that it starts. A busy server (503) is asked again, as a person would."""
    for _ in range(3):
        page.get_by_role("button", name="Submit").click()
        with contextlib.suppress(TimeoutError):
            return wait_for("a new run", lambda: manual_runs(server), limit=15)[0]["id"]
    raise AssertionError(f"the form started no run; the page says: {page.inner_text('body')}")


def test_a_custom_run_and_its_artifacts(page, server, store, shoot):
    page.goto(f"{server.url}/v2/deployments")
    page.get_by_role("link", name="tracker-iteration-scheduled").first.wait_for()

    open_form(page, server)
    assert 'Property is type "None"' not in page.inner_text("body")
    shoot("ui-form")
    page.get_by_label("Samples (Optional)").scroll_into_view_if_needed()
    shoot("ui-form-training")
    page.get_by_label("Learning rate (Optional)").scroll_into_view_if_needed()
    shoot("ui-form-learning")
    # A wrong value is said beside its field, and nothing starts.
    page.get_by_label("Samples (Optional)").fill("0")
    page.get_by_role("button", name="Submit").click()
    samples = page.get_by_label("Samples (Optional)")
    assert "greater than or equal to 1" in samples.evaluate("field => field.validationMessage")
    assert "/run" in page.url
    samples.fill("192")
    page.get_by_label("Device (Optional)").fill("gpu")
    page.get_by_role("button", name="Submit").click()
    refusal = page.get_by_text("'gpu' does not match").first
    refusal.wait_for()
    refusal.evaluate("line => line.scrollIntoView({block: 'center'})")
    shoot("ui-refused")
    assert manual_runs(server) == []

    page.get_by_label("Device (Optional)").fill("cpu")
    page.get_by_label("Seed (Optional)").fill("5")
    page.get_by_label("Model name (Optional)").fill("from-the-form")
    id = submit(page, server)
    page.goto(f"{server.url}/v2/runs/flow-run/{id}")
    page.get_by_text("Completed", exact=True).first.wait_for(timeout=RUN_LIMIT)
    page.get_by_role("tab", name="Task Runs").click()
    page.get_by_role("link", name=re.compile("^register")).first.wait_for()
    shoot("ui-run")
    assert server.states(id)[-1] == "Completed"
    manifest = resolve_model(Store(), "from-the-form")
    assert manifest["lineage"]["samples"] == 192

    open_artifact(page, server, id, "training")
    page.get_by_role("cell", name="192 of 192").wait_for()
    rows = [" | ".join(row.get_by_role("cell").all_inner_texts()) for row in page.get_by_role("row").all()]
    assert {"samples | 192 of 192", "state | done"} <= set(rows)
    assert [row for row in rows if re.fullmatch(r"samples/s \| [1-9][0-9,]*", row)]
    shoot("ui-artifact", hide=page.locator("code"))  # these name the machine and its folders
    open_artifact(page, server, id, "model")
    # the page holds the text twice: shown, and in the hidden source of its editor
    page.get_by_role("code").filter(has_text="parc-tracker models pull from-the-form@1").wait_for()


def test_a_failed_run_is_retried(page, server, store, motions, shoot):
    later = motions.parent / "later"
    id = server.start_run(
        "tracker-iteration", motions={"folders": ["$DATA_DIR/later"]}, registration={"model_name": "retried"}
    )
    assert server.wait(id, "Failed", "Crashed", "Completed")["state"]["name"] == "Failed"
    motions.rename(later)

    page.goto(f"{server.url}/v2/runs/flow-run/{id}")
    page.get_by_role("tab", name="Logs").wait_for()
    page.get_by_text("later").first.wait_for()  # the log says which folder is missing
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name="Retry").click()
    page.get_by_role("alertdialog").or_(page.get_by_role("dialog")).get_by_role(
        "button", name="Retry"
    ).click()
    run = server.wait(id, "Completed", limit=RUN_LIMIT / 1000)
    assert run["run_count"] == 2
    assert resolve_model(Store(), "retried")["version"] == 1
    page.get_by_text("Completed", exact=True).first.wait_for()
    page.get_by_role("tab", name="Details").click()
    page.get_by_text("Run Count").first.wait_for()
    shoot("ui-retried")
