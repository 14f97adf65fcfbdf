"""The processes of one training, which each simulate a part of its environments and take every update together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from parc_core.system.environment_numbers import whole

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MAX_PROCESSES = 65536


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

    @classmethod
    def join(cls, device: torch.device) -> World:
        """The world that torchrun's variables describe (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).

        Without them this is the only process. Call it before the first CUDA graph is captured: a communicator cannot
        be built during a capture.

        Args:
            device: of this process; on CUDA the processes talk through NCCL, else through gloo.

        Raises:
            ConfigError: a variable is no number, or out of bounds.
        """
        size = whole("WORLD_SIZE", 1, 1, _MAX_PROCESSES, "the number of processes")
        if size == 1:
            return cls(device=device)
        whole("RANK", 0, 0, size - 1, "the number of this process")
        whole("MASTER_PORT", 0, 0, 65535, "a port")
        import torch.distributed as dist

        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        world = cls(dist.get_rank(), dist.get_world_size(), device)
        world.any(False)  # NCCL builds its communicator at the first call only
        return world

    def leave(self) -> None:
        """Ends the process group that `join` made."""
        if self.size > 1:
            import torch.distributed as dist

            dist.destroy_process_group()

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
        return self.sum_(tensor).div_(self.size) if self.size > 1 else tensor

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
        if self.size == 1:
            return flag
        import torch

        return bool(self.sum_(torch.tensor(int(flag), device=self.device)))


ONE_PROCESS = World()
"""The world of a training, test or evaluation in this process only."""
