"""A Prefect worker that hands out a machine's GPUs: `python -m parc_tracker.gpu_worker 0,1,2,3 worker start …`.

Prefect's limits count runs. Here a run starts when as many GPUs are free as its form asks for (`gpus`), and sees those
alone (CUDA_VISIBLE_DEVICES), as cuda:0, cuda:1, … What follows the GPUs is Prefect's own command line.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from prefect.workers.process import ProcessWorker

from parc_core.errors import ConfigError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun


class Shares:
    """Which run has which GPUs."""

    def __init__(self, gpus: Sequence[str]) -> None:
        """GPUs by their names in CUDA_VISIBLE_DEVICES."""
        self._all, self.total = list(gpus), len(gpus)
        self._taken: dict[UUID, list[str]] = {}

    def take(self, run: UUID, count: int) -> bool:
        """Gives a run its GPUs, the first that are free; False where too few are. A run that has some keeps them."""
        if run not in self._taken:
            used = {gpu for gpus in self._taken.values() for gpu in gpus}
            free = [gpu for gpu in self._all if gpu not in used]
            if count > len(free):
                return False
            self._taken[run] = free[:count]
        return True

    def of(self, run: UUID) -> list[str]:
        """The GPUs of a run that has some."""
        return self._taken[run]

    def give_back(self, run: UUID) -> None:
        """Frees what a run has; nothing where it has none."""
        self._taken.pop(run, None)


def gpus_of(parameters: dict[str, Any]) -> int:
    """How many GPUs a run of the form asks for."""
    training = parameters.get("training")
    count = training.get("gpus", 1) if isinstance(training, dict) else 1
    return count if isinstance(count, int) and count > 0 else 1  # another value the run itself refuses


warnings.filterwarnings(
    "ignore", "Type 'GpuWorker'.*The existing type will be overridden"
)  # that is the purpose


class GpuWorker(ProcessWorker):
    """Prefect's worker for processes, which this one takes the place of in Prefect's command line."""

    gpus: ClassVar[Sequence[str]] = ()
    """To hand out; set before Prefect's command makes the worker."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shares = Shares(self.gpus)
        self._begun: set[UUID] = set()
        self._left: set[UUID] = set()

    async def _submit_scheduled_flow_runs(self, flow_run_response: list[Any]) -> list[FlowRun]:
        """Those at the head of the queue for which there are GPUs; one that has to wait is not overtaken."""
        ready = []
        for entry in flow_run_response:
            if entry.flow_run.id in self._begun or self._is_too_large(entry.flow_run):
                continue
            if not self._shares.take(entry.flow_run.id, gpus_of(entry.flow_run.parameters)):
                break
            ready.append(entry)
        return await super()._submit_scheduled_flow_runs(ready)

    def _is_too_large(self, run: FlowRun) -> bool:
        count = gpus_of(run.parameters)
        if count > self._shares.total and run.id not in self._left:
            self._left.add(run.id)
            self.get_flow_run_logger(run).warning(
                "asks for %d GPUs, worker %s has %d: left to a worker with more",
                count,
                self.name,
                self._shares.total,
            )
        return count > self._shares.total

    async def _submit_run(self, flow_run: FlowRun) -> None:
        """Returns when the run has begun, or could not."""
        try:
            await super()._submit_run(flow_run)
        finally:
            if flow_run.id not in self._begun:
                self._shares.give_back(flow_run.id)

    async def run(self, flow_run: FlowRun, configuration: Any, task_status: Any = None) -> Any:
        """The run's process from its start to its end."""
        configuration.env["CUDA_VISIBLE_DEVICES"] = ",".join(self._shares.of(flow_run.id))
        self._begun.add(flow_run.id)
        try:
            return await super().run(flow_run, configuration, task_status)
        finally:
            self._begun.discard(flow_run.id)
            self._shares.give_back(flow_run.id)


def parse_gpus(text: str) -> list[str]:
    """Names of GPUs as in CUDA_VISIBLE_DEVICES: `0,1,2,3`, or their UUIDs.

    Raises:
        ConfigError: none, an empty one, or one twice.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise ConfigError(
            f"--devices '{text}': name each GPU once, such as 0,1,2,3 (nvidia-smi -L lists them)"
        )
    return names


def main() -> None:
    """Prefect's command line with this worker in the place of its own for processes."""
    from prefect.cli import app

    GpuWorker.gpus = parse_gpus(sys.argv.pop(1))
    app()


if __name__ == "__main__":
    main()
