"""Drawing without a screen, and the package of the live viewer."""

from __future__ import annotations

import subprocess
import sys
from typing import Optional

from parc_core.system.extras import install_extra
from parc_core.video.draw import backend_environment, backends, what_drawing_needs
from parc_tracker.doctor.check import Check, import_or_none

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


def check_rendering() -> Check:
    """Draw one small picture without a screen, in an own process (a broken driver can crash it)."""
    name, fix = "rendering", f"{what_drawing_needs()}; training and evaluation need none"
    if import_or_none("mujoco") is None:
        return Check(name, False, "needs MuJoCo", install_extra("mujoco"), needed=False)
    reasons = []
    for backend in backends():
        reason = _why_no_picture(backend)
        if reason is None:
            return Check(name, True, f"offscreen, {backend}", needed=False)
        reasons.append(f"{backend}: {reason}")
    return Check(name, False, "; ".join(reasons), fix, needed=False)


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


def check_viewer() -> Check:
    """The package of `parc-tracker view`'s live page."""
    viser = import_or_none("viser")
    if viser is None:
        fix = install_extra("viewer") + "; offline pages (--html) need none"
        return Check("viewer", False, "viser not installed", fix, needed=False)
    return Check("viewer", True, f"viser {viser.__version__}", needed=False)
