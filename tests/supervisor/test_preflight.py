"""Devices that are no devices are said in one line."""

from __future__ import annotations

import pytest

from parc_core.engines.devices import check_device, parse_device
from parc_core.errors import ConfigError


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", "cpu:one", ""])
def test_what_is_no_device_name_is_refused(device):
    with pytest.raises(
        ConfigError, match=r"^--device: 'device' is '.*', but must be cpu, cuda or cuda:<number>$"
    ):
        check_device(device, "--device")


@pytest.mark.parametrize("device", ["gpu", "cuda:x"])
def test_a_name_that_torch_refuses_is_a_config_error(device):
    with pytest.raises(ConfigError, match="is unknown; set `device: cpu`"):
        parse_device(device)
    assert parse_device("cpu").type == "cpu"
