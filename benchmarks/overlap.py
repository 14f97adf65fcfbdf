"""What it brings to run the update beside the collection (`pipelined`), and whether both still do the same.

`python -m benchmarks.overlap --envs 8192 --epochs 3` trains with `pipelined` off and on in turns, in one process and
on the same environments, and prints samples/s, the stages' times alone and beside each other, what the host needs to
order them, and checks. It needs the trainer's packages and the GPU engine's alone. Exit code 1: a check failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch

from benchmarks.overlap_checks import passed, run_checks, switch, wait_for
from benchmarks.timing import check_device_or_leave, machine, machine_line
from benchmarks.training_scene import (
    AGENT_CONFIG,
    ENV_CONFIG,
    PRECISIONS,
    Scene,
    Training,
    motion_listing,
    scene_agent_config,
    scene_env_config,
)
from parc_core.envs.factory import make_env
from parc_core.learning.cuda_graph import Snapshot
from parc_core.learning.pipeline import make_learner
from parc_core.learning.streams import COLLECTION_PRIORITY, TwoStreams
from parc_core.system.files import write_json

Trainings = Dict[str, Training]
OFF = "off"


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, checks, prints and writes it as JSON; leaves with 1 where a check failed."""
    args = _parser().parse_args(argv)
    check_device_or_leave(args.device)
    here, device = machine(), torch.device(args.device)
    scene = Scene(
        args.device,
        args.engine,
        args.env_config,
        args.agent_config,
        net=args.net,
        precision=args.precision,
        epochs=args.epochs,
    )
    with tempfile.TemporaryDirectory() as folder:
        listing = motion_listing(args.motions, args.synthetic, Path(folder))
        off, on = make_trainings(scene, args.envs, listing)
    for training in (off, on):
        for _ in range(args.warm_up):
            training.iterate()
        training.record_obs = args.record_obs
    row: Dict[str, Any] = {"num_envs": args.envs, "update_epochs": off.config.update_epochs}
    row["precision"] = off.config.matmul_precision
    modes = {f"on, priority {number}": TwoStreams(device, number) for number in args.priorities}
    row["checks"] = {name: run_checks(on, streams) for name, streams in modes.items()}
    row["passed"] = all(map(passed, row["checks"].values()))
    row["samples_per_second"], row["beside_ms"] = in_turns(off, on, modes, args.rounds, args.iterations)
    row["alone_ms"], row["host_ms"] = alone(off, args.iterations)
    for line in lines(row):
        print(line)
    for line in profile(on) if args.profile else []:
        print(line)
    print(machine_line(here))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.json, {"benchmark": "overlap", "machine": here, "row": row})
    print(f"JSON: {args.json}")
    if not row["passed"]:
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overlap", description=__doc__)
    add = parser.add_argument
    add("--envs", type=int, default=8192, help="number of environments")
    add("--epochs", type=int, help="update_epochs; default: the agent file's")
    add("--precision", choices=PRECISIONS, help="matmul_precision; default: the agent file's")
    add("--net", help="networks of actor and critic; default: the agent file's")
    add("--motions", help="motions.yaml, or a folder of .pkl files; default: synthetic ones")
    add("--synthetic", type=int, default=16, help="how many synthetic motions")
    add("--device", default=device, help=f"default: {device}")
    add("--engine", default="auto", help="physics engine")
    add("--env-config", default=ENV_CONFIG, help=f"environment file; default: {ENV_CONFIG}")
    add("--agent-config", default=AGENT_CONFIG, help=f"agent file; default: {AGENT_CONFIG}")
    add(
        "--priorities",
        type=int,
        nargs="+",
        default=[COLLECTION_PRIORITY, 0],
        help="of the collection's stream, each a measurement of its own; the update's is 0, lower comes first",
    )
    add("--record-obs", action="store_true", help="the normalizer learns, too, as at a training's beginning")
    add("--warm-up", type=int, default=5, help="iterations of each before the clock starts")
    add("--iterations", type=int, default=40, help="iterations of one measurement")
    add("--rounds", type=int, default=3, help="measurements of each, of which the median counts")
    add("--profile", action="store_true", help="print PyTorch's own trace of two pipelined iterations")
    add("--json", type=Path, default=Path("output/benchmarks/overlap.json"))
    return parser


def make_trainings(scene: Scene, num_envs: int, listing: Path) -> Tuple[Training, Training]:
    """The same training with `pipelined` off and on, on the same environments."""
    config = scene_agent_config(scene)
    env = make_env(scene_env_config(scene, listing), num_envs, scene.device, scene.engine, scene.seed)
    both = []
    for pipelined in (False, True):
        torch.manual_seed(scene.seed)
        own = dataclasses.replace(config, pipelined=pipelined)
        both.append(Training(env, make_learner(env, own, scene.seed, max_samples=10**12), own))
    return both[0], both[1]


# -- speed ------------------------------------------------------------------------------------------------


