"""How far the engines `mujoco` and `mujoco_warp` drift apart on the same clips: one table, one picture, one JSON.

Both are put into the same states of the reference motions and stepped side by side. Open loop: PD targets made of the
reference alone (reference dofs of the next step + kd/kp · their velocities). Closed loop, with `--model`: the targets
of a policy, which sees its own engine's state. A third run, of mujoco started NUDGE_M aside, shows what part of a
difference any rounding would cause. A start counts as long as its clip goes on.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from benchmarks.scene import listing_of
from benchmarks.timing import machine, machine_line
from parc_core.config.agent_config import load_agent_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.engines.engine import ResetState
from parc_core.envs.factory import make_env
from parc_core.envs.terminations import TIME_EPS
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.playback.policy import load_policy
from parc_core.rotations import quat_diff_angle
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

TIMES = (0.1, 0.25, 0.5, 1.0, 2.0)  # s after the start
PERCENTILES = (50, 90, 100)
NUDGE_M = 1e-6
MEASURES = {
    "root_m": "root position, m",
    "body_m": "mean distance of bodies, m",
    "joint_deg": "mean angle of joints, degrees",
}
NO_LIMIT = 1e6  # s; longer than any clip
PAIRS = ("mujoco_warp", "mujoco nudged")
Policy = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Trajectory:
    """T control steps of N starts; J bodies, root first."""

    root_pos: Tensor
    """(T, N, 3) m."""
    body_pos: Tensor
    """(T, N, J, 3) m."""
    joint_rot: Tensor
    """(T, N, J-1, 4) xyzw."""
    reference_m: Tensor
    """(T, N) m, mean distance of all bodies from their reference."""
    running: Tensor
    """(T, N) bool: the clip has not ended."""
    dt: float
    """s per step."""


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Runs the comparison, prints the tables, writes picture and JSON."""
    args = _parser().parse_args(argv)
    files = clip_files(args.clips)
    # Read before anything is simulated: a wrong name is to cost no time.
    config = EnvFileConfig() if args.model is None else _config_beside(args.model)
    if args.solver_iterations is not None:
        config = replace(config, env=replace(config.env, solver_iterations=args.solver_iterations))
    with tempfile.TemporaryDirectory() as folder:
        listing = listing_of(files, Path(folder) / "motions.yaml")
        span = (listing, args.every, args.seconds, args.device)
        loops = {"open": compare(open_loop(config), *span)}
        if args.model is not None:
            loops["closed"] = compare(config, *span, model=args.model)
    rows = [row for loop, result in loops.items() for row in table_rows(loop, result)]
    console, here = Console(soft_wrap=True), machine()
    print_table(table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": here,
        "device": args.device,
        "solver_iterations": config.env.solver_iterations,
        "clips": [file.name for file in files],
        "rows": rows,
    }
    write_json(args.out / "engine_agreement.json", content)
    draw(loops, args.out / "engine_agreement.png")
    console.print(f"{machine_line(here)}. engine_agreement.png and .json: {args.out}/")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks engine_agreement", description=__doc__)
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", required=True, help="folders of motion files, searched at any depth")
    add(
        "--model",
        type=Path,
        help="model.pt for the closed loop, its dm_env.yaml and agent_config.yaml beside it",
    )
    add("--every", type=float, default=0.25, help="seconds between starts in a clip")
    add("--seconds", type=float, default=2.0, help="longest comparison")
    add("--solver-iterations", type=int, help="env.solver_iterations instead of the env file's")
    add("--device", default="cpu", help="of mujoco_warp; mujoco runs on the CPU")
    add("--out", type=Path, default=Path("output/benchmarks"), help="folder of the picture and the JSON")
    return parser


def clip_files(folders: Sequence[Path]) -> List[Path]:
    """All motion files of the folders, sorted.

    Raises:
        SystemExit: there is none.
    """
    files = sorted(file for folder in folders for file in folder.rglob("*.pkl"))
    if not files:
        raise SystemExit(f"error: no .pkl in {', '.join(map(str, folders))}; name folders of motion files")
    return files


