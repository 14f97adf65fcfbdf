"""What the live viewer draws: a source's frames as viser's meshes, arrows and points.

Everything hangs on one frame, which is moved against the character's path: that is how the camera follows, and people
turn and zoom it as they like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence

import numpy as np

from parc_core.viewing.meshes import body_meshes, ground_mesh
from parc_core.viewing.policy_source import PolicySource
from parc_core.viewing.source import Frame, Source

SOLID, GHOST, TOUCHING = (242, 120, 46), (71, 140, 230), (217, 31, 41)
_FORCE_RGB, _SCAN_RGB = (242, 199, 31), (38, 158, 89)
_GHOST_OPACITY = 0.42
_M_PER_N = 0.001
_LONGEST_M = 1.5


@dataclass
class Shown:
    """What is to be seen."""

    reference: bool = True
    contacts: bool = True
    scan: bool = False
    follow: bool = True


class LiveScene:
    """The scene of one server.

    Attributes:
        shift: (3,) m by which everything is moved, so that the character stays in the middle.
    """

    def __init__(self, scene: Any, source: Source) -> None:
        self._scene, self._source = scene, source
        self.shift = np.zeros(3)
        scene.set_up_direction("+z")
        self._root = scene.add_frame("/world", show_axes=False)
        meshes = body_meshes(source.character)
        self._solid = self._figure("simulated", meshes, SOLID, None)
        self._ghost = self._figure("reference", meshes, GHOST, _GHOST_OPACITY)
        self._colours: List[Any] = [SOLID] * len(meshes)
        none = np.zeros((len(meshes), 2, 3), np.float32)
        self._forces = scene.add_line_segments("/world/forces", none, colors=_FORCE_RGB, thickness=0.02)
        self._scan = scene.add_point_cloud(
            "/world/scan",
            np.zeros((1, 3), np.float32),
            colors=_SCAN_RGB,
            point_size=0.02,
            point_shape="circle",
            precision="float32",
            visible=False,
        )

    def _figure(self, name: str, meshes: Sequence[Any], colour: Any, opacity: Optional[float]) -> List[Any]:
        return [
            self._scene.add_mesh_simple(
                f"/world/{name}/{body}",
                vertices,
                faces,
                color=colour,
                opacity=opacity,
                visible=len(vertices) > 0,
                cast_shadow=opacity is None,
            )
            for body, (vertices, faces) in zip(self._source.character.body_names, meshes)
        ]

    def new_ground(self) -> None:
        """Draws the terrain of the source's clip."""
        import trimesh

        vertices, faces, colours = ground_mesh(*self._source.ground())
        mesh = trimesh.Trimesh(vertices, faces, vertex_colors=colours, process=False)
        self._scene.add_mesh_trimesh("/world/ground", mesh)

    def draw(self, frame: Frame, shown: Shown) -> None:
        """Shows one frame."""
        if shown.follow:
            self.shift = -frame.body_pos[0] * (1.0, 1.0, 0.0)
        self._root.position = self.shift
        _place(self._solid, frame.body_pos, frame.body_rot)
        ghost = shown.reference and frame.ref_pos is not None
        for part in self._ghost:
            part.visible = ghost
        if frame.ref_pos is not None and frame.ref_rot is not None:
            _place(self._ghost, frame.ref_pos, frame.ref_rot)
        self._colour(frame, shown)
        self._forces.visible = shown.contacts and frame.forces is not None
        if frame.forces is not None:
            self._forces.points = _arrows(frame)
        self._scan.visible = shown.scan and isinstance(self._source, PolicySource)
        if shown.scan and isinstance(self._source, PolicySource):
            self._scan.points = (self._source.scan(frame) + np.array([0.0, 0.0, 0.015])).astype(np.float32)

    def _colour(self, frame: Frame, shown: Shown) -> None:
        for body, part in enumerate(self._solid):
            colour = TOUCHING if shown.contacts and frame.touching[body] else SOLID
            if colour != self._colours[body]:
                part.color = self._colours[body] = colour


def _place(parts: Sequence[Any], pos: np.ndarray, rot: np.ndarray) -> None:
    for part, p, (x, y, z, w) in zip(parts, pos, rot):
        part.position, part.wxyz = p, (w, x, y, z)


def _arrows(frame: Frame) -> np.ndarray:
    """(J, 2, 3) m: from each body along its force."""
    assert frame.forces is not None
    size = np.linalg.norm(frame.forces, axis=-1, keepdims=True)
    arrow = frame.forces * np.minimum(_M_PER_N, _LONGEST_M / np.maximum(size, 1e-9))
    return np.stack((frame.body_pos, frame.body_pos + arrow), axis=1).astype(np.float32)


def body_under(
    frame: Frame, origin: np.ndarray, direction: np.ndarray, reach_m: float = 0.25
) -> Optional[int]:
    """The body that a ray passes closest, or None where it passes all by more than `reach_m`."""
    to = frame.body_pos - origin
    along = np.clip(to @ direction, 0.0, None)
    apart = np.linalg.norm(to - along[:, None] * direction, axis=-1)
    nearest = int(apart.argmin())
    return nearest if apart[nearest] <= reach_m else None
