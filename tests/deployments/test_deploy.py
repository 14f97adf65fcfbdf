"""`parc-tracker deploy` on a real server: what it sets up, and that a second time nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import pytest
from typer.testing import CliRunner

import tasks  # noqa: F401 - sets Prefect's environment before Prefect is imported, isort: skip
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.automations import wanted
from deployments.settings import DeploySettings, deployed_store
from flows.form import Form
from flows.form_configs import form_from_config
from parc_core.errors import ConfigError
from parc_tracker.main import app
from tests.pipeline_fixtures import change
from tests.prefect_processes import wait_for

slow = pytest.mark.slow


@slow
def test_everything_is_there_and_a_second_time_nothing_is_lost(server, tracker_config, store, motions):
    first = server.deploy(tracker_config, "--cron", "30 4 * * *", "--timezone", "Europe/Berlin")
    assert first.count("created") == 7
    pool = server.http.get("/work_pools/parc").json()
    queue = server.http.get("/work_pools/parc/queues/training").json()
    assert (pool["type"], queue["concurrency_limit"]) == ("process", 1)
    manual, scheduled = (server.deployment(f"tracker-iteration{end}") for end in ("", "-scheduled"))
    assert [each["work_queue_name"] for each in (manual, scheduled)] == ["training", "check"]
    assert manual["schedules"] == []
    assert manual["enforce_parameter_schema"] is True
    assert manual["job_variables"]["stream_output"] is False
    assert manual["job_variables"]["env"]["PARC_STORE"] == str(store)
    assert int(manual["job_variables"]["env"]["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) == 30
    assert manual["parameters"]["motions"]["folders"] == [str(motions)]
    assert [each["parameters"]["only_new_motions"] for each in (manual, scheduled)] == [False, True]
    schedule = scheduled["schedules"][0]["schedule"]
    assert (schedule["cron"], schedule["timezone"]) == ("30 4 * * *", "Europe/Berlin")

    # What people change in the UI.
    server.http.patch(
        f"/deployments/{scheduled['id']}/schedules/{scheduled['schedules'][0]['id']}", json={"active": False}
    ).raise_for_status()
    server.http.patch("/work_pools/parc/queues/training", json={"concurrency_limit": 4}).raise_for_status()
    [retry] = [a for a in automations(server) if a["name"] == "parc: crashed runs go on"]
    server.http.patch(f"/automations/{retry['id']}", json={"enabled": False}).raise_for_status()

    again = server.deploy(change(tracker_config, max_samples=96))
    assert "created" not in again
    assert "30 4 * * *" in again
    assert "paused" in again
    after = server.deployment("tracker-iteration-scheduled")
    assert (after["id"], [s["active"] for s in after["schedules"]]) == (scheduled["id"], [False])
    assert after["schedules"][0]["schedule"]["cron"] == "30 4 * * *"
    assert after["parameters"]["training"]["max_samples"] == 96
    assert server.http.get("/work_pools/parc/queues/training").json()["concurrency_limit"] == 4
    assert {a["name"]: a["enabled"] for a in automations(server)} == {
        "parc: silent runs have crashed": True,
        "parc: crashed runs go on": False,
    }

    # Another cron line counts, and stays paused.
    server.deploy(tracker_config, "--cron", "0 5 * * *", "--max-concurrent-runs", "2")
    [schedule] = server.deployment("tracker-iteration-scheduled")["schedules"]
    assert (schedule["schedule"]["cron"], schedule["active"]) == ("0 5 * * *", False)
    assert server.http.get("/work_pools/parc/queues/training").json()["concurrency_limit"] == 2


@slow
def test_deployments_leave_their_pool_only_when_asked_to(server, tracker_config):
    server.deploy(tracker_config)
    command = [
        sys.executable,
        "-m",
        "parc_tracker.main",
        "deploy",
        "--config",
        str(tracker_config),
        "--pool",
        "p2",
    ]
    env = {**os.environ, **server.environment()}
    refused = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert refused.returncode == 78
    assert "parc/tracker-iteration is in work pool 'parc'" in refused.stderr
    assert "--pool p2 --move to move it" in refused.stderr
    assert server.http.get("/work_pools/p2").status_code == 404
    names = ("tracker-iteration", "tracker-iteration-scheduled")
    assert [server.deployment(name)["work_pool_name"] for name in names] == ["parc", "parc"]

    assert server.deploy(tracker_config, "--pool", "p2", "--move").count("moved from pool parc to p2") == 2
    assert [server.deployment(name)["work_pool_name"] for name in names] == ["p2", "p2"]
    assert "moved" in server.deploy(tracker_config, "--pool", "parc", "--move")


@slow
def test_the_form_says_what_an_empty_field_means(server, tracker_config):
    server.deploy(tracker_config)
    schema = server.deployment("tracker-iteration")["parameter_openapi_schema"]
    rate = schema["definitions"]["Learning"]["properties"]["learning_rate"]
    assert " Empty: 0.0005, as in " in rate["description"]
    assert rate["minimum"] == 0


def test_a_model_to_start_from_that_is_not_there_is_refused(tracker_config, monkeypatch, store):
    monkeypatch.setattr("parc_tracker.deploy.check_server", lambda _dropped: None)
    config = change(tracker_config, in_model_file="registry:nobody@latest")
    result = CliRunner().invoke(app, ["deploy", "--config", str(config)])
    assert result.exit_code == 65
    assert "nobody" in result.stderr


@slow
def test_deployments_of_earlier_versions_are_updated_in_place(server, tracker_config):
    """The scheduled one had a flow of its own, which is no more, and none had the parameter `only_new_motions`."""
    server.deploy(tracker_config, "--cron", "30 4 * * *")
    before = server.deployment("tracker-iteration-scheduled")
    entrypoint = before["entrypoint"]
    own = {"training": {"max_samples": 32}}  # a schedule with parameters of its own
    schedule = f"/deployments/{before['id']}/schedules/{before['schedules'][0]['id']}"
    server.http.patch(schedule, json={"active": True, "parameters": own}).raise_for_status()
    earlier = {
        "entrypoint": "flows.deployed.tracker_iteration_scheduled",
        "parameters": {
            name: value for name, value in before["parameters"].items() if name != "only_new_motions"
        },
        "enforce_parameter_schema": False,
    }
    server.http.patch(f"/deployments/{before['id']}", json=earlier).raise_for_status()
    assert "only_new_motions" not in server.deployment("tracker-iteration-scheduled")["parameters"]
    automation_ids = {a["id"] for a in automations(server)}

    server.deploy(tracker_config)
    after = server.deployment("tracker-iteration-scheduled")
    assert (after["id"], after["entrypoint"]) == (before["id"], entrypoint)
    assert entrypoint == server.deployment("tracker-iteration")["entrypoint"]
    assert after["parameters"]["only_new_motions"] is True
    [schedule] = after["schedules"]
    assert (schedule["schedule"]["cron"], schedule["parameters"]) == ("30 4 * * *", own)
    assert {a["id"] for a in automations(server)} == automation_ids

    query = {
        "deployments": {"id": {"any_": [before["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    runs = wait_for(
        "a scheduled run",
        lambda: server.http.post("/flow_runs/filter", json=query).raise_for_status().json(),
        limit=90,
    )
    assert [run["parameters"]["only_new_motions"] for run in runs] == [True] * len(runs)
    Form.model_validate(runs[0]["parameters"])


@slow
def test_runs_are_scheduled(server, tracker_config):
    """With SQLAlchemy 2.1 the server's scheduler fails and no run is ever made."""
    server.deploy(tracker_config)
    deployment = server.deployment("tracker-iteration-scheduled")
    schedule = deployment["schedules"][0]["id"]
    server.http.patch(
        f"/deployments/{deployment['id']}/schedules/{schedule}", json={"active": True}
    ).raise_for_status()
    query = {
        "deployments": {"id": {"any_": [deployment["id"]]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    assert wait_for(
        "a scheduled run",
        lambda: server.http.post("/flow_runs/filter", json=query).raise_for_status().json(),
        limit=90,
    )


@slow
@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("training", {"max_samples": 0}),
        ("training", {"max_samples": "many"}),
        ("training", {"engine": "bullet"}),
        ("training", {"device": "gpu"}),
        ("training", {"sample": 5}),
        ("learning", {"learning_rate": -1}),
        ("registration", {"model_name": "../x"}),
        ("motions", {"folders": [""]}),
    ],
)
def test_the_server_refuses_wrong_values(server, tracker_config, group, values):
    server.deploy(tracker_config)
    with pytest.raises(httpx.HTTPStatusError) as refused:
        server.start_run("tracker-iteration", **{group: values})
    assert refused.value.response.status_code == 409
    assert next(iter(values)) in refused.value.response.text


@slow
def test_the_server_takes_null_for_what_may_be_empty(server, tracker_config):
    server.deploy(tracker_config)
    empty = {
        "motions": {"dataset_file": None, "max_terrain_dim_x": None},
        "training": {"in_model_file": None, "trainer_python": None},
        "learning": {"learning_rate": None, "iters_per_checkpoint": None},
        "environment": {"episode_length": None},
        "registration": {"min_completed": None, "max_joint_error": None},
    }
    id = server.start_run("tracker-iteration", **empty)
    for group, values in empty.items():
        assert values.items() <= server.run(id)["parameters"][group].items()
    Form.model_validate(server.run(id)["parameters"])


@slow
def test_a_registered_model_starts_what_follows(server, tracker_config):
    server.deploy(tracker_config)  # what follows has to be there
    server.deploy(tracker_config, "--next", "parc/tracker-iteration")
    [automation] = [a for a in automations(server) if "next stage" in a["name"]]
    assert automation["trigger"]["expect"] == ["parc.model.registered"]
    assert automation["actions"][0]["deployment_id"] == server.deployment("tracker-iteration")["id"]
    assert automation["actions"][0]["parameters"]["model"]["template"] == "{{ event.payload.model }}"


def automations(server):
    return server.http.post("/automations/filter", json={}).raise_for_status().json()


@pytest.mark.parametrize(
    ("url", "code", "message"),
    [
        ("http://127.0.0.1:1/api", 69, "http://127.0.0.1:1/api does not answer"),
        (None, 78, "no Prefect server is set; start one with 'prefect server start'"),
    ],
)
def test_without_a_server(tracker_config, url, code, message):
    with temporary_settings({PREFECT_API_URL: url}):
        result = CliRunner().invoke(app, ["deploy", "--config", str(tracker_config)])
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heartbeat_timeout": 60}, "--heartbeat-timeout is 60"),
        ({"cron": "at night"}, "--cron 'at night'.*Invalid cron"),
        ({"timezone": "Mars"}, "--timezone 'Mars'"),
    ],
)
def test_wrong_settings(tracker_config, values, message):
    with pytest.raises(ConfigError, match=message):
        DeploySettings(form=form_from_config(tracker_config), store="s3://b/p", **values)


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/x", "s3://bucket/x?secret=1"])
def test_no_credentials_go_to_the_server(monkeypatch, url):
    monkeypatch.setenv("PARC_STORE", url)
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY") as error:
        deployed_store()
    assert "secret@" not in str(error.value)
    assert "secret=1" not in str(error.value)


