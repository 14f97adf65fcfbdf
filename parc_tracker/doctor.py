"""What this machine can run: one line per check, each with its fix. Plain data; the command line prints it."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from parc_core.config.paths import PROJECT_ROOT, USER_CONFIG, data_dir
from parc_core.engines.isaac_gym import api as isaac_api
from parc_core.engines.packages import import_package
from parc_core.engines.registry import ENGINES, EngineSpec
from parc_core.errors import ConfigError, ParcError
from parc_core.storage.addresses import local_root
from parc_core.storage.store import DEFAULT_URL, Store
from parc_core.system.extras import install_extra, pip_arguments
from parc_core.system.processes import usable_cores
from parc_core.system.proxies import drop_unusable
from parc_core.video.draw import backend_environment, backends, what_drawing_needs
from parc_tracker.configured_server import check_server
from parc_tracker.gpu_lines import driver_line, gpu_line, together_line

MIN_FREE_GIB = 5
RENDER_TIMEOUT_S = 60

RENDER_SCRIPT = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom type="sphere" size=".1"/></worldbody></mujoco>')
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    assert renderer.render().max() > 0, 'the picture is black'
"""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    """What: "PyTorch", "engine mujoco", …"""
    ok: bool
    """It is there and works."""
    detail: str
    """Version, place, size, or what is wrong."""
    fix: str = ""
    """What to do where it is not ok; empty otherwise."""
    needed: bool = True
    """False for what only some uses need (a GPU, Isaac Gym, …)."""


def checks() -> List[Check]:
    """Look at everything; no check raises, a failing one is a line with its fix."""
    engines = [(f"engine {name}", functools.partial(check_engine, name)) for name in ENGINES]
    all_checks: List[Tuple[str, Callable[[], Check]]] = [
        ("Python", check_python),
        ("PyTorch", check_torch),
        ("CUDA GPU", check_cuda),
        ("several GPUs", check_together),
        *engines,
        ("rendering", check_rendering),
        ("viewer", check_viewer),
        ("Prefect", check_prefect),
        ("store", check_store),
        ("DATA_DIR", check_data_dir),
        ("disk", check_disk),
        ("CPU cores", check_cores),
    ]
    return [_guarded(name, check) for name, check in all_checks]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    # A half-installed package can raise anything at import; the doctor's work is to say so and continue.
    try:
        return check()
    except Exception as error:  # noqa: BLE001
        return Check(name, False, f"{type(error).__name__}: {_one_line(error)}", "repair or reinstall it")


def check_python() -> Check:
    """3.11 for the pipeline; only the trainer process runs on 3.8."""
    version = platform.python_version()
    if sys.version_info >= (3, 11):  # noqa: UP036 - who runs an older one is told so
        return Check("Python", True, version)
    return Check("Python", False, f"{version}: enough only for the trainer", "install Python 3.11 or newer")


def check_torch() -> Check:
    """PyTorch's version."""
    torch = _import("torch")
    if torch is None:
        return Check("PyTorch", False, "not installed", "pip install torch")
    return Check("PyTorch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")


def check_cuda() -> Check:
    """GPUs that PyTorch sees, who trains on them, their driver."""
    torch = _import("torch")
    fix = "install an NVIDIA driver and a CUDA build of PyTorch; without a GPU use device: cpu"
    if torch is None or not torch.cuda.is_available():
        return Check("CUDA GPU", False, "none that PyTorch can use", fix, needed=False)
    lines = [gpu_line(torch, index) for index in range(torch.cuda.device_count())]
    return Check("CUDA GPU", True, "; ".join([*lines, driver_line(torch)]), needed=False)


def check_together() -> Check:
    """What the processes of one training talk through (`gpus`)."""
    name, fix = "several GPUs", "install a build of PyTorch for Linux with CUDA; without it keep gpus: 1"
    torch = _import("torch")
    if torch is None:
        return Check(name, False, "needs PyTorch", fix, needed=False)
    ok, detail = together_line(torch)
    return Check(name, ok, detail, "" if ok else fix, needed=False)


def check_engine(engine: str) -> Check:
    """An engine's packages, and what it needs besides."""
    spec, name = ENGINES[engine], f"engine {engine}"
    if engine in _ENGINE_CHECKS:
        return _ENGINE_CHECKS[engine](name, spec)
    return _missing_packages(name, spec) or Check(name, True, "installed", needed=False)


