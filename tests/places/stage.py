"""Of docs/development.md, "Adding a stage": the new stage runs in the pipeline, and the form can refresh it."""

from __future__ import annotations

import json
import sys

import pytest

from flows.form import Form
from flows.tracker_iteration import tracker_iteration
from parc_core.storage.references import local_path
from tests.pipeline_fixtures import change


@pytest.mark.usefixtures("prefect_server")
def test_the_summary_is_part_of_the_run(tracker_config, store):
    config = str(change(tracker_config, max_samples=64))
    summary = tracker_iteration(config)["summary"]
    assert summary["motions"] == {"stand": 1, "walk": 1}
    assert json.loads(local_path(summary["summary"]).read_text()) == summary["motions"]
    assert tracker_iteration(config)["summary"] == summary


def test_the_form_can_refresh_it():
    Form.model_validate({"motions": {"folders": ["x"]}, "refresh": ["summarize_dataset"]})


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", __file__]))
