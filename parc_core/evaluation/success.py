"""Whether a clip was tracked with success, by the three rules that papers on motion tracking use.

`last_frame`: its last frame was reached, with nothing lost by the environment's own limits (what `completed` means).
`joint_error`: the mean distance of all bodies from their reference never exceeded 0.5 m. PHC and ProtoMotions end an
episode there and call the rest success.
`no_fall`: the character was never down where its reference is not: root lower than half its standing height above the
ground below it, and at least 0.2 m lower than the reference's root is above its own. What rolls, kneels or crawls with
its reference has not fallen, nor has who lands on a lower step.

The second and third rule do not ask when the environment's limits were broken: clips are played on to their ends. A
simulation that diverged fails all three.
"""

from __future__ import annotations

from typing import Dict, List, Optional

import torch
from torch import Tensor

from parc_core.envs.terminations import FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.playback.play import Policy, Step, play, waves
from parc_core.playback.scores import TO_THE_END_S, Progress

RULES = ("last_frame", "joint_error", "no_fall")
MAX_JOINT_ERROR = 0.5
"""m, mean over all bodies (root included) in the world frame."""
DOWN_SHARE = 0.5
"""Of the root's height above the ground in the rest pose."""
DOWN_BELOW_REFERENCE = 0.2
"""m."""


class SuccessRules:
    """The three rules over the steps of n clips: `add` each step that `play` yields with `tail_s=TO_THE_END_S`."""

    def __init__(self, env: TrackingEnv, n: int) -> None:
        self._env, self._n = env, n
        self._down_height = DOWN_SHARE * standing_height(env)
        self._far, self._fell, self._diverged = (
            torch.zeros(n, dtype=torch.bool, device=env.device) for _ in range(3)
        )
        self._reason = torch.zeros(n, dtype=torch.long, device=env.device)

    def add(self, step: Step) -> None:
        """One step of `play`; the start counts for nothing."""
        self._reason = step.reason
        if step.index == 0:
            return
        env = self._env
        error = env.joint_error()[: self._n]
        self._diverged |= step.alive & (env.fail_reason[: self._n] == FailReason.DIVERGED)
        self._far |= step.alive & ~(error <= MAX_JOINT_ERROR)
        self._fell |= step.alive & self._down(env.reference().pose.root_pos)

    def _down(self, reference: Tensor) -> Tensor:
        """(n,) bool: the character is down now, its reference with roots (N, 3) m is not."""
        own, ref = (_above_ground(self._env, pos) for pos in (self._env.engine.state.root_pos, reference))
        return ((own < self._down_height) & (own < ref - DOWN_BELOW_REFERENCE))[: self._n]

    def passed(self) -> Tensor:
        """(n, 3) bool, in the order of `RULES`, once all steps are added."""
        done = self._reason == FailReason.MOTION_END
        whole = ~self._diverged
        return torch.stack((done & whole, ~self._far & whole, ~self._fell & whole), dim=1)


def standing_height(env: TrackingEnv) -> float:
    """m from the lowest body's origin up to the root's in the character's rest pose."""
    kinematics = env.kinematics
    zeros = torch.zeros(1, kinematics.character.dof_size, device=env.device)
    upright = torch.tensor([[0.0, 0.0, 0.0, 1.0]], device=env.device)
    pos, _ = kinematics.forward(zeros[:, :3], upright, kinematics.dof_to_rot(zeros))
    return float(-pos[..., 2].min())


def _above_ground(env: TrackingEnv, root_pos: Tensor) -> Tensor:
    """(N,) m: height of roots (N, 3) above the terrain below them."""
    ids = env.terrain.ids_of(env.motion_ids)
    return root_pos[:, 2] - env.terrain.heights_at(ids, root_pos[:, None, :2])[:, 0]


@torch.no_grad()
def judge_all_clips(
    env: TrackingEnv, policy: Policy, progress: Optional[Progress] = None
) -> Dict[str, List[bool]]:
    """Plays all M clips of the environment's dataset to their ends, from their first frames.

    Returns:
        of each rule of `RULES` M answers, in the order of the dataset.
    """
    lengths = env.library.lengths
    passed = torch.zeros(len(lengths), len(RULES), dtype=torch.bool, device=env.device)
    done = 0
    for ids in waves(lengths, env.num_envs):
        rules = SuccessRules(env, len(ids))
        for step in play(env, policy, ids, tail_s=TO_THE_END_S):
            rules.add(step)
            if progress is not None and step.ended is not None:
                progress(done + step.ended, len(lengths))
        passed[ids] = rules.passed()
        done += len(ids)
        if progress is not None:
            progress(done, len(lengths))
    columns = passed.T.tolist()
    return dict(zip(RULES, columns))
