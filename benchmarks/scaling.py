"""Training on several GPUs against one: weak and strong scaling, torchrun's own cost, communication, memory.

`python -m benchmarks scaling` trains the GPU preset's agent on synthetic motions with their terrains on 1, 2, 4, … of
the GPUs that are there, each time as a training of its own, started as users start it. On a machine without GPU, for a
look: `--device cpu --envs 16 --strong-envs 16 --net fc_2layers_64units --every 2`.

    one       one process, no torchrun
    torchrun  one process, started by torchrun
    weak      K processes with --envs environments each
    strong    K processes with --strong-envs environments in all
    apart     as weak, but nobody waits for the average of the gradients: what is gained is its share

Each number is printed and written as soon as it is known. What the JSON file has already is not measured again: where
time runs out, the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.scaling_picture import picture
from benchmarks.scaling_runs import Measured, Settings, train
from benchmarks.timing import check_device_or_leave, machine, machine_line
from benchmarks.training_scene import AGENT_CONFIG, ENV_CONFIG, motion_listing
from parc_core.errors import ParcError
from parc_core.system.files import write_json, write_text
from parc_tracker.tables import print_table

PARTS = ("one", "torchrun", "weak", "strong", "apart")


@dataclass(frozen=True)
class Point:
    """One training to be measured."""

    part: str
    """Of `PARTS`."""
    processes: int
    num_envs: int
    """In all."""
    round: int = 0


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, prints tables, writes JSON and picture; exit code 1 where a training failed."""
    args = _parser().parse_args(argv)
    check_device_or_leave(args.device)
    console = Console(soft_wrap=True)
    args.out.mkdir(parents=True, exist_ok=True)
    settings = Settings(
        args.device, args.engine, args.env_config, args.agent_config, args.net, args.every, args.outputs
    )
    try:
        listing = motion_listing(args.motions, args.synthetic, args.out / "motions")
    except ParcError as error:
        raise SystemExit(f"error: {error}") from error
    here, path = machine(), args.out / "scaling.json"
    about = {"benchmark": "scaling", "machine": here, "settings": asdict(settings)}
    rows = _rows_of_before(path, about)
    failed = []
    for point in _points(args, settings):
        if any(row["point"] == asdict(point) for row in rows):
            continue
        if time.monotonic() - _BEGAN > 60.0 * args.minutes:
            console.print(f"no time left after {args.minutes:g} minutes: run the same command to resume")
            break
        try:
            measured = train(
                settings, point.part, point.processes, point.num_envs, listing, args.out, args.limit
            )
        except RuntimeError as error:
            failed.append(point)
            console.print(f"{_name(point)}: {error}", highlight=False)
            continue
        rows.append({"point": asdict(point), **asdict(measured)})
        console.print(f"{_name(point)}: {_in_words(measured)}", highlight=False)
        write_json(path, {**about, "rows": rows, "results": results(rows)})
    if rows:
        print_table(table(results(rows)))
        for line in costs(results(rows)):
            console.print(line, highlight=False)
        write_text(args.out / "scaling.svg", picture(results(rows)))
        console.print(f"{machine_line(here)}. JSON and picture: {args.out}/")
    if failed or not rows:
        raise SystemExit(1)


_BEGAN = time.monotonic()


def _parser() -> argparse.ArgumentParser:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = "cuda:0" if there else "cpu"
    gpus = [count for count in (1, 2, 4, 8) if count <= max(there, 2)]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--gpus", type=int, nargs="+", default=gpus, help=f"numbers of processes; default: {gpus}")
    add("--envs", type=int, default=8192, help="environments of each process (weak scaling)")
    add("--strong-envs", type=int, default=8192, help="environments in all (strong scaling)")
    add("--only", choices=PARTS, nargs="+", default=list(PARTS), help="default: all")
    add("--rounds", type=int, default=1, help="measurements of each; their median counts")
    add("--every", type=int, default=25, help="iterations between two readings of the clock")
    add("--outputs", type=int, default=12, help="such stretches that count; 3 more come before")
    add("--minutes", type=float, default=9.0, help="after which no further training is begun")
    add("--limit", type=float, default=300.0, help="seconds for one training")
    add("--net", help="networks of actor and critic; default: the agent file's")
    add("--motions", help="motions.yaml, or a folder of .pkl files; default: synthetic ones")
    add("--synthetic", type=int, default=16, help="how many synthetic motions")
    add("--device", default=device, help=f"the first; default: {device}")
    add("--engine", default="auto")
    add("--env-config", default=ENV_CONFIG, help=f"environment file; default: {ENV_CONFIG}")
    add("--agent-config", default=AGENT_CONFIG, help=f"agent file; default: {AGENT_CONFIG}")
    add("--out", type=Path, default=Path("output/benchmarks/scaling"), help="folder of results and trainings")
    return parser


