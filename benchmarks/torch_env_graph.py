"""What one control step and a whole training cost with the environment's terms in PyTorch instead of Warp kernels.

`python -m benchmarks torch_env_graph --envs 4096 8192` measures three environments over the same physics: `fused` (Warp
kernels, what trainings use), `torch` (the torch terms recorded as CUDA graphs) and `compile` (the same through
torch.compile). Each runs in a process of its own; one that fails or takes too long is named and the others go on. JSON
is written after each.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.memory import memory_in_use, start_of_memory
from benchmarks.timing import Stopwatch, check_device_or_leave, machine, machine_line
from benchmarks.torch_env import PARTS, GraphedTorchEnv
from benchmarks.train_throughput import _iterations, _row
from benchmarks.training_scene import (
    AGENT_CONFIG,
    ENV_CONFIG,
    Scene,
    Training,
    make_training,
    motion_listing,
)
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.errors import ParcError
from parc_core.system.files import write_json

VARIANTS = ("fused", "torch", "compile")
ACTION_STD = 0.25  # of the bounds, as an untrained policy explores
GOAL = 0.05  # share of samples/s that the torch terms may cost
LEAD = 4_000_000  # clock cycles that the device waits, so that a launch is on its way before it is timed


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures every variant at every number of environments and prints one table."""
    args = _parser().parse_args(argv)
    check_device_or_leave(args.device)
    here, console, began = machine(), Console(width=150), time.monotonic()
    out = args.json or Path("output/benchmarks/torch_env_graph.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    scene = Scene(
        device=args.device,
        engine="mujoco_warp",
        env_config=args.env_config,
        agent_config=args.agent_config,
        net=args.net,
        epochs=args.epochs,
        seed=args.seed,
    )
    rows: List[Dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            listing = motion_listing(args.motions, args.synthetic, Path(folder))
        except ParcError as error:
            raise SystemExit(f"error: {error}") from error
        for num_envs in args.envs:
            for variant in args.variants:
                limit = min(args.cap, args.budget - (time.monotonic() - began))
                rows.append(_in_own_process(limit, scene, num_envs, listing, variant, _counts(args)))
                console.print(line(rows[-1]), highlight=False)
                write_json(out, {"benchmark": "torch_env_graph", "machine": here, "rows": rows})
    console.print(table(rows))
    for text in verdicts(rows):
        console.print(text, highlight=False)
    console.print(f"{machine_line(here)}. JSON: {out}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser = argparse.ArgumentParser(prog="python -m benchmarks torch_env_graph", description=__doc__)
    add = parser.add_argument
    add("--envs", type=int, nargs="+", default=[4096, 8192], help="numbers of environments: 4096 8192")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    add("--epochs", type=int, default=5, help="update_epochs")
    add("--net", help="networks of actor and critic; default: the agent file's")
    add("--motions", help="motions.yaml, or a folder of .pkl files; default: synthetic ones")
    add("--synthetic", type=int, default=16, help="how many synthetic motions")
    add("--device", default=device, help=f"default: {device}")
    add("--env-config", default=ENV_CONFIG, help=f"environment file; default: {ENV_CONFIG}")
    add("--agent-config", default=AGENT_CONFIG, help=f"agent file; default: {AGENT_CONFIG}")
    add("--warm-up", type=int, default=5, help="iterations of training before the clock starts")
    add("--iterations", type=int, default=25, help="iterations of one timed stretch; their mean counts")
    add("--steps", type=int, default=50, help="control steps of one timed stretch")
    add("--repeats", type=int, default=5, help="timed stretches, of which the median counts")
    add("--cap", type=float, default=300.0, help="seconds that one variant may take, all in all")
    add("--budget", type=float, default=540.0, help="seconds for all; what has not begun by then is left out")
    add("--seed", type=int, default=0, help="of motions, starts, noise and minibatches")
    add("--json", type=Path, help="default: output/benchmarks/torch_env_graph.json")
    return parser


def _counts(args: argparse.Namespace) -> Dict[str, int]:
    return {name: getattr(args, name) for name in ("warm_up", "iterations", "steps", "repeats")}


def _in_own_process(limit: float, *what: Any) -> Dict[str, Any]:
    """The row of `measure(*what)` as far as it came within `limit` seconds, with `error` if it did not finish."""
    row: Dict[str, Any] = {"variant": what[3], "num_envs": what[1]}
    if limit <= 0:
        return {**row, "error": "no time was left"}
    context = multiprocessing.get_context("spawn")
    results, into = context.Pipe(duplex=False)
    process = context.Process(target=_send_rows, args=(into, *what))
    process.start()
    into.close()
    deadline = time.monotonic() + limit
    try:
        while results.poll(max(deadline - time.monotonic(), 0.0)):
            row.update(results.recv())
        row["error"] = f"stopped after {limit:.0f} s"
        process.kill()
        process.join()
    except EOFError:
        process.join()
        if process.exitcode != 0 and "error" not in row:
            row["error"] = f"the process ended with exit code {process.exitcode}"
    return row


def _send_rows(into: Any, *what: Any) -> None:
    """In the process: what is measured goes out at once, so that it is not lost with what comes after."""
    try:
        for part in measure(*what):
            into.send(part)
    except BaseException as error:  # noqa: BLE001 - whatever ends a variant must not end the others
        lines = f"{type(error).__name__}: {error}".strip().splitlines()
        into.send({"error": lines[-1], "traceback": traceback.format_exc()})
    finally:
        into.close()


def measure(
    scene: Scene, num_envs: int, listing: Path, variant: str, counts: Dict[str, int]
) -> Iterator[Dict[str, Any]]:
    """The parts of a row, one after the other.

    Args:
        variant: of `VARIANTS`.
        counts: warm_up, iterations, steps, repeats.
    """
    device = torch.device(scene.device)
    before, began = start_of_memory(device), time.perf_counter()
    rebuilt = None if variant == "fused" else rebuilder(scene.seed, compiled=variant == "compile")
    training = make_training(scene, num_envs, listing, rebuilt=rebuilt)
    env, watch = training.env, Stopwatch(device)
    watch.watch(env, "step", "step")
    watch.watch(env, "reset_done", "reset")
    _iterations(training, watch, counts["warm_up"])
    yield {"startup_seconds": round(time.perf_counter() - began, 1), **_preparation(env)}
    yield _trained(training, watch, counts)
    yield _stepped(training, watch, counts)
    yield {"memory": memory_in_use(device, before), "agreement": agreement(training)}


def rebuilder(seed: int, compiled: bool) -> Callable[[TrackingEnv], TrackingEnv]:
    """Makes the torch environment over the parts of one that is not used any more."""

    def rebuilt(env: TrackingEnv) -> TrackingEnv:
        parts = (env.config, env.engine, env.kinematics, env.library, env.terrain, seed, env.layout)
        return GraphedTorchEnv(*parts, compiled=compiled)

    return rebuilt


def _preparation(env: TrackingEnv) -> Dict[str, Any]:
    if not isinstance(env, GraphedTorchEnv):
        return {}
    breaks = torch._dynamo.utils.counters["graph_break"] if env.compiled else {}
    return {
        "graph_seconds": round(env.graph_seconds, 1),
        "eager_parts": env.eager_parts,
        "graph_breaks": {str(reason)[:200]: count for reason, count in breaks.items()},
    }


def _trained(training: Training, watch: Stopwatch, counts: Dict[str, int]) -> Dict[str, Any]:
    """Whole iterations as `train_throughput` times them: samples/s of each stretch, and ms per control step."""
    training.env.episode_stats()
    stretches = [_iterations(training, watch, counts["iterations"]) for _ in range(counts["repeats"])]
    samples = training.learner.rollout.num_samples
    speeds = [samples / statistics.mean(entry["whole"] for entry in stretch) for stretch in stretches]
    row = _row(training, [entry for stretch in stretches for entry in stretch], {})
    episodes = training.env.episode_stats()
    return {
        "samples_per_second": round(statistics.median(speeds)),
        "samples_per_second_each": [round(speed) for speed in speeds],
        "training_ms": row["ms"],
        "precision": row["precision"],
        "episodes": {name: value for name, value in episodes.items() if math.isfinite(value)},
    }


def _stepped(training: Training, watch: Stopwatch, counts: Dict[str, int]) -> Dict[str, Any]:
    """ms per control step under random actions: `step`, `reset`, `physics` alone, and a torch environment's parts."""
    env: Any = training.env
    parts = PARTS if isinstance(env, GraphedTorchEnv) else {}
    originals = {attribute: getattr(env, attribute) for attribute in parts.values()}
    for name, attribute in parts.items():
        watch.watch(env, attribute, name)
    act = random_actions(training)
    stretches: List[Dict[str, float]] = []
    for _ in range(counts["repeats"] + 1):  # the first one leads to where random actions lead
        watch.take()
        for _ in range(counts["steps"]):
            env.step(act())
            env.reset_done()
        stretches.append(watch.take())
    for attribute, original in originals.items():
        setattr(env, attribute, original)
    ms = {
        name: 1000.0 * statistics.median(stretch[name] for stretch in stretches[1:]) / counts["steps"]
        for name in stretches[0]
    }
    if "physics" not in ms:
        ms["physics"] = physics_alone(training, act, counts["steps"])
    ms["rest of step"] = ms["step"] - ms["physics"]
    return {"ms": {name: round(value, 4) for name, value in ms.items()}}


def random_actions(training: Training) -> Callable[[], torch.Tensor]:
    """Draws actions (N, D) about the middle of their bounds."""
    env = training.env
    middle, reach = 0.5 * (env.action_low + env.action_high), 0.5 * (env.action_high - env.action_low)
    generator = torch.Generator(device=env.device).manual_seed(1)

    def draw() -> torch.Tensor:
        noise = torch.randn(env.num_envs, env.action_dim, generator=generator, device=env.device)
        return middle + ACTION_STD * reach * noise

    return draw


def physics_alone(training: Training, act: Callable[[], torch.Tensor], repeats: int) -> float:
    """ms of the physics of one step, a graph of its own on states that the actions reach: median."""
    env: Any = training.env
    replay, clock = env.engine.capture(env.engine.launch_step), Stopwatch(env.device)
    times = []
    for _ in range(repeats):
        env.step(act())
        env.reset_done()
        saved = env.state_dict()
        if env.device.type == "cuda":
            torch.cuda._sleep(LEAD)
        clock.timed(replay, "physics")()
        times.append(1000.0 * clock.take()["physics"])
        env.load_state_dict(saved)
    return statistics.median(times)


def agreement(training: Training, steps: int = 20) -> Dict[str, float]:
    """Largest differences between what a torch environment recorded and its functions called one by one.

    Returns:
        observation, reward: largest absolute differences; height points: share that differs (on the border of cells);
        done: number of flags that differ; empty for the fused environment.
    """
    env: Any = training.env
    if not isinstance(env, GraphedTorchEnv):
        return {}
    act, points = random_actions(training), len(env.task.ray_points)
    off = {"observation": 0.0, "reward": 0.0, "height points": 0.0, "done": 0.0}
    for _ in range(steps):
        obs, reward, done, _ = env.step(act())
        want_obs, want_reward, want_done = called(env)
        off["done"] += float((done != want_done).sum())
        difference = (obs - want_obs).abs()
        off["observation"] = max(off["observation"], float(difference[:, :-points].max()))
        off["reward"] = max(off["reward"], float((reward - want_reward).abs().max()))
        off["height points"] += float((difference[:, -points:] > 1e-4).float().mean()) / steps
        env.reset_done()
    return off


@torch.no_grad()
def called(env: GraphedTorchEnv) -> Any:
    """obs, reward and done of the last step by the functions themselves, which leave everything as it is."""
    kept = env.done, env.fail_reason
    ref = env._current_reference()
    reward = env._reward(ref)
    reward = torch.where(env.engine.state.diverged, torch.zeros_like(reward), reward)
    env._update_done(ref)
    done = env.done
    env.done, env.fail_reason = kept
    return env._observe_everyone(), reward, done


def line(row: Dict[str, Any]) -> str:
    """What is known of a row as soon as it is measured."""
    head = f"{row['num_envs']:,} {row['variant']}: "
    known = [f"{row['samples_per_second']:,} samples/s"] if "samples_per_second" in row else []
    if "ms" in row:
        known.append(f"step {row['ms']['step']:.3f} ms, reset {row['ms']['reset']:.3f} ms")
    for key in ("startup_seconds", "graph_seconds", "eager_parts", "graph_breaks", "agreement", "error"):
        if row.get(key):
            known.append(f"{key} {row[key]}")
    return head + "; ".join(known)


SHOWN = ("step", "physics", "rest of step", "reset", *(name for name in PARTS if name != "physics"))


def table(rows: Sequence[Dict[str, Any]]) -> Table:
    """A column for each variant at each number of environments."""
    shown = Table(title="Terms in Warp kernels or in PyTorch; ms per control step of all environments")
    shown.add_column("")
    for row in rows:
        shown.add_column(f"{row['num_envs']:,}\n{row['variant']}", justify="right")
    shown.add_row("samples/s of training", *(_number(row, "samples_per_second", ",") for row in rows))
    for name in ("whole", "step", "reset", "policy", "update"):
        shown.add_row(
            f"training: {name}", *(_number(row.get("training_ms", {}), name, ".3f") for row in rows)
        )
    for name in SHOWN:
        shown.add_row(f"random: {name}", *(_number(row.get("ms", {}), name, ".3f") for row in rows))
    shown.add_row("compiling, recording, s", *(_number(row, "graph_seconds", ".1f") for row in rows))
    shown.add_row("start, s", *(_number(row, "startup_seconds", ".1f") for row in rows))
    shown.add_row("memory, GB", *(_number(row.get("memory", {}), "training", ".2f") for row in rows))
    return shown


def _number(values: Dict[str, Any], name: str, form: str) -> str:
    return format(values[name], form) if name in values else "–"


def verdicts(rows: Sequence[Dict[str, Any]]) -> List[str]:
    """For each number of environments: what the best torch variant costs beside the fused kernels."""
    speeds = {
        (row["num_envs"], row["variant"]): row["samples_per_second"]
        for row in rows
        if "samples_per_second" in row
    }
    eager = {(row["num_envs"], row["variant"]): row.get("eager_parts") for row in rows}
    lines = []
    for num_envs in dict.fromkeys(row["num_envs"] for row in rows):
        torch_speeds = [(speeds[num_envs, v], v) for v in VARIANTS[1:] if (num_envs, v) in speeds]
        if (num_envs, "fused") not in speeds or not torch_speeds:
            lines.append(f"{num_envs:,} environments: no comparison")
            continue
        best, variant = max(torch_speeds)
        cost = 1.0 - best / speeds[num_envs, "fused"]
        within = "within" if cost <= GOAL else "more than"
        text = f"{num_envs:,} environments: {variant} costs {cost:.1%} samples/s, {within} {GOAL:.0%}"
        refused = ", ".join(eager[num_envs, variant] or ())
        lines.append(f"{text} (not compiled: {refused})" if refused else text)
    return lines


if __name__ == "__main__":
    main()
