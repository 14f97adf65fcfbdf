"""Held-out motions in the form of a run: from the config and back to it."""

from __future__ import annotations

import yaml

from flows.form import Form
from flows.form_configs import form_from_config, write_configs
from parc_core.config.tracker_config import load_tracker_config
from tests.pipeline_fixtures import change


def test_from_the_config_to_the_form_and_back(tracker_config, tmp_path):
    (tmp_path / "iteration_1" / "unseen").mkdir(parents=True)
    (tmp_path / "iteration_2" / "unseen").mkdir(parents=True)
    config = change(
        tracker_config,
        held_out_motions=[str(tmp_path / "iteration_*" / "unseen"), "recordings:other", "s3://b/unseen"],
        gate={"min_held_out_completed": 0.5},
    )
    form = form_from_config(config)
    assert form.motions.held_out[1:] == ["recordings:other", "s3://b/unseen"]
    assert form.registration.min_held_out_completed == 0.5
    again = load_tracker_config(write_configs(Form.model_validate(form.parameters()), tmp_path / "out"))
    assert again.held_out_motions == [
        str(tmp_path / "iteration_1" / "unseen"),
        str(tmp_path / "iteration_2" / "unseen"),
        "recordings:other",
        "s3://b/unseen",
    ]
    assert again.gate == {"min_held_out_completed": 0.5}


def test_without_any_the_config_is_as_it_was(tracker_config, tmp_path):
    written = yaml.safe_load(write_configs(form_from_config(tracker_config), tmp_path / "out").read_text())
    assert written["held_out_motions"] == [] and written["gate"] == {}
