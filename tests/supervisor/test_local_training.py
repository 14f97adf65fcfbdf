"""Training without Prefect."""

from __future__ import annotations

import pickle

import pytest

from parc_core.errors import ConfigError
from parc_core.supervisor import local_training as direct_training
from parc_core.supervisor import training_session as training_run
from parc_core.supervisor.supervise import Limits, Listener
from tests.motion.small_files import RunsCode, write_small


def test_a_stopped_trainer_may_finish_a_long_iteration(tmp_path, monkeypatch):
    """Under an orchestrator it has 18 s; here nobody but the user waits."""
    given = {}
    monkeypatch.setattr(training_run, "supervise", lambda *_, **options: given.update(options))
    args = tmp_path / "train_args.txt"
    args.write_text(
        f"--env_config e.yaml\n--agent_config a.yaml\n--output_dir {tmp_path / 'out'}\n--device cpu\n"
    )
    assert direct_training.train_from_arguments(args, Listener()) == tmp_path / "out"
    assert given["limits"].stop > 10 * Limits().stop


def test_every_motion_file_left_out_is_named_with_its_reason(tracker_config, motions, tmp_path, monkeypatch):
    """What `train` and `scripts/parc_3_tracker.py` show before the training begins."""
    good = write_small(motions / "walk" / "good.pkl").read_bytes()
    (motions / "walk" / "torn.pkl").write_bytes(good[:-50])
    (motions / "walk" / "hostile.pkl").write_bytes(pickle.dumps(RunsCode(tmp_path / "ran")))
    monkeypatch.chdir(tmp_path)

    def stop_here(*_):
        raise ConfigError("far enough")

    monkeypatch.setattr(direct_training, "emit_configs", stop_here)
    lines: list[str] = []
    with pytest.raises(ConfigError, match="far enough"):
        direct_training.train_from_config(tracker_config, Listener(note=lines.append))
    text = "\n".join(lines)
    assert f"skipped: {motions}/walk/torn.pkl: corrupt pickle" in text
    assert f"skipped: {motions}/walk/hostile.pkl: refused, its pickle asks for" in text
    assert "good.pkl" not in text
