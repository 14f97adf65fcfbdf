"""How well trackers follow clips that they were trained on, and clips that they never saw, after so much training time.

`python -m benchmarks tracking data/motions --agent-config gpu my_agent.yaml --budget-seconds 600 --seeds 0 1`
splits the clips once (by clip: no variant or mirror image of a held-out clip is trained on), trains each config with
each seed, and plays all clips from their first frames: success by three rules, joint error, 95 % intervals, on train
and held-out clips, flat and with terrain. In --out: results.json, results.svg, results.md.

Where calls must be short: --call-seconds 540 stops in order after that time with exit code 75; the same command goes
on, as often as needed. Results are written after every training. Needs torch, numpy, PyYAML and an engine only:
`python -m benchmarks.tracking_benchmark`, too.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from benchmarks.timing import machine, machine_line
from benchmarks.tracking_numbers import PARTS, markdown, numbers_of, picture
from benchmarks.tracking_runs import (
    PRESETS,
    Plan,
    Run,
    check_evaluations,
    env_with,
    is_done,
    runs_of,
    train_on,
)
from parc_core.config.agent_config import load_agent_config
from parc_core.config.dataset_config import DatasetConfig
from parc_core.engines.devices import check_device
from parc_core.errors import EXIT_INTERRUPTED, ParcError
from parc_core.evaluation.evaluate import evaluate_model
from parc_core.evaluation.result import EvalResult, load
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.check import FLAT, terrain_range
from parc_core.motion.dataset.clip_list import list_clips
from parc_core.motion.dataset.split import parse_share, split_dataset
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.system import json_text
from parc_core.system.files import write_json, write_text

STOP_SECONDS = 30.0
"""Of a call, for the last checkpoint."""
EVALUATION_SECONDS = 60.0
"""A call that has less left leaves the evaluation to the next one."""


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Splits, trains, evaluates, prints; resumes where an earlier call stopped."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        _run(args, time.monotonic() + args.call_seconds)
    except ParcError as error:
        raise SystemExit(f"error: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tracking",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("motions", nargs="+", help="folders of motion classes, or one motions.yaml")
    add("--held-out", default="20%", help="share of the clips that no training sees")
    add("--split-seed", type=int, default=0, help="of the split; the training's are --seeds")
    names = ", ".join(PRESETS)
    add("--agent-config", nargs="+", default=["gpu"], help=f"agent files, or presets ({names})")
    add(
        "--env-config",
        help="environment file or preset; default: the preset's own, for a file that of gpu, which needs "
        "iters_per_evaluation in the file",
    )
    add("--budget-seconds", type=float, default=600.0, help="training time of each config and seed")
    add(
        "--samples", type=float, default=250e6, help="over which schedules run; reaching them ends a training"
    )
    add("--seeds", type=int, nargs="+", default=[0], help="of the trainings")
    add("--envs", type=int, default=8192, help="environments of a training")
    add("--device", default="cuda:0")
    add("--gpus", type=int, default=1, help="of each training")
    add("--engine", default="auto")
    add(
        "--curves",
        action="store_true",
        help="evaluate during training, too (columns of log.txt); it takes time. Always where an environment has "
        "hard_motion_boost",
    )
    add(
        "--call-seconds",
        type=float,
        default=math.inf,
        help="stop this call after so long; the next one resumes",
    )
    add("--out", type=Path, default=Path("output/tracking"), help="folder of everything")
    return parser


def _run(args: argparse.Namespace, until: float) -> None:
    check_device(args.device, "--device", args.gpus)
    out = Path(args.out).absolute()
    runs = runs_of(args.agent_config, args.env_config, args.seeds)
    check_evaluations(runs)
    split = prepared(args, out)
    plan = Plan(
        out,
        Path(split["train"]["motions_yaml"]),
        Path(split["held_out"]["motions_yaml"]),
        args.budget_seconds,
        int(args.samples),
        args.envs,
        args.device,
        args.engine,
        args.gpus,
        args.curves,
    )
    for part in PARTS:
        found = split[part]
        print(
            f"{part}: {found['motions']} motions, {found['clips']} clips: {found['motions_yaml']}", flush=True
        )
    finished: List[Tuple[Run, Dict[str, float]]] = []
    for run in runs:
        so_far = train_on(run, plan, until - STOP_SECONDS)
        seconds, samples = so_far["seconds"], so_far["samples"]
        print(f"{run.name}, seed {run.seed}: {seconds:.0f} s, {samples:,.0f} samples", flush=True)
        known = is_evaluated(run, plan, so_far)
        if not is_done(so_far, plan) or not evaluated(run, plan, so_far, until):
            print("the time of this call is over: run the same command to resume", flush=True)
            raise SystemExit(EXIT_INTERRUPTED)
        finished.append((run, so_far))
        if not known or len(finished) == len(runs):  # a call may end before the next one
            show(finished, len(runs), plan, split, args)


def prepared(args: argparse.Namespace, out: Path) -> Dict[str, Any]:
    """The split, made in the first call and kept.

    Raises:
        SystemExit: the folder is of a benchmark with other clips or another share.
        ConfigError, DataError: the motions cannot be used.
    """
    share = parse_share(args.held_out)
    asked = {"motions": list(args.motions), "share": share, "seed": args.split_seed}
    kept = out / "split.json"
    if kept.is_file():
        split: Dict[str, Any] = json_text.parse(kept.read_text(encoding="utf-8"))
        if split["asked"] != asked:
            raise SystemExit(
                f"error: {out} holds a split of other motions, share or seed; give another --out"
            )
        return split
    listing = args.motions[0]
    if not (len(args.motions) == 1 and listing.endswith((".yaml", ".yml"))):
        config = DatasetConfig(list(args.motions), save_path=str(out / "dataset" / "motions.yaml"))
        listing = create_dataset(config, note=print, index_path=out / "motion_index.json")["motions_yaml"]
    split = {**split_dataset(listing, out / "dataset", share, args.split_seed), "asked": asked}
    split["flat"] = {
        part: {clip.name: _is_flat(clip.entry.file) for clip in list_clips(split[part]["motions_yaml"])}
        for part in PARTS
    }
    write_json(kept, split)
    return split


def _is_flat(file: str) -> bool:
    terrain = read_motion_terrain(file).terrain
    return terrain is None or terrain_range(terrain) < FLAT


def is_evaluated(run: Run, plan: Plan, so_far: Dict[str, float]) -> bool:
    """Whether an earlier call has played all clips under the model as it is now."""
    return all(_is_of(run.folder(plan) / f"{part}.json", so_far) for part in PARTS)


def evaluated(run: Run, plan: Plan, so_far: Dict[str, float], until: float) -> bool:
    """Plays all clips under the trained model, unless it was done; False where the call's time is too short for it."""
    model, agent = run.training(plan) / "model.pt", load_agent_config(run.agent_file)
    for part, dataset in zip(PARTS, (plan.train, plan.held_out)):
        path = run.folder(plan) / f"{part}.json"
        if _is_of(path, so_far):
            continue
        if time.monotonic() > until - EVALUATION_SECONDS:
            return False
        result = evaluate_model(
            model, env_with(run, dataset), agent_config=agent, engine=plan.engine, device=plan.device
        )
        result.settings["trained"] = so_far
        result.save(path)
    return True


