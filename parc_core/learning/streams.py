"""Two streams of a GPU that work beside each other: what is collected, and what is learned from it."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

import torch

COLLECTION_PRIORITY = -1
"""Of the collection's kernels, before the update's, which is 0: a control step is a chain of many small ones, and each
that waited for the update's matrix products would hold up all that come after it."""


class TwoStreams:
    """The collection's stream and the update's; on the CPU all runs in turn, and nothing here does anything.

    The caller's own stream waits for the collection, and for the update only from `join` on. So memory is safe: what is
    freed in the collection is used again by streams alone that wait for it, and what the update allocates is its own
    until `join`.
    """

    def __init__(self, device: torch.device, priority: int = COLLECTION_PRIORITY) -> None:
        """Args:
        priority: of the collection; lower numbers come first, and 0 is the update's.
        """
        self._device = device
        self._collection: Any = None
        self._update: Any = None
        if device.type == "cuda":
            self._collection = torch.cuda.Stream(device, priority=priority)
            self._update = torch.cuda.Stream(device)

    @contextlib.contextmanager
    def collection(self) -> Iterator[None]:
        """What is ordered inside runs on the collection's stream, after what the caller ordered before; what the caller
        orders later waits for it."""
        if self._collection is None:
            yield
            return
        caller = torch.cuda.current_stream(self._device)
        self._collection.wait_stream(caller)
        try:
            with torch.cuda.stream(self._collection):
                yield
        finally:
            caller.wait_stream(self._collection)

    @contextlib.contextmanager
    def update(self) -> Iterator[None]:
        """What is ordered inside runs on the update's stream."""
        if self._update is None:
            yield
            return
        with torch.cuda.stream(self._update):
            yield

    def fork(self) -> None:
        """The update waits for the current stream."""
        if self._update is not None:
            self._update.wait_stream(torch.cuda.current_stream(self._device))

    def join(self) -> None:
        """The current stream waits for the update."""
        if self._update is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._update)
