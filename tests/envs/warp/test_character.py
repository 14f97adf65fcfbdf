"""The fused environment with a character that is not a humanoid: turned bodies, a hinge off the axes, a fixed joint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

pytest.importorskip("warp", reason="the fused environment needs warp-lang (pip install 'parc-tracker[gpu]')")

from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import EnvConfig
from parc_core.engines.engine import Engine, EngineState, ResetState
from parc_core.envs.observation import SEGMENTS, Segment
from parc_core.envs.terrain_layout import TerrainLayout
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.warp.env import FusedTrackingEnv
from parc_core.motion.clip import MotionClip
from parc_core.terrain.heightfield import Heightfield
from tests.motion.make_library import library_of

ARM = """
<mujoco>
  <compiler angle="degree"/>
  <default><joint stiffness="7" damping="0.7"/><geom density="500"/></default>
  <worldbody>
    <body name="base" pos="0 0 1">
      <freejoint/>
      <geom type="box" size="0.5 0.5 0.5"/>
      <body name="arm" pos="1 2 3" euler="20 30 40">
        <joint name="arm_x" axis="1 0 0" range="-10 20"/>
        <joint name="arm_y" axis="0 1 0" range="-30 40"/>
        <joint name="arm_z" axis="0 0 1" range="-50 60"/>
        <geom fromto="0 0 0 0 2 0" size="0.1" type="capsule"/>
        <body name="hand" pos="0 2 0.5" euler="90 0 0">
          <joint name="grip" axis="1 2 2" range="-40 50"/>
          <geom type="sphere" size="0.1"/>
          <body name="ring" pos="0.1 0.2 0.3" euler="0 50 0"><geom type="sphere" size="0.01"/></body>
        </body>
      </body>
      <body name="tail" pos="-1 0 0">
        <joint name="wag" axis="0 0 1" range="-90 90"/>
        <geom type="sphere" size="0.1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="arm_x" gear="1"/><motor joint="arm_y" gear="2"/><motor joint="arm_z" gear="3"/>
    <motor joint="grip" gear="4"/><motor joint="wag" gear="5"/>
  </actuator>
