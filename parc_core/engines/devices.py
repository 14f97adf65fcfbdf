"""Device names, and whether the device is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    import torch

from parc_core.config.tracker_config import check_device_name
from parc_core.errors import ConfigError


def check_device(device: str, where: str) -> None:
    """Ask PyTorch for the device.

    Raises:
        ConfigError: it is no device name, or there is no such CUDA device.
    """
    try:
        check_device_name(device)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None
    if device == "cpu":
        return
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(device.partition(":")[2] or 0)
    if count == 0:
        raise ConfigError(
            f"{where}: 'device' is '{device}', but PyTorch finds no CUDA GPU here; set 'device: cpu' "
            "(data/configs/cpu/tracker.yaml suits a CPU)"
        )
    if index >= count:
        raise ConfigError(
            f"{where}: 'device' is '{device}', but there are {count} GPUs; use cuda:0 to cuda:{count - 1}"
        )


def parse_device(name: Union[str, torch.device]) -> torch.device:
    """The device of that name; whether it is there is asked by `check_engine`.

    Raises:
        ConfigError: there is no such name.
    """
    import torch

    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is unknown; set `device: cpu` or `device: cuda:0`") from error