def _missing_packages(name: str, spec: EngineSpec, needed: bool = False) -> Optional[Check]:
    missing = [package for package in spec.packages if _import(package) is None]
    if not missing:
        return None
    return Check(name, False, f"{', '.join(missing)} not installed", _install_from_here(spec.pip), needed)


def _install_from_here(pip: str) -> str:
    return "pip install " + pip_arguments(pip)


def _check_mujoco(name: str, spec: EngineSpec) -> Check:
    """MuJoCo with its batch stepping (since 3.17)."""
    mujoco, fix = _import("mujoco"), _install_from_here(spec.pip)
    if mujoco is None and importlib.util.find_spec("mujoco") is not None:
        # pip, replacing a MuJoCo 3 by a 4, takes away the files that have moved to mujoco-core.
        detail = "cannot be imported; an upgrade from MuJoCo 3 to 4 by pip leaves it incomplete"
        return Check(name, False, detail, f"pip uninstall -y mujoco mujoco-core mujoco-studio && {fix}")
    missing = _missing_packages(name, spec, needed=True)
    if missing is not None:
        return missing
    if _import("mujoco.batch") is None and sys.version_info < (3, 10):
        return Check(
            name, True, f"{mujoco.__version__}, environments one by one (3.17 steps them in parallel)"
        )
    if _import("mujoco.batch") is None:
        return Check(name, False, f"{mujoco.__version__} has no mujoco.batch (3.17 has)", fix)
    return Check(name, True, mujoco.__version__)


def _check_mujoco_warp(name: str, spec: EngineSpec) -> Check:
    """MuJoCo Warp, and a GPU that Warp can use; without one the engine runs only for tests."""
    missing = _missing_packages(name, spec)
    if missing is not None:
        return missing
    warp, mujoco_warp, torch = _import("warp"), _import("mujoco_warp"), _import("torch")
    versions = f"{mujoco_warp.__version__}, Warp {warp.__version__}"
    driver = "install an NVIDIA driver for CUDA 12.4 or newer and a CUDA build of PyTorch; without a GPU use "
    driver += "engine: mujoco"
    if torch is None or not torch.cuda.is_available():
        return Check(name, False, f"{versions}, but PyTorch sees no CUDA GPU", driver, needed=False)
    warp.config.log_level = max(warp.config.log_level, warp.LOG_WARNING)  # no greeting on standard output
    warp.init()
    if not warp.is_conditional_graph_supported():
        found = warp.get_cuda_driver_version()
        detail = f"{versions}, but the driver is for CUDA {'.'.join(map(str, found or ('?',)))}"
        return Check(name, False, detail, driver, needed=False)
    gpus = ", ".join(f"{device.alias} {device.name}" for device in warp.get_cuda_devices())
    return Check(name, True, f"{versions} on {gpus}", needed=False)


def _check_isaac_gym(name: str, spec: EngineSpec) -> Check:
    """Isaac Gym Preview 4 in this interpreter; looked for and not imported, which would have to come before torch."""
    fix = "see docs/isaac-gym.md, and name its interpreter as trainer_python"
    if not isaac_api.is_installed():
        return Check(name, False, "Isaac Gym is not installed in this interpreter", fix, needed=False)
    return Check(name, True, "Isaac Gym is installed (not tried)", needed=False)


_ENGINE_CHECKS: Dict[str, Callable[[str, EngineSpec], Check]] = {
    "mujoco": _check_mujoco,
    "mujoco_warp": _check_mujoco_warp,
    "isaac_gym": _check_isaac_gym,
}
"""Engines that need more than their packages."""


def check_rendering() -> Check:
    """Draw one small picture without a screen, in an own process (a broken driver can crash it)."""
    name, fix = "rendering", f"{what_drawing_needs()}; training and evaluation need none"
    if _import("mujoco") is None:
        return Check(name, False, "needs MuJoCo", install_extra("mujoco"), needed=False)
    reasons = []
    for backend in backends():
        reason = _why_no_picture(backend)
        if reason is None:
            return Check(name, True, f"offscreen, {backend}", needed=False)
        reasons.append(f"{backend}: {reason}")
    return Check(name, False, "; ".join(reasons), fix, needed=False)


