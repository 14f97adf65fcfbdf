"""What the deployment's page shows of nights without new motions."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_check_without_new_motions_is_on_the_deployments_page(page, server, store):
    assert server.wait(
        server.start_run("tracker-iteration", training={"max_samples": 64}), "Completed", "Failed"
    )
    night = server.start_run("tracker-iteration-scheduled", training={"max_samples": 64})
    assert server.wait(night, "Completed", "Failed")["name"] == "no new motions"
    id = server.deployment("tracker-iteration-scheduled")["id"]
    page.goto(f"{server.url}/v2/deployments/deployment/{id}")
    page.get_by_text("no new motions").first.wait_for()
