"""A policy's clips, simulated as they are watched: every frame and state is kept, so that scrubbing back is exact."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Tuple

import numpy as np
import torch
from torch import Tensor

from parc_core.envs.terminations import TIME_EPS, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.playback.play import Policy
from parc_core.playback.tracks import LOOPING_CLIP_S, ground_around, limits_of, numbers_of_step
from parc_core.viewing.clip_scene import Mark
from parc_core.viewing.source import Frame, Ground

TAIL_S = 1.5
"""A clip that is lost goes on for so long: the fall explains it."""


class PolicySource:
    """A `Source` over an environment of one simulation.

    Args:
        env: N = 1; its episodes are given up.
        policy: observations -> actions.
    """

    def __init__(self, env: TrackingEnv, policy: Policy) -> None:
        self.character = env.kinematics.character.to("cpu")
        self.names, self.dt = env.library.names, env.control_dt
        self.can_push = env.engine.external_forces is not None
        self.limits = limits_of(env)
        self._env, self._policy = env, policy
        self.marks: Tuple[Mark, ...] = ()
        self.select(0)

    @property
    def engine(self) -> str:
        """Its name."""
        return self._env.engine.name

    def select(self, clip: int) -> None:
        """See `Source`."""
        env = self._env
        self._clip = clip
        length = float(env.library.lengths[clip])
        if bool(env.library.loop_wrap[clip]):
            length = max(length, LOOPING_CLIP_S)
        self._pushes: List[Tuple[int, int, int, np.ndarray]] = []  # from frame, to frame, body, N
        self._whole = math.ceil((length - TIME_EPS) / self.dt) + 1
        self._restart()

    def set_policy(self, policy: Policy) -> None:
        """Another policy, such as of a newer checkpoint, from the clip's start on; pushes stay."""
        self._policy = policy
        self._restart()

    @torch.no_grad()
    def _restart(self) -> None:
        env = self._env
        ids = torch.full((env.num_envs,), self._clip, dtype=torch.long)
        self._obs: Tensor = env.reset_to(ids, torch.zeros(env.num_envs))
        self.num_frames, self.marks = self._whole, ()
        self._frames: List[Frame] = [self._look()]
        self._states: List[Dict[str, Any]] = [env.state_dict()]

    def frame(self, number: int) -> Frame:
        """See `Source`."""
        while len(self._frames) <= min(number, self.num_frames - 1):
            self._advance()
        return self._frames[min(number, self.num_frames - 1)]

    def curve(self) -> List[float]:
        """See `Source`."""
        return [next(iter(frame.numbers.values())) for frame in self._frames]

    @torch.no_grad()
    def _advance(self) -> None:
        env, now = self._env, len(self._frames)
        if self.can_push:
            forces = env.engine.external_forces
            assert forces is not None
            forces.zero_()
            for begin, end, body, force in self._pushes:
                if begin < now <= end:
                    forces[:, body] += torch.as_tensor(force, dtype=forces.dtype, device=forces.device)
        self._obs, _, _, _ = env.step(self._policy(self._obs))
        reason = FailReason(int(env.fail_reason[0]))
        if reason not in (FailReason.NONE, FailReason.MOTION_END) and not self.marks:
            self.num_frames = min(self._whole, now + 1 + round(TAIL_S / self.dt))
            last = (self.num_frames - 1) * self.dt
            self.marks = (Mark("lost", now * self.dt, last, f"lost: {reason.label}"),)
        self._frames.append(self._look())
        self._states.append(env.state_dict())

    def _look(self) -> Frame:
        env, s = self._env, self._env.engine.state
        ref = env.library.sample(env.motion_ids[:1], env.motion_times[:1])
        ref_pos, ref_rot = env.kinematics.forward(ref.root_pos, ref.root_rot, ref.joint_rot)
        forces = _copy(s.contact_forces)
        return Frame(
            body_pos=_copy(s.body_pos),
            body_rot=_copy(s.body_rot),
            touching=np.linalg.norm(forces, axis=-1) > env.config.contact_detection_eps,
            ref_pos=_copy(ref_pos),
            ref_rot=_copy(ref_rot),
            forces=forces,
            numbers={name: float(values[0]) for name, values in numbers_of_step(env).items()},
            note=self.marks[0].text if self.marks else "",
        )

    def ground(self) -> Ground:
        """See `Source`: around the reference, with room for a character that leaves it."""
        env = self._env
        times = torch.arange(self._whole, device=env.device) * self.dt
        ref = env.library.sample(torch.full_like(times, self._clip, dtype=torch.long), times)
        path = ref.root_pos.cpu().numpy()
        xy, heights = ground_around(env.terrain, self._clip, np.concatenate((path - 1.2, path + 1.2)))
        return xy, heights, float(env.terrain.dx)

    def push(self, number: int, body: int, force: np.ndarray, seconds: float) -> None:
        """See `Source`."""
        number = min(number, len(self._frames) - 1)
        steps = max(1, round(seconds / self.dt))
        del self._frames[number + 1 :], self._states[number + 1 :]
        self._pushes = [one for one in self._pushes if one[0] <= number]
        self._pushes.append((number, number + steps, body, np.asarray(force, np.float64)))
        if self.marks and round(self.marks[0].start_s / self.dt) > number:
            self.num_frames, self.marks = self._whole, ()
        env = self._env
        env.load_state_dict(self._states[number])
        self._obs = env.observe()

    def scan(self, frame: Frame) -> np.ndarray:
        """(P, 3) m: the height scan's points on the terrain."""
        from parc_core.envs.observations import ray_points_world

        env = self._env
        root_pos, root_rot = (
            torch.from_numpy(part[:1]).to(env.device) for part in (frame.body_pos, frame.body_rot)
        )
        xy = ray_points_world(env.task.ray_points, root_pos, root_rot)
        terrain = env.terrain.ids_of(torch.tensor([self._clip], device=env.device))
        heights = env.terrain.heights_at(terrain, xy)
        return torch.cat((xy, heights[..., None]), dim=-1)[0].cpu().numpy()


def _copy(values: Tensor) -> np.ndarray:
    return values[0].cpu().numpy().copy()
