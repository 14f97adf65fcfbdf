"""The learner alone, on random numbers: passes over samples per second of the update, ms of a rollout's step.

`python -m benchmarks.update_step --envs 4096 --precision bf16 --steps 32` prints JSON; exit code 1 where the update as
a CUDA graph is not the one made step by step, a tower's gradients are off, or the host waits where it must not.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch

from benchmarks.counts import training_flops
from benchmarks.synthetic_rollout import IdleEnv, make_case
from benchmarks.timing import check_device_or_leave
from benchmarks.update_checks import passed, run_checks
from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.learning.networks import hidden_sizes
from parc_core.learning.precision import resolve_precision
from parc_core.learning.towers import ACTIVATIONS, RELU, LayerKind


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, checks and prints."""
    args = _parser().parse_args(argv)
    name = args.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    check_device_or_leave(name)
    device = torch.device(name)
    rows = [
        measure(args, num_envs, precision, device) for num_envs in args.envs for precision in args.precision
    ]
    layers = LayerKind(args.activation, args.layer_norm)
    checks = {} if args.no_checks else {each: run_checks(each, device, layers) for each in args.precision}
    good = all(passed(each) for each in checks.values())
    here = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }
    text = json.dumps(
        {"benchmark": "update_step", "machine": here, "rows": rows, "checks": checks, "passed": good},
        indent=1,
    )
    print(text)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(text + "\n", encoding="utf-8")
    if not good:
        sys.exit(1)


def measure(args: argparse.Namespace, num_envs: int, precision: str, device: torch.device) -> Dict[str, Any]:
    """One row: an update of `args.steps` × num_envs samples, and a rollout's step without an environment."""
    config = AgentConfig(
        model=ModelConfig(
            actor_net=args.net,
            critic_net=args.net,
            activation=args.activation,
            layer_norm=args.layer_norm,
        ),
        optimizer=OptimizerConfig(type=args.optimizer),
        update_epochs=args.epochs,
        steps_per_iter=args.steps,
        matmul_precision=precision,
    )
    if device.type == "cuda":
        torch.zeros(1, device=device)  # statistics exist once the device is in use
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    env = IdleEnv(num_envs, args.obs, args.actions, device)
    ppo = make_case(config, env)

    def step(record: bool) -> Callable[[], Any]:
        return lambda: ppo.collect(env.reset(), 0, record)

    seconds = _best(ppo.update, args.repeats, device)
    acting, recording = (_best(step(record), args.repeats, device) / args.steps for record in (False, True))
    profile = _profile(ppo.update, device) if args.profile else []
    passes = ppo.rollout.num_samples * args.epochs
    nets = hidden_sizes(args.net), hidden_sizes(args.net)
    flops = training_flops(args.obs, args.actions, *nets, args.epochs)["update"]
    return {
        "num_envs": num_envs,
        "net": args.net,
        "activation": args.activation,
        "layer_norm": args.layer_norm,
        "optimizer": args.optimizer,
        "precision": resolve_precision(precision, device),
        "graph": ppo.uses_graph,
        "update_ms": round(1000.0 * seconds, 3),
        "minibatch_ms": round(1000.0 * seconds / (args.epochs * args.steps / config.batch_size), 4),
        "sample_passes_per_second": round(passes / seconds),
        "update_tflop_per_second": round(flops * ppo.rollout.num_samples / seconds / 1e12, 2),
        "act_ms_per_step": round(1000.0 * acting, 4),
        "act_and_record_ms_per_step": round(1000.0 * recording, 4),
        "peak_gb": round(torch.cuda.max_memory_allocated(device) / 1e9, 3) if device.type == "cuda" else None,
        "profile": profile,
    }


def _best(work: Callable[[], Any], repeats: int, device: torch.device) -> float:
    """Seconds of the fastest of `repeats` calls after one that does not count."""
    work()
    times: List[float] = []
    for _ in range(repeats):
        _wait(device)
        begin = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - begin)
    return min(times)


def _profile(work: Callable[[], Any], device: torch.device) -> List[str]:
    """The kernels of one call that take most of the time: ms in all, how often, name."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profiler:
        work()
        _wait(device)
    rows = [(_self_time(row) / 1000.0, row.count, row.key) for row in profiler.key_averages()]
    return [f"{ms:9.3f} ms {count:6d} × {name[:110]}" for ms, count, name in sorted(rows, reverse=True)[:30]]


def _self_time(row: Any) -> float:
    """µs; the GPU's where there is one. Its name changed between PyTorch's versions."""
    device_time = getattr(row, "self_device_time_total", getattr(row, "self_cuda_time_total", 0.0))
    return float(device_time or row.self_cpu_time_total)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.update_step", description=__doc__)
    add = parser.add_argument
    add("--envs", type=int, nargs="+", default=[4096], help="numbers of environments")
    add("--precision", nargs="+", default=["auto"], choices=("auto", "float32", "tf32", "bf16"))
    add("--steps", type=int, default=32, help="steps of every environment in a rollout")
    add("--epochs", type=int, default=5, help="passes over the samples")
    add("--obs", type=int, default=1312, help="observations")
    add("--actions", type=int, default=28, help="actions")
    add("--net", default="fc_3layers_2048units", help="both networks")
    add("--activation", default=RELU, choices=tuple(ACTIVATIONS))
    add("--layer-norm", action="store_true", help="before each activation")
    add("--optimizer", default="Adam", choices=("SGD", "Adam", "AdamW", "Muon"))
    add("--repeats", type=int, default=5, help="measurements, of which the best counts")
    add("--device", help="default: the first GPU, else the CPU")
    add("--profile", action="store_true", help="also the kernels that take most of an update's time")
    add("--no-checks", action="store_true", help="measure alone")
    add("--json", type=Path, help="also write it there")
    return parser


if __name__ == "__main__":
    main()
