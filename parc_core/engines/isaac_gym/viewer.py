"""Isaac Gym's window, for those who want to look: PARC_VIEWER=1 in the environment of the trainer."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from parc_core.engines.isaac_gym.api import IsaacGym
from parc_core.engines.isaac_gym.sim import BuiltSim
from parc_core.errors import ConfigError

if TYPE_CHECKING:
    from isaacgym import gymapi

_BACK, _UP = 6.0, 3.0  # m from the character to the camera


def viewer_wanted() -> bool:
    """Whether the environment variable PARC_VIEWER asks for a window."""
    return os.environ.get("PARC_VIEWER", "") not in ("", "0")


class Viewer:
    """A window on the first character; closing it leaves the training running."""

    def __init__(self, isaac: IsaacGym, built: BuiltSim) -> None:
        """Raises ConfigError where there is no screen."""
        from isaacgym import gymapi

        self._isaac, self._built = isaac, built
        self._viewer: Optional[gymapi.Viewer] = isaac.gym.create_viewer(built.sim, gymapi.CameraProperties())
        if self._viewer is None:
            raise ConfigError("engine isaac_gym: no window can be opened here; unset PARC_VIEWER")

    def draw(self, x: float, y: float, z: float) -> None:
        """One picture, at no more than real time, that looks at a point of the world, m."""
        gym, sim = self._isaac.gym, self._built.sim
        if self._viewer is None:
            return
        if gym.query_viewer_has_closed(self._viewer):
            gym.destroy_viewer(self._viewer)
            self._viewer = None
            return
        from isaacgym.gymapi import Vec3

        gym.viewer_camera_look_at(self._viewer, self._built.env, Vec3(x - _BACK, y, z + _UP), Vec3(x, y, z))
        gym.step_graphics(sim)
        gym.draw_viewer(self._viewer, sim, False)
        gym.sync_frame_time(sim)
