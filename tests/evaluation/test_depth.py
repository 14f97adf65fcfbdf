"""What else an evaluation measures, against plain loops over the real environment."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from parc_core.character.surface_points import SurfacePoints
from parc_core.evaluation.depth import BINS, MEASURES, TRACES, Depth
from parc_core.evaluation.evaluate import evaluate_in, make_evaluation_env
from parc_core.evaluation.result import from_json
from parc_core.evaluation.success import RULES, judge_all_clips
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.quality import foot_bodies, penetration_depth
from parc_core.playback.policy import load_policy
from parc_core.playback.scores import track_clips
from tests.evaluation.sample_data import SMALL_NETS, make_env_file


@pytest.fixture(scope="module")
def env_file(tmp_path_factory):
    return make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "walk"])


@pytest.fixture(scope="module")
def found(env_file):
    """Two tries from random times at each clip, too."""
    return evaluate_in(make_evaluation_env(env_file), None, SMALL_NETS, random_starts=2)


def _with(env_file, **settings):
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, **settings))


def test_measures_of_a_lost_clip_against_a_plain_loop(env_file, found):
    env = make_evaluation_env(env_file, num_envs=1)
    policy = load_policy(None, env, SMALL_NETS).act_mode
    obs = env.reset_to(torch.tensor([1]), torch.zeros(1))
    character = env.kinematics.character
    surface, feet = SurfacePoints(character), foot_bodies(character.body_names)
    pos, touching, wanted, points, power = [], [], [], [], []
    while True:
        state = env.engine.state
        pos.append(state.body_pos[0].numpy().copy())
        touching.append((state.contact_forces[0].norm(dim=-1) > 1e-5).numpy())
        if len(pos) > 1:
            wanted.append((env.reference().contacts[0] > 0.5).numpy())
            points.append(surface.posed(state.body_pos, state.body_rot)[0].double().numpy())
            torque = character.kp * (env.pd_targets[0] - state.dof_pos[0]) - character.kd * state.dof_vel[0]
            torque = torch.maximum(torch.minimum(torque, character.effort), -character.effort)
            power.append(float((torque * state.dof_vel[0]).abs().sum()))
            if int(env.done[0]) != 0:
                break
        obs, _, _, _ = env.step(policy(obs))
    terrain = read_motion_terrain(_file(env_file))
    depth = [penetration_depth(terrain.terrain, part).max() for part in points]
    pos, touching, wanted = np.stack(pos), np.stack(touching), np.stack(wanted)
    both = (touching[1:] & touching[:-1])[:, feet]
    speed = np.linalg.norm(np.diff(pos[:, feet, :2], axis=0), axis=-1) * 30
    hits = (touching[1:] & wanted).sum()
    expected = {
        "contact_precision": hits / touching[1:].sum(),
        "contact_recall": hits / wanted.sum(),
        "penetration_mean_m": np.mean(depth),
        "penetration_max_m": np.max(depth),
        "foot_skating_m_s": speed[both].mean(),
        "jerk_m_s3": np.linalg.norm(np.diff(pos.astype(float), n=3, axis=0), axis=-1).mean() * 30**3,
        "power_w": np.mean(power),
    }
    clip = found.clips[1]
    assert not clip.completed and clip.steps == len(power)
    assert set(expected) == set(MEASURES)
    for name, value in expected.items():
        assert clip.measures[name] == pytest.approx(value, rel=2e-3, abs=2e-5), name


def _file(env_file):
    return read_motions_yaml(env_file.env.dm.motion_file).entries[1].file


@pytest.mark.parametrize(
    ("settings", "reason", "unit_limit"),
    [
        ({"root_pos_termination_dist": 1e-4}, "root position", 1e-4),
        ({"root_rot_termination_angle": 1e-4}, "root rotation", 1e-4),
        ({"pose_termination_dist": [1e-5] * 14}, "body position", 1e-5),
    ],
)
def test_the_body_and_the_limit_that_ended_a_clip(env_file, settings, reason, unit_limit):
    result = evaluate_in(make_evaluation_env(_with(env_file, **settings)), None, SMALL_NETS)
    for clip in result.clips:
        assert clip.end_reason == reason and clip.lost_value > clip.lost_limit
        assert clip.lost_limit == pytest.approx(unit_limit)
        assert (clip.lost_body == "pelvis") == (reason != "body position")
        assert max(value for value in result.traces[clip.name][reason] if not math.isnan(value)) > 1


def test_success_is_that_of_the_rules_alone(env_file, found):
    env = make_evaluation_env(env_file)
    alone = judge_all_clips(env, load_policy(None, env, SMALL_NETS).act_mode)
    assert {rule: [clip.success[rule] for clip in found.clips] for rule in RULES} == alone


def test_traces_go_to_the_end_of_the_clip_and_stay_out_of_the_file(found):
    for clip in found.clips:
        trace = found.traces[clip.name]
        assert tuple(trace) == TRACES and {len(values) for values in trace.values()} == {BINS}
        known = [value for value in trace["joint_error"] if not math.isnan(value)]
        assert len(known) > 0.9 * BINS
        assert max(known) >= clip.joint_error_m
        assert all(-1e-6 <= v <= 1 + 1e-6 for v in trace["pose_r"] if not math.isnan(v))
    data = found.to_json()
    assert "traces" not in data
    assert from_json(data).clips == found.clips


@pytest.mark.slow  # plays all clips six times
def test_random_starts_are_the_same_for_the_same_seed(env_file, found):
    env = make_evaluation_env(env_file)
    again, other = (evaluate_in(env, None, SMALL_NETS, seed=seed, random_starts=2) for seed in (0, 1))
    assert again.clips == found.clips
    starts = [
        [start["start_s"] for clip in result.clips for start in clip.random_starts]
        for result in (again, other)
    ]
    assert len(set(starts[0])) == 4 and starts[0] != starts[1]
    for clip in found.clips:
        for start in clip.random_starts:
            assert 0 <= start["start_s"] <= clip.length_s - 0.5
            assert (start["completed"] == 1) == (start["completed_fraction"] == 1.0)


class _Reads(TorchDispatchMode):
    """Counts numbers that are brought to the host."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
def test_watching_brings_no_number_to_the_host(env_file):
    """As often as without: play's own counts."""
    env = make_evaluation_env(_with(env_file, enable_early_termination=False))
    ids = torch.arange(2)
    counts = []
    for observer in (None, Depth(env, ids)):
        with _Reads() as reads:
            track_clips(env, lambda obs: torch.zeros(2, env.action_dim), ids, observer=observer)
        counts.append(reads.count)
    assert counts[0] == counts[1] < 20
