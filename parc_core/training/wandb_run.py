"""Weights & Biases, for who asks for it (`use_wandb: true`) and has the package: never needed, and never in the way."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from parc_core.system.extras import install_extra
from parc_core.training.curves import HyperParameters, tag
from parc_core.training.history import Row

STEP = "Samples"


@dataclass(frozen=True)
class WandbNames:
    """Where the run goes."""

    project: Optional[str]
    name: Optional[str]


class WandbRun:
    """The same numbers under the same tags as TensorBoard's, over `Samples`.

    A training that is resumed goes on in its run, which is known by the output folder. Points that a rollback or an
    older checkpoint gives up stay: that service takes nothing back.
    """

    def __init__(
        self, folder: Path, names: WandbNames, warn: Callable[[str], None], settings: HyperParameters
    ) -> None:
        self._folder, self._names, self._warn, self._settings = folder, names, warn, settings
        self._run: Any = None
        self._sent = -math.inf
        try:
            import wandb
        except ImportError:
            warn(f"use_wandb: the package wandb is not installed ({install_extra('wandb')}); going without")
            return
        try:
            self._run = self._begin(wandb)
        except Exception as error:  # noqa: BLE001 - no login, no network, no such project: a training needs none of it
            warn(f"use_wandb: no run was started ({_line(error)}); going without")

    def _begin(self, wandb: Any) -> Any:
        place = hashlib.sha256(str(self._folder.absolute()).encode("utf-8", "surrogateescape"))
        run = wandb.init(
            project=self._names.project,
            name=self._names.name,
            dir=str(self._folder),
            id=place.hexdigest()[:16],
            resume="allow",
            config=dict(self._settings),
        )
        run.define_metric(STEP)
        run.define_metric("*", step_metric=STEP)
        known = run.summary.get(STEP)
        if isinstance(known, (int, float)):
            self._sent = known
        return run

    def start(self, rows: Sequence[Row]) -> None:
        """Sends those of the rows that are newer than all that was sent."""
        for row in rows:
            if row[STEP] > self._sent:
                self.add(row)

    def add(self, row: Row) -> None:
        """Sends one row; NaN leaves a number out."""
        if self._run is None:
            return
        numbers = {tag(name): value for name, value in row.items() if name != STEP and math.isfinite(value)}
        try:
            self._run.log({STEP: int(row[STEP]), **numbers})
            self._sent = max(self._sent, row[STEP])
        except Exception as error:  # noqa: BLE001 - as above
            self._warn(f"use_wandb: nothing more is sent ({_line(error)})")
            self._run = None

    def close(self) -> None:
        """Ends the run."""
        if self._run is not None:
            self._run.finish()
            self._run = None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
