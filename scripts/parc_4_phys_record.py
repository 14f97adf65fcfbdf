"""PARC's fourth stage under PARC's own command: `python scripts/parc_4_phys_record.py --config phys_record.yaml`.

Lets the tracker perform every motion and writes what physics made of it, for the next iteration. `parc-tracker record`
does the same, with options in place of a config.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tasks  # noqa: F401 - credentials of a Prefect block, before any store is opened
from parc_core.config.record_config import load_record_config
from parc_core.errors import ParcError
from parc_tracker.record import run_record

DEFAULT_CONFIG = "data/configs/phys_record.yaml"


def main() -> int:
    """Records; returns the process's exit code."""
    parser = argparse.ArgumentParser(description="Record a tracker's motions (PARC stage 4).")
    parser.add_argument("--config", default=DEFAULT_CONFIG, help="recording config (default: %(default)s)")
    config = parser.parse_args().config
    try:
        run_record(load_record_config(config), where=config)
    except ParcError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