def test_of_a_block_with_credentials_the_name_alone_is_sent(tracker_config, monkeypatch):
    settings = DeploySettings(form=form_from_config(tracker_config), store="s3://b/p")
    monkeypatch.delenv("PARC_STORE_BLOCK", raising=False)
    without = settings.environment()
    monkeypatch.setenv("PARC_STORE_BLOCK", "secret/parc-store")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    assert settings.environment() == {**without, "PARC_STORE_BLOCK": "secret/parc-store"}


def test_a_folder_is_sent_as_absolute_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARC_STORE", raising=False)
    assert deployed_store() == os.path.join(tmp_path, ".parc", "store")


def test_a_run_that_waits_or_has_ended_is_not_dead():
    dead, retry = wanted([], 120, None)
    ends = {
        f"prefect.flow-run.{state}" for state in ("Completed", "Skipped", "Failed", "Cancelled", "Crashed")
    }
    assert ends < dead.trigger.expect
    assert dead.trigger.within.total_seconds() == 120
    # Heartbeats begin with the flow: a machine that dies between its worker's claim and that is noticed, too.
    claimed = {f"prefect.flow-run.{state}" for state in ("Pending", "Submitting", "Running", "heartbeat")}
    assert dead.trigger.after == claimed < dead.trigger.expect
    # Crashed is reported twice within seconds: waiting first starts the run once.
    assert retry.trigger.posture == "Proactive"
    assert retry.trigger.within.total_seconds() == 15
