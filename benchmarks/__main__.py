"""`python -m benchmarks [physics] [environment]`: prints a table each and writes it as JSON.

Those with options of their own: `python -m benchmarks train_throughput --help`, the same with compare_trees,
learning_curves, sweep, update_step, overlap, data_scale, faults, engine_agreement, preprocessing, fuzz, iterations,
recording, scaling and tracking.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import List

from rich.console import Console

from benchmarks import environment, physics
from benchmarks.timing import machine, machine_line
from parc_core.system.files import write_json
from parc_core.system.process_setup import set_up_process
from parc_tracker.tables import print_table

BENCHMARKS = {"physics": physics, "environment": environment}
PROGRAMS = (
    "train_throughput",
    "compare_trees",
    "learning_curves",
    "sweep",
    "update_step",
    "data_scale",
    "merge_s3",
    "pipeline_overhead",
    "mirroring",
    "overlap",
    "faults",
    "engine_agreement",
    "preprocessing",
    "fuzz",
    "iterations",
    "recording",
    "scaling",
    "tracking",
)  # each with a main(argv)
MODULES = {"tracking": "tracking_benchmark"}
"""Where a program's module is called otherwise."""


def _numbers(text: str) -> List[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    """Runs the named benchmarks."""
    set_up_process()
    if len(sys.argv) > 1 and sys.argv[1] in PROGRAMS:
        name = MODULES.get(sys.argv[1], sys.argv[1])
        importlib.import_module(f"benchmarks.{name}").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", metavar="what", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument(
        "--envs", type=_numbers, default=[64, 256, 1024], help="numbers of environments: 64,256"
    )
    parser.add_argument("--threads", type=_numbers, default=[1, 2], help="numbers of threads: 1,2")
    parser.add_argument("--steps", type=int, default=30, help="control steps of one measurement")
    parser.add_argument("--repeats", type=int, default=5, help="measurements, of which the best counts")
    parser.add_argument(
        "--out", type=Path, default=Path("output/benchmarks"), help="folder of the JSON files"
    )
    args = parser.parse_args()
    unknown = sorted(set(args.what) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; choose from {', '.join(BENCHMARKS)}")
    console = Console(soft_wrap=True)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.what or BENCHMARKS:
        here = machine()
        rows = BENCHMARKS[name].measure(args.envs, args.threads, args.steps, args.repeats)
        print_table(BENCHMARKS[name].table(rows))
        write_json(args.out / f"{name}.json", {"benchmark": name, "machine": here, "rows": rows})
    console.print(f"{machine_line(here)}. JSON: {args.out}/")


if __name__ == "__main__":
    main()
