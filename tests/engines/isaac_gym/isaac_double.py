"""A stand-in for Isaac Gym with the signatures of its stub. It has no physics.

It refuses what the real one refuses (unknown names, wrong arguments, calls in the wrong order), records every call, and
keeps its tensors the way the GPU pipeline does: what it shows changes when refreshed alone, what is written counts at
the next step, and of two indexed writes before one step the last alone counts. Bodies fly straight on, joints go
half-way to their targets in each call of `simulate`.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parc_core.character.mjcf import load_character
from parc_core.character.model import Character
from tests.engines.isaac_gym.isaac_stub_types import Signature, classes, gym_signatures, module_names

DOF_FIELDS = [(n, "f4") for n in ("lower", "upper", "velocity", "effort", "stiffness", "damping", "friction")]
DOF_DTYPE = np.dtype([("hasLimits", "?"), ("driveMode", "i4"), *DOF_FIELDS, ("armature", "f4")])
CONTACT = 7.0  # N, up, at every body after a step
ASSET_EFFORT = 3.0e38  # what Isaac Gym reads for a joint without a limit of its own


class Gym:
    """isaacgym.gymapi.Gym; see the module.

    Attributes:
        calls: (name, arguments by name) in order.
        meshes: (vertices (V, 3), triangles (F, 3)) as they were given.
        fail: names of calls that answer as Isaac Gym does where it fails.
        dof_names: dof names as the asset's, where a test wants others than the file's.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.meshes: list[tuple[np.ndarray, np.ndarray]] = []
        self.fail: set[str] = set()
        self.dof_names: list[str] | None = None
        self.closed = False
        self._character: Character | None = None
        self._actors: list[Any] = []
        self._prepared = False
        self._writes: dict[str, tuple[Tensor, Tensor]] = {}
        self._targets: Tensor | None = None
        self._dt = 0.0

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [arguments for called, arguments in self.calls if called == name]

    def __getattr__(self, name: str) -> Any:
        signature = gym_signatures().get(name)
        if signature is None:
            raise AttributeError(f"Gym has no method {name!r} with a known signature")
        return lambda *args, **kwargs: self._call(signature, args, kwargs)

    def _call(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        arguments = signature.bind(args, kwargs)
        self.calls.append((signature.name, arguments))
        if signature.name in self.fail:
            return False if signature.name.startswith("prepare") else None
        behaviour = type(self).__dict__.get(f"_do_{signature.name}")
        if behaviour is None:
            raise NotImplementedError(f"the double does not act out {signature.name}")
        return behaviour(self, *arguments.values())

    # Building

    def _do_create_sim(self, compute: int, graphics: int, kind: Any, params: Any) -> Any:
        self._dt = params.dt  # a new simulation, as in a new process
        self._collects = params.physx.contact_collection.name != "CC_NEVER"
        self._prepared, self._actors, self._writes, self._targets = False, [], {}, None
        return classes()["Sim"]()

    def _do_add_triangle_mesh(
        self, sim: Any, vertices: np.ndarray, triangles: np.ndarray, params: Any
    ) -> None:
        self._building()
        assert len(vertices) == 3 * params.nb_vertices
        assert len(triangles) == 3 * params.nb_triangles
        assert triangles.max() < params.nb_vertices
        self.meshes.append((vertices.reshape(-1, 3), triangles.reshape(-1, 3)))

    def _do_load_asset(self, sim: Any, folder: str, name: str, options: Any) -> Any:
        self._character = load_character(Path(folder, name))
        return classes()["Asset"]()

    def _do_get_asset_rigid_body_names(self, asset: Any) -> list[str]:
        return list(self.character.body_names)

    def _do_get_asset_dof_names(self, asset: Any) -> list[str]:
        if self.dof_names is not None:
            return self.dof_names
        pairs = zip(self.character.joint_names, self.character.joint_types, strict=True)
        axes = {"SPHERICAL": ("_x", "_y", "_z"), "HINGE": ("",)}
        return [name + axis for name, kind in pairs for axis in axes.get(kind, ())]

    def _do_get_asset_dof_properties(self, asset: Any) -> np.ndarray:
        properties = np.zeros(self.character.dof_size, DOF_DTYPE)
        properties["lower"], properties["upper"], properties["hasLimits"] = -3.0, 3.0, True
        properties["effort"] = ASSET_EFFORT
        return properties

    def _do_create_env(self, sim: Any, lower: Any, upper: Any, per_row: int) -> Any:
        self._building()
        return classes()["Env"]()

    def _do_create_actor(self, env: Any, asset: Any, pose: Any, *rest: Any) -> int:
        self._building()
        self._actors.append(env)
        return 0

    def _do_set_actor_dof_properties(self, env: Any, actor: int, properties: np.ndarray) -> bool:
        assert properties.dtype == DOF_DTYPE
        return True

    def _do_get_actor_index(self, env: Any, actor: int, domain: Any) -> int:
        assert domain.name == "DOMAIN_SIM"
        return self._actors.index(env)

    def _do_prepare_sim(self, sim: Any) -> bool:
        self._building()
        self._prepared = True
        n, c = len(self._actors), self.character
        self._real = {"root": torch.zeros(n, 13), "dof": torch.zeros(n * c.dof_size, 2)}
        self._real["forces"] = torch.zeros(n * c.num_bodies, 3)
        self._real["root"][:, 6] = 1.0
        self.shown = {name: tensor.clone() for name, tensor in self._real.items()}
        return True

    @property
    def character(self) -> Character:
        assert self._character is not None, "no asset was loaded"
        return self._character

    def _building(self) -> None:
        if self._prepared:
            raise RuntimeError("the simulation is prepared: nothing can be added")

    # Tensors

    def _acquire(self, name: str) -> Any:
        if not self._prepared:
            raise RuntimeError("prepare_sim comes before acquire_…_tensor")
        return as_gym(self.shown[name])

    def _do_acquire_actor_root_state_tensor(self, sim: Any) -> Any:
        return self._acquire("root")

    def _do_acquire_dof_state_tensor(self, sim: Any) -> Any:
        return self._acquire("dof")

    def _do_acquire_net_contact_force_tensor(self, sim: Any) -> Any:
        return self._acquire("forces")

    def _do_refresh_actor_root_state_tensor(self, sim: Any) -> bool:
        return bool(self.shown["root"].copy_(self._real["root"]).numel())

    def _do_refresh_dof_state_tensor(self, sim: Any) -> bool:
        return bool(self.shown["dof"].copy_(self._real["dof"]).numel())

    def _do_refresh_net_contact_force_tensor(self, sim: Any) -> bool:
        return bool(self.shown["forces"].copy_(self._real["forces"]).numel())

    def _write(self, name: str, values: Any, ids: Any, count: int) -> bool:
        assert ids.torch.dtype == torch.int32
        assert count == len(ids.torch)
        self._writes[name] = (values.torch, ids.torch)
        return True

    def _do_set_actor_root_state_tensor_indexed(self, sim: Any, values: Any, ids: Any, count: int) -> bool:
        return self._write("root", values, ids, count)

    def _do_set_dof_state_tensor_indexed(self, sim: Any, values: Any, ids: Any, count: int) -> bool:
        return self._write("dof", values, ids, count)

    def _do_set_dof_position_target_tensor(self, sim: Any, values: Any) -> bool:
        self._targets = values.torch
        return True

    def _do_simulate(self, sim: Any) -> None:
        n = len(self._actors)
        for name, (values, ids) in self._writes.items():
            self._real[name].view(n, -1)[ids.long()] = values.reshape(n, -1)[ids.long()]
        self._writes.clear()
        self._real["root"][:, :3] += self._dt * self._real["root"][:, 7:10]
        if self._targets is not None:
            dof = self._real["dof"]
            dof[:, 0] += 0.5 * (self._targets.flatten() - dof[:, 0])
        self._real["forces"][:, 2] = CONTACT if self._collects else 0.0

    def _do_fetch_results(self, sim: Any, wait: bool) -> None:
        assert wait

    # Window

    def _do_create_viewer(self, sim: Any, camera: Any) -> Any:
        return classes()["Viewer"]()

    def _do_query_viewer_has_closed(self, viewer: Any) -> bool:
        return self.closed

    def _do_viewer_camera_look_at(self, viewer: Any, env: Any, place: Any, target: Any) -> None:
        assert target.z < place.z

    def _do_step_graphics(self, sim: Any) -> None: ...

    def _do_draw_viewer(self, viewer: Any, sim: Any, collision: bool) -> None: ...

    def _do_sync_frame_time(self, sim: Any) -> None: ...

    def _do_destroy_viewer(self, viewer: Any) -> None: ...


def as_gym(tensor: Tensor) -> Any:
    """gymtorch.unwrap_tensor: Isaac Gym's view of a tensor."""
    assert tensor.is_contiguous(), "Isaac Gym reads memory, not strides"
    view = classes()["Tensor"]()
    object.__setattr__(view, "torch", tensor)
    return view


def modules(gym: Gym) -> dict[str, types.ModuleType]:
    """For sys.modules: isaacgym, isaacgym.gymapi, isaacgym.gymtorch."""
    top, api, tensors = (types.ModuleType(n) for n in ("isaacgym", "isaacgym.gymapi", "isaacgym.gymtorch"))
    vars(api).update(module_names(lambda: gym))
    vars(tensors).update(wrap_tensor=lambda view: view.torch, unwrap_tensor=as_gym)
    vars(top).update(gymapi=api, gymtorch=tensors, __path__=[])
    return {module.__name__: module for module in (top, api, tensors)}