def open_loop(config: EnvFileConfig) -> EnvFileConfig:
    """The environment with zero actions as PD targets of the reference alone."""
    return replace(config, env=replace(config.env, action_mode="residual"))


def _config_beside(model: Path) -> EnvFileConfig:
    if not model.is_file():
        raise SystemExit(f"error: {model}: no such file; give --model a model.pt")
    return load_env_config(model.parent / "dm_env.yaml")


def compare(
    config: EnvFileConfig,
    listing: Path,
    every: float,
    seconds: float,
    device: str,
    model: Optional[Path] = None,
) -> Dict[str, Trajectory]:
    """Trajectories from the same starts: of mujoco, of mujoco_warp, and of mujoco from NUDGE_M aside.

    Args:
        config: the environment; its dataset and episode length are replaced.
        listing: motions.yaml of the clips.
        every, seconds: between starts in a clip, and the longest comparison, s.
        device: of mujoco_warp.
        model: for the closed loop; None for zero actions.

    Raises:
        SystemExit: all clips are too short.
    """
    dm = replace(config.env.dm, motion_file=str(listing), fail_rates_path=None, ignore_fail_rates=True)
    env = replace(config.env, dm=dm, enable_early_termination=False, episode_length=NO_LIMIT)
    config = replace(config, env=env)
    motion_ids, times = starts(make_env(config, 1, "cpu", "mujoco").library.lengths.cpu(), every)
    runs = {}
    for name in ("mujoco", *PAIRS):
        physics, _, nudged = name.partition(" ")
        scene = make_env(config, len(motion_ids), device if physics == "mujoco_warp" else "cpu", physics)
        policy = _policy(scene, model)
        runs[name] = follow(scene, policy, motion_ids, times, seconds, NUDGE_M if nudged else 0.0)
    return runs


def starts(lengths: Tensor, every: float) -> Tuple[Tensor, Tensor]:
    """Clips (N,) int64 and times (N,) s in them, `every` seconds apart, from which TIMES[0] at least is left.

    Raises:
        SystemExit: there is none.
    """
    found = [
        (clip, k * every)
        for clip, length in enumerate(lengths.tolist())
        for k in range(math.floor((length - TIMES[0]) / every) + 1)
    ]
    if not found:
        raise SystemExit(f"error: no clip is {TIMES[0]:g} s long; name folders of longer ones")
    return torch.tensor([clip for clip, _ in found]), torch.tensor([time for _, time in found])


def _policy(env: TrackingEnv, model: Optional[Path]) -> Policy:
    if model is None:
        zero = torch.zeros(env.num_envs, env.action_dim, device=env.device)
        return lambda _: zero
    return load_policy(model, env, load_agent_config(model.parent / "agent_config.yaml")).act_mode


def follow(
    env: TrackingEnv, policy: Policy, motion_ids: Tensor, times: Tensor, seconds: float, nudge: float
) -> Trajectory:
    """Steps all environments from the given places without any reset; `nudge` m moves the start along x."""
    obs = env.reset_to(motion_ids, times)
    if nudge:
        _nudge(env, nudge)
        obs = env.observe()
    rows: List[Tuple[Tensor, ...]] = []
    for _ in range(round(seconds / env.control_dt)):
        env.step(policy(obs))
        obs = env.observe()
        state = env.engine.state
        running = env.motion_times <= env.library.lengths[env.motion_ids] + TIME_EPS
        parts = (state.root_pos, state.body_pos, state.joint_rot, env.joint_error(), running)
        rows.append(tuple(part.detach().cpu().clone() for part in parts))
    root_pos, body_pos, joint_rot, reference, runs_on = (torch.stack(column) for column in zip(*rows))
    return Trajectory(root_pos, body_pos, joint_rot, reference, runs_on, env.control_dt)


