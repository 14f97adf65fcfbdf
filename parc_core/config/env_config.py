"""Environment config: the keys of `dm_env.yaml` with PARC's defaults (spec section 2)."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Union

from parc_core.config.deepmimic_config import OTHER_ENV, RECORDER, DeepMimicConfig, HeightmapConfig
from parc_core.config.paths import PathLike, load_yaml, resolve
from parc_core.config.schema import fixed, from_mapping, no_effect_warnings, section, setting, unheeded
from parc_core.config.sim_config import HEEDED_BY_PHYSX, PlaneConfig, SimConfig
from parc_core.config.start_noise import StartNoise
from parc_core.errors import ConfigError

__all__ = [
    "DeepMimicConfig",
    "EnvConfig",
    "EnvFileConfig",
    "HeightmapConfig",
    "PerBody",
    "PlaneConfig",
    "env_warnings",
    "load_env_config",
]

PerBody = Union[List[float], Dict[str, float]]
"""Numbers in the order of the character's bodies (or its non-root bodies), or `{body name: number}`."""

_VIEWER = "it is a setting of PARC's viewer"
_ROUNDING = 1e-6  # cells; 2.1 / 0.3 is 7.000000000000001
_BESIDE = 0.4  # of the terrain window's side, on each side of the root: 0.8 m of 2 m
_NARROW_WINDOW = 1.6  # m; a stretched leg reaches 0.8 m from the root


# Per joint, in body order without the root: torso, head, right upper arm, lower arm, hand, left the same,
# right thigh, shin, foot, left the same.
_JOINT_ERR_W = [1.0, 0.6, 0.6, 0.4, 0.0, 0.6, 0.4, 0.0, 1.0, 0.6, 0.4, 1.0, 0.6, 0.4]
_POSE_TERMINATION_DIST = [0.7, 1.0, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 1.0, 1.2, 10.0, 1.0, 1.2, 10.0]


