"""The kinds of synthetic motions: each draws a plan from random numbers.

Speeds stay below 1.1 m/s and height changes below 0.25 m, so that a PD-controlled humanoid of 50 kg can follow.
Footholds keep away from the edges of the 0.4 m cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Dict, List, Sequence, Tuple

import numpy as np

from parc_core.motion.synthetic.plan import LEFT, RIGHT, FootPose, Footstep, MotionPlan, Profile

CELL = 0.4  # m
_HALF_STANCE = 0.095  # m from the path to each ankle
_BEFORE_EDGE = 0.18  # m from the ankle to an edge in front: 4.5 cm from the toe
_BEHIND_EDGE = 0.11  # m from an edge to the ankle after it: 6 cm to the heel
_MID_TREAD = 0.155  # m from an edge to the ankle of a foot in the middle of a cell
_END = 0.6  # s from the last landing to the last frame
_MAX_HEEL_OFF = 0.65  # rad
_SIDE_Y = (-_HALF_STANCE, _HALF_STANCE)


@dataclass(frozen=True)
class _Tempo:
    """Timing of a gait."""

    begin: float
    """s before the first foot lifts."""
    swing: float
    """s in the air."""
    double: float
    """s with both feet down between two swings."""


def _tempo(rng: np.random.Generator, slow: float = 0.0) -> _Tempo:
    return _Tempo(
        begin=rng.uniform(0.45, 0.55),
        swing=rng.uniform(0.38, 0.44) + 0.6 * slow,
        double=rng.uniform(0.1, 0.14) + 0.4 * slow,
    )


def _steps(
    targets: Sequence[Tuple[int, FootPose]], tempo: _Tempo, heel_off: Sequence[float], clearance: float
) -> Tuple[Tuple[Footstep, ...], float]:
    """Footsteps one after the other, and the duration of the motion."""
    steps: List[Footstep] = []
    lift = tempo.begin
    for (side, target), pitch in zip(targets, heel_off):
        lead = tempo.double + 0.08 + 0.4 * max(pitch - 0.45, 0.0)  # long steps need the heel up earlier
        steps.append(Footstep(side, target, lift, lift + tempo.swing, clearance, pitch, lead))
        lift += tempo.swing + tempo.double
    return tuple(steps), steps[-1].land + _END


def _straight(
    rng: np.random.Generator, xs: Sequence[float], tempo: _Tempo, ground: Profile, clearance: float = 0.07
) -> MotionPlan:
    """Steps to the given x, feet alternating, the last foot closing up; starts with both feet at xs[0]."""
    side = int(rng.integers(2))
    targets, heel_off = [], []
    for number, x in enumerate([*xs[1:], xs[-1]]):
        foot = (side + number) % 2
        targets.append((foot, (x, _SIDE_Y[foot], 0.0)))
        # The swinging foot was left behind where the last step but one ended; the other stands on xs[number].
        behind, ahead = xs[max(number - 1, 0)], xs[number]
        from_z, other_z, to_z = (float(z) for z in ground.height(np.array([behind, ahead, x])))
        effort = 0.9 * (ahead - behind) + 1.2 * abs(other_z - from_z) + 1.2 * max(to_z - from_z, 0.0)
        heel_off.append(float(np.clip(effort, 0.0, _MAX_HEEL_OFF)))
    steps, duration = _steps(targets, tempo, heel_off, clearance)
    start = ((xs[0], _SIDE_Y[RIGHT], 0.0), (xs[0], _SIDE_Y[LEFT], 0.0))
    return MotionPlan(
        start=start,
        steps=steps,
        duration=duration,
        ground=ground,
        lean=rng.uniform(0.03, 0.1),
        arm_swing=rng.uniform(0.4, 0.8),
        arm_bend=rng.uniform(0.2, 0.5),
        yaw=float(rng.integers(4)) * 0.5 * math.pi,
        elevation=_round(rng.uniform(-0.5, 0.5)),
    )


def _round(height: float) -> float:
    """Heights of cells are multiples of a centimetre."""
    return round(float(height), 2)


def _first_edge(length: float) -> float:
    """The first cell border at least `length` in front of the origin."""
    return (math.ceil(length / CELL - 0.5) + 0.5) * CELL


def _approach(rng: np.random.Generator, count: int) -> Tuple[float, List[float]]:
    """An edge and the x of a start and `count` steps towards it, the last one just before it."""
    stride = rng.uniform(0.26, 0.36)
    edge = _first_edge(count * stride + _BEFORE_EDGE)
    last = edge - _BEFORE_EDGE - rng.uniform(0.0, 0.03)
    return edge, [last - stride * k for k in range(count, -1, -1)]


def _standing(rng: np.random.Generator, duration: float, **changes: object) -> MotionPlan:
    y = _HALF_STANCE + rng.uniform(0.0, 0.05)
    yaw = rng.uniform(0.0, 0.2)
    fields: Dict[str, object] = {
        "start": ((0.0, -y, -yaw), (0.0, y, yaw)),
        "steps": (),
        "duration": duration,
        "ground": Profile(),
        "arm_bend": rng.uniform(0.2, 0.5),
        "yaw": rng.uniform(-math.pi, math.pi),
        "elevation": _round(rng.uniform(-0.5, 0.5)),
    }
    fields.update(changes)
    return MotionPlan(**fields)  # type: ignore[arg-type]


def stand(rng: np.random.Generator) -> MotionPlan:
    """Shifts the weight from foot to foot, with slightly bent knees."""
    knots = np.cumsum([0.3, *rng.uniform(0.7, 1.1, 3)])
    shares = [0.0, *(rng.uniform(0.1, 0.3, 2) * rng.permutation([-1, 1])), 0.0]
    depths = [0.0, *rng.uniform(0.0, 0.03, 2), 0.0]
    return _standing(
        rng,
        float(knots[-1]) + 0.3,
        sway=tuple(zip(knots, shares)),
        crouch=tuple(zip(knots, depths)),
        lean=0.03,
    )


def squat(rng: np.random.Generator) -> MotionPlan:
    """Goes down and up, arms forward."""
    depth, pace = rng.uniform(0.1, 0.24), rng.uniform(0.65, 0.95)
    times = np.cumsum([rng.uniform(0.25, 0.4), pace, rng.uniform(0.1, 0.3), pace])
    crouch = tuple(zip(times, (0.0, depth, depth, 0.0)))
    return _standing(rng, float(times[-1]) + 0.35, crouch=crouch, lean=0.03)


def walk(rng: np.random.Generator) -> MotionPlan:
    """Straight ahead on level ground, 0.6 to 1 m/s."""
    tempo = _tempo(rng)
    stride = rng.uniform(0.34, 0.5)
    return _any_direction(rng, _straight(rng, _even(stride, int(rng.integers(4, 6))), tempo, Profile()))


def backward(rng: np.random.Generator) -> MotionPlan:
    """Straight back in short steps."""
    return _any_direction(
        rng, _straight(rng, _even(-rng.uniform(0.18, 0.28), int(rng.integers(3, 5))), _tempo(rng), Profile())
    )


def _even(stride: float, count: int) -> List[float]:
    """Start and steps of equal length, the first and the last a little shorter."""
    lengths = np.full(count, stride)
    lengths[[0, -1]] *= 0.8
    return [0.0, *np.cumsum(lengths)]


def _any_direction(rng: np.random.Generator, plan: MotionPlan) -> MotionPlan:
    """Level ground looks alike from everywhere: any heading will do."""
    fields = dict(plan.__dict__)
    fields["yaw"] = rng.uniform(-math.pi, math.pi)
    return MotionPlan(**fields)


def sidestep(rng: np.random.Generator) -> MotionPlan:
    """To one side, foot out and foot closing, twice or three times."""
    side, width = int(rng.integers(2)), rng.uniform(0.15, 0.28)
    sign = 1.0 if side == LEFT else -1.0
    targets = []
    for k in range(1, int(rng.integers(3, 5))):
        for foot in (side, 1 - side):
            targets.append((foot, (0.0, _SIDE_Y[foot] + sign * width * k, 0.0)))
    steps, duration = _steps(targets, _tempo(rng), [0.05] * len(targets), 0.06)
    return _standing(
        rng, duration, start=((0.0, _SIDE_Y[0], 0.0), (0.0, _SIDE_Y[1], 0.0)), steps=steps, arm_swing=0.0
    )


def turn(rng: np.random.Generator) -> MotionPlan:
    """A walked arc, or a turn on the spot, of 60 to 180 degrees; the inner foot goes first."""
    sign = rng.choice([-1.0, 1.0])
    count = int(rng.integers(4, 7))
    angle = sign * rng.uniform(0.3, 0.45)
    stride = rng.choice([0.0, rng.uniform(0.15, 0.35)])
    first = LEFT if sign > 0 else RIGHT
    targets, x, y, yaw = [], 0.0, 0.0, 0.0
    for k in range(count + 1):
        foot = (first + k) % 2
        if k < count:  # the last step closes up
            x, y = x + stride * math.cos(yaw + 0.5 * angle), y + stride * math.sin(yaw + 0.5 * angle)
            yaw += angle
        targets.append((foot, (x - _SIDE_Y[foot] * math.sin(yaw), y + _SIDE_Y[foot] * math.cos(yaw), yaw)))
    steps, duration = _steps(targets, _tempo(rng, 0.05), [0.0] + [0.6 * stride] * count, 0.07)
    return _standing(
        rng, duration, start=((0.0, _SIDE_Y[0], 0.0), (0.0, _SIDE_Y[1], 0.0)), steps=steps, arm_swing=0.5
    )


def _one_step(rng: np.random.Generator, rise: float) -> MotionPlan:
    edge, xs = _approach(rng, int(rng.integers(1, 3)))
    landing = edge + _BEHIND_EDGE + rng.uniform(0.0, 0.04)
    xs += [landing, landing + rng.uniform(0.2, 0.33)]
    return _straight(rng, xs, _tempo(rng, 0.05 + 0.4 * abs(rise)), Profile((edge,), (0.0, _round(rise))))


def step_up(rng: np.random.Generator) -> MotionPlan:
    """Up one step of 0.1 to 0.22 m."""
    return _one_step(rng, rng.uniform(0.1, 0.22))


def step_down(rng: np.random.Generator) -> MotionPlan:
    """Down one step of 0.1 to 0.22 m."""
    return _one_step(rng, -rng.uniform(0.1, 0.22))


def _treads(rng: np.random.Generator, heights: Sequence[float]) -> MotionPlan:
    """One foot per cell over cells of the given heights, after level ground at 0."""
    edge, xs = _approach(rng, 1)
    count = len(heights)
    xs += [edge + _MID_TREAD + CELL * k for k in range(count)]
    edges = tuple(edge + CELL * k for k in range(count))
    steepest = max(abs(float(rise)) for rise in np.diff([0.0, *heights]))
    return _straight(
        rng, xs, _tempo(rng, 0.05 + 0.4 * steepest), Profile(edges, (0.0, *map(_round, heights)))
    )


def stairs(rng: np.random.Generator) -> MotionPlan:
    """Three stairs of 0.07 to 0.15 m, up or down."""
    rise = rng.uniform(0.07, 0.15) * rng.choice([-1.0, 1.0])
    return _treads(rng, [rise * (k + 1) for k in range(3)])


def platform(rng: np.random.Generator) -> MotionPlan:
    """Up a block of two cells and down again."""
    height = rng.uniform(0.08, 0.18)
    return _treads(rng, [height, height, 0.0])


def blocks(rng: np.random.Generator) -> MotionPlan:
    """Uneven cells, up to 0.12 m from one to the next."""
    return _treads(rng, list(rng.uniform(-0.06, 0.06, 3)))


def gap(rng: np.random.Generator) -> MotionPlan:
    """A long step over a ditch of one cell."""
    edge, xs = _approach(rng, int(rng.integers(1, 3)))
    landing = edge + CELL + _BEHIND_EDGE - 0.02
    xs += [landing, landing + rng.uniform(0.15, 0.3)]
    depth = _round(rng.uniform(0.3, 1.0))
    return _straight(
        rng, xs, _tempo(rng, 0.15), Profile((edge, edge + CELL), (0.0, -depth, 0.0)), clearance=0.09
    )


KINDS: Dict[str, Callable[[np.random.Generator], MotionPlan]] = {
    function.__name__: function
    for function in (
        stand,
        squat,
        walk,
        backward,
        sidestep,
        turn,
        step_up,
        step_down,
        stairs,
        platform,
        blocks,
        gap,
    )
}  # fmt: skip
"""Planner of each kind, by name."""
