"""Recordings of the real environment: every rule of the files that PARC's first stage and our merge read back."""

from __future__ import annotations

import dataclasses
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parc_core.config.dataset_config import DatasetConfig
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.preprocessing import Preprocessor
from parc_core.motion.formats.container import read_misc, read_motion_terrain
from parc_core.motion.validation import validate
from parc_core.playback.policy import load_policy
from parc_core.record import RecordJob, record
from parc_core.recording.recorder import RecordOptions
from parc_core.terrain.heightfield import Heightfield
from tests.envs.scenes import humanoid
from tests.evaluation.sample_data import SMALL_NETS
from tests.golden.conftest import golden_dir
from tests.recording.jobs import untrained_job

__all__ = ["golden_dir"]

KINDS = ["walk", "stairs", "gap"]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> RecordJob:
    """Three clips, an untrained policy, and no test that ends an episode: all are recorded from their first frame."""
    folder = tmp_path_factory.mktemp("recording")
    return dataclasses.replace(untrained_job(folder, KINDS), options=RecordOptions(observations=True))


@pytest.fixture(scope="module")
def out(job: RecordJob) -> Path:
    recording = record(job)
    assert recording.summary()["by_start_fraction"] == {"0": 3}
    return Path(job.out_dir)


def raw(path: Path) -> dict[str, dict[str, Any]]:
    """The file by plain pickle, as PARC reads it."""
    outer = pickle.loads(path.read_bytes())  # noqa: S301 - written by this test
    return {part: pickle.loads(data) for part, data in outer.items()}  # noqa: S301


def files(out: Path) -> list[Path]:
    return sorted((out / "recorded_motions").rglob("*.pkl"))


def test_names_and_folders(out: Path) -> None:
    below = [str(path.relative_to(out / "recorded_motions")) for path in files(out)]
    assert below == ["gap/gap_0_dm.pkl", "stairs/stairs_0_dm.pkl", "walk/walk_0_dm.pkl"]
    assert {path.name for path in out.iterdir()} >= {
        "motions.yaml",
        "create_dataset_config.yaml",
        "record_env.yaml",
        "record_args.txt",
        "terrain.pkl",
        "recording.json",
        "recorded_motions",
    }
    assert not list(out.rglob("*.tmp"))


def test_keys_types_and_shapes(out: Path) -> None:
    for path in files(out):
        parts = raw(path)
        assert list(parts) == ["motion_data", "terrain_data", "misc_data"]
        motion, terrain, misc = parts["motion_data"], parts["terrain_data"], parts["misc_data"]
        assert set(motion) == {"root_pos", "root_rot", "joint_rot", "body_contacts", "fps", "loop_mode"}
        n = len(motion["root_pos"])
        shapes = {
            "root_pos": (n, 3),
            "root_rot": (n, 4),
            "joint_rot": (n, 14, 4),
            "body_contacts": (n, 15),
        }
        for key, shape in shapes.items():
            assert motion[key].shape == shape and motion[key].dtype == np.float32
        assert type(motion["fps"]) is int and motion["fps"] == 30 and motion["loop_mode"] == "CLAMP"
        assert (motion["root_rot"][:, 3] >= 0).all() and (motion["joint_rot"][..., 3] >= 0).all()
        assert set(terrain) == {"hf", "hf_maxmin", "min_point", "dx"}
        nx, ny = terrain["hf"].shape
        assert terrain["hf_maxmin"].shape == (nx, ny, 2) and terrain["min_point"].shape == (2,)
        assert {terrain[key].dtype for key in ("hf", "hf_maxmin", "min_point")} == {np.dtype(np.float32)}
        assert isinstance(terrain["dx"], float)
        assert set(misc) == {"hf_mask_inds", "obs", "obs_shapes"}
        assert len(misc["hf_mask_inds"]) == n
        assert all(cells.dtype == np.int64 and cells.shape[1] == 2 for cells in misc["hf_mask_inds"])
        assert misc["obs"].shape == (n, 1312) and misc["obs"].dtype == np.float32


def test_frames_are_the_start_and_one_per_control_step(job: RecordJob, out: Path) -> None:
    env = make_evaluation_env(job.env_file)
    lengths = dict(zip(env.library.names, env.library.lengths.tolist()))
    for kind in KINDS:
        motion = raw(out / f"recorded_motions/{kind}/{kind}_0_dm.pkl")["motion_data"]
        assert len(motion["root_pos"]) == math.ceil(lengths[f"{kind}/{kind}_0"] * 30 - 1e-3) + 1 >= 16


def test_contacts_are_zero_or_one_and_none_at_the_start(out: Path) -> None:
    for path in files(out):
        contacts = raw(path)["motion_data"]["body_contacts"]
        assert set(np.unique(contacts)) == {0.0, 1.0}
        assert not contacts[0].any()
        assert contacts[1:, [11, 14]].any()  # feet


def test_the_first_frame_is_at_the_origin_on_the_ground(job: RecordJob, out: Path) -> None:
    env = make_evaluation_env(job.env_file)
    env.reset_to(torch.arange(3), torch.zeros(3))
    for k, kind in enumerate(KINDS):
        content = read_motion_terrain(out / f"recorded_motions/{kind}/{kind}_0_dm.pkl")
        assert content.motion is not None and content.terrain is not None
        start, t = content.motion.root_pos[0], content.terrain
        assert np.abs(start[:2]).max() == 0.0
        cell = np.round(-t.min_point / t.dx).astype(int)
        assert t.hf[tuple(cell)] == 0.0
        state = env.engine.state
        ground = env.terrain.heights_at(torch.arange(3), state.root_pos[:, None, :2])[k, 0]
        assert start[2] == pytest.approx(float(state.root_pos[k, 2] - ground), abs=1e-5)


