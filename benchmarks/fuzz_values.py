"""Valid files of each kind as values, for the fuzz benchmark: a value inside is exchanged before it is encoded."""

from __future__ import annotations

import copy
import io
import json
import pickle
import random
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import torch
import yaml

from parc_core.character.mjcf import load_character
from parc_core.config.paths import DATA_ROOT
from parc_core.evaluation.result import ClipResult, EvalResult, summarize
from parc_core.learning.agent import Agent
from parc_core.learning.model_file import CHECKPOINT_FORMAT
from parc_core.learning.networks import ActorCritic
from parc_core.learning.normalizer import Normalizer
from parc_core.motion.clip import MotionTerrain
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.formats.legacy import converted_bytes
from parc_core.recording.result import Failure, MotionRecord, Recording

Encode = Callable[[Any], bytes]


def _torch(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return json.dumps(value).encode("ascii")


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value).encode("utf-8", "surrogatepass")


def _npz(value: Any) -> bytes:
    buffer = io.BytesIO()
    arrays: Dict[str, Any] = {str(key): np.asarray(item) for key, item in value.items()}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(value: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(
        buffer, value if isinstance(value, np.ndarray) else np.array(value, dtype=object), allow_pickle=True
    )
    return buffer.getvalue()


def _arguments(value: Any) -> bytes:
    return "\n".join(f"--{key} {item}" for key, item in value.items()).encode("utf-8", "surrogatepass")


_SHA = "0" * 64


def _container(value: Any) -> bytes:
    """PARC's file: parts that are pickles of their own."""
    parts = {key: pickle.dumps(part) if isinstance(part, dict) else part for key, part in value.items()}
    return pickle.dumps(parts)


def _whole_motion() -> Dict[str, Any]:
    """What a file holds of a short motion on its terrain."""
    turn = np.array([0.0, 0.0, 0.0, 1.0], np.float32)
    motion = {
        "root_pos": np.full((3, 3), 0.9, np.float32),
        "root_rot": np.tile(turn, (3, 1)),
        "joint_rot": np.tile(turn, (3, 14, 1)),
        "body_contacts": np.zeros((3, 15), np.float32),
        "fps": 30,
        "loop_mode": "CLAMP",
    }
    terrain = {
        "hf": np.zeros((4, 4), np.float32),
        "hf_maxmin": np.zeros((4, 4, 2), np.float32),
        "min_point": np.zeros(2, np.float32),
        "dx": 0.4,
    }
    masks = [np.zeros((1, 2), np.int64)] * 3
    return {"motion_data": motion, "terrain_data": terrain, "misc_data": {"hf_mask_inds": masks}}


def _motion() -> Dict[str, Any]:
    return {
        "frames": np.zeros((3, 34), np.float32),
        "fps": 30,
        "loop_mode": "CLAMP",
        "contacts": np.zeros((3, 15), np.float32),
        "terrain": {"hf": np.zeros((4, 4), np.float32), "min_point": np.zeros(2, np.float32), "dx": 0.4},
    }


def _npz_motion() -> Dict[str, Any]:
    """The arrays of our own `.npz` of a short motion."""
    archive = np.load(io.BytesIO(converted_bytes(_as_clip(), "npz", "a")))
    return {name: archive[name] for name in archive.files}


def _as_clip() -> MotionTerrain:
    return read_motion_terrain(_container(_whole_motion()))


def _poselib(hanging: bool) -> Dict[str, Any]:
    """A motion of the humanoid as poselib writes it, its arms hanging at rest as AMP's do, or stretched."""
    character = load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml")
    offsets = character.local_translation.numpy().copy()
    for body, name in enumerate(character.body_names):
        if hanging and name.endswith(("lower_arm", "hand")):
            offsets[body] = [0.0, 0.0, -abs(offsets[body, 1])]
    turn, place = np.tile([0.0, 0.0, 0.0, 1.0], (3, 15, 1)), np.tile([0.0, 0.0, 0.88], (3, 1))
    tree = {
        "node_names": list(character.body_names),
        "parent_indices": {"arr": character.parent_indices.numpy(), "context": {"dtype": "int64"}},
        "local_translation": {"arr": offsets, "context": {"dtype": "float32"}},
    }
    tensors = {"rotation": {"arr": turn}, "root_translation": {"arr": place, "context": {"dtype": "float64"}}}
    return {**tensors, "skeleton_tree": tree, "is_local": True, "fps": 30, "__name__": "SkeletonMotion"}


def _amass() -> Dict[str, Any]:
    return {
        "poses": np.zeros((3, 156)),
        "trans": np.ones((3, 3)),
        "mocap_framerate": 120.0,
        "betas": np.zeros(16),
    }


def _evaluation() -> Dict[str, Any]:
    errors = {"root_pos": 0.1, "joint": 0.2}
    clips = [
        ClipResult(name, "walk", 2.0, done, share, 2.0 * share, reason, 0.1, errors, 30.0, 60)
        for name, done, share, reason in (("walk/a", True, 1.0, "completed"), ("walk/b", False, 0.5, "pose"))
    ]
    return EvalResult(clips, summarize(clips), {"model": "m", "seed": 1}).to_json()


def _merged() -> Dict[str, Any]:
    facts = {"sha256": _SHA, "frames": 30, "fps": 30, "nx": 4, "ny": 4, "dx": 0.4}
    motion = {"file": "walk__a.pkl", "name": "walk/a", "motion_class": "walk", **facts, "source": "/in/a.pkl"}
    return {
        "motions_dir": "/motions",
        "fingerprint": _SHA,
        "classes": ["walk"],
        "motions": [motion],
        "rejected": [{"path": "/in/b.pkl", "motion_class": "walk", "reason": "torn"}],
        "duplicates": [{"path": "/in/c.pkl", "motion_class": "walk", "same_as": "walk/a"}],
    }


def _recording() -> Dict[str, Any]:
    records = [
        MotionRecord("walk/a", "walk", "a.pkl", 2.0, [], "", 0.0, 60, None, _SHA),
        MotionRecord("walk/b", "walk", "b.pkl", 2.0, [Failure(0.5, 1.2, "pose")], "lost"),
    ]
    return Recording(_SHA, {"model": "m", "limits": {"pose": 1.0}}, records, True).to_json()


def _manifest() -> Dict[str, Any]:
    return {
        "name": "m",
        "version": 1,
        "created": "2026-01-01T00:00:00Z",
        "files": {"model.pt": {"sha256": _SHA, "uri": "x"}},
        "sizes": {"model.pt": 3},
        "lineage": {"parent": {"name": "m", "version": 1}, "note": "n"},
        "metrics": {"after": {"completed_share": 0.5, "clips": 2}},
        "gate": {"rules": {"min_completed": 0.5}, "failed": ["completed"]},
    }


def _checkpoint() -> Dict[str, Any]:
    agent = Agent(ActorCritic(8, 3, [16], [16], "FIXED"), Normalizer(8, 10.0), Normalizer(3))
    model = dict(agent.model_state())
    return {"format": CHECKPOINT_FORMAT, "agent": model, "obs_moments": agent.obs_norm.moments()}


def valid() -> Dict[str, List[Tuple[Any, Encode]]]:
    """By reader: values that it takes, each with what makes a file of it."""
    holder = {"name": "a (process 1)", "machine": "m", "pid": 1, "started": "1"}
    arguments = {"env_config": "env.yaml", "agent_config": "agent.yaml", "output_dir": "/out"}
    checkpoint = _checkpoint()
    return {
        "motion": [(_whole_motion(), _container)],
        "legacy": [(_motion(), pickle.dumps)],
        "npz": [(_npz_motion(), _npz)],
        "npy": [(_poselib(True), _npy), (_poselib(False), _npy)],
        "amass": [(_amass(), _npz)],
        "motions.yaml": [({"motions": [{"file": "/a.pkl", "weight": 1.0}], "terrain": "t.pkl"}, _yaml)],
        "env config": [
            ({"env": {"dm": {"motion_file": "a.yaml"}, "joint_err_w": [1, 2]}, "sim": {"physx": {}}}, _yaml)
        ],
        "tracker config": [
            ({"dataset_file": "a.yaml", "seed": 3, "gate": {"min_completed": 0.9}, "model_name": "a"}, _yaml)
        ],
        "train args": [
            ({**arguments, "num_envs": 4, "max_samples": 100, "device": "cpu", "seed": 3}, _arguments),
        ],
        "model": [(checkpoint, _torch), (checkpoint["agent"], _torch)],
        "failure rates": [(torch.rand(3), _torch)],
        "manifest": [(_manifest(), _json)],
        "claim": [({"by": "a", "manifest": {"sha256": _SHA}, "aliases": ["latest", "best"]}, _json)],
        "alias": [({"version": 1, "manifest": {"sha256": _SHA, "uri": "x"}, "seen": 3}, _json)],
        "lease": [({"token": "t", "holder": holder, "beat": 3}, _json)],
        "evaluation": [(_evaluation(), _json)],
        "merge result": [(_merged(), _json)],
        "recording": [(_recording(), _json)],
    }


def encoded(case: Tuple[Any, Encode]) -> bytes:
    """The file of a value."""
    return case[1](case[0])


def changed(case: Tuple[Any, Encode], chance: random.Random) -> bytes:
    """The file of a value in which one to three others stand at some places; as it was where that fits no file."""
    value, encode = copy.deepcopy(case[0]), case[1]
    for _ in range(chance.choice((1, 1, 2, 3))):
        value = _exchanged(value, chance)
    try:
        return encode(value)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, yaml.YAMLError):
        return encoded(case)


