"""The environment for engine `mujoco_warp` with every term in PyTorch, its step and its resets recorded as CUDA graphs.

An experiment beside `FusedTrackingEnv`: what does it cost to have each formula once, in torch? Terms, lookups and
statistics are those of `TrackingEnv`; the physics stays Warp's own graph. A control step is three graphs in a row
(targets, physics, scores), a restart three more (places, physics, observations). As in the fused environment new
motions and times are drawn for everybody, outside the graphs, and a mask says who takes them: nothing waits for the
device.
"""

from __future__ import annotations

import sys
import time
import traceback
from typing import Any, Callable, Dict, List, Tuple

import torch
from torch import Tensor

from parc_core.envs.reference import Reference
from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.envs.tracking_env import TrackingEnv

WARM_UPS = 3  # calls before recording: kernels are compiled and chosen
AS_IN_MOTION = ("root_rot", "root_vel", "root_ang_vel", "dof_pos", "dof_vel")  # fields of a reset state
# Plain numbers: to torch.compile a tensor is never equal to a member of an IntEnum.
NULL, FAIL, TIME = (int(flag) for flag in (DoneFlag.NULL, DoneFlag.FAIL, DoneFlag.TIME))
MOTION_END = int(FailReason.MOTION_END)
PARTS = {
    "targets": "_aim",
    "physics": "_launch_step",
    "scores": "_score",
    "places": "_put",
    "physics reset": "_launch_reset",
    "masked observation": "_observe_masked",
}
"""Calls of a step (three) and of a restart (three), by what reports name them."""


