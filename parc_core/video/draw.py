"""Draws scenes in a separate process: `python -m parc_core.video.draw job.npz frames.npy <first> <end>`.

MuJoCo chooses its OpenGL library when it is imported (MUJOCO_GL), and a broken graphics driver may end the process:
both are reasons to draw in a child.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    from parc_core.video.scene import Scene

_ARRAYS = ("mocap_pos", "mocap_quat", "lookat", "view")
BACKENDS = ("egl", "osmesa")
TIMEOUT_S = 300
FRAMES_PER_PROCESS = 40
"""Fewer are drawn faster than a process starts."""
MAX_PROCESSES = 4
Part = Tuple[int, int]
"""The first frame of a range and the one after its last, counted over all scenes."""


class CannotRenderError(Exception):
    """No OpenGL library draws here; the message is one line."""


def draw(
    scenes: Sequence[Scene], width: int, height: int, size: Optional[Tuple[int, int]] = None
) -> List[np.ndarray]:
    """Pictures of each scene's frames: (T, height, width, 3) uint8.

    Args:
        scenes: what to draw.
        width, height: of the pictures as they are drawn.
        size: (width, height) to which they are scaled down, if at all.

    Raises:
        CannotRenderError: with the reason of each backend that was tried.
    """
    reasons = []
    with tempfile.TemporaryDirectory(prefix="parc-draw-") as folder:
        job = Path(folder) / "job.npz"
        fields: Dict[str, Any] = {"size": np.array([width, height, *(size or (width, height))])}
        fields["count"] = np.array(len(scenes))
        for k, scene in enumerate(scenes):
            for name in _ARRAYS:
                fields[f"{name}_{k}"] = getattr(scene, name)
            fields[f"xml_{k}"] = np.array(scene.xml)
        np.savez(job, **fields)
        lengths = [len(scene.lookat) for scene in scenes]
        parts = _parts(sum(lengths))
        for backend in backends():
            reason = _draw_with(backend, job, parts)
            if reason is None:
                frames = np.concatenate([np.load(_pictures_of(job, part)) for part in parts])
                return np.split(frames, np.cumsum(lengths)[:-1])
            reasons.append(f"{backend}: {reason}")
    raise CannotRenderError(f"{'; '.join(reasons)}; {what_drawing_needs()}")


def _parts(count: int) -> List[Part]:
    """Ranges of frames, each for a separate process: without a GPU one core draws one of them."""
    processes = max(min(count // FRAMES_PER_PROCESS, os.cpu_count() or 1, MAX_PROCESSES), 1)
    ends = [count * k // processes for k in range(processes + 1)]
    return list(zip(ends[:-1], ends[1:]))


def _pictures_of(job: Path, part: Part) -> Path:
    return job.with_name(f"frames-{part[0]}.npy")


def backends() -> Tuple[str, ...]:
    """The user's choice, or those that need no display."""
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    return (chosen,) if chosen else BACKENDS


def backend_environment(backend: str) -> Dict[str, str]:
    """Environment of a process that draws with this OpenGL library."""
    env = {**os.environ, "MUJOCO_GL": backend}
    if backend in BACKENDS:
        env["PYOPENGL_PLATFORM"] = backend
    return env


def what_drawing_needs() -> str:
    """What to do where nothing draws, by the user's choice."""
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    egl, osmesa = "EGL (Debian and Ubuntu: apt-get install libegl1 libgl1)", "OSMesa (libosmesa6)"
    if chosen == "osmesa":
        return f"videos need {osmesa}, or unset MUJOCO_GL for EGL"
    if chosen in ("", "egl"):
        return f"videos need {egl}"
    return f"videos need MUJOCO_GL unset, egl or osmesa, but it is '{chosen}'"


def _draw_with(backend: str, job: Path, parts: Sequence[Part]) -> Optional[str]:
    """Runs the children. Returns why one failed, or None."""
    env = backend_environment(backend)
    project = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (project, env.get("PYTHONPATH"))))
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_child(job, part, env)) for part in parts]
        deadline = time.monotonic() + TIMEOUT_S
        reasons = [_reason(*child, deadline) for child in children]
    return next((reason for reason in reasons if reason is not None), None)


@contextlib.contextmanager
def _child(job: Path, part: Part, env: Dict[str, str]) -> Iterator[Tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process that draws a part, and what it says; does not outlive the block."""
    words = [str(job), str(_pictures_of(job, part)), *map(str, part)]
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen(
            [sys.executable, "-m", "parc_core.video.draw", *words],
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            yield child, said
        finally:
            child.kill()
            child.wait()


def _reason(child: subprocess.Popen[bytes], said: IO[bytes], deadline: float) -> Optional[str]:
    """Why a child failed, or None, at its end."""
    try:
        code = child.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return f"no pictures after {TIMEOUT_S} s"
    if code == 0:
        return None
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split())[:160] if lines else f"ended with {code}"


def _draw_job(job: str, out: str, first: int, end: int) -> None:
    """The child: frames `first` to `end` of all scenes of a job into one array."""
    with np.load(job) as data:
        width, height, *size = (int(v) for v in data["size"])
        parts = []
        for k in range(int(data["count"])):
            arrays = {name: data[f"{name}_{k}"] for name in _ARRAYS}
            length = len(arrays["lookat"])
            low, high = max(first, 0), min(end, length)
            if low < high:
                parts.append(_draw_scene(str(data[f"xml_{k}"]), _frames(arrays, low, high), width, height))
            first, end = first - length, end - length
    frames = np.concatenate(parts)
    if frames.max() == 0:
        raise RuntimeError("the pictures are black")
    np.save(out, _scaled(frames, (size[0], size[1])))


def _frames(arrays: Dict[str, np.ndarray], low: int, high: int) -> Dict[str, np.ndarray]:
    return {name: value if name == "view" else value[low:high] for name, value in arrays.items()}


def _scaled(frames: np.ndarray, size: Tuple[int, int]) -> np.ndarray:
    if frames.shape[2:0:-1] == size:
        return frames
    from PIL import Image

    lanczos = Image.Resampling.LANCZOS
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, lanczos)) for frame in frames])


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
    _draw_job(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
