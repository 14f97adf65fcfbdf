"""Warp on torch's streams, and launches recorded as one CUDA graph."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator

import torch
import warp as wp


def start_warp(device: torch.device) -> Any:
    """Warp's device of that torch device; starts Warp without its greeting on standard output."""
    wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)
    wp.init()
    if not wp.is_cuda_available() and wp.config.optimization_level is None:
        # Without a GPU Warp runs only for tests: compiling counts (20 s instead of 45 s), speed does not.
        wp.config.optimization_level = 0
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return wp.device_from_torch(device)


@contextlib.contextmanager
def on_torch_stream(wp_device: Any, device: torch.device) -> Iterator[None]:
    """Launches go to the device; on a GPU to torch's current stream, so that both work in turn without waiting."""
    with contextlib.ExitStack() as scopes:
        scopes.enter_context(wp.ScopedDevice(wp_device))
        if wp_device.is_cuda:
            stream = wp.stream_from_torch(torch.cuda.current_stream(device))
            scopes.enter_context(wp.ScopedStream(stream, sync_enter=False))
        yield


def record(launches: Callable[[], None], wp_device: Any, device: torch.device) -> Callable[[], None]:
    """A function that repeats the launches.

    On a GPU they are recorded as one graph, which then runs on torch's current stream; all their kernels must have been
    loaded before. On the CPU they simply run again.
    """
    if not wp_device.is_cuda:

        def run() -> None:
            with wp.ScopedDevice(wp_device):
                launches()

        return run
    torch.cuda.synchronize(device)
    stream = wp.Stream(wp_device)
    with wp.ScopedDevice(wp_device), wp.ScopedStream(stream), wp.ScopedCapture(stream=stream) as capture:
        launches()
    streams: Dict[int, Any] = {}

    def replay() -> None:
        current = torch.cuda.current_stream(device)
        handle = current.cuda_stream
        if handle not in streams:
            streams[handle] = wp.stream_from_torch(current)
        wp.capture_launch(capture.graph, stream=streams[handle])

    return replay