class GraphedTorchEnv(TrackingEnv):
    """A `TrackingEnv` over an engine with launches; like `FusedTrackingEnv` it writes its observations in place.

    On the CPU the same functions simply run.

    Attributes:
        compiled: whether torch.compile was asked for.
        graph_seconds: seconds that compiling and recording took.
        eager_parts: names of parts that torch.compile refused and that were recorded without it.
    """

    engine: Any

    def __init__(self, *parts: Any, compiled: bool = False) -> None:
        """Args:
        parts: those of `TrackingEnv`.
        compiled: through torch.compile before recording.
        """
        super().__init__(*parts)
        n, device = self.num_envs, self.device
        self.compiled = compiled
        self.eager_parts: List[str] = []
        self._action = torch.zeros(n, self.action_dim, device=device)
        self._reward_of_step = torch.zeros(n, device=device)
        self._new_motions, self._new_times = torch.zeros_like(self.motion_ids), torch.zeros(n, device=device)
        self._shift = torch.zeros(n, 2, device=device)
        self._reasons = torch.arange(len(FailReason), device=device)
        began = time.perf_counter()
        self._launch_step = self.engine.capture(self.engine.launch_step)
        self._launch_reset = self.engine.capture(self.engine.launch_reset)
        with torch.no_grad():
            self._record_parts()
        self._clear()
        self.graph_seconds = time.perf_counter() - began

    def _record_parts(self) -> None:
        """The scores read the reference where the recorded targets leave it."""
        aim = self._aim = self._part("targets", self._set_targets)
        self._score = self._part("scores", self._set_scores, lambda: (aim.result,))
        self._put = self._part("places", self._set_places)
        self._observe_masked = self._part("masked observation", self._set_masked_obs)

    def _part(
        self, name: str, function: Callable[..., Any], arguments: Callable[[], Tuple[Any, ...]] = tuple
    ) -> Recorded:
        if self.compiled:
            try:
                return Recorded(torch.compile(function, dynamic=False), arguments, self.device)
            except Exception:  # noqa: BLE001 - whatever it refuses, the part can still be recorded
                traceback.print_exc(file=sys.stderr)
                self.eager_parts.append(name)
                torch.cuda.synchronize(self.device)
        return Recorded(function, arguments, self.device)

    def _clear(self) -> None:
        """Undoes what the calls before recording left."""
        for tensor in (self.motion_ids, self.start_times, self.steps, self.done, self.fail_reason):
            tensor.zero_()
        for tensor in (self.stats.returns, self.stats._totals, self._reward_of_step):
            tensor.zero_()
        self.sampler.fail_rates.fill_(1.0)
        self.engine.counters()

    # -- what is recorded: nothing in here waits, and all results go into tensors that stay --------------

    def _set_targets(self) -> Reference:
        self.steps += 1
        ref = self._current_reference()
        self.engine.pd_targets.copy_(self.actions.targets(self._action, ref.dof_pos, ref.pose.dof_vel))
        return ref

    def _set_scores(self, ref: Reference) -> None:
        self._obs.copy_(self._observe_everyone())
        reward = self._reward(ref)
        reward = torch.where(self.engine.state.diverged, torch.zeros_like(reward), reward)
        self._reward_of_step.copy_(reward)
        done, reason = self.done, self.fail_reason
        self._update_done(ref)  # makes new tensors
        done.copy_(self.done)
        reason.copy_(self.fail_reason)
        self.done, self.fail_reason = done, reason
        self._finish(reward)

    def _finish(self, reward: Tensor) -> None:
        """As `TrackingEnv._finish`, with sums as the fused environment makes them."""
        self.stats.returns += reward
        finished, timed_out = self.done != NULL, self.done == TIME
        reasons = torch.where(timed_out, torch.zeros_like(self.fail_reason), self.fail_reason)
        ended, mask = reasons == MOTION_END, finished.double()
        sums = (
            mask,
            mask * self.stats.returns,
            mask * self.steps,
            mask * (timed_out | ended),
            mask * timed_out,
        )
        each = mask[:, None] * (reasons[:, None] == self._reasons)
        self.stats.add_rows(torch.cat((torch.stack(sums, dim=1), each), dim=1))
        self.sampler.record(self.motion_ids, (self.done == FAIL) & ~ended, finished)

    def _set_places(self) -> None:
        """Those of `reset_mask` go to the new motions and times."""
        frame, place, mask = (
            self.library.sample(self._new_motions, self._new_times),
            self.engine.reset_state,
            self.engine.reset_mask,
        )
        for name in AS_IN_MOTION:
            getattr(place, name).copy_(getattr(frame, name))
        root_pos = torch.cat((frame.root_pos[:, :2] + self._shift, frame.root_pos[:, 2:]), dim=1)
        place.root_pos.copy_(root_pos)
        place.terrain_ids.copy_(self._terrain_ids(self._new_motions))
        self.motion_ids.copy_(torch.where(mask, self._new_motions, self.motion_ids))
        self.start_times.copy_(torch.where(mask, self._new_times, self.start_times))
        for tensor in (self.steps, self.done, self.fail_reason, self.stats.returns):
            tensor.masked_fill_(mask, 0)

    def _set_masked_obs(self) -> None:
        mask = self.engine.reset_mask[:, None]
        self._obs.copy_(torch.where(mask, self._observe_everyone(), self._obs))

    def _observe_everyone(self) -> Tensor:
        everyone: Any = slice(None)  # a view, where ids would copy the state
        return self._observer.observe(
            self.engine.state,
            everyone,
            self.motion_ids,
            self.motion_times,
            self._terrain_ids(self.motion_ids),
        )

    # -- the interface ----------------------------------------------------------------------------------

    def reset(self) -> Tensor:
        """See `TrackingEnv.reset`."""
        self.engine.reset_mask.fill_(True)
        return self._restart_random()

    def reset_done(self) -> Tensor:
        """Starts the ended environments anew and overwrites their observations in the same tensor as `step`'s."""
        torch.ne(self.done, NULL, out=self.engine.reset_mask)
        return self._restart_random()

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        """See `TrackingEnv.reset_to`."""
        self.engine.reset_mask.fill_(True)
        self._new_motions.copy_(motion_ids)
        self._new_times.copy_(times)
        self._shift.zero_()
        return self._restart()

    def _restart_random(self) -> Tensor:
        n = self.num_envs
        motions, times = self.sampler.sample(n, self.config.rand_reset)
        self._new_motions.copy_(motions)
        self._new_times.copy_(times)
        unit = torch.rand(n, 2, generator=self._generator, device=self.device) * 2.0 - 1.0
        torch.mul(unit, self.config.rand_root_pos_offset_scale, out=self._shift)
        return self._restart()

    def _restart(self) -> Tensor:
        self._put()
        self._launch_reset()
        self._observe_masked()
        self._reference = None
        return self._obs

    def step(self, action: Tensor) -> Tuple[Tensor, Tensor, Tensor, Dict[str, Any]]:
        """See `TrackingEnv.step`; the observation is valid until `reset_done` or the next step."""
        self._action.copy_(action)
        self._aim()
        self._launch_step()
        self._score()
        self._reference = None
        ended = self.fail_reason == MOTION_END
        return self._obs, self._reward_of_step.clone(), self.done.clone(), {"motion_end": ended}

    def observe(self) -> Tensor:
        """Observation of the current state, (N, obs_dim), always the same tensor."""
        self.engine.reset_mask.fill_(True)
        self._observe_masked()
        return self._obs

    def episode_stats(self) -> Dict[str, float]:
        """As `FusedTrackingEnv.episode_stats`."""
        counts = self.engine.counters()
        return {**super().episode_stats(), **{name.title(): value for name, value in counts.items()}}


class Recorded:
    """A function whose calls are the replays of one CUDA graph; on the CPU it is called.

    Attributes:
        result: what it returned; a graph writes the same tensors again with every call.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Callable[[], Tuple[Any, ...]], device: torch.device
    ) -> None:
        self._function, self._arguments = function, arguments
        self._graph: Any = None
        self.result: Any = None
        if device.type == "cuda":
            self._record(device)

    def __call__(self) -> None:
        if self._graph is not None:
            self._graph.replay()
        else:
            self.result = self._function(*self._arguments())

    def _record(self, device: torch.device) -> None:
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                self._function(*self._arguments())
        torch.cuda.current_stream(device).wait_stream(stream)
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self.result = self._function(*self._arguments())
        torch.cuda.synchronize(device)
        self._graph = graph
