"""What else an evaluation measures, folded over the same steps: success rules, contacts, quality of motion, limits.

Everything stays on the environment's device until the clips have ended; no step waits for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from parc_core.character.surface_points import surface_points
from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.terminations import MIN_FALL_FORCE, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.evaluation.success import RULES, SuccessRules
from parc_core.motion.quality import TOUCHING, depth_in_cells, foot_bodies, horizontal_speeds, jerks
from parc_core.playback.play import Step
from parc_core.rotations import quat_diff_angle, quat_rotate

MEASURES = (
    "contact_precision",
    "contact_recall",
    "penetration_mean_m",
    "foot_skating_m_s",
    "jerk_m_s3",
    "power_w",
    "penetration_max_m",
)
SHARES = ("contact_precision", "contact_recall")
"""Those from 0 to 1."""
LIMITS = ("root position", "root rotation", "body position")
"""Of which a trace says how much was used."""
TRACES = ("joint_error", *LIMITS, *TERM_COLUMNS)
BINS = 48
"""Points in time of a clip's trace."""
_RATIOS = len(MEASURES) - 1  # the last measure is a maximum, the others are quotients of two sums
_NO_LOSS = (int(FailReason.NONE), int(FailReason.MOTION_END))


@dataclass(frozen=True)
class ClipDepth:
    """One clip."""

    success: Dict[str, bool]
    """Of each rule of `success.RULES`."""
    measures: Dict[str, Optional[float]]
    """`MEASURES` over the tracked steps; None where there was nothing to measure."""
    lost_body: str
    """The body that broke the limit, or ""."""
    lost_value: Optional[float]
    """How far it was off: m, rad, or N for a fall; None where no limit was broken."""
    lost_limit: Optional[float]
    """The limit."""
    trace: Dict[str, List[float]]
    """`TRACES` in equal parts of the clip's length, also after it was lost, NaN where nothing is known: the largest
    joint error (m), the largest share of each limit (1 is a loss) and the last value of each reward term."""


