"""Whether a device is there, and several that are to train together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    import torch

from parc_core.config.tracker_config import check_device_name
from parc_core.errors import ConfigError


def check_device(device: Union[str, torch.device], where: str = "", gpus: int = 1) -> torch.device:
    """The device of that name, which PyTorch finds here.

    Args:
        device: `cpu`, `cuda` or `cuda:<number>`.
        where: where it was named, for messages.
        gpus: how many are to train together, from this one on; of a CPU as many processes.

    Raises:
        ConfigError: it is not a device name, there is no such CUDA device or not so many from it on, or PyTorch lacks
            what they talk through.
    """
    begin, name = f"{where}: " if where else "", str(device)
    try:
        check_device_name(name)
    except ConfigError as error:
        raise ConfigError(f"{begin}{error}") from None
    import torch

    if name.startswith("cpu"):
        _check_backend(gpus, "gloo", f"{begin}'gpus' is {gpus}")
        return torch.device(name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ConfigError(
            f"{begin}'device' is '{name}', but PyTorch finds no CUDA GPU here; set 'device: cpu' "
            "(data/configs/cpu/tracker.yaml suits a CPU)"
        )
    first = int(name.partition(":")[2] or 0)
    if first >= count:
        raise ConfigError(
            f"{begin}'device' is '{name}', but there {_are(count)}; use cuda:0 to cuda:{count - 1}"
        )
    if first + gpus > count:
        lower = f", or a lower device than '{name}'" if first else ""
        raise ConfigError(
            f"{begin}'gpus' is {gpus}, but there {_are(count - first)} from cuda:{first} on; "
            f"set it to {count - first} or less{lower}"
        )
    _check_backend(gpus, "nccl", f"{begin}'gpus' is {gpus}")
    return torch.device(name)


def _are(count: int) -> str:
    return "is 1 GPU" if count == 1 else f"are {count} GPUs"


def _check_backend(gpus: int, name: str, begin: str) -> None:
    """Processes of one training talk through torch.distributed, which not every PyTorch has."""
    import torch.distributed as dist

    if gpus == 1 or (dist.is_available() and getattr(dist, f"is_{name}_available", lambda: True)()):
        return
    raise ConfigError(
        f"{begin}, but this PyTorch has no {name}, through which they talk; set 'gpus: 1', or install a PyTorch for "
        "Linux from pytorch.org"
    )


def nth_device(first: str, number: int) -> str:
    """The name of the `number`-th device from `first` on: of several GPUs that train together, or the CPU for all."""
    kind, _, index = first.partition(":")
    return first if kind == "cpu" else f"{kind}:{int(index or 0) + number}"