def in_turns(
    off: Training, on: Training, modes: Dict[str, TwoStreams], rounds: int, iterations: int
) -> Tuple[Dict[str, List[int]], Dict[str, Dict[str, float]]]:
    """Samples/s of each round by mode, every second round in the other order; and milliseconds of the stages beside
    each other, and of the whole iteration, by the GPU's clock.
    """
    device = on.env.device
    speeds: Dict[str, List[int]] = {OFF: [], **{name: [] for name in modes}}
    infos: Dict[str, List[Dict[str, float]]] = {name: [] for name in speeds}
    for number in range(rounds):
        for name in list(speeds)[:: -1 if number % 2 else 1]:
            training, ended = (off, infos[name]) if name == OFF else (on, infos[name])
            if name != OFF:
                switch(on, modes[name])
            training.iterate()
            seconds = _seconds(lambda: ended.append(training.iterate()), iterations, device)  # noqa: B023
            speeds[name].append(round(training.learner.rollout.num_samples / seconds))
    return speeds, {name: _medians(infos[name]) for name in modes}


def _medians(infos: List[Dict[str, float]]) -> Dict[str, float]:
    names = ("collect", "update", "iteration")
    return {name: 1000.0 * statistics.median(info[f"{name}_seconds"] for info in infos) for name in names}


def alone(off: Training, iterations: int) -> Tuple[Dict[str, float], Dict[str, float]]:
    """Milliseconds of the stages of an iteration by themselves, and for which the host is busy with ordering them.

    The policy is put back afterwards: many updates from one rollout lead it astray.
    """
    learner, device, obs = off.learner, off.env.device, off.start_anew()

    def collect() -> None:
        nonlocal obs
        obs = learner.collect(obs, off.samples, off.record_obs)

    undo = Snapshot(learner._optimizer, learner._sums)
    stages: Dict[str, Callable[[], Any]] = {"collect": collect, "update": learner._learn}
    seconds = {name: _seconds(stage, iterations, device) for name, stage in stages.items()}
    host = {
        name: statistics.median(_host_seconds(stage, device) for _ in range(5))
        for name, stage in stages.items()
    }
    undo.restore()
    in_ms = ({name: 1000.0 * value for name, value in each.items()} for each in (seconds, host))
    return next(in_ms), next(in_ms)


def _seconds(stage: Callable[[], Any], count: int, device: torch.device) -> float:
    """Mean of `count` calls, for whose end it waits once."""
    wait_for(device)
    began = time.perf_counter()
    for _ in range(count):
        stage()
    wait_for(device)
    return (time.perf_counter() - began) / count


def _host_seconds(stage: Callable[[], Any], device: torch.device) -> float:
    """Until a call returns whose work an idle GPU does later."""
    wait_for(device)
    began = time.perf_counter()
    stage()
    return time.perf_counter() - began


# -- what is printed --------------------------------------------------------------------------------------


def lines(row: Dict[str, Any]) -> List[str]:
    """Everything in a few lines."""
    speeds, alone_ms, beside_ms = row["samples_per_second"], row["alone_ms"], row["beside_ms"]
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    shown = [f"{row['num_envs']:,} environments, {row['update_epochs']} epochs, {row['precision']}"]
    for name, values in speeds.items():
        rounds = ", ".join(f"{value:,}" for value in values)
        shown.append(
            f"samples/s, pipelined {name}: {medians[name]:,.0f} ({medians[name] / medians[OFF] - 1.0:+.1%}; {rounds})"
        )
    both = alone_ms["collect"] + alone_ms["update"]
    shown.append(
        f"ms alone: collect {alone_ms['collect']:.2f}, update {alone_ms['update']:.2f}, both {both:.2f}"
    )
    for name, ms in beside_ms.items():
        hidden = (both - ms["iteration"]) / alone_ms["update"]
        shown.append(
            f"ms beside each other, {name}: collect {ms['collect']:.2f}, update {ms['update']:.2f}, "
            f"iteration {ms['iteration']:.2f}: {hidden:.0%} of the update is hidden"
        )
    host = row["host_ms"]
    shown.append(f"ms of the host to order it: collect {host['collect']:.2f}, update {host['update']:.2f}")
    for name, checks in row["checks"].items():
        shown.append(f"checks {'passed' if passed(checks) else 'FAILED'}, {name}: {json.dumps(checks)}")
    return shown


def profile(on: Training, rows: int = 40) -> List[str]:
    """PyTorch's own trace of two iterations: kernels by their time, and the host's calls."""
    from torch.profiler import ProfilerActivity

    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if on.env.device.type == "cuda" else [])
    with torch.profiler.profile(activities=activities) as trace:
        for _ in range(2):
            on.iterate()
        wait_for(on.env.device)
    order = "self_cuda_time_total" if on.env.device.type == "cuda" else "self_cpu_time_total"
    table: str = trace.key_averages().table(sort_by=order, row_limit=rows, max_name_column_width=60)
    return table.splitlines()


if __name__ == "__main__":
    main()