def test_the_terrain_is_the_motions_own_around_its_path(job: RecordJob, out: Path) -> None:
    """Cell by cell, by hand: the bounding box of the root's path and 0.8 m, beyond the border the border's heights."""
    for kind in KINDS:
        source = read_motion_terrain(
            Path(str(job.env_file.env.dm.motion_file)).parent / kind / f"{kind}_0.pkl"
        )
        got = read_motion_terrain(out / f"recorded_motions/{kind}/{kind}_0_dm.pkl")
        assert source.terrain is not None and source.motion is not None
        assert got.terrain is not None and got.motion is not None
        xy0 = source.motion.root_pos[0, :2].astype(float)
        path = got.motion.root_pos[:, :2].astype(float) + xy0
        hf, corner = source.terrain.hf, source.terrain.min_point.astype(float)
        low = [round((path[:, k].min() - 0.8 - corner[k]) / 0.4) for k in range(2)]
        high = [round((path[:, k].max() + 0.8 - corner[k]) / 0.4) for k in range(2)]
        assert got.terrain.hf.shape == (high[0] - low[0] + 1, high[1] - low[1] + 1)
        at = [min(max(round((xy0[k] - corner[k]) / 0.4), 0), hf.shape[k] - 1) for k in range(2)]
        for i in range(got.terrain.hf.shape[0]):
            for j in range(got.terrain.hf.shape[1]):
                own = hf[min(max(low[0] + i, 0), hf.shape[0] - 1), min(max(low[1] + j, 0), hf.shape[1] - 1)]
                assert got.terrain.hf[i, j] == np.float32(own - hf[at[0], at[1]])
        wanted = [corner[k] + low[k] * 0.4 - xy0[k] for k in range(2)]
        assert got.terrain.min_point == pytest.approx(wanted, abs=1e-5)


def test_masks_and_bounds_belong_to_the_part_of_the_terrain(out: Path) -> None:
    preprocessor = Preprocessor(humanoid())
    for path in files(out):
        content = read_motion_terrain(path)
        assert content.motion is not None and content.terrain is not None
        found = preprocessor.compute(content.motion, content.terrain)
        masks = read_misc(content)["hf_mask_inds"]
        assert all(np.array_equal(a, b) for a, b in zip(masks, found.hf_mask_inds))
        assert np.array_equal(content.terrain.hf_maxmin, found.hf_maxmin)
        assert all((cells < content.terrain.hf.shape).all() for cells in masks)


def test_observations_belong_to_their_frames(job: RecordJob, out: Path) -> None:
    env = make_evaluation_env(job.env_file)
    policy = load_policy(job.model_file, env, SMALL_NETS)
    obs = env.reset_to(torch.arange(3), torch.zeros(3))
    for frame in range(5):
        for k, kind in enumerate(KINDS):
            kept = raw(out / f"recorded_motions/{kind}/{kind}_0_dm.pkl")["misc_data"]["obs"]
            assert np.array_equal(kept[frame], obs[k].numpy())
        obs = env.step(policy.act_mode(obs))[0]


def test_the_real_recording_has_the_same_form(out: Path, golden_dir: Path) -> None:
    example = golden_dir / "files" / "dec2024_teaser_717_1_opt_dm.pkl"
    if not example.is_file():
        pytest.skip("no recording of PARC's own beside the project")
    theirs, ours = raw(example), raw(files(out)[0])
    assert set(theirs["misc_data"]) - {"min_point_offset"} == set(ours["misc_data"])
    shapes = ours["misc_data"]["obs_shapes"]
    assert list(shapes) == list(theirs["misc_data"]["obs_shapes"])
    for name, spec in theirs["misc_data"]["obs_shapes"].items():
        assert shapes[name]["use_normalizer"] == spec["use_normalizer"]
        assert tuple(shapes[name]["shape"]) == tuple(spec["shape"])
    for part in ("motion_data", "terrain_data"):
        assert set(ours[part]) == set(theirs[part])
        for key, value in theirs[part].items():
            if isinstance(value, np.ndarray):
                assert ours[part][key].dtype == value.dtype
                assert ours[part][key].shape[1:] == value.shape[1:] or key in ("hf", "hf_maxmin")


def test_recordings_are_the_next_datasets_motions(out: Path, tmp_path: Path) -> None:
    """Merged and built without a manual step; none is rejected, and all are trained on as they are."""
    config = DatasetConfig([str(out / "recorded_motions")], str(tmp_path / "motions.yaml"))
    built = create_dataset(config)
    assert built["num_motions"] == 3 and built["num_rejected"] == 0
    assert sorted(built["classes"]) == sorted(KINDS)
    for path in files(out):
        validate(read_motion_terrain(path), str(path))


def test_a_recording_of_a_recording_is_at_its_place_already(out: Path) -> None:
    """The frame that recordings are in is their own: nothing moves when they are sliced once more."""
    from parc_core.recording.perform import Frames
    from parc_core.recording.place import placed

    content = read_motion_terrain(files(out)[0])
    assert content.motion is not None and isinstance(content.terrain, Heightfield)
    m = content.motion
    assert m.body_contacts is not None
    clip, terrain = placed(
        Frames(m.root_pos, m.root_rot, m.joint_rot, m.body_contacts), content.terrain, m.fps
    )
    assert np.array_equal(clip.root_pos, m.root_pos)
    assert np.array_equal(terrain.hf, content.terrain.hf)
    assert terrain.min_point == pytest.approx(content.terrain.min_point, abs=1e-6)
    assert isinstance(MotionTerrain(clip, terrain).motion, type(m))
