"""PARC's third stage under PARC's own command: `python scripts/parc_3_tracker.py [--config tracker_config.yaml]`.

Makes the dataset where the config asks for it, writes the resolved configs and trains into `output_dir`. Needs no
Prefect; `parc-tracker run` does the same as a cached flow, with evaluation and registry.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tasks  # noqa: F401 - credentials of a Prefect block, before any store is opened
from parc_core.errors import ParcError
from parc_core.supervisor.local_training import train_from_config
from parc_core.supervisor.supervise import Listener
from parc_core.system.process_setup import set_up_process

DEFAULT_CONFIG = "data/configs/parc_3_tracker_default.yaml"


def main() -> int:
    """Trains; returns the process's exit code."""
    set_up_process()
    parser = argparse.ArgumentParser(description="Train a motion tracker (PARC stage 3).")
    parser.add_argument("--config", default=DEFAULT_CONFIG, help="tracker config (default: %(default)s)")
    config = parser.parse_args().config

    def say(line: str) -> None:
        print(line, flush=True)

    try:
        folder = train_from_config(config, Listener(output=say, note=say))
    except ParcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"trained: {folder / 'model.pt'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
