"""Supervises a training of several processes as `parc-tracker train` does, with shorter timeouts: a program that faults
can kill. `python -m benchmarks.faults.rank_supervisor tracker.yaml motions.yaml folder`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from parc_core.config.resolve import ARGS_FILE, emit_configs
from parc_core.config.tracker_config import load_tracker_config
from parc_core.errors import ParcError
from parc_core.supervisor.supervise import Limits, Listener, trainer_command
from parc_core.supervisor.training_session import TrainingRun, run_training
from parc_core.system.signals import exit_interrupted

HEARTBEAT = 45.0
"""Seconds without a line in progress.jsonl after which the trainer counts as hung; people wait 300."""
DELAYS = (1.0, 2.0, 4.0)


def main() -> int:
    """The exit code."""
    config, dataset, folder = sys.argv[1:]
    tracker = load_tracker_config(config)
    files = emit_configs(tracker, dataset, folder)
    run = TrainingRun(trainer_command(files[ARGS_FILE]), Path(folder), tracker.device, gpus=tracker.gpus)

    def note(line: str) -> None:
        print(line, flush=True)

    try:
        with exit_interrupted():
            run_training(run, Listener(output=note, note=note), None, Limits(heartbeat=HEARTBEAT), DELAYS)
    except ParcError as error:
        print(f"error: {error}", flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
