"""Builds a simulation of Isaac Gym: settings, ground, one environment and one character per agent.

The order is Isaac Gym's: create_sim, ground, asset, environments with their actors, prepare_sim; only then may state
tensors be acquired (`isaac_engine`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, List

import torch
from torch import Tensor

from parc_core.character.model import FIXED, HINGE, ROOT, SPHERICAL, Character
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.engines.isaac_gym.api import IsaacGym
from parc_core.engines.isaac_gym.terrain import TerrainWorld
from parc_core.errors import ConfigError

if TYPE_CHECKING:
    from isaacgym import gymapi

GRAVITY = -9.81  # m/s²
# Isaac Gym's defaults (0.5 and 64 rad/s) would brake a somersault.
_ANGULAR_DAMPING = 0.01
_MAX_ANGULAR_VELOCITY = 100.0  # rad/s
_NO_GRAPHICS = -1
_COLLIDE_WITH_SELF = 0  # a filter without bits: all of the actor's own shapes may touch


@dataclass
class BuiltSim:
    """A prepared simulation."""

    sim: gymapi.Sim
    env: gymapi.Env
    """The first environment, which the viewer's camera stands in."""
    actor_ids: Tensor
    """(N,) int32: each environment's actor among all of the simulation."""


def build_sim(
    isaac: IsaacGym,
    character: Character,
    world: TerrainWorld,
    config: EnvFileConfig,
    num_envs: int,
    device: torch.device,
    graphics: bool = False,
) -> BuiltSim:
    """A simulation with N characters, ready for `acquire_…_tensor`.

    Raises:
        ConfigError: Isaac Gym cannot make it, or reads another character from `char_file` than this project does.
    """
    from isaacgym import gymapi

    gpu = device.index or 0
    params = sim_params(config, device)
    sim = isaac.gym.create_sim(gpu, gpu if graphics else _NO_GRAPHICS, gymapi.SIM_PHYSX, params)
    if sim is None:
        raise ConfigError(f"engine isaac_gym: Isaac Gym made no simulation on {device}; see its output above")
    world.add_to(isaac, sim, config.env.plane)
    asset = load_asset(isaac, sim, character, config.env.char_file)
    drives = pd_drives(isaac, asset, character, config.sim.physx.drive_efforts)
    start = gymapi.Transform(p=gymapi.Vec3(*start_position(world)))
    envs, actors = [], []
    # No extent: all environments have the world's origin as theirs, so every position is one in the world.
    nowhere = gymapi.Vec3(0.0, 0.0, 0.0)
    per_row = max(1, int(num_envs**0.5))
    for i in range(num_envs):
        env = isaac.gym.create_env(sim, nowhere, nowhere, per_row)
        # Collision group i: characters of different environments pass through each other.
        actor = isaac.gym.create_actor(env, asset, start, "character", i, _COLLIDE_WITH_SELF, 0)
        isaac.gym.set_actor_dof_properties(env, actor, drives)
        envs.append(env)
        actors.append(isaac.gym.get_actor_index(env, actor, gymapi.DOMAIN_SIM))
    if not isaac.gym.prepare_sim(sim):
        raise ConfigError(
            f"engine isaac_gym: Isaac Gym has no room for {num_envs} environments on {device}; lower num_envs"
        )
    return BuiltSim(sim, envs[0], torch.tensor(actors, dtype=torch.int32, device=device))


