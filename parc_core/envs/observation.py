"""The observation vector: which terms it has, in which order, and where each begins. Everything else reads it here."""

from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor

from parc_core.character.kinematics import Kinematics
from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import EngineState
from parc_core.envs import observations as terms
from parc_core.envs.observations import Observed, Targets
from parc_core.envs.rewards import Pose
from parc_core.envs.task import TaskTensors
from parc_core.motion.library import MotionLibrary
from parc_core.terrain.packed import PackedTerrain

ROTATION = 6
"""Numbers of a rotation: images of the x and z axes."""


class Sizes(NamedTuple):
    """What the lengths of segments depend on."""

    bodies: int
    dofs: int
    keys: int
    steps: int
    """K future steps."""
    points: int
    """P height points."""

    @property
    def joints(self) -> int:
        return self.bodies - 1


class Segment(NamedTuple):
    """Consecutive numbers of the vector that one function makes."""

    name: str
    width: Callable[[Sizes], int]
    values: Callable[[Observed], Tensor]
    """(n, width); of a target segment (n, K, width)."""
    normalized: bool = True
    """Whether the normalizer treats it."""
    heights: bool = False
    """Terrain heights, which `center_heights` shifts to zero mean."""
    enabled: Callable[[EnvConfig], bool] = lambda config: True


TARGET_SEGMENTS = (
    Segment("target_root_pos", lambda s: 3, terms.target_root_pos),
    Segment("target_root_rot", lambda s: ROTATION, terms.target_root_rot),
    Segment("target_joint_rot", lambda s: ROTATION * s.joints, terms.target_joint_rot),
    Segment("target_key_pos", lambda s: 3 * s.keys, terms.target_key_pos),
)
"""Parts of each future step."""


def _step_width(sizes: Sizes) -> int:
    return sum(part.width(sizes) for part in TARGET_SEGMENTS)


def _targets(o: Observed) -> Tensor:
    return torch.cat([part.values(o) for part in TARGET_SEGMENTS], dim=-1).flatten(1)


def _uses_contacts(config: EnvConfig) -> bool:
    return config.use_contact_info


SEGMENTS = (
    Segment("root_height", lambda s: 1, terms.root_height, enabled=lambda c: c.root_height_obs),
    Segment("root_rot", lambda s: ROTATION, terms.root_rot),
    Segment("root_vel", lambda s: 3, terms.root_vel),
    Segment("root_ang_vel", lambda s: 3, terms.root_ang_vel),
    Segment("joint_rot", lambda s: ROTATION * s.joints, terms.joint_rot),
    Segment("dof_vel", lambda s: s.dofs, terms.dof_vel),
    Segment("key_pos", lambda s: 3 * s.keys, terms.key_pos),
    Segment("targets", lambda s: s.steps * _step_width(s), _targets),
    Segment(
        "target_contacts", lambda s: s.steps * s.bodies, terms.target_contacts, False, enabled=_uses_contacts
    ),
    Segment("contacts", lambda s: s.bodies, terms.contacts, False, enabled=_uses_contacts),
    Segment("heights", lambda s: s.points, terms.heights, False, heights=True),
)
"""The whole vector. A model's weights belong to this order; what is new goes behind what it may not move."""


class ObservationLayout:
    """Where everything lies in the vector of one config and character.

    Attributes:
        dim: length of the vector, 1312 with the defaults.
        segments: those that the config has, in order.
        slices: segment name -> its place in the vector.
        target_starts: target segment name -> where it begins within each step of the segment "targets".
        target_width: numbers of one step there.
    """

    def __init__(self, config: EnvConfig, sizes: Sizes) -> None:
        self.segments = [segment for segment in SEGMENTS if segment.enabled(config)]
        self.slices, self.dim = _places(self.segments, sizes)
        target_slices, self.target_width = _places(list(TARGET_SEGMENTS), sizes)
        self.target_starts = {name: place.start for name, place in target_slices.items()}

    @classmethod
    def of(cls, config: EnvConfig, task: TaskTensors, kinematics: Kinematics) -> ObservationLayout:
        """Layout for a character."""
        sizes = Sizes(
            bodies=kinematics.num_bodies,
            dofs=kinematics.dof_size,
            keys=len(task.key_ids),
            steps=len(task.target_steps),
            points=len(task.ray_points),
        )
        return cls(config, sizes)

    @property
    def norm_mask(self) -> Tensor:
        """(dim,) bool: what the normalizer treats."""
        return self._mask([s.name for s in self.segments if s.normalized])

    @property
    def height_mask(self) -> Tensor:
        """(dim,) bool: the terrain heights."""
        return self._mask([s.name for s in self.segments if s.heights])

    def _mask(self, names: List[str]) -> Tensor:
        mask = torch.zeros(self.dim, dtype=torch.bool)
        for name in names:
            mask[self.slices[name]] = True
        return mask

    def vector(self, observed: Observed) -> Tensor:
        """(n, dim)."""
        return torch.cat([segment.values(observed) for segment in self.segments], dim=1)


def _places(segments: List[Segment], sizes: Sizes) -> Tuple[Dict[str, slice], int]:
    """Each segment's place, one behind the other, and their total length."""
    places, at = {}, 0
    for segment in segments:
        places[segment.name] = slice(at, at + segment.width(sizes))
        at = places[segment.name].stop
    return places, at


class Observer:
    """Gathers what the terms look at and puts the vector together.

    Attributes:
        layout: of the vector.
    """

    def __init__(
        self,
        config: EnvConfig,
        task: TaskTensors,
        kinematics: Kinematics,
        library: MotionLibrary,
        terrain: PackedTerrain,
        control_dt: float,
    ) -> None:
        self._config, self._task, self._kinematics = config, task, kinematics
        self._library, self._terrain, self._control_dt = library, terrain, control_dt
        self.layout = ObservationLayout.of(config, task, kinematics)

    def observe(
        self, state: EngineState, ids: Tensor, motion_ids: Tensor, times: Tensor, terrain_ids: Tensor
    ) -> Tensor:
        """Observation of some environments.

        Args:
            state: of all environments.
            ids: (n,) those to observe.
            motion_ids, times, terrain_ids: (n,) their motions, times in them (s) and terrains.

        Returns:
            (n, layout.dim).
        """
        char = Pose(
            state.root_pos[ids],
            state.root_rot[ids],
            state.root_vel[ids],
            state.root_ang_vel[ids],
            state.joint_rot[ids],
            state.dof_vel[ids],
            state.body_pos[ids].index_select(-2, self._task.key_ids),
        )
        points = terms.ray_points_world(self._task.ray_points, char.root_pos, char.root_rot)
        observed = Observed(
            config=self._config,
            char=char,
            contact_forces=state.contact_forces[ids],
            targets=self._targets(motion_ids, times),
            ground=self._terrain.heights_at(terrain_ids, points),
        )
        return self.layout.vector(observed)

    def _targets(self, motion_ids: Tensor, times: Tensor) -> Targets:
        root_pos, root_rot, joint_rot, contacts = self._library.target_frames(
            motion_ids, times, self._task.target_steps, self._control_dt
        )
        bodies = self._kinematics.forward(root_pos, root_rot, joint_rot)[0]
        return Targets(root_pos, root_rot, joint_rot, bodies.index_select(-2, self._task.key_ids), contacts)
