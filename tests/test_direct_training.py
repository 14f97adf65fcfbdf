"""Training without Prefect."""

from __future__ import annotations

from parc_core import direct_training, training_run
from parc_core.supervise import Limits, Listener


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