def _points(args: argparse.Namespace, settings: Settings) -> List[Point]:
    """What there is to measure, the most wanted first."""
    several = [count for count in args.gpus if count > 1]
    wanted = [Point("one", 1, args.envs), Point("torchrun", 1, args.envs)]
    wanted += [Point("weak", count, count * args.envs) for count in several]
    if args.strong_envs != args.envs:
        wanted.append(Point("one", 1, args.strong_envs))
    wanted += [Point("strong", count, args.strong_envs) for count in several]
    wanted += [Point("apart", count, count * args.envs) for count in several]
    uneven = [point for point in wanted if point.num_envs % point.processes]
    if uneven:
        raise SystemExit(f"error: --strong-envs {args.strong_envs} cannot be shared by {uneven[0].processes}")
    chosen = [point for point in wanted if point.part in args.only]
    return [Point(p.part, p.processes, p.num_envs, number) for number in range(args.rounds) for p in chosen]


def _rows_of_before(path: Path, about: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Rows of the same settings on the same machine, measured by an earlier call."""
    if not path.is_file():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    here = {name: about["machine"].get(name) for name in ("cpu", "gpu", "torch")}
    same = found.get("settings") == json.loads(json.dumps(about["settings"]))
    same = same and all(found["machine"].get(name) == value for name, value in here.items())
    if not same:
        raise SystemExit(f"error: {path} is of other settings or another machine; give another --out")
    return list(found["rows"])


def _name(point: Point) -> str:
    return f"{point.part}, {point.processes} x {point.num_envs // point.processes:,} environments"


def _in_words(measured: Measured) -> str:
    memory = f", {measured.memory_gb:.1f} GB a GPU" if measured.memory_gb is not None else ""
    least, most = measured.spread
    return (
        f"{measured.samples_per_second:,.0f} samples/s ({least:,.0f} to {most:,.0f}), "
        f"{measured.startup_seconds:.0f} s to the first iteration{memory}"
    )


def results(rows: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """One line for each training that differs in more than its round: medians, and × one process."""
    kinds: Dict[Any, List[Dict[str, Any]]] = {}
    for row in rows:
        point = row["point"]
        kinds.setdefault((point["part"], point["processes"], point["num_envs"]), []).append(row)
    speeds = {kind: statistics.median(row["samples_per_second"] for row in of) for kind, of in kinds.items()}
    found = []
    for (part, processes, num_envs), of in kinds.items():
        alone = speeds.get(("one", 1, num_envs if part == "strong" else num_envs // processes))
        speed, memory = speeds[part, processes, num_envs], [row["memory_gb"] for row in of]
        found.append(
            {
                "part": part,
                "processes": processes,
                "num_envs": num_envs,
                "samples_per_second": round(speed),
                "times_one": None if alone is None else round(speed / alone, 3),
                "memory_gb": None if None in memory else max(memory),
                "rounds": len(of),
            }
        )
    return found


def table(found: Sequence[Dict[str, Any]]) -> Table:
    """All of them."""
    shown = Table(title="training on several GPUs")
    for name in ("", "GPUs", "environments", "samples/s", "× one", "of ideal", "GB a GPU"):
        shown.add_column(name, justify="right" if name else "left")
    for row in sorted(found, key=lambda row: (PARTS.index(row["part"]), row["processes"])):
        times = row["times_one"]
        shown.add_row(
            row["part"],
            str(row["processes"]),
            f"{row['num_envs']:,}",
            f"{row['samples_per_second']:,}",
            "–" if times is None else f"{times:.2f}",
            "–" if times is None else f"{times / row['processes']:.0%}",
            "–" if row["memory_gb"] is None else f"{row['memory_gb']:.1f}",
        )
    return shown


def costs(found: Sequence[Dict[str, Any]]) -> List[str]:
    """What torchrun and the average of the gradients cost, in words."""
    lines = []
    for row in found:
        if row["part"] == "torchrun" and row["times_one"] is not None:
            lines.append(f"torchrun with one process: {1.0 - row['times_one']:.1%} slower than none")
        weak = _find(found, "weak", row["processes"], row["num_envs"])
        if row["part"] == "apart" and weak is not None:
            share = 1.0 - weak["samples_per_second"] / row["samples_per_second"]
            lines.append(f"average of the gradients over {row['processes']}: {share:.1%} of the time")
    return lines


def _find(found: Sequence[Dict[str, Any]], *kind: Any) -> Optional[Dict[str, Any]]:
    return next((r for r in found if (r["part"], r["processes"], r["num_envs"]) == kind), None)


if __name__ == "__main__":
    main(sys.argv[1:])
