"""Motions of the AMP and ASE humanoids: read as poselib writes them, carried over exactly."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parc_core.character.mjcf import load_character
from parc_core.config.paths import DATA_ROOT
from parc_core.errors import DataError
from parc_core.motion.clip import MotionClip
from parc_core.motion.formats.npy import read_npy
from parc_core.motion.retarget.amp import amp_clip
from parc_core.motion.retarget.poselib import SkeletonMotion, is_poselib, read_poselib
from parc_core.motion.skeleton import Skeleton, beyond_range, body_positions, multiply, off_axis
from tests.motion.retarget.amp_files import NODES, about, poselib_dict, standing, tensor, write_amp
from tests.motion.small_files import RunsCode

BODIES = [name for name, _, _ in NODES]


@lru_cache
def skeleton() -> Skeleton:
    return Skeleton.of(load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml"))


def read(path: Path) -> SkeletonMotion:
    value = read_npy(path.read_bytes(), path.name)
    assert is_poselib(value)
    return read_poselib(value, path.name)


def clip_of(motion: SkeletonMotion) -> MotionClip:
    found = amp_clip(motion, skeleton(), BODIES)
    assert found is not None
    return found


def random_turns(count: int, most: float, rng: np.random.Generator) -> np.ndarray:
    axes = rng.normal(size=(count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    half = 0.5 * rng.uniform(0, most, (count, 1))
    return np.concatenate([np.sin(half) * axes, np.cos(half)], axis=1)


def moving(frames: int = 40) -> np.ndarray:
    """All joints turned at random; elbows and knees about their own axis alone, hands not at all."""
    rng = np.random.default_rng(0)
    rotation = random_turns(frames * 15, 1.5, rng).reshape(frames, 15, 4)
    for body, low, high in ((4, -2.5, 0), (7, -2.5, 0), (10, 0, 2.5), (13, 0, 2.5)):
        rotation[:, body] = about((0, 1, 0), rng.uniform(low, high, frames))
    rotation[:, [5, 8]] = [0, 0, 0, 1]
    return rotation


def test_hanging_arms_and_a_bent_elbow(tmp_path: Path) -> None:
    """By hand: the hand is below the elbow first, in front of it at the end; the hinge's angle is the elbow's."""
    clip = clip_of(read(write_amp(tmp_path / "amp_humanoid_stand.npy")))
    at = body_positions(clip, skeleton())
    assert np.allclose(at[0, 5] - at[0, 3], [0, 0, -0.533735], atol=1e-5)
    assert np.allclose(at[-1, 5] - at[-1, 4], [0.258947, 0, 0], atol=1e-5)
    assert np.allclose(at[-1, 8] - at[-1, 6], [0, 0, -0.533735], atol=1e-5)
    assert np.allclose(clip.joint_rot[-1, 3], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)
    assert np.allclose(clip.joint_rot[0, 2], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], atol=1e-6)
    assert beyond_range(clip.joint_rot, skeleton()).max() < 1e-5


def test_all_bodies_are_where_theirs_are() -> None:
    rng = np.random.default_rng(1)
    motion = read_poselib(poselib_dict(moving(), rng.normal(size=(40, 3))), "a")
    clip = clip_of(motion)
    assert np.abs(body_positions(clip, skeleton()) - motion.world()[0]).max() < 1e-5
    assert off_axis(clip.joint_rot, skeleton()).max() < 1e-5


def test_what_hinges_cannot_do_moves_to_the_limb_above() -> None:
    """As before retargeting tools project elbows and knees: all bodies stay, the feet keep their orientation."""
    rng = np.random.default_rng(2)
    rotation, bends = moving(), []
    for body, sign in ((4, -1), (7, -1), (10, 1), (13, 1)):
        bend = rng.uniform(0, 2.5, 40)
        plane, twist = about((0, 0, 1), rng.uniform(-1, 1, 40)), about((0, 0, 1), rng.uniform(-1, 1, 40))
        rotation[:, body] = multiply(multiply(plane, about((0, 1, 0), sign * bend)), twist)
        bends.append(bend)
    rotation[:, 5] = random_turns(40, 1.0, rng)
    motion = read_poselib(poselib_dict(rotation), "a")
    clip = clip_of(motion)
    assert off_axis(clip.joint_rot, skeleton()).max() < 1e-5
    apart = np.linalg.norm(body_positions(clip, skeleton()) - motion.world()[0], axis=-1)[:, [5, 8, 11, 14]]
    bent = np.stack(bends, axis=1) > 0.3
    assert apart[bent].max() < 1e-5 and apart[~bent].max() < 0.1
    feet = world_rotations(clip)[:, [11, 14]]
    assert np.abs((feet * motion.world()[1][:, [11, 14]]).sum(-1)).min() > 1 - 1e-5


def world_rotations(clip: MotionClip) -> np.ndarray:
    found = [clip.root_rot.astype(float)]
    for body in range(1, 15):
        found.append(multiply(found[skeleton().parents[body]], clip.joint_rot[:, body - 1]))
    return np.stack(found, axis=1)


def test_forms_of_the_same_motion(tmp_path: Path) -> None:
    """World rotations, w first, numbers as tensors and numpy's, a plain dict, a double cover: all the same."""
    rotation = moving(5)
    wanted = clip_of(read_poselib(poselib_dict(rotation), "a")).joint_rot
    world = read_poselib(poselib_dict(rotation), "a").world()[1]
    forms = {
        "world": poselib_dict(world, is_local=False),
        "wxyz": poselib_dict(rotation[..., [3, 0, 1, 2]], wxyz=True),
        "tensors": poselib_dict(rotation, fps=torch.tensor(30), is_local=np.bool_(True)),
        "float": poselib_dict(-rotation, fps=np.float64(30.0)),
        "dict": dict(poselib_dict(rotation)),
    }
    for name, value in forms.items():
        np.save(tmp_path / f"{name}.npy", np.array(value, dtype=object), allow_pickle=True)
        found = clip_of(read(tmp_path / f"{name}.npy")).joint_rot
        assert np.abs(np.abs((found * wanted).sum(-1)) - 1).max() < 1e-5, name