class Depth:
    """Watches n clips of an environment, see `playback.scores.Observer`."""

    def __init__(self, env: TrackingEnv, ids: Tensor) -> None:
        n, device = len(ids), env.device
        self._env, self._n = env, n
        self._rules = SuccessRules(env, n)
        self._ids, self._lengths = ids, env.library.lengths[ids].float()
        names = env.kinematics.character.body_names
        self._names = names
        self._feet = torch.tensor(foot_bodies(names), dtype=torch.long, device=device)
        self._surface = _Surface(env)
        self._above, self._below = (
            torch.zeros(n, _RATIOS, dtype=torch.float64, device=device) for _ in range(2)
        )
        self._deepest = torch.zeros(n, device=device)
        self._recent: List[Tensor] = []  # body positions of the last steps, at most 4
        self._touched: Optional[Tensor] = None
        self._trace = torch.full((n, BINS, len(TRACES)), float("nan"), device=device)
        self._lost = torch.zeros(n, 3, device=device)  # body, value, limit
        self._any_loss = torch.zeros(n, dtype=torch.bool, device=device)

    def add(self, step: Step, tracked: Tensor) -> None:
        """See `Observer`."""
        self._rules.add(step)
        n, state = self._n, step.state
        self._recent = [*self._recent[-3:], state.body_pos.clone()]
        eps = self._env.config.contact_detection_eps
        touched_before, self._touched = self._touched, state.contact_forces.norm(dim=-1) > eps
        if step.index == 0 or touched_before is None:
            return
        valid = tracked & (step.reason != FailReason.DIVERGED)
        limits = self._limits()
        columns = [
            *self._contacts(self._touched),
            self._penetration(step, valid),
            self._skating(touched_before & self._touched),
            self._jerk(),
            (self._power(step), torch.ones(n, device=state.body_pos.device)),
        ]
        above, below = (torch.stack([column[k] for column in columns], dim=1).double() for k in range(2))
        self._above += torch.where(valid[:, None], above, torch.zeros_like(above))
        self._below += torch.where(valid[:, None], below, torch.zeros_like(below))
        self._note_loss(step, tracked, limits)
        used = [value / limit for value, limit, _ in limits]
        traced = (self._env.joint_error()[:n], *used, *self._env.reward_terms()[:n].T)
        self._add_trace(step, torch.stack(traced, dim=1))

    def _contacts(self, touched: Tensor) -> Tuple[Tuple[Tensor, Tensor], Tuple[Tensor, Tensor]]:
        """Hits with all touches (precision), hits with all touches of the reference (recall)."""
        wanted = self._env.reference().contacts[: self._n] > TOUCHING
        hits = (touched & wanted).sum(1)
        return (hits, touched.sum(1)), (hits, wanted.sum(1))

    def _penetration(self, step: Step, valid: Tensor) -> Tuple[Tensor, Tensor]:
        deepest = self._surface.deepest(step, self._ids)
        self._deepest = torch.where(valid, torch.maximum(self._deepest, deepest), self._deepest)
        return deepest, torch.ones_like(deepest)

    def _skating(self, touching: Tensor) -> Tuple[Tensor, Tensor]:
        both = touching[:, self._feet]
        pair = torch.stack(self._recent[-2:])[:, :, self._feet]
        speed = horizontal_speeds(pair, 1.0 / self._env.control_dt)[0]
        return torch.where(both, speed, torch.zeros_like(speed)).sum(1), both.sum(1)

    def _jerk(self) -> Tuple[Tensor, Tensor]:
        zeros = torch.zeros(self._n, device=self._env.device)
        if len(self._recent) < 4:
            return zeros, zeros
        return jerks(torch.stack(self._recent), 1.0 / self._env.control_dt)[0].mean(-1), zeros + 1.0

    def _power(self, step: Step) -> Tensor:
        """(n,) W: sum over dofs of |torque · velocity|, the torque of the PD law at the end of the step."""
        character, state = self._env.kinematics.character, step.state
        kp, kd, effort = character.kp, character.kd, character.effort
        torque = kp * (self._env.pd_targets[: self._n] - state.dof_pos) - kd * state.dof_vel
        torque = torch.maximum(torch.minimum(torque, effort), -effort)
        return (torque * state.dof_vel).abs().sum(1)

    def _limits(self) -> List[Tuple[Tensor, Tensor, Tensor]]:
        """Of each of `LIMITS` the value (n,), its limit (n,) and the body (n,): the one nearest to its limit."""
        env, n = self._env, self._n
        state, ref, config = env.engine.state, env.reference(), env.config
        off = (state.root_pos - ref.pose.root_pos).norm(dim=-1)[:n]
        turned = quat_diff_angle(state.root_rot, ref.pose.root_rot)[:n]
        own, other = (pos[:n, 1:] - pos[:n, :1] for pos in (state.body_pos, ref.body_pos))
        far = (own - other).norm(dim=-1)
        most = env.task.max_body_dist
        worst = (far / most.clamp(min=1e-6)).argmax(1)
        root, full = torch.zeros_like(worst), torch.ones_like(off)
        return [
            (off, full * config.root_pos_termination_dist, root),
            (turned, full * config.root_rot_termination_angle, root),
            (far.gather(1, worst[:, None])[:, 0], most[worst].clamp(min=1e-6), worst + 1),
        ]

    def _note_loss(self, step: Step, tracked: Tensor, limits: List[Tuple[Tensor, Tensor, Tensor]]) -> None:
        """Which body broke which limit, in the step that lost the clip."""
        force = step.state.contact_forces.abs().amax(-1)
        force = force.masked_fill(self._env.task.may_touch, 0.0)
        hit = force.argmax(1)
        fall = (force.gather(1, hit[:, None])[:, 0], torch.full_like(force[:, 0], MIN_FALL_FORCE), hit)
        by_reason = {
            FailReason.FALL: fall,
            FailReason.ROOT_POSITION: limits[0],
            FailReason.ROOT_ROTATION: limits[1],
            FailReason.BODY_POSITION: limits[2],
        }
        for reason, (value, limit, body) in by_reason.items():
            now = tracked & (step.reason == reason)
            self._any_loss |= now
            self._lost = torch.where(now[:, None], torch.stack((body.float(), value, limit), 1), self._lost)

    def _add_trace(self, step: Step, values: Tensor) -> None:
        place = (step.time / self._lengths * BINS).long().clamp(0, BINS - 1)
        index = place[:, None, None].expand(-1, 1, len(TRACES))
        before = self._trace.gather(1, index)[:, 0]
        largest = 1 + len(LIMITS)
        now = torch.cat((torch.fmax(before, values)[:, :largest], values[:, largest:]), dim=1)
        now = torch.where(step.alive[:, None], now, before)
        self._trace.scatter_(1, index, now[:, None])

    def results(self) -> List[ClipDepth]:
        """Of each clip, once all steps are added."""
        ratios = torch.where(self._below > 0, self._above / self._below.clamp(min=1e-9), float("nan"))
        measures = torch.cat((ratios, self._deepest[:, None].double()), dim=1)
        columns: List[List[Any]] = [
            part.cpu().tolist()
            for part in (self._rules.passed(), measures, self._lost, self._any_loss, self._trace)
        ]
        return [
            ClipDepth(
                success=dict(zip(RULES, passed)),
                measures={
                    name: None if math.isnan(value) else value for name, value in zip(MEASURES, numbers)
                },
                lost_body=self._names[int(body)] if was_lost else "",
                lost_value=value if was_lost else None,
                lost_limit=limit if was_lost else None,
                trace={name: list(values) for name, values in zip(TRACES, zip(*trace))},
            )
            for passed, numbers, (body, value, limit), was_lost, trace in zip(*columns)
        ]


class _Surface:
    """How deep a character's surface is in the terrain."""

    def __init__(self, env: TrackingEnv) -> None:
        points = [torch.from_numpy(part) for part in surface_points(env.kinematics.character.to("cpu"))]
        owners = [torch.full((len(part),), body) for body, part in enumerate(points)]
        self._points = torch.cat(points).to(env.device)
        self._bodies = torch.cat(owners).to(env.device)
        self._terrain = env.terrain

    def deepest(self, step: Step, ids: Tensor) -> Tensor:
        """(n,) m: of each character's deepest point."""
        terrain, state = self._terrain, step.state
        ids = terrain.ids_of(ids)
        turned = quat_rotate(state.body_rot[:, self._bodies], self._points)
        points = turned + state.body_pos[:, self._bodies]
        cell = terrain.cell_index(ids, points[..., :2])
        beside = points[..., :2] - terrain.cell_center(ids, cell)
        depth = depth_in_cells(
            lambda cells: terrain.cell_heights(ids, cells), cell, beside, points[..., 2], terrain.dx
        )
        return depth.amax(1)