def _is_of(path: Path, trained: Dict[str, float]) -> bool:
    """Whether a file holds the evaluation of the model as it is now."""
    return path.is_file() and load(path).settings.get("trained") == trained


def show(
    finished: List[Tuple[Run, Dict[str, float]]],
    planned: int,
    plan: Plan,
    split: Dict[str, Any],
    args: argparse.Namespace,
) -> None:
    """Prints the table of the finished trainings, of so many planned, and writes JSON, Markdown and picture."""
    found: Dict[str, Dict[str, List[EvalResult]]] = {}
    for run, _ in finished:
        for part in PARTS:
            result = load(run.folder(plan) / f"{part}.json")
            found.setdefault(run.name, {}).setdefault(part, []).append(result)
    numbers = {
        name: {
            part: numbers_of([result.clips for result in results], split["flat"][part])
            for part, results in parts.items()
        }
        for name, parts in found.items()
    }
    trained = {f"{run.name}/seed_{run.seed}": so_far for run, so_far in finished}
    here = machine()
    settings = {name: value for name, value in vars(args).items() if name != "out" and _is_json(value)}
    content = {"benchmark": "tracking", "machine": here, "settings": settings, "planned": planned}
    content.update({"trained": trained, "split": {key: split[key] for key in PARTS}, "results": numbers})
    write_json(plan.out / "results.json", content)
    table = markdown(numbers)
    title = f"Success after {plan.budget_s:g} s of training, {_count(finished, planned)}, 95 % intervals"
    write_text(plan.out / "results.md", f"{table}\n\n{title}. {machine_line(here)}.\n")
    write_text(plan.out / "results.svg", picture(numbers, title))
    print(f"{table}\n\n{machine_line(here)}\nresults.json, results.md, results.svg: {plan.out}/", flush=True)


def _count(finished: List[Tuple[Run, Dict[str, float]]], planned: int) -> str:
    """How many seeds each config has, and of how many trainings that is."""
    seeds = Counter(run.name for run, _ in finished).values()
    few, many = min(seeds), max(seeds)
    each = f"{few} seed{'s' if few > 1 else ''}" if few == many else f"{few} to {many} seeds"
    return each if len(finished) == planned else f"{each} ({len(finished)} of {planned} trainings)"


def _is_json(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


if __name__ == "__main__":
    main()