def sim_params(config: EnvFileConfig, device: torch.device) -> gymapi.SimParams:
    """`sim` and `env.sim_freq` of the env file as Isaac Gym's parameters; a CUDA device means the GPU pipeline."""
    from isaacgym import gymapi

    params = gymapi.SimParams()
    params.dt = 1.0 / config.env.sim_freq
    params.substeps = config.sim.substeps
    params.up_axis = gymapi.UP_AXIS_Z
    params.gravity = gymapi.Vec3(0.0, 0.0, GRAVITY)
    params.use_gpu_pipeline = device.type == "cuda"
    physx, ours = params.physx, config.sim.physx
    physx.use_gpu = device.type == "cuda"
    physx.bounce_threshold_velocity = ours.bounce_threshold_velocity
    physx.contact_offset = ours.contact_offset
    physx.default_buffer_size_multiplier = ours.default_buffer_size_multiplier
    physx.max_depenetration_velocity = ours.max_depenetration_velocity
    physx.num_position_iterations = ours.num_position_iterations
    physx.num_threads = ours.num_threads
    physx.num_velocity_iterations = ours.num_velocity_iterations
    physx.rest_offset = ours.rest_offset
    physx.solver_type = ours.solver_type
    physx.max_gpu_contact_pairs = ours.max_gpu_contact_pairs
    collections = (gymapi.CC_NEVER, gymapi.CC_LAST_SUBSTEP, gymapi.CC_ALL_SUBSTEPS)
    physx.contact_collection = collections[ours.contact_collection]
    return params


def load_asset(isaac: IsaacGym, sim: gymapi.Sim, character: Character, char_file: str) -> gymapi.Asset:
    """The character's file as Isaac Gym reads it: three hinges of one body become one spherical joint.

    Raises:
        ConfigError: it cannot read it, or finds other bodies or dofs, or the same in another order.
    """
    from isaacgym import gymapi

    options = gymapi.AssetOptions()
    options.angular_damping = _ANGULAR_DAMPING
    options.max_angular_velocity = _MAX_ANGULAR_VELOCITY
    options.collapse_fixed_joints = False  # the hands are bodies of their own
    path = os.path.abspath(str(resolve(char_file)))
    folder, name = os.path.split(path)
    asset = isaac.gym.load_asset(sim, folder, name, options)
    if asset is None:
        raise ConfigError(f"{path}: Isaac Gym cannot load it; see its output above")
    _compare(path, "bodies", isaac.gym.get_asset_rigid_body_names(asset), character.body_names)
    found = isaac.gym.get_asset_dof_names(asset)
    wanted = dof_joints(character)
    if len(found) != len(wanted) or not all(f.startswith(w) for f, w in zip(found, wanted)):
        _compare(path, "dofs", found, wanted)
    return asset


def _compare(path: str, what: str, found: List[str], wanted: List[str]) -> None:
    if list(found) != list(wanted):
        raise ConfigError(
            f"{path}: Isaac Gym reads the {what} {', '.join(found)}, this project {', '.join(wanted)}; "
            "bring the file's bodies and joints into depth-first order"
        )


def dof_joints(character: Character) -> List[str]:
    """For each dof the name of its joint; the file's hinges are called by it and an axis. D names."""
    width = {ROOT: 0, FIXED: 0, HINGE: 1, SPHERICAL: 3}
    pairs = zip(character.joint_names, character.joint_types)
    return [name for name, kind in pairs for _ in range(width[kind])]


def pd_drives(isaac: IsaacGym, asset: gymapi.Asset, character: Character, efforts: str) -> Any:
    """Isaac Gym's record array of D dofs with the character's gains and armatures; limits stay.

    Args:
        efforts: largest torques: `asset` leaves what Isaac Gym read, `motors` takes the character's.
    """
    from isaacgym import gymapi

    drives = isaac.gym.get_asset_dof_properties(asset)
    drives["driveMode"] = int(gymapi.DOF_MODE_POS)
    drives["stiffness"] = character.kp.cpu().numpy()
    drives["damping"] = character.kd.cpu().numpy()
    if efforts == "motors":
        drives["effort"] = character.effort.cpu().numpy()
    drives["armature"] = character.armature.cpu().numpy()
    return drives


def start_position(world: TerrainWorld) -> List[float]:
    """Above the first terrain, until the first reset: x, y, z in m."""
    x, y, _ = world.offsets[0].tolist()
    return [x, y, float(world.grid.terrain.hf.max()) + 2.0]
