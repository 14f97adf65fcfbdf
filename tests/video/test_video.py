"""Recordings: what is chosen, what is shown, and what happens where nothing can draw."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.evaluation.result import EvalResult, summarize
from parc_core.playback.tracks import Track
from parc_core.video import draw, video
from parc_core.video.gif import write_gif
from parc_core.video.scene import Scene, build_scene, hiding_cells, resample
from parc_core.video.video import Recording, VideoOptions, choose_motions, record_rollout
from parc_tracker.doctor.rendering import check_rendering
from tests.evaluation.sample_data import SMALL_NETS, clip, make_env_file

SMALL = VideoOptions(width=160, height=90, fps=5.0, max_seconds=2.0)


@pytest.fixture(scope="module")
def env_file(tmp_path_factory):
    return make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "step_up"])


def _track(body_pos, ref_pos, cell_xy, cell_height) -> Track:
    """Unturned bodies (T, J, 3) on cells of 0.4 or 0.5 m."""
    rot = np.tile([0, 0, 0, 1.0], (*body_pos.shape[:2], 1))
    return Track(
        name="a",
        dt=1 / 30,
        body_pos=body_pos,
        body_rot=rot,
        root_pos=body_pos[:, 0],
        root_rot=rot[:, 0],
        joint_rot=rot[:, 1:],
        contact_forces=np.zeros_like(body_pos),
        ref_pos=ref_pos,
        ref_rot=rot,
        cell_xy=cell_xy,
        cell_height=cell_height,
        dx=float(cell_xy[1, 0, 0] - cell_xy[0, 0, 0]),
        lost_at_s=None,
        reason="",
        series={},
        limits={},
    )


def _choose(clips, seconds=8.0, count=3):
    return choose_motions(EvalResult(clips, summarize(clips)), seconds, count)


def test_completed_clips_of_different_classes_are_chosen():
    clips = [
        clip(name, share, 0.1, 1.0) for name, share in (("a/1", 1), ("a/2", 1), ("b/1", 1), ("c/1", 0.9))
    ]
    clips = [dataclasses.replace(one, path_m=2.0) for one in clips]
    assert _choose(clips[:3]) == [0, 2, 1]
    assert _choose(clips[:3], count=2) == [0, 2]
    assert _choose(clips[:3], seconds=5.5) == [0, 2]  # each takes 2 s and half a second of rest
    assert _choose(clips[:3], seconds=0.5) == [0]


def test_the_worst_failure_comes_first_beside_completed_clips():
    shares = (("a/1", 1), ("b/1", 1), ("c/1", 0.9), ("c/2", 0.3))
    clips = [dataclasses.replace(clip(name, share, 0.1, 1.0), path_m=2.0) for name, share in shares]
    assert _choose(clips) == [3, 0, 1]
    assert _choose(clips, count=1) == [3]


def test_clips_that_go_somewhere_come_first():
    still, moving = clip("stand/1", 1.0, 0.1, 1.0), clip("walk/1", 1.0, 0.1, 1.0)
    lost = dataclasses.replace(clip("jump/1", 0.8, 0.1, 1.0), path_m=3.0)
    assert _choose([still, dataclasses.replace(moving, path_m=2.0), lost]) == [2, 1, 0]
    assert _choose([still, lost]) == [1, 0]


def test_without_a_completed_clip_the_longest_followed_is_chosen():
    clips = [clip("a/1", 0.2, 0.1, 1.0), clip("a/2", 0.7, 0.1, 1.0)]
    assert _choose(clips, count=1) == [1]


def test_resampling_keeps_ends_and_halves_turns():
    """A quarter turn about z within 0.1 s, at twice the rate: 0, 45 and 90 degrees; signs of quaternions vary."""
    half = np.sqrt(0.5)
    rot = np.array([[[0, 0, 0, 1.0]], [[0, 0, -half, -half]]])
    pos = np.array([[[0, 0, 0.0]], [[1, 2, 3.0]]])
    new_pos, new_rot = resample(pos, rot, 0.1, 20.0)
    assert np.allclose(new_pos[:, 0], [[0, 0, 0], [0.5, 1, 1.5], [1, 2, 3]])
    expected = [[0, 0, np.sin(a / 2), np.cos(a / 2)] for a in np.radians([0, 45, 90])]
    assert np.allclose(np.abs((new_rot[:, 0] * expected).sum(-1)), 1.0)


def test_both_characters_stay_in_the_picture():
    """Every body lies within the camera's view in every frame, computed from the camera's definition."""
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    frames, bodies = 40, character.num_bodies
    path = np.linspace([0, 0, 0.9], [4, 1, 1.4], frames)
    pos = path[:, None] + np.random.default_rng(0).uniform(-0.5, 0.5, (bodies, 3))
    cells = np.stack(np.meshgrid(np.arange(-1, 5, 0.4), np.arange(-1, 2, 0.4), indexing="ij"), -1)
    height = np.zeros(cells.shape[:2])
    track = _track(pos, pos + 0.1, cells, height)
    scene = build_scene(track, character, 640, 360, 20.0)
    distance, azimuth, elevation = scene.view[0], *np.radians(scene.view[1:])
    forward = np.array(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
    )
    right = np.cross(forward, [0, 0, 1.0]) / np.linalg.norm(np.cross(forward, [0, 0, 1.0]))
    seen = scene.mocap_pos - (scene.lookat[:, None] - distance * forward)
    depth = seen @ forward
    limit = np.tan(np.radians(16.0))  # half of the field of view of 32 degrees
    assert (np.abs(seen @ np.cross(right, forward)) < limit * depth).all()
    assert (np.abs(seen @ right) < limit * depth * 640 / 360).all()


def test_columns_before_a_body_become_transparent():
    """The camera looks along +y, 45 degrees down: of a wall on either side of the body only the near one hides it."""
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    cells = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij"), -1) * 0.5
    height = np.zeros((5, 5))
    height[2, 0], height[2, 4], height[0, 0] = 3.0, 3.0, 3.0
    poses = np.tile([0, 0, 1.0], (1, character.num_bodies, 1))
    track = _track(poses, poses, cells, height)
    found = hiding_cells(track, poses, np.array([20.0, 0, 0]), np.array([0, 0.5**0.5, -(0.5**0.5)]))
    assert np.argwhere(found).tolist() == [[0, 2, 0]]


def test_gif_gets_coarser_until_it_is_small_enough(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (8, 60, 80, 3), dtype=np.uint8)
    images = [Image.fromarray(frame) for frame in noise]
    large = write_gif(tmp_path / "large.gif", images, 10.0, 10_000_000)
    small = write_gif(tmp_path / "small.gif", images, 10.0, 10_000)
    assert small < 10_000 < large == (tmp_path / "large.gif").stat().st_size


def test_rollout_becomes_a_gif(env_file, tmp_path):
    check = check_rendering()
    if not check.ok:
        pytest.skip(f"nothing draws here: {check.detail}")
    found = record_rollout(
        None, env_file, tmp_path / "r.gif", motion_ids=[1, 0], agent_config=SMALL_NETS, options=SMALL
    )
    assert found.reason == ""
    assert found.path == str(tmp_path / "r.gif") and found.motions == ["step_up/step_up_0", "stand/stand_0"]
    with Image.open(found.path) as image:
        assert image.size == (160, 90) and image.n_frames >= 4
        pixels = np.asarray(image.convert("RGB")).astype(int)
    orange = (pixels[..., 0] > 150) & (pixels[..., 2] < 80)
    blue = (pixels[..., 2] > 120) & (pixels[..., 0] < 90)
    assert orange[20:].sum() > 30 and blue[20:].sum() > 30  # both characters, below the legend


def test_where_nothing_draws_there_is_no_video_and_the_reason_is_said(env_file, tmp_path, monkeypatch):
    def cannot(*args):
        raise draw.CannotRenderError("egl: no library")

    monkeypatch.setattr(video, "draw", cannot)
    found = record_rollout(None, env_file, tmp_path / "r.gif", agent_config=SMALL_NETS, options=SMALL)
    assert found == Recording(None, ["stand/stand_0"], "no video: egl: no library")
    assert list(tmp_path.iterdir()) == []


def test_frames_of_several_processes_are_those_of_one(monkeypatch):
    check = check_rendering()
    if not check.ok:
        pytest.skip(f"nothing draws here: {check.detail}")
    xml = """<mujoco><worldbody><light pos="0 0 3"/>
        <body mocap="true"><geom type="sphere" size=".3"/></body></worldbody></mujoco>"""

    def scene(count: int) -> Scene:
        pos = np.zeros((count, 1, 3))
        pos[:, 0, 1] = np.linspace(-0.5, 0.5, count)
        quat = np.tile([1.0, 0, 0, 0], (count, 1, 1))
        view = np.array([3.0, 0.0, -20.0])
        return Scene(xml, pos, quat, np.zeros((count, 3)), view, np.arange(count) / 20)

    scenes = [scene(4), scene(3)]
    monkeypatch.setattr(draw, "MAX_PROCESSES", 1)
    alone = draw.draw(scenes, 64, 48, (32, 24))
    assert [part.shape for part in alone] == [(4, 24, 32, 3), (3, 24, 32, 3)]
    assert len({frame.tobytes() for frame in alone[0]}) == 4
    monkeypatch.setattr(draw, "MAX_PROCESSES", 2)
    monkeypatch.setattr(draw, "FRAMES_PER_PROCESS", 1)
    monkeypatch.setattr(draw.os, "cpu_count", lambda: 2)
    for one, other in zip(alone, draw.draw(scenes, 64, 48, (32, 24)), strict=True):
        np.testing.assert_array_equal(one, other)


KILLED = """
import numpy as np
from parc_core.video import draw
from parc_core.video.scene import Scene
draw.FRAMES_PER_PROCESS, draw.MAX_PROCESSES = 1, 2
draw.os.cpu_count = lambda: 2
count = 2
pos, quat, view = np.zeros((count, 1, 3)), np.ones((count, 1, 4)), np.ones(3)
draw.draw([Scene("<mujoco/>", pos, quat, np.zeros((count, 3)), view, np.arange(count) / 20)], 8, 8)
"""
HANGING = "import os, time; open(f'{os.environ[\"PIDS\"]}/{os.getpid()}', 'w').close(); time.sleep(60)"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_drawing_processes_and_their_files_end_with_a_killed_parent(tmp_path):
    pids, temp = tmp_path / "pids", tmp_path / "temp"
    for folder in (pids, temp, tmp_path / "fake"):
        folder.mkdir()
    (tmp_path / "fake" / "mujoco.py").write_text(HANGING)
    path = os.pathsep.join([str(PROJECT_ROOT), str(tmp_path / "fake")])
    env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(temp), "PIDS": str(pids)}
    parent = subprocess.Popen([sys.executable, "-c", KILLED], env=env)
    try:
        wait_until(lambda: len(list(pids.iterdir())) == 2)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not any(Path("/proc", pid.name).exists() for pid in pids.iterdir()))
    assert list(temp.iterdir()) == []


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_unusable_opengl_is_told_in_one_line(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "no-such-library")
    with pytest.raises(draw.CannotRenderError, match="no-such-library") as error:
        draw.draw([], 8, 8)
    assert "\n" not in str(error.value)


def test_unknown_motion_is_refused(env_file, tmp_path):
    with pytest.raises(ConfigError, match="motions 0 to 1"):
        record_rollout(None, env_file, tmp_path / "r.gif", motion_ids=[2])
