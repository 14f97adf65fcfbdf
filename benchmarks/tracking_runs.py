"""The trainings of the tracking benchmark: each has a budget of training time, spent in pieces if calls are short."""

from __future__ import annotations

import dataclasses
import math
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional

from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.resolve import write_yaml
from parc_core.errors import EXIT_INTERRUPTED, ConfigError
from parc_core.system.follow import JsonLines
from parc_core.training import checkpoint as checkpoints

PRESETS = {
    "gpu": ("gpu/agent", "gpu/env"),
    "cpu": ("cpu/agent", "cpu/env"),
    "demo": ("demo/agent", "demo/env"),
    "parc": ("parc_3_tracker/agent_default", "parc_3_tracker/dm_env_default"),
}
"""Agent and environment file of each, in data/configs."""
_POLL_S = 0.2
_NEARLY_S = 1.0  # of a budget: what is missing at its end is not worth another start


def preset_file(name: str, kind: str) -> str:
    """The file of a preset (a key of PRESETS); any other name is a file itself.

    Args:
        name: what the command line says.
        kind: "agent" or "env".
    """
    if name not in PRESETS:
        return name
    agent, env = PRESETS[name]
    return f"data/configs/{agent if kind == 'agent' else env}.yaml"


@dataclass(frozen=True)
class Plan:
    """What every training of the benchmark has in common."""

    out: Path
    """Folder of the benchmark."""
    train: Path
    """Dataset to train on."""
    held_out: Path
    """Dataset that no training sees."""
    budget_s: float
    """Training time of each: simulation, learning, checkpoints; not the start of the process."""
    samples: int
    """Over which the schedules run; a training that has them is done, whatever is left of its budget."""
    num_envs: int
    device: str
    engine: str
    gpus: int = 1
    curves: bool = False
    """Evaluate during training, by the agent file's `iters_per_evaluation`; that time counts. Always done where the
    environment heeds evaluations."""


@dataclass(frozen=True)
class Run:
    """One training: a config and a seed."""

    name: str
    """Of the config."""
    agent_file: str
    env_file: str
    seed: int

    def folder(self, plan: Plan) -> Path:
        """Of all that belongs to it."""
        return plan.out / "runs" / self.name / f"seed_{self.seed}"

    def training(self, plan: Plan) -> Path:
        """The trainer's output folder."""
        return self.folder(plan) / "training"


def runs_of(agents: List[str], env: Optional[str], seeds: List[int]) -> List[Run]:
    """All trainings, the seeds of a config one after the other.

    Args:
        agents: presets or agent files.
        env: preset or environment file; None = the preset's own, for a file that of `gpu`.
        seeds: of each.

    Raises:
        ConfigError: two configs of one name.
    """
    runs, seen = [], set()
    for agent in agents:
        name = agent if agent in PRESETS else Path(agent).stem
        if name in seen:
            raise ConfigError(f"--agent-config: two configs are called {name}; rename a file")
        seen.add(name)
        own = env or (agent if agent in PRESETS else "gpu")
        runs += [Run(name, preset_file(agent, "agent"), preset_file(own, "env"), seed) for seed in seeds]
    return runs


def check_evaluations(runs: List[Run]) -> None:
    """Refuses a run whose environment heeds evaluations that its agent never makes, before the others are trained.

    Raises:
        ConfigError: such a run, or a config that cannot be read.
    """
    for run in runs:
        pace = load_agent_config(run.agent_file).iters_per_evaluation
        load_env_config(run.env_file).env.dm.check_evaluations(pace, f"{run.name}: {run.env_file}")


def env_with(run: Run, dataset: Path) -> EnvFileConfig:
    """The run's environment with a dataset."""
    config = load_env_config(run.env_file)
    dm = dataclasses.replace(config.env.dm, motion_file=str(dataset))
    return dataclasses.replace(config, env=dataclasses.replace(config.env, dm=dm))


def spent(run: Run, plan: Plan) -> Dict[str, float]:
    """`seconds` and `samples` of training so far, by the newest checkpoint."""
    found = checkpoints.load_newest(run.training(plan) / "checkpoints", lambda line: print(f"note: {line}"))
    if found is None:
        return {"seconds": 0.0, "samples": 0.0}
    return {"seconds": 3600.0 * float(found[1]["hours"]), "samples": float(found[1]["samples"])}


def is_done(so_far: Dict[str, float], plan: Plan) -> bool:
    """Whether the budget is used, or all samples are there."""
    return so_far["seconds"] >= plan.budget_s - _NEARLY_S or so_far["samples"] >= plan.samples


def train_on(run: Run, plan: Plan, until: float) -> Dict[str, float]:
    """Trains until the budget is used, or the clock (`time.monotonic`) says `until`. Returns `spent`.

    Raises:
        ConfigError: a config cannot be read.
        SystemExit: the trainer failed; the end of its output is shown.
    """
    so_far = spent(run, plan)
    if is_done(so_far, plan):
        return so_far
    run.folder(plan).mkdir(parents=True, exist_ok=True)
    events = JsonLines(run.training(plan) / "progress.jsonl")
    events.events()  # those of before
    output = run.folder(plan) / "stdout.txt"
    with open(output, "ab") as file:
        process = subprocess.Popen(_command(run, plan), stdout=file, stderr=subprocess.STDOUT)
    try:
        _wait(process, events, plan.budget_s - so_far["seconds"], until)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode not in (0, EXIT_INTERRUPTED):
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise SystemExit(f"error: {run.name}, seed {run.seed}: the trainer failed:\n" + "\n".join(lines))
    return spent(run, plan)


def _wait(process: subprocess.Popen, events: JsonLines, seconds: float, until: float) -> None:
    """Asks the trainer to stop (it writes a checkpoint) after so many seconds of training, or at `until`."""
    ends = math.inf
    asked = False
    while process.poll() is None:
        if math.isinf(ends) and any(event.get("event") == "start" for event in events.events()):
            ends = time.monotonic() + seconds
        if not asked and time.monotonic() >= min(ends, until):
            process.send_signal(signal.SIGTERM)
            asked = True
        time.sleep(_POLL_S)


def _command(run: Run, plan: Plan) -> List[str]:
    """Writes the run's configs and returns the trainer's command line."""
    folder = run.folder(plan)
    agent = load_agent_config(run.agent_file)
    env = env_with(run, plan.train)
    changes: Dict[str, Any] = {"test_episodes": 0, "use_tensorboard": False}
    if not (plan.curves or env.env.dm.heeds_evaluations):
        changes["iters_per_evaluation"] = 0
    write_yaml(folder / "agent.yaml", dataclasses.replace(agent, **changes))
    write_yaml(folder / "env.yaml", env)
    settings = {
        "env_config": folder / "env.yaml",
        "agent_config": folder / "agent.yaml",
        "output_dir": run.training(plan),
        "num_envs": plan.num_envs,
        "max_samples": plan.samples,
        "device": plan.device,
        "gpus": plan.gpus,
        "engine": plan.engine,
        "seed": run.seed,
        "held_out_dataset": plan.held_out,
    }
    pairs = [text for key, value in settings.items() for text in (f"--{key}", str(value))]
    return [sys.executable, "-m", "parc_core.train", *pairs]