def test_further_bodies_are_left_out_and_other_skeletons_told(tmp_path: Path) -> None:
    value = poselib_dict(np.concatenate([standing(), standing()[:, :1]], axis=1))
    tree = value["skeleton_tree"]
    tree["node_names"] = [*tree["node_names"], "sword"]
    tree["parent_indices"] = tensor([*tree["parent_indices"]["arr"], 5], np.int64)
    tree["local_translation"] = tensor([*tree["local_translation"]["arr"], [0.74, 0, 0]])
    assert clip_of(read_poselib(value, "a")).joint_rot.shape == (12, 14, 4)
    tree["local_translation"]["arr"][10, 2] -= 0.05  # longer thighs
    assert amp_clip(read_poselib(value, "a"), skeleton(), BODIES) is None
    tree["node_names"][3] = "RightArm"
    assert amp_clip(read_poselib(value, "a"), skeleton(), BODIES) is None


def hostile(tmp_path: Path) -> dict[str, tuple[Any, str]]:
    tree = poselib_dict(standing())["skeleton_tree"]
    twice: Any = {"rotation": 1}
    twice["skeleton_tree"] = twice

    def changed(**changes: Any) -> OrderedDict[str, Any]:
        return poselib_dict(standing(), skeleton_tree=OrderedDict({**tree, **changes}))

    return {
        "code": (poselib_dict(standing(), fps=RunsCode(tmp_path / "ran")), "refused, its pickle asks for"),
        "pose": (poselib_dict(standing(), fps=None), "fps is missing, so this is not a poselib motion"),
        "tree": (poselib_dict(standing(), skeleton_tree=[1]), "skeleton_tree is a list"),
        "itself": (twice, "root_translation is missing"),
        "names": (changed(node_names=["a"] * 15), "node_names are not names that differ"),
        "numbers": (changed(node_names=list(range(15))), "node_names are not names that differ"),
        "loop": (changed(parent_indices=tensor([-1, *[1] * 14], np.int64)), "no tree with its root first"),
        "shape": (poselib_dict(standing()[:, :14]), "rotation has shape [12, 14, 4], [12, 15, 4] is needed"),
        "flag": (poselib_dict(standing(), is_local="yes"), "is_local is 'yes', true or false is needed"),
        "zero": (poselib_dict(0 * standing()), "quaternions of no length"),
        "nan": (poselib_dict(standing(), np.full((12, 3), np.nan)), "root_translation holds non-finite"),
        "text": (poselib_dict(standing(), root_translation="x"), "root_translation is not an array"),
        "rate": (poselib_dict(standing(), fps=10**400), "fps is a whole number of 1329 bits"),
        "frame": (poselib_dict(standing(1)), "has 1 frame(s)"),
    }


def test_hostile_files_are_refused_and_nothing_of_them_runs(tmp_path: Path) -> None:
    for name, (value, message) in hostile(tmp_path).items():
        np.save(tmp_path / f"{name}.npy", np.array(value, dtype=object), allow_pickle=True)
        with pytest.raises(DataError) as error:
            read(tmp_path / f"{name}.npy")
        assert message in str(error.value) and f"{name}.npy" in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_broken_arrays_are_refused(tmp_path: Path) -> None:
    whole = write_amp(tmp_path / "a.npy").read_bytes()
    plain = tmp_path / "plain.npy"
    np.save(plain, np.arange(12.0).reshape(3, 4).T)
    assert read_npy(plain.read_bytes(), "a").shape == (4, 3)
    start = whole.index(b"\n") + 1
    broken = {
        "cut": whole[: len(whole) // 2],
        "header": whole[:20],
        "long header": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(90),
        "no dict": b"\x93NUMPY\x01\x00\x02\x00[]",
        "structure": plain.read_bytes().replace(b"'<f8'", b"'|V9'"),
        "size": plain.read_bytes().replace(b"(4, 3)", b"(9, 9)"),
        "no array": whole[:start] + b"\x80\x02}.",
    }
    for name, data in broken.items():
        with pytest.raises(DataError, match="corrupt"):
            read_npy(data, name)
