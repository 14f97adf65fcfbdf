"""One training of `benchmarks scaling`: started as users start it, its speed read from its progress.jsonl."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from benchmarks.sweep import merged
from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import load_yaml
from parc_core.config.resolve import write_yaml
from parc_core.config.schema import from_mapping

WARM_UP = 3  # stretches between outputs that do not count: kernels, graphs, allocators
STOP_SECONDS = 40.0


@dataclass(frozen=True)
class Settings:
    """What all trainings have in common."""

    device: str
    """The first of them."""
    engine: str
    env_config: str
    agent_config: str
    net: Optional[str]
    """Networks of actor and critic; None = the agent file's."""
    every: int
    """Iterations between two outputs."""
    outputs: int
    """Stretches between outputs that count."""


@dataclass(frozen=True)
class Measured:
    """What came of a training."""

    samples_per_second: float
    """Of all processes together by the wall clock, in the median over the stretches that count."""
    spread: Tuple[float, float]
    """The slowest and the fastest stretch."""
    stretches: int
    startup_seconds: float
    """From the command to the end of the first iteration."""
    memory_gb: Optional[float]
    """Most that was in use on any of the GPUs, by anybody, in 10⁹ bytes; None where nvidia-smi does not tell."""


def train(
    settings: Settings, part: str, processes: int, num_envs: int, listing: Path, out: Path, limit: float
) -> Measured:
    """Runs one training and reads its speed.

    Args:
        part: `one`: without torchrun; `apart`: without the average of the gradients; else with torchrun.
        processes, num_envs: of the training, in all.
        listing: the motions.yaml.
        out: the training's folder is made in it, anew.
        limit: seconds after which it is ended.

    Raises:
        RuntimeError: it failed, or did not come far enough in time.
    """
    folder = out / f"{part}_{processes}_{num_envs}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    module = "benchmarks.scaling_apart" if part == "apart" else "parc_core.train"
    command = [sys.executable, *_launcher(part, processes), "-m", module]
    command += _arguments(settings, num_envs, listing, folder)
    began = time.time()
    memory = _Memory()
    with open(folder / "output.txt", "wb") as output, memory:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        with _ended(process):
            try:
                code: Optional[int] = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
    if code != 0:
        how = f"not done after {limit:.0f} s" if code is None else f"left with {code}"
        lines = (folder / "output.txt").read_text(errors="replace").strip().splitlines()
        raise RuntimeError(f"{how}: {lines[-1] if lines else 'no output'}; see {folder / 'output.txt'}")
    measured = read_speed(folder / "training" / "progress.jsonl", began, memory.gb)
    shutil.rmtree(folder / "training")  # checkpoints of PARC's networks are large
    return measured


def read_speed(progress: Path, began: float, memory_gb: Optional[float] = None) -> Measured:
    """Samples/s between the outputs of a training that began at that time.

    Raises:
        RuntimeError: it has too few outputs.
    """
    events = [json.loads(line) for line in progress.read_text(encoding="utf-8").splitlines()]
    outputs = [(event["time"], event["samples"]) for event in events if event["event"] == "output"]
    speeds = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in zip(outputs, outputs[1:])][WARM_UP:]
    if not speeds:
        raise RuntimeError(f"{len(outputs)} outputs, of which none counts; see {progress}")
    return Measured(
        samples_per_second=round(statistics.median(speeds), 1),
        spread=(round(min(speeds), 1), round(max(speeds), 1)),
        stretches=len(speeds),
        startup_seconds=round(outputs[0][0] - began, 1),
        memory_gb=memory_gb,
    )


def _launcher(part: str, processes: int) -> List[str]:
    if part == "one":
        return []
    return ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]


def _arguments(settings: Settings, num_envs: int, listing: Path, folder: Path) -> List[str]:
    """The trainer's, with config files written into the folder."""
    # Evaluations are off, and a boost needs them.
    drawing = {"motion_file": str(listing.absolute()), "hard_motion_boost": 1.0}
    env = merged(load_yaml(settings.env_config), {"env": {"dm": drawing}})
    agent = merged(load_yaml(settings.agent_config), _only_training(settings))
    write_yaml(folder / "env.yaml", from_mapping(EnvFileConfig, env, settings.env_config))
    config = from_mapping(AgentConfig, agent, settings.agent_config)
    write_yaml(folder / "agent.yaml", config)
    iterations = settings.every * (WARM_UP + settings.outputs + 1)
    values = {
        "env_config": folder / "env.yaml",
        "agent_config": folder / "agent.yaml",
        "output_dir": folder / "training",
        "num_envs": num_envs,
        "max_samples": num_envs * config.steps_per_iter * iterations,
        "device": settings.device,
        "engine": settings.engine,
    }
    return [text for key, value in values.items() for text in (f"--{key}", str(value))]


def _only_training(settings: Settings) -> Dict[str, Any]:
    """No evaluations and checkpoints between the outputs."""
    nets = {} if settings.net is None else {"actor_net": settings.net, "critic_net": settings.net}
    return {
        "model": nets,
        "iters_per_output": settings.every,
        "iters_per_checkpoint": 10**9,
        "iters_per_evaluation": 0,
        "test_episodes": 0,
        "use_tensorboard": False,
    }


@contextlib.contextmanager
def _ended(process: subprocess.Popen) -> Iterator[None]:
    """Whatever ends this ends the process: SIGTERM, which torchrun passes on, and SIGKILL if that does not help."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Memory:
    """Within `with`, a thread asks nvidia-smi each second for the most that is in use on a GPU."""

    def __init__(self) -> None:
        self.gb: Optional[float] = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        if shutil.which("nvidia-smi") is not None:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        while not self._over.wait(1.0):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            used = [int(line) * 2**20 / 1e9 for line in done.stdout.split() if line.isdigit()]
            if used:
                self.gb = round(max([self.gb or 0.0, *used]), 2)
