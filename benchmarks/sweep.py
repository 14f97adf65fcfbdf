"""Trainings that differ in some settings, one after the other or a few at a time, on the same motions.

`python -m benchmarks sweep variants.yaml --motions data/motions --samples 16000000` with a file such as

    std_0.1: {agent: {model: {action_std: 0.1}}}
    std_0.2: {agent: {model: {action_std: 0.2}}, env: {root_pos_w: 0.3}, num_envs: 8192, seed: 1}

Each is an ordinary training in a folder of its own; what `env:` and `agent:` say comes over the two preset files. The
table is printed anew whenever one ends, so that nothing is lost when time runs out; `learning_curves` draws them.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from benchmarks.learning_curves import read_run, table, table_rows
from benchmarks.training_scene import AGENT_CONFIG, ENV_CONFIG, motion_listing
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import load_yaml
from parc_core.config.resolve import write_yaml
from parc_core.config.schema import from_mapping
from parc_core.errors import ParcError
from parc_tracker.tables import print_table

_KEYS = {"env", "agent", "num_envs", "seed"}


@dataclass
class Running:
    """A training process."""

    name: str
    process: subprocess.Popen
    ends: float
    """Host time at which it is asked to stop."""
    asked: bool = False


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs all variants; exits 1 if one failed."""
    args = _parser().parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        listing = motion_listing(args.motions, args.synthetic, args.out)
        variants = read_variants(args.variants)
        waiting = [(name, command(name, variant, listing, args)) for name, variant in variants.items()]
    except ParcError as error:
        raise SystemExit(f"error: {error}") from error
    failed = run_all(waiting, args)
    if failed:
        raise SystemExit(f"error: {', '.join(failed)} failed; see stdout.txt in its folder under {args.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("variants", type=Path, help="YAML: name → {env, agent, num_envs, seed}")
    add("--motions", help="motions.yaml, or a folder of .pkl files; default: synthetic ones")
    add("--synthetic", type=int, default=16, help="how many synthetic motions")
    add("--samples", type=int, default=16_000_000, help="of each training")
    add("--minutes", type=float, default=60.0, help="most time of each training; it can go on later")
    add("--at-once", type=int, default=1, help="trainings that share the device")
    add("--envs", type=int, default=4096, help="environments where a variant names none")
    add("--device", default="cuda:0")
    add("--engine", default="auto")
    add("--env-config", default=ENV_CONFIG)
    add(
        "--agent-config",
        default=AGENT_CONFIG,
        help="has iters_per_evaluation where the environment has a boost",
    )
    add("--out", type=Path, default=Path("output/sweep"), help="a folder each goes in here")
    return parser


def read_variants(path: Path) -> Dict[str, Dict[str, Any]]:
    """Name → settings.

    Raises:
        ConfigError: no such file, or no YAML.
        SystemExit: an unknown key.
    """
    variants = {str(name): dict(settings or {}) for name, settings in load_yaml(path).items()}
    for name, settings in variants.items():
        unknown = sorted(set(settings) - _KEYS)
        if unknown:
            raise SystemExit(
                f"error: {path}: {name}: unknown key {unknown[0]!r}; use {', '.join(sorted(_KEYS))}"
            )
    return variants


def merged(base: Dict[str, Any], over: Dict[str, Any]) -> Dict[str, Any]:
    """`over` over `base`, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below or {}, value) if isinstance(value, dict) else value
    return result


def command(name: str, variant: Dict[str, Any], listing: Path, args: argparse.Namespace) -> List[str]:
    """Writes the variant's two config files and returns the trainer's command line.

    Raises:
        ConfigError: a setting that does not exist or has a wrong value, or evaluations to heed that are never made.
    """
    folder = args.out / name
    folder.mkdir(parents=True, exist_ok=True)
    env = merged(load_yaml(args.env_config), {"env": {"dm": {"motion_file": str(listing)}}})
    env = merged(env, {"env": variant.get("env", {})})
    agent = merged(load_yaml(args.agent_config), variant.get("agent", {}))
    env_file = from_mapping(EnvFileConfig, env, f"{args.variants}: {name}: env")
    agent_config = from_mapping(AgentConfig, agent, f"{args.variants}: {name}: agent")
    env_file.env.dm.check_evaluations(agent_config.iters_per_evaluation, f"{args.variants}: {name}")
    write_yaml(folder / "env.yaml", env_file)
    write_yaml(folder / "agent.yaml", agent_config)
    settings = {
        "env_config": folder / "env.yaml",
        "agent_config": folder / "agent.yaml",
        "output_dir": folder / "training",
        "num_envs": variant.get("num_envs", args.envs),
        "max_samples": args.samples,
        "device": args.device,
        "engine": args.engine,
        "seed": variant.get("seed", 0),
    }
    pairs = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    return [sys.executable, "-m", "parc_core.train", *pairs]


def run_all(waiting: List[Any], args: argparse.Namespace) -> List[str]:
    """Runs the commands, `--at-once` of them at a time. Returns the names of those that failed."""
    running: List[Running] = []
    ended: List[str] = []
    failed: List[str] = []
    try:
        while waiting or running:
            while waiting and len(running) < args.at_once:
                name, line = waiting.pop(0)
                running.append(_start(name, line, args))
            time.sleep(0.5)
            for one in list(running):
                if one.process.poll() is None:
                    _stop_late(one)
                    continue
                running.remove(one)
                (ended if one.process.returncode in (0, 75) else failed).append(one.name)
                _print_table(ended, args.out)
    finally:
        for one in running:
            one.process.terminate()
    return failed


def _start(name: str, line: List[str], args: argparse.Namespace) -> Running:
    with open(args.out / name / "stdout.txt", "ab") as out:
        process = subprocess.Popen(line, stdout=out, stderr=subprocess.STDOUT)
    return Running(name, process, time.monotonic() + 60.0 * args.minutes)


def _stop_late(one: Running) -> None:
    """SIGTERM has a training write a checkpoint and leave with 75."""
    if time.monotonic() > one.ends and not one.asked:
        one.process.send_signal(signal.SIGTERM)
        one.asked = True


def _print_table(names: Sequence[str], out: Path) -> None:
    runs = [read_run(f"{name}={out / name / 'training'}") for name in names]
    print_table(table(table_rows(runs, ())))


if __name__ == "__main__":
    main()
