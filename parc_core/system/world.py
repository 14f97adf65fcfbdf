"""The processes of one training, which each simulate a part of its environments and take every update together."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Tuple

from parc_core.errors import ConfigError
from parc_core.system.environment_numbers import whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MAX_PROCESSES = 65536
_PATIENCE = timedelta(minutes=10)
"""For which a process waits in a collective for one that compiles, loads or writes; `Peers` tells much earlier of one
that is gone."""


class World:
    """All processes of one training, seen from one of them; `World()` is a training of one process.

    Every method but the attributes is collective: all processes must call it, in the same order. In one process they
    do nothing, and torch.distributed is not touched.

    Attributes:
        rank: of this process, 0 to size - 1.
        size: number of processes.
        device: where this process computes; None = the CPU.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: Optional[torch.device] = None) -> None:
        """For size > 1 the default process group must exist; `join` makes both."""
        if not 0 <= rank < size:
            raise ValueError(f"rank {rank} is not one of {size} processes")
        self.rank, self.size, self.device = rank, size, device
        self._averages = False  # NCCL divides while it sums
        self._hosts: Any = None  # group in which tensors of the CPU travel; None = the default one

    @classmethod
    def join(cls, device: torch.device) -> World:
        """The world that torchrun's variables describe (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).

        Without them this is the only process. Call it before the first CUDA graph is captured: a communicator cannot
        be built during a capture.

        Args:
            device: of this process; on CUDA the processes talk through NCCL, else through gloo.

        Raises:
            ConfigError: a variable is not a number, out of bounds, or missing.
        """
        size = launched_size()
        if size == 1:
            return cls(device=device)
        rank = launched_rank()
        whole("MASTER_PORT", 0, 0, 65535, "a port")
        missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
        if missing:
            raise ConfigError(
                f"WORLD_SIZE is {size}, but {missing[0]} is not set: start all processes with torchrun, or unset RANK "
                "and WORLD_SIZE to train in one"
            )
        import torch.distributed as dist

        on_gpu = device.type == "cuda"
        if on_gpu:
            import torch

            torch.cuda.set_device(device)
            # Multicast over NVLink takes rights that containers often lack; without them NCCL hangs or fails.
            os.environ.setdefault("NCCL_NVLS_ENABLE", "0")
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=_PATIENCE)
        world = cls(rank, size, device)
        world._averages = on_gpu
        world._hosts = dist.new_group(backend="gloo", timeout=_PATIENCE) if on_gpu else None
        world.any(False)  # NCCL builds its communicator at the first call only
        return world

    def leave(self) -> None:
        """Waits until all processes are here; after it nothing collective may be called.

        The process group stays, for its end is not safe where another process is gone already: end with `end_process`.
        """
        self.any(False)

    @property
    def is_writer(self) -> bool:
        """Whether this process is the one that writes files and logs."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sums a contiguous tensor over the processes, in place.

        Returns:
            the tensor, the same bits in all processes.
        """
        if self.size > 1:
            import torch.distributed as dist

            dist.all_reduce(tensor)
        return tensor

    def mean_(self, tensor: Tensor) -> Tensor:
        """Averages a contiguous tensor of floats over the processes, in place.

        Returns:
            the tensor, the same bits in all processes.
        """
        if self.size == 1:
            return tensor
        if not self._averages:
            return self.sum_(tensor).div_(self.size)
        self.begin_mean_(tensor)()
        return tensor

    def begin_mean_(self, tensor: Tensor) -> Callable[[], None]:
        """Begins `mean_` beside what this process computes next.

        Returns:
            what has to be called before the tensor is used; on a GPU its stream waits then, and not the host.
        """
        if self.size == 1:
            return lambda: None
        import torch.distributed as dist

        how = dist.ReduceOp.AVG if self._averages else dist.ReduceOp.SUM
        work = dist.all_reduce(tensor, op=how, async_op=True)

        def finish() -> None:
            work.wait()
            if not self._averages:
                tensor.div_(self.size)

        return finish

    def broadcast_(self, tensor: Tensor) -> Tensor:
        """Overwrites a contiguous tensor with rank 0's.

        Returns:
            the tensor.
        """
        if self.size > 1:
            import torch.distributed as dist

            dist.broadcast(tensor, src=0)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any of the processes. Waits for the device where there are several."""
        return flag if self.size == 1 else self.highest(int(flag)) > 0

    def highest(self, number: int) -> int:
        """The highest of the processes' numbers. Waits for the device where there are several."""
        if self.size == 1:
            return number
        import torch
        import torch.distributed as dist

        numbers = torch.tensor(number, device=self.device)
        dist.all_reduce(numbers, op=dist.ReduceOp.MAX)
        return int(numbers)

    def agrees(self, numbers: Tensor) -> bool:
        """Whether all processes have the same numbers, to the last bit of float64. Waits for the device."""
        if self.size == 1:
            return True
        import torch
        import torch.distributed as dist

        both = torch.cat((numbers.double().flatten(), -numbers.double().flatten()))
        highest = both.clone()
        dist.all_reduce(highest, op=dist.ReduceOp.MAX)
        highest, minus_lowest = highest.chunk(2)
        return bool((highest == -minus_lowest).all())

    def gather(self, data: bytes) -> List[bytes]:
        """What every process has to say, in their order, in rank 0; nothing in the others."""
        if self.size == 1:
            return [data]
        import torch
        import torch.distributed as dist

        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(sizes, torch.tensor([len(data)]), group=self._hosts)
        room = max(int(size) for size in sizes)
        own = _padded(data, room)
        everybody = [torch.empty_like(own) for _ in range(self.size)] if self.is_writer else None
        dist.gather(own, everybody, dst=0, group=self._hosts)
        return [_bytes(part, int(size)) for part, size in zip(everybody or [], sizes)]

    def scatter(self, parts: Sequence[bytes]) -> bytes:
        """What rank 0 has for this process.

        Args:
            parts: one for each process, in their order; in rank 0 alone they are read.
        """
        if self.size == 1:
            return parts[0]
        import torch
        import torch.distributed as dist

        sizes = torch.zeros(self.size, dtype=torch.int64)
        if self.is_writer:
            sizes = torch.tensor([len(part) for part in parts])
        dist.broadcast(sizes, src=0, group=self._hosts)
        room = int(sizes.max())
        own = torch.empty(max(room, 1), dtype=torch.uint8)
        sent = [_padded(part, room) for part in parts] if self.is_writer else None
        dist.scatter(own, sent, src=0, group=self._hosts)
        return _bytes(own, int(sizes[self.rank]))


