"""Whether a device is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    import torch

from parc_core.config.tracker_config import check_device_name
from parc_core.errors import ConfigError


def check_device(device: Union[str, torch.device], where: str = "") -> torch.device:
    """The device of that name, which PyTorch finds here.

    Args:
        device: `cpu`, `cuda` or `cuda:<number>`.
        where: where it was named, for messages.

    Raises:
        ConfigError: it is not a device name, or there is no such CUDA device.
    """
    begin, name = f"{where}: " if where else "", str(device)
    try:
        check_device_name(name)
    except ConfigError as error:
        raise ConfigError(f"{begin}{error}") from None
    import torch

    if name.startswith("cpu"):
        return torch.device(name)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise ConfigError(
            f"{begin}'device' is '{name}', but PyTorch finds no CUDA GPU here; set 'device: cpu' "
            "(data/configs/cpu/tracker.yaml suits a CPU)"
        )
    if int(name.partition(":")[2] or 0) >= count:
        raise ConfigError(
            f"{begin}'device' is '{name}', but there are {count} GPUs; use cuda:0 to cuda:{count - 1}"
        )
    return torch.device(name)
