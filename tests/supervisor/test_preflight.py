"""Devices that are no devices are said in one line."""

from __future__ import annotations

import pytest
import torch

from parc_core.engines.devices import check_device
from parc_core.errors import ConfigError
from parc_core.supervisor.preflight import check_runnable


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", "cpu:one", ""])
def test_what_is_no_device_name_is_refused(device):
    with pytest.raises(
        ConfigError, match=r"^--device: 'device' is '.*', but must be cpu, cuda or cuda:<number>$"
    ):
        check_device(device, "--device")


def test_the_device_of_a_name(monkeypatch):
    assert check_device("cpu") == torch.device("cpu") and check_device(torch.device("cpu")).type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert check_device("cuda") == torch.device("cuda")
    assert check_device("cuda:1", "--device") == torch.device("cuda:1")
    with pytest.raises(
        ConfigError, match=r"^'device' is 'cuda:2', but there are 2 GPUs; use cuda:0 to cuda:1$"
    ):
        check_device("cuda:2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ConfigError, match=r"^t: 'device' is 'cuda', but PyTorch finds no CUDA GPU here; set "
    ):
        check_device("cuda", "t")


def test_an_engine_that_does_not_exist_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "t.yaml").write_text("dataset_file: a\nengine: physx\n")
    with pytest.raises(
        ConfigError, match=r"t\.yaml: 'engine' must be one of auto, mujoco, .*, but is 'physx'$"
    ):
        check_runnable(tmp_path / "t.yaml")