def end_process(code: int) -> None:
    """Ends one of several processes at once with an exit code; what was printed is not lost.

    Taking a process group down can abort (gloo) or hang (NCCL) where the others were quicker.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def launched_size() -> int:
    """How many processes torchrun started for this training; 1 without it.

    Raises:
        ConfigError: WORLD_SIZE is not a number, or out of bounds.
    """
    return whole("WORLD_SIZE", 1, 1, _MAX_PROCESSES, "the number of processes")


def launched_rank() -> int:
    """Which of them this process is; 0 without torchrun.

    Raises:
        ConfigError: RANK is not a number, or out of bounds.
    """
    return whole("RANK", 0, 0, launched_size() - 1, "the number of this process")


def launched_local() -> Tuple[int, int]:
    """(number of this process on its machine, how many there are); (0, 1) without torchrun.

    Raises:
        ConfigError: LOCAL_RANK or LOCAL_WORLD_SIZE is not a number, or out of bounds.
    """
    size = whole("LOCAL_WORLD_SIZE", 1, 1, _MAX_PROCESSES, "the number of processes on this machine")
    return whole("LOCAL_RANK", 0, 0, size - 1, "the number of this process on its machine"), size


def _padded(data: bytes, room: int) -> Tensor:
    import torch

    padded = torch.zeros(max(room, 1), dtype=torch.uint8)
    if data:
        padded[: len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return padded


def _bytes(padded: Tensor, size: int) -> bytes:
    return bytes(padded[:size].numpy())


ONE_PROCESS = World()
"""The world of a training, test or evaluation in this process only."""
