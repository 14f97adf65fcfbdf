"""Triangle meshes in Wavefront's `.obj` form: corners and faces alone, everything else in a file stays unread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Sequence

import numpy as np

from parc_core.errors import DataError

MAX_BYTES = 4 << 20
"""Of a file: some 40,000 corners; the boxes of a climb have some tens."""
_LARGEST = 1e6  # m
_MAX_CORNERS = 1000  # of one face


@dataclass(frozen=True)
class Triangles:
    """A surface."""

    vertices: np.ndarray
    """(V, 3) float64 m."""
    faces: np.ndarray
    """(F, 3) int64: indices of vertices."""


def read_obj(data: bytes, where: str) -> Triangles:
    """The surface in a file; faces of more than three corners are cut into triangles.

    Args:
        data: the file's content.
        where: its name for messages.

    Raises:
        DataError: too large, no faces, or lines that make no sense.
    """
    check_size(len(data), where)
    vertices: List[List[float]] = []
    faces: List[List[int]] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        if not words or words[0] not in ("v", "f"):
            continue
        try:
            if words[0] == "v":
                vertices.append([float(word) for word in words[1:4]])
                if len(words) < 4:
                    raise ValueError
            else:
                faces += _fan(words[1:], len(vertices))
        except ValueError:
            raise DataError(
                f"{where}: line {number} is no corner or face of a mesh; replace the file"
            ) from None
    if not faces:
        raise DataError(f"{where}: holds no faces, so it is no mesh")
    corners = np.array(vertices, np.float64)
    if not (np.abs(corners) < _LARGEST).all():
        raise DataError(f"{where}: corners are not finite, or farther than {_LARGEST:g} m away")
    return Triangles(corners, np.array(faces, np.int64))


def check_size(size: int, where: str) -> None:
    """Raises DataError where a file of `size` bytes is too large to be boxes."""
    if size > MAX_BYTES:
        raise DataError(f"{where}: {size >> 20} MiB of mesh, at most {MAX_BYTES >> 20} are read; simplify it")


def merged(meshes: Sequence[Triangles]) -> Triangles:
    """All of them as one."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts)]
    return Triangles(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces))


def _fan(words: Sequence[str], count: int) -> List[List[int]]:
    """Triangles of one face; `7/1/3` is the seventh corner, `-1` the last one before the face."""
    if not 3 <= len(words) <= _MAX_CORNERS:
        raise ValueError
    places = [int(word.partition("/")[0]) for word in words]
    places = [place - 1 if place > 0 else count + place for place in places]
    if not all(0 <= place < count for place in places):
        raise ValueError
    return [[places[0], places[k], places[k + 1]] for k in range(1, len(places) - 1)]