def _nudge(env: TrackingEnv, distance: float) -> None:
    s = env.engine.state
    ids = env.motion_ids
    shift = torch.tensor([distance, 0.0, 0.0])
    moved = ResetState(
        root_pos=s.root_pos + shift,
        root_rot=s.root_rot.clone(),
        root_vel=s.root_vel.clone(),
        root_ang_vel=s.root_ang_vel.clone(),
        dof_pos=s.dof_pos.clone(),
        dof_vel=s.dof_vel.clone(),
        terrain_ids=ids if env.terrain.num_terrains > 1 else torch.zeros_like(ids),
    )
    env.engine.reset(torch.arange(env.num_envs), moved)


def deviations(one: Trajectory, other: Trajectory) -> Dict[str, Tensor]:
    """Each of MEASURES over time, not a number where the clip has ended. (T, N)."""
    angles = quat_diff_angle(one.joint_rot, other.joint_rot).mean(-1)
    found = {
        "root_m": (one.root_pos - other.root_pos).norm(dim=-1),
        "body_m": (one.body_pos - other.body_pos).norm(dim=-1).mean(-1),
        "joint_deg": torch.rad2deg(angles),
    }
    return {name: values.where(one.running, torch.nan) for name, values in found.items()}


def table_rows(loop: str, runs: Dict[str, Trajectory]) -> List[Dict[str, Any]]:
    """Percentiles over the starts at TIMES, rounded to control steps, for each of PAIRS against mujoco."""
    rows = []
    base = runs["mujoco"]
    for name in PAIRS:
        apart = deviations(base, runs[name])
        for at in (math.floor(time / base.dt + 0.5) - 1 for time in TIMES):
            count = int(base.running[at].sum()) if at < len(base.running) else 0
            if not count:
                continue
            row: Dict[str, Any] = {"loop": loop, "run": name, "starts": count, "seconds": (at + 1) * base.dt}
            for measure, values in apart.items():
                row[measure] = {str(p): float(values[at].nanquantile(p / 100)) for p in PERCENTILES}
            row["reference_m"] = {
                key: float(runs[key].reference_m[at][base.running[at]].quantile(0.5))
                for key in ("mujoco", name)
            }
            rows.append(row)
    return rows


def table(rows: Sequence[Dict[str, Any]]) -> Table:
    """For the screen: median / 90 % / maximum."""
    shown = Table(title="Against mujoco: median / 90 % / maximum over all starts")
    for column in ("loop", "run", "starts", "s", *MEASURES.values(), "from reference, m: mujoco / run"):
        shown.add_column(column, justify="left" if column in ("loop", "run") else "right")
    for row in rows:
        cells = [" / ".join(f"{value:.2g}" for value in row[measure].values()) for measure in MEASURES]
        reference = " / ".join(f"{value:.3f}" for value in row["reference_m"].values())
        shown.add_row(row["loop"], row["run"], str(row["starts"]), f"{row['seconds']:.2f}", *cells, reference)
    return shown


def draw(loops: Dict[str, Dict[str, Trajectory]], path: Path) -> None:
    """A plot per loop and measure: median (line) and 10–90 % (band) over time, logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(MEASURES), 3.2 * len(loops)), layout="constrained")
    axes = figure.subplots(len(loops), len(MEASURES), squeeze=False, sharex=True)
    for row, (loop, runs) in zip(axes, loops.items()):
        for number, name in enumerate(PAIRS):
            for axis, (measure, values) in zip(row, deviations(runs["mujoco"], runs[name]).items()):
                low, middle, high = values.clamp_min(1e-8).nanquantile(torch.tensor([0.1, 0.5, 0.9]), dim=1)
                seconds = [(k + 1) * runs[name].dt for k in range(len(middle))]
                axis.plot(seconds, middle.tolist(), color=f"C{number}", label=name)
                axis.fill_between(seconds, low.tolist(), high.tolist(), color=f"C{number}", alpha=0.2)
                axis.set(yscale="log", title=f"{loop} loop: {MEASURES[measure]}")
                axis.grid(alpha=0.3)
        row[0].legend()
    for axis in axes[-1]:
        axis.set_xlabel("seconds after the same start")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
