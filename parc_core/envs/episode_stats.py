"""Episode statistics and means of the reward's terms, accumulated on the device and read once per output."""

from __future__ import annotations

from typing import Any, Dict

import torch
from torch import Tensor

from parc_core.envs.rewards import REWARD_TERMS
from parc_core.envs.terminations import FAILURES, FailReason
from parc_core.system.world import ONE_PROCESS, World

_FIELDS = ("count", "total_return", "total_steps", "completed", "timed_out")
TERM_COLUMNS = (*(f"{term.name}_r" for term in REWARD_TERMS), "contact_r")
"""Of the reward's terms in log.txt: T of `REWARD_TERMS`, then the contact term."""
_STEPS = "env_steps"
FIRST_REASON = len(_FIELDS)
FIRST_TERM = FIRST_REASON + len(FailReason)
NUM_TOTALS = FIRST_TERM + len(TERM_COLUMNS) + 1
"""Numbers that an environment adds to. An episode that ends: how often, return, steps, completed, timed out, from
`FIRST_REASON` on one for each reason. Every step: from `FIRST_TERM` on the reward's terms, at last how many steps."""

_NAMES = (*_FIELDS, *(reason.label for reason in FailReason), *TERM_COLUMNS, _STEPS)
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
    """Sums over the episodes that finished, and over all steps, since the last read."""

    def __init__(self, num_envs: int, device: torch.device) -> None:
        self.returns = torch.zeros(num_envs, device=device)
        """(N,) return of the running episodes."""
        self._totals = torch.zeros(NUM_TOTALS, dtype=torch.float64, device=device)
        sizes = (len(_FIELDS), len(FailReason), len(TERM_COLUMNS), 1)
        self._sums, self._reasons, self._terms, self._steps = self._totals.split(sizes)

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

    def add_terms(self, terms: Tensor) -> None:
        """Counts a step of all environments with its reward's terms, (N, T + 1) in the order of `TERM_COLUMNS`."""
        self._terms += terms.double().sum(0)
        self._steps += len(terms)

    def add_rows(self, rows: Tensor) -> None:
        """Adds what N environments contribute in a step, (N, NUM_TOTALS) float64."""
        self._totals += rows.sum(0)

    def read(self, world: World = ONE_PROCESS) -> Dict[str, float]:
        """Means since the last read over the world's processes, then starts anew; all of them must call it.

        Keys: Episodes, Train_Return, Train_Episode_Length (steps), Completed (share), Fail_<reason> (shares); without a
        finished episode Episodes alone. After a step also `TERM_COLUMNS`, means over environments and steps.
        """
        totals = world.sum_(self._totals).tolist()
        sums, reasons = dict(zip(_FIELDS, totals)), totals[FIRST_REASON:FIRST_TERM]
        self._totals.zero_()
        n, steps = sums["count"], totals[-1]
        terms = {name: total / steps for name, total in zip(TERM_COLUMNS, totals[FIRST_TERM:]) if steps > 0}
        if n == 0:
            return {"Episodes": 0.0, **terms}
        stats = {
            "Episodes": n,
            "Train_Return": sums["total_return"] / n,
            "Train_Episode_Length": sums["total_steps"] / n,
            "Completed": sums["completed"] / n,
        }
        for reason, count in zip(FailReason, reasons):
            if reason in FAILURES:
                stats[reason.column] = count / n
        return {**stats, **terms}

    def state_dict(self) -> Dict[str, Any]:
        return {"returns": self.returns.clone(), "names": list(_NAMES), "totals": self._totals.clone()}

    def load_state_dict(self, state: Dict[str, Any]) -> None:
        self.returns.copy_(state["returns"])
        if "names" in state:
            saved = dict(zip(state["names"], state["totals"].tolist()))
        else:  # of a checkpoint from before statistics had names
            saved = dict(zip(_UNNAMED, [*state["sums"].tolist(), *state["reasons"].tolist()]))
        # A reason or term that is new since the checkpoint has not happened yet.
        self._totals.copy_(torch.tensor([saved.get(name, 0.0) for name in _NAMES], dtype=torch.float64))
