"""Draws scenes in a separate process: `python -m parc_core.video.draw <first> <end>`, job on standard input, pictures
on standard output.

MuJoCo chooses its OpenGL library when it is imported (MUJOCO_GL), and a broken graphics driver may end the process:
both are reasons to draw in a child.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from parc_core.system import die_with_parent

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
    job = _job(scenes, width, height, size)
    lengths = [len(scene.lookat) for scene in scenes]
    for backend in backends():
        frames, reason = _draw_with(backend, job, _parts(sum(lengths)))
        if not reason:
            return np.split(np.concatenate(frames), np.cumsum(lengths)[:-1])
        reasons.append(f"{backend}: {reason}")
    raise CannotRenderError(f"{'; '.join(reasons)}; {what_drawing_needs()}")


def _parts(count: int) -> List[Part]:
    """Ranges of frames, each for a separate process: without a GPU one core draws one of them."""
    processes = max(min(count // FRAMES_PER_PROCESS, os.cpu_count() or 1, MAX_PROCESSES), 1)
    ends = [count * k // processes for k in range(processes + 1)]
    return list(zip(ends[:-1], ends[1:]))


def _job(scenes: Sequence[Scene], width: int, height: int, size: Optional[Tuple[int, int]]) -> bytes:
    fields: Dict[str, Any] = {"size": np.array([width, height, *(size or (width, height))])}
    fields["count"] = np.array(len(scenes))
    for k, scene in enumerate(scenes):
        for name in _ARRAYS:
            fields[f"{name}_{k}"] = getattr(scene, name)
        fields[f"xml_{k}"] = np.array(scene.xml)
    file = io.BytesIO()
    np.savez(file, **fields)
    return file.getvalue()


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


def _draw_with(backend: str, job: bytes, parts: Sequence[Part]) -> Tuple[List[np.ndarray], str]:
    """Runs the children. Returns the pictures of each part, and why one failed or ""."""
    env = backend_environment(backend)
    project = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, (project, env.get("PYTHONPATH"))))
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_child(job, part, env)) for part in parts]
        deadline = time.monotonic() + TIMEOUT_S
        reason = next(filter(None, [_reason(child, deadline) for child in children]), "")
        return ([] if reason else [_pictures(child.drawn) for child in children]), reason


class _Child(NamedTuple):
    """A process that draws a part. Its files have no names: whoever is killed leaves none."""

    process: subprocess.Popen[bytes]
    drawn: IO[bytes]
    said: IO[bytes]


@contextlib.contextmanager
def _child(job: bytes, part: Part, env: Dict[str, str]) -> Iterator[_Child]:
    """Starts it; it does not outlive the block, nor this process."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as drawn, tempfile.TemporaryFile() as said:
        given.write(job)
        given.seek(0)
        command = [sys.executable, "-m", "parc_core.video.draw", *map(str, part)]
        process = subprocess.Popen(
            [sys.executable, die_with_parent.__file__, str(os.getpid()), *command],
            env=env,
            stdin=given,
            stdout=drawn,
            stderr=said,
        )
        try:
            yield _Child(process, drawn, said)
        finally:
            process.kill()
            process.wait()


def _reason(child: _Child, deadline: float) -> str:
    """Why a child failed, or "", at its end."""
    try:
        code = child.process.wait(max(deadline - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return f"no pictures after {TIMEOUT_S} s"
    if code == 0:
        return ""
    child.said.seek(0)
    lines = child.said.read().decode("utf-8", "replace").strip().splitlines()
    return " ".join(lines[-1].split())[:160] if lines else f"ended with {code}"


def _pictures(drawn: IO[bytes]) -> np.ndarray:
    drawn.seek(0)
    return np.asarray(np.load(drawn))


def _draw_job(job: IO[bytes], out: IO[bytes], first: int, end: int) -> None:
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
    with os.fdopen(os.dup(1), "wb") as _out:
        os.dup2(2, 1)  # what libraries print does not get among the pictures
        _draw_job(sys.stdin.buffer, _out, int(sys.argv[1]), int(sys.argv[2]))
