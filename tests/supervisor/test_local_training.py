"""Training without Prefect."""

from __future__ import annotations

from parc_core.supervisor import local_training as direct_training
from parc_core.supervisor import training_session as training_run
from parc_core.supervisor.supervise import Limits, Listener


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
