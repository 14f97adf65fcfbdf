"""Draws scenes in a process of its own: `python -m parc_core.recording.draw job.npz frames.npy`.

MuJoCo chooses its OpenGL library when it is imported (MUJOCO_GL), and a broken graphics driver may end the process:
both are reasons to draw in a child.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

_ARRAYS = ("mocap_pos", "mocap_quat", "lookat", "view")
BACKENDS = ("egl", "osmesa")
TIMEOUT_S = 300


class CannotRenderError(Exception):
    """No OpenGL library draws here; the message is one line."""


def draw(scenes: Sequence, width: int, height: int) -> List[np.ndarray]:
    """Pictures of each scene's frames: (T, height, width, 3) uint8.

    Raises:
        CannotRenderError: with the reason of each backend that was tried.
    """
    reasons = []
    with tempfile.TemporaryDirectory(prefix="parc-draw-") as folder:
        job, out = Path(folder) / "job.npz", Path(folder) / "frames.npy"
        fields: Dict[str, Any] = {"size": np.array([width, height]), "count": np.array(len(scenes))}
        for k, scene in enumerate(scenes):
            for name in _ARRAYS:
                fields[f"{name}_{k}"] = getattr(scene, name)
            fields[f"xml_{k}"] = np.array(scene.xml)
        np.savez(job, **fields)
        for backend in _backends():
            reason = _draw_with(backend, job, out)
            if reason is None:
                frames = np.load(out)
                bounds = np.cumsum([len(scene.lookat) for scene in scenes])[:-1]
                return np.split(frames, bounds)
            reasons.append(f"{backend}: {reason}")
    raise CannotRenderError("; ".join(reasons))


def _backends() -> Tuple[str, ...]:
    """The user's choice, or those that need no display."""
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    return (chosen,) if chosen else BACKENDS


def _draw_with(backend: str, job: Path, out: Path) -> Optional[str]:
    """Runs the child. Returns why it failed, or None."""
    env = {**os.environ, "MUJOCO_GL": backend}
    if backend in BACKENDS:
        env["PYOPENGL_PLATFORM"] = backend
    project = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (project, env.get("PYTHONPATH"))))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "parc_core.recording.draw", str(job), str(out)],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no pictures after {TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split())[:160] if lines else f"ended with {done.returncode}"


def _draw_job(job: str, out: str) -> None:
    """The child: all scenes of a job into one array."""
    with np.load(job) as data:
        width, height = (int(v) for v in data["size"])
        parts = [
            _draw_scene(str(data[f"xml_{k}"]), {name: data[f"{name}_{k}"] for name in _ARRAYS}, width, height)
            for k in range(int(data["count"]))
        ]
    frames = np.concatenate(parts)
    if frames.max() == 0:
        raise RuntimeError("the pictures are black")
    np.save(out, frames)


def _draw_scene(xml: str, arrays: Dict[str, np.ndarray], width: int, height: int) -> np.ndarray:
    import mujoco

    lookat = arrays["lookat"]

    model = mujoco.MjModel.from_xml_string(xml)
    data = mujoco.MjData(model)
    camera = mujoco.MjvCamera()
    camera.distance, camera.azimuth, camera.elevation = arrays["view"]
    frames = np.zeros((len(lookat), height, width, 3), dtype=np.uint8)
    with mujoco.Renderer(model, height, width, max_geom=model.ngeom + 100) as renderer:
        for k, target in enumerate(lookat):
            data.mocap_pos[:], data.mocap_quat[:] = arrays["mocap_pos"][k], arrays["mocap_quat"][k]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_camlight(model, data)
            camera.lookat = target
            renderer.update_scene(data, camera)
            frames[k] = renderer.render()
    return frames


if __name__ == "__main__":
    _draw_job(sys.argv[1], sys.argv[2])
