"""How long the stages of an iteration take, on the device that does the work."""

from __future__ import annotations

import time
from typing import Any, Dict, List

import torch


class StageTimer:
    """Laps between stages; on CUDA the GPU's own times, for the host only gives orders and runs ahead."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._marks: List[Any] = []

    def start(self) -> None:
        """The first stage begins."""
        self._marks = []
        self.lap()

    def lap(self) -> None:
        """The next stage begins; waits for nothing."""
        if self._cuda:
            event: Any = torch.cuda.Event(enable_timing=True)
            event.record()
            self._marks.append(event)
        else:
            self._marks.append(time.perf_counter())

    def seconds(self) -> List[float]:
        """Duration of each stage between two marks; on CUDA this waits for the last mark."""
        if not self._cuda:
            return [end - begin for begin, end in zip(self._marks, self._marks[1:])]
        self._marks[-1].synchronize()
        return [begin.elapsed_time(end) / 1000.0 for begin, end in zip(self._marks, self._marks[1:])]


def stage_times(collect: float, update: float, iteration: float) -> Dict[str, float]:
    """Seconds by the names that they have beside an update's numbers."""
    return {"collect_seconds": collect, "update_seconds": update, "iteration_seconds": iteration}
