"""An environment whose clips end when a table says so: what playing reads, with numbers to follow by hand."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from parc_core.engines.engine import EngineState
from parc_core.envs.terminations import FailReason

DT = 0.1  # s per control step


class FakeEnv:
    """N environments; clip m fails at clip time fails[m][0] (s) for reason fails[m][1] and at every step after it."""

    def __init__(
        self,
        num_envs: int,
        lengths: list[float],
        looping: tuple[int, ...] = (),
        fails: dict[int, tuple[float, FailReason]] | None = None,
    ) -> None:
        self.num_envs, self.control_dt, self.device = num_envs, DT, torch.device("cpu")
        wrap = torch.tensor([m in looping for m in range(len(lengths))])
        self.library = SimpleNamespace(lengths=torch.tensor(lengths), loop_wrap=wrap)
        self._fail_time = torch.full((len(lengths),), float("inf"))
        self._fail_reason = torch.zeros(len(lengths), dtype=torch.long)
        for m, (seconds, reason) in (fails or {}).items():
            self._fail_time[m], self._fail_reason[m] = seconds, reason
        rows = {name: torch.zeros(num_envs, 3) for name in EngineState.__dataclass_fields__}
        self.engine = SimpleNamespace(state=EngineState(**rows))
        self.resets: list[tuple[list[int], list[float]]] = []

    def reset_to(self, motion_ids: Tensor, times: Tensor) -> Tensor:
        assert len(motion_ids) == len(times) == self.num_envs
        self.resets.append((motion_ids.tolist(), times.tolist()))
        self.motion_ids, self._start, self._steps = motion_ids, times, 0
        self.fail_reason = torch.zeros(self.num_envs, dtype=torch.long)
        return self._observe()

    @property
    def motion_times(self) -> Tensor:
        return self._start + self._steps * DT

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, dict]:
        """Rewards are the actions."""
        self._steps += 1
        ids, times = self.motion_ids, self.motion_times
        ended = (times >= self.library.lengths[ids] - 1e-4) & ~self.library.loop_wrap[ids]
        self.fail_reason.zero_().masked_fill_(ended, int(FailReason.MOTION_END))  # in place, as on the GPU
        failed = times >= self._fail_time[ids] - 1e-4
        self.fail_reason.copy_(torch.where(failed, self._fail_reason[ids], self.fail_reason))
        return self._observe(), action[:, 0], torch.zeros_like(ids), {}

    def joint_error(self) -> Tensor:
        """The clip time, as m."""
        return self.motion_times

    def tracking_error(self) -> Tensor:
        """1 to 7 in every step."""
        return torch.arange(1.0, 8.0).expand(self.num_envs, 7)

    def _observe(self) -> Tensor:
        self.engine.state.root_pos[:, 0] = self.motion_times
        return self.motion_ids[:, None].float()


def id_as_action(obs: Tensor) -> Tensor:
    """A policy by which every environment's reward is the id of its clip."""
    assert not torch.is_grad_enabled()
    return obs