@dataclass(frozen=True)
class EnvConfig:
    """The tracking environment: physics rate, observation, reward, termination."""

    char_file: str = setting("data/assets/humanoid.xml", shapes_training=False)
    """MJCF of the character."""
    action_mode: Literal["absolute", "residual"] = setting("absolute", ours=True, always_fingerprinted=True)
    """absolute: actions are PD targets (PARC). residual: they correct the reference (ours, learns sooner)."""
    residual_action_scale: float = setting(0.5, above=0, ours=True, always_fingerprinted=True)
    """Correction of the PD target for an action of 1, rad (residual mode)."""
    terrain_window_size: float = setting(2.0, above=0, ours=True, shapes_training=False)
    """Side of the square of terrain around the character, m: an odd number of cells that covers it and, wherever the
    root is in its cell, two fifths of it on each side (MuJoCo engines)."""
    terrain_window: Optional[int] = setting(None, at_least=1, ours=True, shapes_training=False)
    """The same in cells, whatever their size; comes before terrain_window_size where it is set."""
    solver_iterations: int = setting(10, at_least=1, ours=True)
    """Most iterations of the contact solver in a physics step (MuJoCo engines); each costs time on a GPU."""
    max_contacts_per_env: int = setting(40, at_least=1, ours=True, shapes_training=False)
    """Room for contacts, in the mean over the environments (engine mujoco_warp); overflow is counted and logged."""
    max_constraints_per_env: int = setting(200, at_least=1, ours=True, shapes_training=False)
    """Room for constraints of each environment, four a contact, one a joint limit (engine mujoco_warp)."""
    all_touches: bool = setting(False, ours=True, shapes_training=False)
    """Whether the engine also tells which bodies touched in any physics step of a control step, as recordings need."""
    contact_bodies: List[str] = setting([])
    """Bodies that may touch the ground; the fall test works only when this is not empty."""
    contact_detection_eps: float = setting(1e-5, at_least=0)
    """A body counts as touching above this contact force, N."""
    contact_weights: PerBody = setting([5.0] * 15, at_least=0)
    """Weight of each body in the contact reward."""
    control_freq: int = setting(30, at_least=1)
    """Policy steps per second."""
    control_mode: Literal["pd"] = "pd"
    """How actions drive the joints."""
    critic_obs: List[Literal["time_left", "errors", "fail_rate", "forces"]] = setting([], ours=True)
    """What the critic sees beside the observation: seconds until the motion ends, distances from the reference over the
    limits at which an episode ends, the motion's failure rate, contact forces. Their order makes no difference."""
    dm: DeepMimicConfig = section(DeepMimicConfig)
    enable_early_termination: bool = True
    """End an episode when the character is too far from its reference."""
    env_spacing: float = setting(2.0, no_effect="each environment stands on its own motion's terrain")
    env_style: str = setting("square", no_effect="dm.terrain_build_mode arranges the terrains")
    episode_length: float = setting(10.0, above=0)
    """Longest episode, s."""
    fraction_dm_envs: float = setting(1.0, no_effect="every environment tracks motions")
    global_obs: bool = False
    """Observe in world axes instead of the character's heading."""
    global_root_height_obs: bool = False
    """Targets' root height is absolute instead of relative to the root."""
    init_pose: List[float] = setting(
        [0.0, 0.0, 0.882416, *([0.0] * 31)], no_effect="episodes start from their motion"
    )
    """Root position (3, m), root rotation (3, exponential map), dofs (28, rad) before the first reset."""
    joint_err_w: PerBody = setting(_JOINT_ERR_W, at_least=0)
    """Weight of each joint in the pose and velocity rewards (non-root bodies)."""
    key_bodies: List[str] = setting(["right_hand", "left_hand", "right_foot", "left_foot"])
    """Bodies whose positions are observed and rewarded."""
    max_obs_h: float = 3.0
    """Upper clamp of the observed terrain heights relative to the root, m."""
    min_obs_h: float = -3.0
    """Lower clamp of the observed terrain heights relative to the root, m."""
    plane: PlaneConfig = section(PlaneConfig)
    pose_termination: bool = True
    """End an episode when a body is further from its place than pose_termination_dist."""
    pose_termination_dist: PerBody = setting(_POSE_TERMINATION_DIST, at_least=0)
    """Allowed root-relative position error of each non-root body, m."""
    rand_reset: bool = True
    """Start at a random time of the motion instead of its first frame."""
    rand_root_pos_offset_scale: float = setting(0.075, at_least=0)
    """Noise of the starting position along x and y, m."""
    start_noise: StartNoise = section(StartNoise)
    ray_angle: float = setting(0.26179938779, above=0)
    """Angle between neighbouring rays of the height observation, rad (15 degrees)."""
    ray_dx: float = setting(0.05, above=0)
    """Distance between neighbouring points of a ray, m."""
    ray_num_left: int = setting(3, at_least=0)
    """Rays to the left of the one ahead."""
    ray_num_right: int = setting(3, at_least=0)
    """Rays to the right of the one ahead."""
    ray_points_ahead: int = setting(60, at_least=0)
    """Points of a ray ahead of the root."""
    ray_points_behind: int = setting(2, at_least=0)
    """Points of a ray behind the root."""
    ref_char_offset: List[float] = setting([0.0, 0.0, 0.0], no_effect=_VIEWER)
    """Where a viewer draws the reference beside the character, m."""
    root_height_obs: bool = False
    """Observe the root's height."""
    root_pos_termination_dist: float = setting(0.6, above=0)
    """Allowed distance of the root from its reference (track_root), m."""
    root_rot_termination_angle: float = setting(1.309, above=0)
    """Allowed angle of the root from its reference (track_root), rad."""
    pose_w: float = setting(0.5, at_least=0)
    """Share of the joint rotations in the reward."""
    vel_w: float = setting(0.1, at_least=0)
    """Share of the joint velocities in the reward."""
    root_pos_w: float = setting(0.15, at_least=0)
    """Share of the root's position and rotation in the reward."""
    root_vel_w: float = setting(0.1, at_least=0)
    """Share of the root's velocities in the reward."""
    key_pos_w: float = setting(0.15, at_least=0)
    """Share of the key bodies' positions in the reward."""
    pose_exponent: float = setting(1.0, above=0, ours=True, was="pose_strictness")
    """Exponent of the joint rotations' reward: above 1 small errors cost more; 1 is PARC's."""
    vel_exponent: float = setting(1.0, above=0, ours=True, was="vel_strictness")
    """Exponent of the joint velocities' reward."""
    root_pos_exponent: float = setting(1.0, above=0, ours=True, was="root_pos_strictness")
    """Exponent of the reward of the root's position and rotation."""
    root_vel_exponent: float = setting(1.0, above=0, ours=True, was="root_vel_strictness")
    """Exponent of the reward of the root's velocities."""
    key_pos_exponent: float = setting(1.0, above=0, ours=True, was="key_pos_strictness")
    """Exponent of the key bodies' reward."""
    sim_freq: int = setting(60, at_least=1)
    """Physics calls per second, each of sim.substeps steps."""
    tar_obs_steps: List[int] = setting([1, 2, 3, 10, 20, 30], at_least=0)
    """Future reference frames that are observed, in control steps."""
    termination_anneal_samples: Optional[float] = setting(None, above=0, ours=True)
    """Samples over which the limits of the three tests against the reference (pose_termination_dist,
    root_pos_termination_dist, root_rot_termination_angle), in training alone, go linearly from termination_scale_start
    to termination_scale_end times what they are set to; null = they stay as set."""
    termination_scale_start: float = setting(1.0, above=0, ours=True)
    """Factor of these limits at the start of a training (termination_anneal_samples)."""
    termination_scale_end: float = setting(1.0, above=0, ours=True)
    """Factor of these limits after termination_anneal_samples; evaluations always have 1."""
    termination_height: float = 0.15
    """Fall test: height above the terrain under which a touching body counts, m."""
    track_root: bool = True
    """Reward and end on the root's place; otherwise only on poses in the own heading frame."""
    track_root_h: bool = True
    """Reward the root's height."""
    use_contact_info: bool = True
    """Observe and reward the reference's contacts."""
    report_tracking_error: Any = setting(None, no_effect="the evaluation reports the tracking errors")
    demo_mode: Any = setting(False, no_effect=_VIEWER)
    debug_visuals: Any = setting(False, no_effect=_VIEWER)
    start_paused: Any = setting(False, no_effect=_VIEWER)
    camera_mode: Any = unheeded("track", _VIEWER)
    write_agent_states: Any = setting(False, no_effect=RECORDER)
    enable_replan_timer_obs: Any = setting(False, no_effect=OTHER_ENV)
    mgdm: Any = setting(None, no_effect=OTHER_ENV)
    output_motion_dir: Any = unheeded(None, RECORDER)
    gravity_z: float = fixed(-9.81, "physics has the earth's gravity")
    never_done: bool = fixed(False, "episodes end")
    enable_tar_obs: bool = fixed(True, "the reference is observed")
    has_target_xy_obs: bool = fixed(False, "only motions are tracked, no targets")
    view_targets: Any = unheeded(False, _VIEWER)
    rel_deepmimic_w: Any = unheeded(None, OTHER_ENV)
    rel_task_w: Any = unheeded(None, OTHER_ENV)
    task1_w: Any = unheeded(None, OTHER_ENV)
    task2_w: Any = unheeded(None, OTHER_ENV)
    target_radius: Any = unheeded(None, OTHER_ENV)
    target_motion_height_buffer: Any = unheeded(None, OTHER_ENV)

    @property
    def window_cells(self) -> int:
        """Terrain columns along each side of the window that follows a character (5 with the defaults)."""
        if self.terrain_window is not None:
            return self.terrain_window
        cells = self.terrain_window_size / self.dm.heightmap.horizontal_scale
        across, beside = (math.ceil(share * cells - _ROUNDING) for share in (1.0, _BESIDE))
        return max(across + 1 - across % 2, 2 * beside + 1)

    def __post_init__(self) -> None:
        if self.max_obs_h <= self.min_obs_h:
            raise ConfigError(
                f"'env.max_obs_h' ({self.max_obs_h:g}) must be above 'env.min_obs_h' ({self.min_obs_h:g})"
            )
        if not self.tar_obs_steps:
            raise ConfigError("'env.tar_obs_steps' is empty; name at least one future step, such as 1")
        if len(set(self.critic_obs)) < len(self.critic_obs):
            raise ConfigError(f"'env.critic_obs' names something twice: {self.critic_obs}; name it once")
        scales = (self.termination_scale_start, self.termination_scale_end)
        if self.termination_anneal_samples is None and scales != (1.0, 1.0):
            raise ConfigError(
                f"'env.termination_scale_start' ({scales[0]:g}) and 'env.termination_scale_end' ({scales[1]:g}) need "
                "'env.termination_anneal_samples', which is null; set it to a number of samples"
            )
        if len(self.ref_char_offset) != 3:
            raise ConfigError(f"'env.ref_char_offset' must be 3 numbers, but is {self.ref_char_offset}")
        weights = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name.endswith("_w") and field.type == "float"  # PARC's others have no effect
        }
        if sum(weights.values()) <= 0:
            *names, last = (f"'{name}'" for name in weights)  # of the reward's terms; joint_err_w is a list
            raise ConfigError(f"'env.{', '.join(names)[1:]} and {last} are all 0; set one above")