</mujoco>
"""
BODIES, N = 5, 40


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    q = rng.normal(size=(*shape, 4)).astype(np.float32)
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def random_clip(rng: np.random.Generator, frames: int, fps: int, loop: str) -> MotionClip:
    return MotionClip(
        root_pos=rng.normal(size=(frames, 3)).astype(np.float32),
        root_rot=unit(rng, frames),
        joint_rot=unit(rng, frames, BODIES - 1),
        body_contacts=rng.uniform(size=(frames, BODIES)).astype(np.float32),
        fps=fps,
        loop_mode=loop,
    )


class Frozen(Engine):
    """No physics: a random state that nothing moves; it keeps what it is told."""

    name = "frozen"

    def __init__(self, dofs: int) -> None:
        g = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(N, *shape, generator=g)

        def turns(*shape: int) -> Tensor:
            return torch.nn.functional.normalize(draw(*shape, 4), dim=-1)

        self.num_envs, self.device, self.control_dt = N, torch.device("cpu"), 1 / 30
        self.state = EngineState(
            draw(3), turns(), draw(3), draw(3), draw(dofs), draw(dofs), turns(BODIES - 1),
            draw(BODIES, 3), turns(BODIES), draw(BODIES, 3), torch.zeros(N, dtype=torch.bool),
        )  # fmt: skip
        self.pd_targets = torch.zeros(N, dofs)
        self.reset_mask = torch.zeros(N, dtype=torch.bool)
        self.reset_state = ResetState(
            draw(3), draw(4), draw(3), draw(3), draw(dofs), draw(dofs), torch.zeros(N, dtype=torch.long)
        )

    def reset(self, env_ids: Tensor, state: ResetState) -> None:
        self.reset_state = state

    def step(self, pd_targets: Tensor) -> None:
        self.pd_targets = pd_targets

    def launch_step(self) -> None:
        """Nothing moves."""

    launch_reset = launch_step

    def capture(self, launches: Callable[[], None]) -> Callable[[], None]:
        return launches

    def counters(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """There is nothing to load."""


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """Kinematics, library, terrain and layout of a strange character in three random motions."""
    path = tmp_path_factory.mktemp("arm") / "arm.xml"
    path.write_text(ARM)
    kinematics, rng = Kinematics(load_character(path)), np.random.default_rng(0)
    clips = [random_clip(rng, *each) for each in ((9, 30, "CLAMP"), (2, 24, "WRAP"), (31, 60, "WRAP"))]
    library = library_of(clips, [1, 1, 1], ["a", "b", "c"], kinematics)
    hills = [
        Heightfield(rng.normal(size=shape).astype(np.float32), rng.normal(size=2).astype(np.float32), 0.4)
        for shape in ((7, 3), (1, 1), (4, 11))
    ]
    layout = TerrainLayout(hills, ["a", "b", "c"], "square", 1, 0.4, 1, 3)
    return kinematics, library, layout.pack(torch.device("cpu")), layout


def both(parts: tuple[Any, ...], **settings: Any) -> tuple[TrackingEnv, FusedTrackingEnv]:
    kinematics, library, terrain, layout = parts
    config = EnvConfig(
        **{
            "key_bodies": ["ring", "tail", "base"],
            "contact_weights": [1.0, 2.0, 3.0, 4.0, 5.0],
            "joint_err_w": [1.0, 0.5, 0.0, 0.2],
            "pose_termination_dist": [2.5, 4.0, 4.0, 3.0],
            "root_pos_termination_dist": 2.5,
            "root_rot_termination_angle": 2.5,
            **settings,
        }
    )
    dofs = kinematics.dof_size
    plain = TrackingEnv(config, Frozen(dofs), kinematics, library, terrain, 0, layout)
    fused = FusedTrackingEnv(config, cast(Any, Frozen(dofs)), kinematics, library, terrain, 0, layout)
    return plain, fused


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"action_mode": "residual", "track_root": False},
        {"contact_bodies": ["hand"], "pose_termination": False},
        {"global_obs": True},
    ],
    ids=str,
)
def test_another_character_in_random_poses(parts: tuple[Any, ...], settings: dict[str, Any]) -> None:
    plain, fused = both(parts, **settings)
    told, fused_told = cast(Frozen, plain.engine), fused.engine
    g = torch.Generator().manual_seed(4)
    ids, times = torch.randint(3, (N,), generator=g), 3.0 * torch.rand(N, generator=g) - 0.5
    want = plain.reset_to(ids, times).clone()
    assert_close(fused.reset_to(ids, times), want, atol=2e-5, rtol=2e-5)
    for name in ("root_pos", "root_rot", "root_vel", "root_ang_vel", "dof_pos", "dof_vel", "terrain_ids"):
        got = getattr(fused_told.reset_state, name)
        assert_close(got, getattr(told.reset_state, name), atol=2e-4, rtol=2e-5)
    for _ in range(4):
        action = torch.randn(N, plain.action_dim, generator=g)
        want, reward, done, _ = plain.step(action)
        got, got_reward, got_done, _ = fused.step(action)
        assert_close(got, want, atol=2e-5, rtol=2e-5)
        assert_close(fused_told.pd_targets, told.pd_targets, atol=2e-4, rtol=2e-5)
        assert_close(got_reward, reward, atol=2e-5, rtol=2e-5)
        assert torch.equal(got_done, done)
        assert torch.equal(fused.fail_reason, plain.fail_reason)
    assert len(set(plain.fail_reason.tolist())) > 1, "a scene in which episodes end in several ways"


def test_a_segment_that_no_kernel_writes_is_refused(
    parts: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its numbers would stay zero."""
    unknown = Segment("smell", lambda s: 1, lambda o: o.char.root_pos[:, :1], enabled=lambda c: c.global_obs)
    monkeypatch.setattr("parc_core.envs.observation.SEGMENTS", (*SEGMENTS, unknown))
    plain, fused = both(parts)
    assert fused.obs_dim == plain.obs_dim
    with pytest.raises(KeyError, match="smell"):
        both(parts, global_obs=True)