def _exchanged(value: Any, chance: random.Random) -> Any:
    """With another value at a place at any depth, a key renamed, or a part left out."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.02:
        return _other(value, chance)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key, kind = chance.choice(keys), chance.random()
    if kind < 0.05:
        del value[key]
    elif kind < 0.1 and isinstance(value, dict):
        value[chance.choice(("[/]", "", "\ud800", "a\nb", "9" * 4000))] = value.pop(key)
    elif kind < 0.15 and isinstance(value, list):
        value.extend([value[key]] * 100)
    else:
        value[key] = _exchanged(value[key], chance)
    return value


def _other(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bytes) and chance.random() < 0.8:  # a pickle inside a pickle
        return pickle.dumps(_exchanged(pickle.loads(value), chance))  # noqa: S301 - of `valid`
    if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim and chance.random() < 0.8:
        return chance.choice(
            (value[:0], value[None], value * float("nan"), value * -1e30, value > 0, value[..., :1])
        )
    deep: Any = 1
    for _ in range(chance.choice((50, 400))):
        deep = {"a": deep} if chance.random() < 0.5 else [deep]
    texts = [
        "",
        "[/]",
        "[red]",
        "\ud800",
        "\x1b[2J",
        "a\nb",
        "..",
        "/" * 300,
        "9" * 4000,
        "nan",
        "2001-99-99",
    ]
    numbers = [-1, 0, 1e30, 10**30, float("nan"), float("inf"), 2**63, True, 1e-320]
    return chance.choice([*texts, *numbers, None, [], {}, deep, [value], {"a": value}])