@dataclass(frozen=True)
class EnvFileConfig:
    """A whole environment file."""

    env_name: Literal["ig_parkour"] = "ig_parkour"
    """PARC's name of its environment; this project has the motion tracker of it."""
    env: EnvConfig = section(EnvConfig)
    sim: SimConfig = section(SimConfig)

    def __post_init__(self) -> None:
        physics = self.env.sim_freq * self.sim.substeps
        if physics % self.env.control_freq:
            raise ConfigError(
                f"'env.control_freq' ({self.env.control_freq} Hz) must divide the physics rate, "
                f"env.sim_freq × sim.substeps ({physics} Hz)"
            )

    @property
    def physics_steps_per_control_step(self) -> int:
        """Physics steps in one control step (4 with the defaults)."""
        return self.env.sim_freq * self.sim.substeps // self.env.control_freq


def env_warnings(config: EnvFileConfig, heeds_physx: bool) -> List[str]:
    """One line for each key that is set and has no effect, and for a terrain window that is too narrow.

    Args:
        config: the environment file.
        heeds_physx: the engine is PhysX, which heeds what MuJoCo does not.
    """
    lines = no_effect_warnings(config, HEEDED_BY_PHYSX if heeds_physx else ())
    cells, dx = config.env.terrain_window, config.env.dm.heightmap.horizontal_scale
    if cells is not None and not heeds_physx and cells * dx < _NARROW_WINDOW:
        lines.append(
            f"'env.terrain_window' is {cells} cells of {dx:g} m: feet more than {0.5 * cells * dx:.2g} m from the root "
            "sink into the ground (Window_Exits counts them); leave it out, terrain_window_size says it in m"
        )
    return lines + config.env.dm.without_effect()


def load_env_config(path: PathLike) -> EnvFileConfig:
    """Read an environment file. Character and dataset are looked for beside it first, as a pulled model has them.

    Raises:
        ConfigError: see `paths.load_yaml` and `schema.from_mapping`.
    """
    config = from_mapping(EnvFileConfig, load_yaml(path), str(path))
    folder, env = resolve(path).absolute().parent, config.env
    dm = replace(env.dm, motion_file=env.dm.motion_file and _beside(env.dm.motion_file, folder))
    return replace(config, env=replace(env, char_file=_beside(env.char_file, folder), dm=dm))


def _beside(name: str, folder: Path) -> str:
    """The absolute path of a relative one where that file lies in `folder`; else as it is."""
    beside = os.path.join(str(folder), name)
    # os.path, for which a name that no file can have is not a file.
    return beside if not os.path.isabs(name) and os.path.isfile(beside) else name
