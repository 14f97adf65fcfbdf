"""The flow with clips that the training never sees."""

from __future__ import annotations

import pytest

from flows.tracker_iteration import tracker_iteration
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.evaluation.result import load
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from parc_core.registry.models import resolve_model
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from tests.pipeline_fixtures import change

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("prefect_server")
def test_held_out_folders_are_evaluated_before_and_after_and_registered(tracker_config, store, tmp_path):
    without = tracker_iteration(str(change(tracker_config, max_samples=64)))
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    path = tmp_path / "unseen" / "turn" / "turn_0.pkl"
    path.parent.mkdir(parents=True)
    write_motion_terrain(path, make_motion("turn", 0, character))
    config = change(
        tracker_config,
        max_samples=64,
        held_out_motions=[str(tmp_path / "unseen")],
        gate={"min_held_out_completed": 0},
    )
    found = tracker_iteration(str(config))
    # The same training: nothing of it is done again.
    assert found["training"] == without["training"] and found["dataset"] == without["dataset"]
    for when in ("before", "after"):
        result = load(local_path(found[when]["evaluation"]))
        assert result.held_out is not None
        assert [clip.name for clip in result.held_out.clips] == ["turn/turn_0"] and len(result.clips) == 2
        assert found[when]["summary"] == without[when]["summary"] and "held_out" not in without[when]
    metrics = resolve_model(Store(), "tiny")["metrics"]
    assert set(metrics["held_out"]) == {"before", "after"} and metrics["held_out"]["after"]["clips"] == 1
    assert "Held-out clips" in local_path(found["after"]["report"]).read_text()
    assert tracker_iteration(str(config)) == found
