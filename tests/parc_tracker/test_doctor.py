"""The doctor names what is missing and its fix, and survives what is broken."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import types

import pytest

from parc_core.config import paths
from parc_core.engines.registry import ENGINES
from parc_core.storage.store import Store
from parc_tracker.doctor import machine, pipeline, rendering
from parc_tracker.doctor.check import Check
from parc_tracker.doctor.checks import checks
from parc_tracker.doctor.engines import check_engine

IMPORT = "parc_tracker.doctor.check.import_package"


def not_installed(name):
    raise ImportError(name)


@pytest.fixture(autouse=True)
def quick_rendering(monkeypatch):
    """No test here needs a driver: the picture is drawn by a script that only ends well."""
    monkeypatch.setattr(rendering, "RENDER_SCRIPT", "pass")


def test_every_line_has_a_detail_and_every_failure_a_fix():
    found = checks()
    assert len({check.name for check in found}) == len(found) == 12 + len(ENGINES)
    for check in found:
        assert check.detail
        assert "\n" not in check.detail + check.fix
        assert bool(check.fix) != check.ok, check


def test_this_python_and_torch_are_seen():
    import torch

    by_name = {check.name: check for check in checks()}
    assert torch.__version__ in by_name["PyTorch"].detail
    assert by_name["Python"].ok == (sys.version_info >= (3, 11))


def test_a_check_that_breaks_is_a_line(monkeypatch):
    def broken(name):
        raise RuntimeError("driver\nmismatch")

    monkeypatch.setattr(IMPORT, broken)
    by_name = {check.name: check for check in checks()}
    assert by_name["PyTorch"].detail == "RuntimeError: driver mismatch"
    assert not by_name["PyTorch"].ok


def test_missing_packages(monkeypatch):
    monkeypatch.setattr(IMPORT, not_installed)
    for check in (machine.check_torch(), check_engine("mujoco"), pipeline.check_prefect()):
        assert not check.ok
        assert check.needed
        assert "pip install" in check.fix


def test_rendering_failure_tells_the_reason(monkeypatch):
    pytest.importorskip("mujoco")
    monkeypatch.setattr(rendering, "RENDER_SCRIPT", "raise OSError('no EGL here')")
    check = rendering.check_rendering()
    assert not check.ok
    assert "OSError: no EGL here" in check.detail


@pytest.mark.parametrize(
    ("chosen", "fix"),
    [("", "libegl1"), ("osmesa", "libosmesa6"), ("off", "MUJOCO_GL unset, egl or osmesa, but it is 'off'")],
)
def test_what_drawing_needs_is_said_by_the_chosen_library(monkeypatch, chosen, fix):
    pytest.importorskip("mujoco")
    monkeypatch.setattr(rendering, "RENDER_SCRIPT", "raise OSError('none')")
    monkeypatch.setenv("MUJOCO_GL", chosen)
    check = rendering.check_rendering()
    assert not check.ok and not check.needed
    assert fix in check.fix


def test_any_library_that_draws_will_do(monkeypatch):
    pytest.importorskip("mujoco")
    script = "import os; assert os.environ['PYOPENGL_PLATFORM'] == os.environ['MUJOCO_GL'] == 'osmesa'"
    monkeypatch.setattr(rendering, "RENDER_SCRIPT", script)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    assert rendering.check_rendering().detail == "offscreen, osmesa"


def test_a_server_that_does_not_answer(monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        check = pipeline.check_prefect()
    assert not check.ok
    assert "http://127.0.0.1:9/api does not answer" in check.detail


def test_rendering_that_hangs(monkeypatch):
    pytest.importorskip("mujoco")

    def hang(*args, **kwargs):
        raise subprocess.TimeoutExpired("python", rendering.RENDER_TIMEOUT_S)

    monkeypatch.setattr(subprocess, "run", hang)
    assert "no picture after" in rendering.check_rendering().detail


def test_store_that_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "new" / "store"))
    assert pipeline.check_store().ok
    assert list(tmp_path.iterdir()) == []  # looking leaves nothing behind

    def refuse(**kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pipeline.tempfile, "TemporaryFile", refuse)
    check = pipeline.check_store()
    assert not check.ok
    assert "PARC_STORE" in check.fix


def test_store_on_s3(s3_url, monkeypatch):
    monkeypatch.setenv("PARC_STORE", s3_url)
    assert pipeline.check_store() == Check("store", True, f"{s3_url}, writable")
    assert Store(s3_url).list_details(hidden=True) == []  # looking leaves nothing behind
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    check = pipeline.check_store()
    assert not check.ok and "check AWS_ACCESS_KEY_ID" in check.detail and "wrong-secret" not in check.detail


def test_data_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "USER_CONFIG", "no_such_user_config.yaml")
    monkeypatch.delenv("DATA_DIR", raising=False)
    assert not pipeline.check_data_dir().ok
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "nothing"))
    assert "is not a directory" in pipeline.check_data_dir().detail
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert pipeline.check_data_dir().ok


def test_little_disk_is_said(monkeypatch):
    monkeypatch.setattr(machine, "MIN_FREE_GIB", 1e9)
    assert "make room" in machine.check_disk().fix


def test_mujoco_that_an_upgrade_left_incomplete(monkeypatch, tmp_path):
    (tmp_path / "mujoco").mkdir()
    (tmp_path / "mujoco/__init__.py").write_text("raise ImportError('core bindings are missing')\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mujoco"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    check = check_engine("mujoco")
    assert not check.ok and check.needed
    assert "3 to 4" in check.detail
    assert check.fix.startswith("pip uninstall -y mujoco mujoco-core mujoco-studio && pip install ")


def test_without_mujoco(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    check = check_engine("mujoco")
    assert (check.ok, check.detail) == (False, "mujoco not installed")


def test_the_gpu_engine_without_its_packages(monkeypatch):
    monkeypatch.setattr(IMPORT, not_installed)
    check = check_engine("mujoco_warp")
    assert not check.ok
    assert not check.needed
    assert check.detail == "warp, mujoco, mujoco_warp not installed"
    assert "pip install" in check.fix


def test_the_gpu_engine_without_a_gpu(monkeypatch):
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed")
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check = check_engine("mujoco_warp")
    assert not check.ok
    assert check.detail.endswith("PyTorch sees no CUDA GPU")
    assert "driver" in check.fix


def test_the_gpu_engine_on_a_gpu(monkeypatch):
    warp = pytest.importorskip("warp", reason="Warp is not installed")
    pytest.importorskip("mujoco_warp", reason="MuJoCo Warp is not installed")
    import torch

    class Gpu:
        alias, name = "cuda:0", "Some GPU"

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(warp, "init", lambda: None)
    monkeypatch.setattr(warp, "get_cuda_devices", lambda: [Gpu])
    monkeypatch.setattr(warp, "is_conditional_graph_supported", lambda: True)
    check = check_engine("mujoco_warp")
    assert check.ok
    assert check.detail.endswith("on cuda:0 Some GPU")
    monkeypatch.setattr(warp, "is_conditional_graph_supported", lambda: False)
    monkeypatch.setattr(warp, "get_cuda_driver_version", lambda: (12, 2))
    check = check_engine("mujoco_warp")
    assert not check.ok
    assert check.detail.endswith("the driver is for CUDA 12.2")


def test_every_gpu_with_its_memory_and_the_training_on_it(monkeypatch, tmp_path):
    import torch

    from parc_core.supervisor.gpu_lock import device_lock
    from parc_tracker.doctor import gpu_lines

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (2**30 * (70 + index), 2**30 * 80))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Some GPU")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 580.65.06\necho 580.65.06\n")
    program.chmod(0o755)
    monkeypatch.setattr(gpu_lines.shutil, "which", lambda name: str(program))
    with device_lock("cuda:1", owner="/runs/abc"):
        check = machine.check_cuda()
    assert check.ok
    assert check.detail == (
        "cuda:0 Some GPU, 70 of 80 GiB free, no training on it; "
        "cuda:1 Some GPU, 71 of 80 GiB free, in use by /runs/abc; driver 580.65.06, PyTorch for CUDA 13.0"
    )
    program.write_text("#!/bin/sh\nexit 9\n")
    assert machine.check_cuda().detail.endswith("driver unknown, PyTorch for CUDA 13.0")
    monkeypatch.setattr(gpu_lines.shutil, "which", lambda name: None)
    assert machine.check_cuda().detail.endswith("driver unknown (no nvidia-smi), PyTorch for CUDA 13.0")


def test_what_several_gpus_talk_through(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check = machine.check_together()
    assert check.ok and check.detail == "gloo, processes on the CPU" and not check.needed
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    check = machine.check_together()
    assert not check.ok and check.detail == "PyTorch without NCCL" and "gpus: 1" in check.fix
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    monkeypatch.setattr(torch.cuda.nccl, "version", lambda: (2, 27, 3))
    assert machine.check_together().detail == "NCCL 2.27.3, 4 GPUs"


def test_without_torch_the_other_lines_are_there():
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from parc_tracker.doctor.machine import check_kernels, check_python, check_torch\n"
        "print([check().ok for check in (check_python, check_torch, check_kernels)])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[True,", "False,", "True]"]


def test_what_the_gpu_kernels_need(monkeypatch):
    import torch

    from parc_core.learning import norm_silu

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    check = machine.check_kernels()
    assert check.ok and not check.needed and check.detail == "not needed without a GPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(norm_silu, "missing_for_kernels", lambda: "Triton cannot be used (no C compiler)")
    check = machine.check_kernels()
    assert not check.ok and not check.needed and "no C compiler" in check.detail and "gcc" in check.fix
    monkeypatch.setattr(norm_silu, "missing_for_kernels", lambda: "")
    monkeypatch.setattr(
        IMPORT, lambda name: torch if name == "torch" else types.SimpleNamespace(__version__="3.6.0")
    )
    check = machine.check_kernels()
    assert check.ok and check.detail == "3.6.0"


def test_the_viewer_is_optional_and_its_extra_is_named(monkeypatch):
    monkeypatch.setattr(IMPORT, not_installed)
    check = rendering.check_viewer()
    assert not check.ok and not check.needed
    assert "[viewer]" in check.fix and "--html" in check.fix
