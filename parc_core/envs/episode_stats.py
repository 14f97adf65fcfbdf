"""Episode statistics, accumulated on the device and read once per output."""

from __future__ import annotations

from typing import Any, Dict

import torch
from torch import Tensor

from parc_core.envs.terminations import FAILURES, FailReason
from parc_core.system.world import ONE_PROCESS, World

_FIELDS = ("count", "total_return", "total_steps", "completed", "timed_out")
NUM_TOTALS = len(_FIELDS) + len(FailReason)
"""Numbers that an episode adds to: how often, return, steps, completed, timed out, then one for each reason."""


_NAMES = (*_FIELDS, *(reason.label for reason in FailReason))
"""Of the totals, in a checkpoint."""
_UNNAMED = (
    *_FIELDS,
    "none",
    "simulation diverged",
    "fall",
    "root position",
    "root rotation",
    "body position",
    "motion end",
)
"""Their order in checkpoints without names."""


class EpisodeStats:
    """Sums over the episodes that finished since the last read."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self.returns = torch.zeros(num_envs, device=device)
        """(N,) return of the running episodes."""
        self._totals = torch.zeros(NUM_TOTALS, dtype=torch.float64, device=device)
        self._sums, self._reasons = self._totals.split((len(_FIELDS), len(FailReason)))

    def add(self, finished: Tensor, steps: Tensor, timed_out: Tensor, reasons: Tensor) -> None:
        """Counts episodes that finished in this step; all (N,): bool, int64, bool, int64."""
        mask = finished.double()
        completed = mask * (timed_out | (reasons == FailReason.MOTION_END))
        self._sums += torch.stack(
            (
                mask.sum(),
                (mask * self.returns).sum(),
                (mask * steps).sum(),
                completed.sum(),
                (mask * timed_out).sum(),
            )
        )
        self._reasons.index_add_(0, reasons, mask)

    def add_rows(self, rows: Tensor) -> None:
        """Adds what N environments contribute, (N, NUM_TOTALS) float64; rows of running episodes are zero."""
        self._totals += rows.sum(0)

    def read(self, world: World = ONE_PROCESS) -> Dict[str, float]:
        """Means since the last read over the world's processes, then starts anew; all of them must call it.

        Keys: Episodes, Train_Return, Train_Episode_Length (steps), Completed (share), Fail_<reason> (shares). Without a
        finished episode only Episodes is there.
        """
        totals = world.sum_(self._totals).tolist()
        sums, reasons = dict(zip(_FIELDS, totals)), totals[len(_FIELDS) :]
        self._totals.zero_()
        n = sums["count"]
        if n == 0:
            return {"Episodes": 0.0}
        stats = {
            "Episodes": n,
            "Train_Return": sums["total_return"] / n,
            "Train_Episode_Length": sums["total_steps"] / n,
            "Completed": sums["completed"] / n,
        }
        for reason, count in zip(FailReason, reasons):
            if reason in FAILURES:
                stats[reason.column] = count / n
        return stats

    def state_dict(self) -> Dict[str, Any]:
        return {"returns": self.returns.clone(), "names": list(_NAMES), "totals": self._totals.clone()}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.returns.copy_(state["returns"])
        if "names" in state:
            saved = dict(zip(state["names"], state["totals"].tolist()))
        else:  # of a checkpoint from before statistics had names
            saved = dict(zip(_UNNAMED, [*state["sums"].tolist(), *state["reasons"].tolist()]))
        # A reason that is new since the checkpoint has not happened yet.
        self._totals.copy_(torch.tensor([saved.get(name, 0.0) for name in _NAMES], dtype=torch.float64))
