"""Two source trees on one machine in turns: what a change did to the samples/s of training.

`git worktree add OLD COMMIT; python -m benchmarks compare_trees OLD . --envs 4096 8192 16384 --epochs 5`: each round
runs `train_throughput` of the one and then of the other tree, every second round the other way round, all on the same
motions. Options that are not known here go on to `train_throughput`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.scene import synthetic_motions
from benchmarks.timing import machine, machine_line
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

Speeds = Dict[str, Dict[int, List[int]]]
"""samples/s of each round, by tree and number of environments."""


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures both trees in turns; prints medians and their ratio, and writes all numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare_trees", description=__doc__)
    parser.add_argument(
        "trees", nargs=2, type=Path, metavar="TREE", help="the tree before, and the one after"
    )
    parser.add_argument("--rounds", type=int, default=2, help="runs of each tree, of which the median counts")
    parser.add_argument("--motions", help="motions.yaml; default: 16 synthetic motions, made by this tree")
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/compare_trees.json"))
    args, passed_on = parser.parse_known_args(argv)
    here, console = machine(), Console(soft_wrap=True)
    speeds: Speeds = {"before": {}, "after": {}}
    trees = dict(zip(speeds, (tree.resolve() for tree in args.trees)))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        motions = args.motions or str(synthetic_motions(Path(folder), 16))
        for number in range(args.rounds):
            for name in list(speeds)[:: -1 if number % 2 else 1]:
                for num_envs, speed in measured(trees[name], ["--motions", motions, *passed_on]).items():
                    speeds[name].setdefault(num_envs, []).append(speed)
                    console.print(f"round {number + 1}, {name}, {num_envs:,}: {speed:,} samples/s")
                write_json(args.json, {"benchmark": "compare_trees", "machine": here, "speeds": speeds})
    print_table(table(speeds))
    console.print(f"{machine_line(here)}. JSON: {args.json}")


def measured(tree: Path, options: Sequence[str]) -> Dict[int, int]:
    """samples/s by number of environments as a tree's own `train_throughput` measures them.

    Raises:
        SystemExit: it fails.
    """
    paths = [str(tree), *filter(None, [os.environ.get("PYTHONPATH")])]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks", "train_throughput", *options, "--json", str(out)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        if subprocess.run(command, cwd=tree, env=environment, check=False).returncode != 0:
            raise SystemExit(f"error: train_throughput of {tree} failed")
        rows = json.loads(out.read_text())["rows"]
    return {row["num_envs"]: row["samples_per_second"] for row in rows}


def table(speeds: Speeds) -> Table:
    """Medians of both trees and what the second has gained or lost."""
    shown = Table(title="samples/s of training, medians")
    for name in ("environments", "before", "after", "change"):
        shown.add_column(name, justify="right")
    for num_envs in sorted(set(speeds["before"]) & set(speeds["after"])):
        before, after = (statistics.median(speeds[name][num_envs]) for name in ("before", "after"))
        shown.add_row(f"{num_envs:,}", f"{before:,.0f}", f"{after:,.0f}", f"{after / before - 1.0:+.1%}")
    return shown


if __name__ == "__main__":
    main()
