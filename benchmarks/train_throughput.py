"""Samples/s of training end to end, and where the time and the memory go.

`python -m benchmarks train_throughput --envs 4096 16384 --precision bf16` takes GPU engine, the GPU preset's agent and
synthetic motions with their terrains; on a machine without GPU, for a look at the shares:
`--envs 64 --net fc_2layers_256units`.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import multiprocessing
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.components import count_launches, physics_profile, step_parts, watch_parts
from benchmarks.counts import observation_bytes, training_flops
from benchmarks.memory import memory_in_use, start_of_memory
from benchmarks.timing import Stopwatch, check_device_or_leave, machine, machine_line
from benchmarks.training_scene import (
    AGENT_CONFIG,
    ENV_CONFIG,
    PRECISIONS,
    Scene,
    Training,
    make_training,
    motion_listing,
)
from parc_core.engines.memory import MemoryUse
from parc_core.engines.registry import NAMES as ENGINE_NAMES
from parc_core.errors import ParcError
from parc_core.learning.networks import hidden_sizes
from parc_core.learning.precision import resolve_precision
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

IN_LOOP = ("step", "reset", "policy", "update", "other")
"""Together the whole ("step" has parts of its own); "other" is below 0 where the update runs beside the collection."""


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures each number of environments in a process of its own and prints one table of all."""
    args = _parser().parse_args(argv)
    check_device_or_leave(args.device)
    here, console = machine(), Console(soft_wrap=True)
    scene = Scene(
        device=args.device,
        engine=args.engine,
        env_config=args.env_config,
        agent_config=args.agent_config,
        net=args.net,
        precision=args.precision,
        epochs=args.epochs,
        pipelined=args.pipelined or None,
        model=args.model,
        seed=args.seed,
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            listing = motion_listing(args.motions, args.synthetic, Path(folder))
        except ParcError as error:
            raise SystemExit(f"error: {error}") from error
        for num_envs in args.envs:
            try:
                rows.append(_in_own_process(scene, num_envs, listing, args))
            except ParcError as error:  # the others may fit
                console.print(f"{num_envs:,} environments: {error}", highlight=False)
                continue
            console.print(f"{num_envs:,} environments: {rows[-1]['samples_per_second']:,} samples/s")
    if not rows:
        raise SystemExit(1)
    print_table(table(rows))
    for row in rows:
        for line in row["physics_profile"]:
            console.print(f"{row['num_envs']:,}: {line}", highlight=False)
    console.print(machine_line(here))
    out = args.json or Path("output/benchmarks/train_throughput.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = {**dataclasses.asdict(scene), "motions": args.motions or f"{args.synthetic} synthetic"}
    write_json(out, {"benchmark": "train_throughput", "machine": here, "settings": settings, "rows": rows})
    console.print(f"JSON: {out}")


def _parser() -> argparse.ArgumentParser:
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(prog="python -m benchmarks train_throughput", description=__doc__)
    add = parser.add_argument
    add("--envs", type=int, nargs="+", default=[4096], help="numbers of environments: 4096 16384")
    add("--precision", choices=PRECISIONS, help="matmul_precision; default: the agent file's")
    add("--epochs", type=int, help="update_epochs; default: the agent file's")
    add(
        "--pipelined",
        action="store_true",
        help="the update runs beside the collection; default: the agent file's",
    )
    add("--net", help="networks of actor and critic; default: the agent file's")
    add("--motions", help="motions.yaml, or a folder of .pkl files; default: synthetic ones")
    add("--synthetic", type=int, default=16, help="how many synthetic motions")
    add("--model", help="model.pt to start from; default: untrained")
    add("--device", default=device, help=f"default: {device}")
    add("--engine", default="auto", help=", ".join(ENGINE_NAMES))
    add("--env-config", default=ENV_CONFIG, help=f"environment file; default: {ENV_CONFIG}")
    add("--agent-config", default=AGENT_CONFIG, help=f"agent file; default: {AGENT_CONFIG}")
    add("--warm-up", type=int, default=3, help="iterations before the clock starts")
    add("--iterations", type=int, default=10, help="iterations that are timed; their mean counts")
    add("--part-repeats", type=int, default=20, help="measurements of each part of a step; 0 = none")
    add("--profile-physics", action="store_true", help="print MuJoCo Warp's own trace of one control step")
    add("--seed", type=int, default=0, help="of motions, starts, noise and minibatches")
    add("--json", type=Path, help="default: output/benchmarks/train_throughput.json")
    return parser


def _in_own_process(scene: Scene, num_envs: int, listing: Path, args: argparse.Namespace) -> Dict[str, Any]:
    """`measure` in a fresh process: what one number of environments took must not count for the next."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        counts = (args.warm_up, args.iterations, args.part_repeats, args.profile_physics)
        return pool.submit(measure, scene, num_envs, listing, *counts).result()


def measure(
    scene: Scene,
    num_envs: int,
    listing: Path,
    warm_up: int = 3,
    iterations: int = 10,
    part_repeats: int = 20,
    profile_physics: bool = False,
) -> Dict[str, Any]:
    """One row: samples/s of whole iterations (mean and best), ms per control step of each part, memory.

    Raises:
        ConfigError: so many environments do not fit into the memory.
    """
    device = torch.device(scene.device)
    before = start_of_memory(device)
    began = time.perf_counter()
    with MemoryUse(device, num_envs).explained():
        training, watch = make_training(scene, num_envs, listing), Stopwatch(device)
        watch.watch(training.env, "step", "step")
        watch.watch(training.env, "reset_done", "reset")
        watch_parts(training.env, watch)
        for _ in range(warm_up):
            training.iterate()
    startup = time.perf_counter() - began
    training.env.episode_stats()
    timed = _iterations(training, watch, iterations)
    episodes = training.env.episode_stats()
    memory = memory_in_use(device, before)
    parts = step_parts(training, part_repeats) if part_repeats else {}
    row = _row(training, timed, parts)
    row["startup_seconds"] = round(startup, 1)
    row["episodes"] = {name: value for name, value in episodes.items() if math.isfinite(value)}
    row["memory"] = memory
    row["launches_per_control_step"] = count_launches(training.env)
    row["physics_profile"] = physics_profile(training.env.engine) if profile_physics else []
    return row


def _iterations(training: Training, watch: Stopwatch, count: int) -> List[Dict[str, float]]:
    """Whole iterations; seconds of each and of what happens in it."""
    if training.config.pipelined:
        return _beside_each_other(training, watch, count)
    timed = []
    watch.take()
    for _ in range(count):
        began = time.perf_counter()
        info = training.iterate()
        parts = watch.take()  # waits for the device
        whole = time.perf_counter() - began
        policy = info["collect_seconds"] - parts["step"] - parts["reset"]
        timed.append({"whole": whole, **parts, "policy": policy, "update": info["update_seconds"]})
    return timed


def _beside_each_other(training: Training, watch: Stopwatch, count: int) -> List[Dict[str, float]]:
    """The same in the mean: waiting for the device between two iterations would take them apart."""
    training.iterate()  # whose update the first timed one makes
    watch.take()
    began = time.perf_counter()
    updates = [info for info in (training.iterate() for _ in range(count)) if info]
    parts = {name: seconds / count for name, seconds in watch.take().items()}
    whole = (time.perf_counter() - began) / count
    collect, update = (
        statistics.mean(info[f"{name}_seconds"] for info in updates) for name in ("collect", "update")
    )
    return [{"whole": whole, **parts, "policy": collect - parts["step"] - parts["reset"], "update": update}]


def _row(training: Training, timed: List[Dict[str, float]], parts: Dict[str, float]) -> Dict[str, Any]:
    """Milliseconds are per control step of all environments, so that they add up."""
    env, config, rollout = training.env, training.config, training.learner.rollout
    whole = [entry["whole"] for entry in timed]
    ms = {name: 1000.0 * statistics.mean(e[name] for e in timed) / rollout.steps for name in timed[0]}
    ms["other"] = ms["whole"] - sum(ms[name] for name in IN_LOOP if name != "other")
    ms.update(parts)
    inside = sum(value for name, value in ms.items() if name not in (*IN_LOOP, "whole"))
    ms["rest of step"] = ms["step"] - inside
    return {
        "num_envs": env.num_envs,
        "motions": env.library.num_motions,
        "engine": type(env.engine).__name__,
        "environment": type(env).__name__,
        "nets": [config.model.actor_net, config.model.critic_net],
        "obs_dim": env.obs_dim,
        "precision": resolve_precision(config.matmul_precision, env.device),
        "update_epochs": config.update_epochs,
        "samples_per_second": round(rollout.num_samples / statistics.mean(whole)),
        "best_samples_per_second": round(rollout.num_samples / min(whole)),
        "iteration_seconds": [round(value, 5) for value in whole],
        "ms": {name: round(value, 4) for name, value in ms.items()},
        **_bounds(training, ms["update"]),
    }


def _bounds(training: Training, update_ms: float) -> Dict[str, Any]:
    """What was counted, and how fast the update went through it."""
    env, config = training.env, training.config
    actor, critic = hidden_sizes(config.model.actor_net), hidden_sizes(config.model.critic_net)
    flops = training_flops(env.obs_dim, env.action_dim, actor, critic, config.update_epochs)
    stored = training.learner.rollout.norm_obs.element_size()
    per_second = flops["update"] * env.num_envs / (update_ms / 1000.0)
    return {
        "flops_per_sample": flops,
        "observation_bytes_per_sample": observation_bytes(env.obs_dim, stored, config.update_epochs),
        "update_tflop_per_second": round(per_second / 1e12, 3),
    }


def table(rows: List[Dict[str, Any]]) -> Table:
    """A column per number of environments; ms per control step of all, and the share of the whole."""
    first = rows[0]
    shown = Table(
        title=f"Training: {first['engine']}, {first['nets'][0]}, {first['precision']}, "
        f"{first['update_epochs']} epochs, {first['motions']} motions; ms per control step"
    )
    shown.add_column("")
    for row in rows:
        shown.add_column(f"{row['num_envs']:,} envs", justify="right")
    inside = [name for name in first["ms"] if name not in (*IN_LOOP, "whole")]
    shown.add_row("samples/s", *(f"[bold]{row['samples_per_second']:,}[/bold]" for row in rows))
    shown.add_row("best iteration", *(f"{row['best_samples_per_second']:,}" for row in rows))
    for name in IN_LOOP:
        shown.add_row(name, *(_cell(row, name) for row in rows))
        for part in inside if name == "step" else ():
            shown.add_row(f"  {part}", *(_cell(row, part) for row in rows))
    shown.add_row("whole", *(_cell(row, "whole") for row in rows))
    shown.add_row("update, TFLOP/s", *(f"{row['update_tflop_per_second']:,}" for row in rows))
    for key in sorted({key for row in rows for key in row["memory"]}):
        shown.add_row(f"{key}, GB", *(f"{row['memory'].get(key, 0):.2f}" for row in rows))
    return shown


def _cell(row: Dict[str, Any], name: str) -> str:
    return f"{row['ms'][name]:.3f}  {row['ms'][name] / row['ms']['whole']:4.0%}"


if __name__ == "__main__":
    main()
