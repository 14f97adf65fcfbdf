"""Builds the MuJoCo model of a character with PD actuators and a movable terrain window.

Shared by the two MuJoCo engines and the renderer. The reference's MJCF writes PD gains as joint stiffness and damping
on three hinges per spherical joint; MuJoCo would take them for passive springs. Here a spherical joint is a ball joint
with three position actuators (gear 1 0 0 / 0 1 0 / 0 0 1: a ball joint's actuator length is its rotation vector).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any, List, Sequence

from parc_core.character.model import Character, Geom
from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.packages import import_package

COLUMN_HALF_HEIGHT = 10.0  # m; walls stay closed between neighbours that differ by up to 20 m
_PARKED = -100.0  # m; columns wait below the floor until the first window update
_AXES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


@dataclass(frozen=True)
class ModelOptions:
    """What the model depends on besides the character."""

    timestep: float
    """Physics step, s (1/120)."""
    window: int
    """Terrain columns along each side of the window; 0 for none."""
    dx: float
    """Cell size of the terrain, m."""
    friction: float = 1.0
    """Sliding friction of ground and character."""
    solver_iterations: int = 10
    """Most iterations of the contact solver in a physics step."""
    warp: bool = False
    """For MuJoCo Warp, which knows no flag against automatic resets (it never does them) and needs no sensor."""

    @classmethod
    def of(cls, config: EnvFileConfig, warp: bool = False) -> ModelOptions:
        """What an env file says of it."""
        env = config.env
        return cls(
            timestep=1.0 / env.control_freq / config.physics_steps_per_control_step,
            window=env.window_cells,
            dx=env.dm.heightmap.horizontal_scale,
            friction=env.plane.dynamic_friction,
            solver_iterations=env.solver_iterations,
            warp=warp,
        )


def build_xml(character: Character, options: ModelOptions) -> str:
    """MJCF text of the character on a window of terrain columns (mocap boxes)."""
    root = ET.Element("mujoco", model="parc_character")
    ET.SubElement(root, "compiler", angle="radian", autolimits="false")
    option = ET.SubElement(
        root,
        "option",
        timestep=repr(options.timestep),
        integrator="implicitfast",
        iterations=str(options.solver_iterations),
        ls_iterations="10",
    )
    # Foot on column with MuJoCo's own box-box test, not the general one for convex shapes: up to 8 points instead of 4,
    # and a tenth of a GPU's time saved.
    flag = ET.SubElement(option, "flag", nativeccd="disable")
    if not options.warp:
        # A diverged world must be seen and counted, not silently put back by MuJoCo.
        flag.set("autoreset", "disable")
    default = ET.SubElement(root, "default")
    ET.SubElement(default, "geom", condim="3", friction=f"{options.friction!r} 0.005 0.0001")
    world = ET.SubElement(root, "worldbody")
    actuators = ET.SubElement(root, "actuator")
    _add_window(world, options)
    _add_bodies(world, actuators, character)
    if not options.warp:
        # cfrc_ext (contact force per body) is computed only when some sensor needs accelerations.
        sensors = ET.SubElement(root, "sensor")
        ET.SubElement(sensors, "framelinacc", objtype="body", objname=character.body_names[0])
    return ET.tostring(root, encoding="unicode")


def build_model(character: Character, options: ModelOptions) -> Any:
    """Compiled mujoco.MjModel of `build_xml`."""
    return import_package("mujoco").MjModel.from_xml_string(build_xml(character, options))


def _text(values: Sequence[float]) -> str:
    return " ".join(repr(float(v)) for v in values)


def _add_window(world: ET.Element, options: ModelOptions) -> None:
    size = _text((0.5 * options.dx, 0.5 * options.dx, COLUMN_HALF_HEIGHT))
    for k in range(options.window**2):
        body = ET.SubElement(world, "body", name=f"column_{k}", mocap="true", pos=f"0 0 {_PARKED!r}")
        ET.SubElement(body, "geom", name=f"column_{k}", type="box", size=size)


def _add_bodies(world: ET.Element, actuators: ET.Element, character: Character) -> None:
    elements: List[ET.Element] = []
    parents = character.parent_indices.tolist()
    for b, name in enumerate(character.body_names):
        parent = world if parents[b] < 0 else elements[parents[b]]
        quat_xyzw = character.local_rotation[b].tolist()
        body = ET.SubElement(
            parent,
            "body",
            name=name,
            pos=_text(character.local_translation[b].tolist()),
            quat=_text([quat_xyzw[3], *quat_xyzw[:3]]),
        )
        elements.append(body)
        _add_joint(body, actuators, character, b)
        for geom in character.geoms:
            if geom.body == b:
                _add_geom(body, geom)


def _add_joint(body: ET.Element, actuators: ET.Element, character: Character, b: int) -> None:
    kind = character.joint_types[b]
    if kind == "ROOT":
        ET.SubElement(body, "freejoint", name="root")
        return
    if kind == "FIXED":
        return
    name, start = character.joint_names[b], int(character.joint_dof_idx[b])
    armature = repr(float(character.armature[start]))
    if kind == "HINGE":
        lower, upper = float(character.dof_lower[start]), float(character.dof_upper[start])
        ET.SubElement(
            body,
            "joint",
            name=name,
            type="hinge",
            axis=_text(character.joint_axis[b].tolist()),
            armature=armature,
            limited="true",
            range=_text((lower, upper)),
        )
        _add_actuator(actuators, name, name, start, character, (1, 0, 0))
        return
    # MuJoCo limits a ball joint by one angle only, which can't express a range per axis: left free.
    ET.SubElement(body, "joint", name=name, type="ball", armature=armature, limited="false")
    for k, axis in enumerate(_AXES):
        _add_actuator(actuators, "{}_{}".format(name, "xyz"[k]), name, start + k, character, axis)


def _add_actuator(
    actuators: ET.Element, name: str, joint: str, dof: int, character: Character, gear: Sequence[int]
) -> None:
    ET.SubElement(
        actuators,
        "position",
        name=name,
        joint=joint,
        gear=_text((*gear, 0, 0, 0)),
        kp=repr(float(character.kp[dof])),
        kv=repr(float(character.kd[dof])),
        ctrllimited="false",
        forcelimited="false",  # `effort.py` limits the targets instead
    )


def _add_geom(body: ET.Element, geom: Geom) -> None:
    attributes = {
        "type": geom.type,
        "size": _text(geom.size),
        "density": repr(float(geom.density)),
    }
    if geom.fromto is not None:
        attributes["fromto"] = _text(geom.fromto)
    else:
        attributes["pos"] = _text(geom.pos)
        if geom.quat is not None:
            x, y, z, w = geom.quat
            attributes["quat"] = _text((w, x, y, z))
    if geom.name:
        attributes["name"] = geom.name
    ET.SubElement(body, "geom", attributes)