def check_viewer() -> Check:
    """The package of `parc-tracker view`'s live page."""
    viser = _import("viser")
    if viser is None:
        fix = install_extra("viewer") + "; offline pages (--html) need none"
        return Check("viewer", False, "viser not installed", fix, needed=False)
    return Check("viewer", True, f"viser {viser.__version__}", needed=False)


def _why_no_picture(backend: str) -> Optional[str]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", RENDER_SCRIPT],
            env=backend_environment(backend),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=RENDER_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no picture after {RENDER_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"ended with {done.returncode}"


def check_prefect() -> Check:
    """Prefect, which runs the flow, its settings, and the server that they name."""
    try:
        if importlib.util.find_spec("prefect") is not None:
            check_server(drop_unusable())
    except ParcError as error:
        return Check(
            "Prefect", False, str(error), "correct the PREFECT_… variables; `run` and `deploy` need it"
        )
    prefect = _import("prefect")
    if prefect is None:
        return Check("Prefect", False, "not installed", install_extra("pipeline"))
    return Check("Prefect", True, prefect.__version__)


def check_store() -> Check:
    """The folder or URL of `PARC_STORE`: something small is written to it, for a test."""
    url = os.environ.get("PARC_STORE") or DEFAULT_URL
    try:
        path = local_root(url)
    except ConfigError as error:
        return Check("store", False, str(error), "correct PARC_STORE")
    if path is None:
        return _check_remote_store(url)
    folder = existing_parent(path)
    try:
        with tempfile.TemporaryFile(dir=str(folder)) as file:
            file.write(b"parc")
    except OSError as error:
        return Check(
            "store",
            False,
            f"{path}: {error.strerror}",
            "set PARC_STORE to a folder that can be written, or a URL",
        )
    return Check("store", True, f"{path}, writable")


def _check_remote_store(url: str) -> Check:
    from parc_core.storage.retry import TIMEOUT_VARIABLES

    given = any(os.environ.get(name) for name in TIMEOUT_VARIABLES)
    if not given:
        os.environ[TIMEOUT_VARIABLES[0]] = "5"  # keep the doctor responsive: short retry timeout
    try:
        store = Store(url)
        probe = f".probe-{uuid.uuid4().hex}"
        store.put_bytes(b"parc", probe)
        store.delete(probe)
        sure = "" if store.conditional else ", without conditional writes: only one writer at a time is safe"
        return Check("store", True, f"{store.url}, writable{sure}")
    except ParcError as error:
        return Check("store", False, str(error), "correct PARC_STORE or the AWS_… variables")
    finally:
        if not given:
            del os.environ[TIMEOUT_VARIABLES[0]]


def check_data_dir() -> Check:
    """The folder that `$DATA_DIR` in configs means."""
    fix = f"set the environment variable DATA_DIR, or write 'DATA_DIR: /your/folder' into {USER_CONFIG}"
    try:
        folder = data_dir()
    except ParcError as error:
        return Check("DATA_DIR", False, str(error), f"correct {USER_CONFIG}", needed=False)
    if folder is None:
        return Check("DATA_DIR", False, "not set (configs with $DATA_DIR need it)", fix, needed=False)
    if not Path(folder).is_dir():
        return Check("DATA_DIR", False, f"{folder} is not a directory", fix, needed=False)
    return Check("DATA_DIR", True, folder, needed=False)


def check_disk() -> Check:
    """Room in the working folder, where outputs go by default."""
    free = shutil.disk_usage(str(Path.cwd())).free / 2**30
    detail = f"{free:.0f} GiB free in {Path.cwd()}"
    if free < MIN_FREE_GIB:
        return Check(
            "disk", False, detail, f"make room: {MIN_FREE_GIB} GiB or more, or put output_dir elsewhere"
        )
    return Check("disk", True, detail)


def check_cores() -> Check:
    """CPU cores that this process may use."""
    return Check("CPU cores", True, f"{usable_cores()}; project in {PROJECT_ROOT}")


def existing_parent(path: Path) -> Path:
    """The nearest folder above (or at) `path` that is there."""
    while not os.path.exists(str(path)):
        path = path.parent
    return path if path.is_dir() else path.parent


def _import(name: str) -> Any:
    try:
        return import_package(name)
    except ImportError:
        return None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
