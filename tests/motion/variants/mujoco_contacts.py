"""What MuJoCo sees of a motion put on its terrain frame by frame: how deep bodies are in the ground."""

from __future__ import annotations

import mujoco
import numpy as np
import torch

from parc_core.config.env_config import EnvFileConfig
from parc_core.engines.engine import ResetState
from parc_core.engines.mujoco.engine import MujocoEngine
from parc_core.motion.clip import MotionClip
from parc_core.motion.variants.source import Body
from parc_core.terrain.heightfield import Heightfield
from parc_core.terrain.packed import PackedTerrain


def told_share() -> float:
    """Which share of the depth MuJoCo tells of a box in a box: all of it, but half of it with MuJoCo 3.2."""
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><geom type="box" size="1 1 1" pos="0 0 -1"/>'
        '<body pos="0 0 .07"><freejoint/><geom type="box" size=".1 .1 .1"/></body></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return float(-data.contact.dist.min() / 0.03)


def ground_depths(body: Body, clip: MotionClip, terrain: Heightfield) -> np.ndarray:
    """(n,) m of the deepest contact between a body and a column of ground; 0 where there is none."""
    count = clip.num_frames
    packed = PackedTerrain([terrain], torch.device("cpu"))
    engine = MujocoEngine(body.character, packed, EnvFileConfig(), count, torch.device("cpu"), num_threads=1)
    zeros = torch.zeros(count, 3)
    dofs = body.kinematics.rot_to_dof(torch.from_numpy(clip.joint_rot))
    root = torch.from_numpy(clip.root_pos)
    ids = torch.zeros(count, dtype=torch.long)
    engine.reset(
        torch.arange(count),
        ResetState(root, torch.from_numpy(clip.root_rot), zeros, zeros, dofs, torch.zeros_like(dofs), ids),
    )
    engine._window.move(ids, root[:, :2])
    data, depths = mujoco.MjData(engine.model), np.zeros(count)
    columns = engine._mocap.shape[1]
    for frame in range(count):
        data.qpos[:] = engine._qpos[frame].numpy()
        data.mocap_pos[:] = engine._mocap[frame].numpy()
        mujoco.mj_forward(engine.model, data)
        ground = (np.asarray(data.contact.geom) < columns).any(axis=1)
        depths[frame] = max(-float(data.contact.dist[ground].min(initial=0.0)), 0.0)
    return depths
