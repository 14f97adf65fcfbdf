"""Whole files for the fuzz benchmark, by their ending: valid ones, known attacks, and what is broken at first sight."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any, List, Sequence

import numpy as np
import torch

from benchmarks.fuzz_readers import character
from parc_core.evaluation.result import SCHEMA
from parc_core.learning.agent import Agent
from parc_core.learning.networks import ActorCritic
from parc_core.learning.normalizer import Normalizer
from parc_core.motion.formats.legacy import converted_bytes
from parc_core.motion.synthetic.generate import make_motion


class _Evil:
    def __init__(self, call: str) -> None:
        self._call = call

    def __reduce__(self) -> Any:
        return os.system, (self._call,)


def _tuple_bomb() -> bytes:
    steps = b"".join(b"h" + bytes([i]) * 1 + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60))
    return b"\x80\x02)q\x00" + steps


def _pickles(trap: Path) -> List[bytes]:
    arrays = {
        "frames": np.zeros((3, 34), np.float32),
        "fps": 30,
        "loop_mode": "CLAMP",
        "contacts": np.zeros((3, 15), np.float32),
        "terrain": {"hf": np.zeros((4, 4), np.float32), "dx": 0.4},
    }
    nested = {key: pickle.dumps(arrays) for key in ("motion_data", "terrain_data", "misc_data")}
    odd: Sequence[Any] = [
        (),
        [],
        {"fps": (1,) * 5, "frames": []},
        {"frames": None},
        {1: 2},
        "text",
        5,
        _Evil(f"touch {trap}"),
    ]
    real = make_motion("stand", 0, character())
    made = [converted_bytes(real, "container", "stand")]
    made += [pickle.dumps(value, protocol) for value in (arrays, nested) for protocol in range(6)]
    made += [pickle.dumps(value) for value in odd]
    return [
        *made,
        b"\x80\x02}" + _tuple_bomb()[2:] + b"K\x01s.",
        b"\x80\x02]q\x00h\x00a.",
        _tuple_bomb() + b".",
        b"",
    ]


def _archives(trap: Path) -> List[bytes]:
    real = converted_bytes(make_motion("stand", 0, character()), "npz", "stand")
    plain = io.BytesIO()
    np.savez(plain, frames=np.zeros((3, 34), np.float32), fps=np.array(30))
    evil = io.BytesIO()
    np.savez(evil, frames=np.array([_Evil(f"touch {trap}")], dtype=object), fps=np.zeros(3))
    odd = io.BytesIO()
    with zipfile.ZipFile(odd, "w", zipfile.ZIP_DEFLATED) as parts:
        head = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (900000000000,), }"
        parts.writestr("frames.npy", head.ljust(127) + b"\n")
        parts.writestr("fps.npy", bytes(100_000_000))
    return [real, plain.getvalue(), evil.getvalue(), odd.getvalue(), b"PK\x03\x04", b""]


_BONES = {
    "Hips": ("", "0 90 0"),
    "Spine": ("Hips", "0 24 0"),
    "Neck": ("Spine", "0 24 0"),
    **{
        f"{side}{name}": (parent.format(side), offset.format(sign))
        for side, sign in (("Left", ""), ("Right", "-"))
        for name, parent, offset in (
            ("Arm", "Spine", "{}18 22 0"),
            ("ForeArm", "{}Arm", "{}27 0 0"),
            ("Hand", "{}ForeArm", "{}25 0 0"),
            ("UpLeg", "Hips", "{}9 0 0"),
            ("Leg", "{}UpLeg", "0 -42 0"),
            ("Foot", "{}Leg", "0 -41 0"),
        )
    },
}


def _takes(_: Path) -> List[bytes]:
    """BVH of a person who stands in T-pose."""
    lines = ["HIERARCHY"]

    def add(name: str) -> None:
        kind, place = ("JOINT", "") if _BONES[name][0] else ("ROOT", "Xposition Yposition Zposition ")
        lines.append(f"{kind} {name}\n{{\nOFFSET {_BONES[name][1]}")
        lines.append(f"CHANNELS {3 + place.count('pos')} {place}Zrotation Xrotation Yrotation")
        children = [child for child, (parent, _) in _BONES.items() if parent == name]
        for child in children:
            add(child)
        lines.append("}" if children else "End Site\n{\nOFFSET 0 0 0\n}\n}")

    add("Hips")
    frame = "0 90 0" + " 0" * 3 * len(_BONES)
    lines += ["MOTION", "Frames: 8", "Frame Time: 0.033333", *[frame] * 8, ""]
    take = "\n".join(lines).encode()
    deep = b"HIERARCHY ROOT a { OFFSET 0 0 0 CHANNELS 0 " + b"JOINT b { OFFSET 0 0 0 CHANNELS 0 " * 20_000
    return [take, deep + b"MOTION", b"HIERARCHY", b""]


_BOX = b"# box\nv 0 0 0\nv 1 0 0\nv 1 1 0.5\nv 0 1 0.5\nf 1 2 3 4\nf 1/1/1 -1//2 2\n"


def _arrays(trap: Path) -> List[bytes]:
    found = []
    for value in (_Evil(f"touch {trap}"), {"rotation": 1, "skeleton_tree": [1]}, [1], "text", None):
        buffer = io.BytesIO()
        np.save(buffer, np.array([value], dtype=object).reshape(()), allow_pickle=True)
        found.append(buffer.getvalue())
    start = found[0].index(b"\n") + 1
    bombs = [found[0][:start] + bomb for bomb in (_tuple_bomb() + b".", b"\x80\x02]q\x00h\x00a.")]
    joints = io.BytesIO()
    np.save(joints, np.random.default_rng(0).uniform(0, 1, (9, 53, 3)))
    return [
        joints.getvalue(),
        *found,
        *bombs,
        b"\x93NUMPY",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"(" * 999,
        b"",
    ]


def _yaml(_: Path) -> List[bytes]:
    bomb = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
    )
    texts = [
        "motions:\n- file: /a/b.pkl\n  weight: 1.0\n- {file: c.pkl, weight: 0.5}\nterrain: t.pkl\n",
        "motions:\n- file: /a/b.pkl\n  weight: 1.0\n",
        "env: {dm: {motion_file: a.yaml}, joint_err_w: [1, 2]}\nsim: {physx: {}}\n",
        "dataset_file: a.yaml\nseed: 3\ngate: {min_completed: 0.9}\nmodel_name: a\n",
        bomb,
        "seed: " + bomb.replace("\n", "\n  "),
        "motions: &s [*s]\n",
        "[" * 3000,
        "dataset_file: " + "a" * 100_000,
        "motions: [{file: " + "b" * 100_000 + "}]",
        *(f"seed: {text}\nmotions: [{{file: a, weight: {text}}}]\n" for text in _SCALARS),
        "!!python/object/apply:os.system ['true']",
    ]
    return [text.encode() for text in texts]


_SCALARS = [
    "2001-99-99",
    "!!int abc",
    "!!bool maybe",
    "7" * 5000,
    "1:30",
    "010",
    "1.0e+999",
    '"\\0"',
    "!!set {a}",
    "-1",
]


def _tensors(trap: Path) -> List[bytes]:
    names = ("_obs_norm._count", "_obs_norm._mean", "_obs_norm._std", "_a_norm._mean", "_a_norm._std")
    values: Sequence[Any] = [
        Agent(ActorCritic(8, 3, [16], [16], "FIXED"), Normalizer(8, 10.0), Normalizer(3)).model_state(),
        {name: torch.ones(1) for name in names},
        {"format": "parc-tracker checkpoint 1"},
        {"python float": None},
        {"a": torch.zeros(1).expand(6_000_000_000)},
        [torch.zeros(3).half(), torch.zeros(2, 2)],
        _Evil(f"touch {trap}"),
    ]
    found = []
    for value in values:
        for new in (True, False):
            buffer = io.BytesIO()
            torch.save(value, buffer, _use_new_zipfile_serialization=new)
            found.append(buffer.getvalue())
    for data in (_tuple_bomb() + b".", b"\x80\x02}" + _tuple_bomb()[2:] + b"K\x01s.", b"\x80\x02\x85\x86."):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as parts:
            parts.writestr("a/data.pkl", data)
            parts.writestr("a/version", "3\n")
        found.append(buffer.getvalue())
    return found


def _json(_: Path) -> List[bytes]:
    sha = {"sha256": "0" * 64, "uri": "x"}
    manifest = {
        "name": "m",
        "version": 1,
        "created": "now",
        "files": {"model.pt": sha},
        "sizes": {"model.pt": 3},
    }
    values: Sequence[Any] = [
        manifest,
        {**manifest, "lineage": {"note": "[/]"}, "metrics": {"after": {"completed_share": 1e300}}},
        {"schema": SCHEMA, "clips": [{"name": "a"}], "summary": {}, "settings": {}},
        {"motions": [{"file": "a", "name": "[/]"}], "rejected": [{}], "duplicates": []},
        [],
    ]
    deep = b'{"name": "m", "version": 1, "lineage": ' + b'{"a":' * 900 + b"1" + b"}" * 901
    texts = [deep, b"[" * 100_000, b'{"name": "\\ud800"}', b"1" * 5000, b"NaN", b"\xff", b""]
    return [json.dumps(value).encode() for value in values] + texts


def _logs(_: Path) -> List[bytes]:
    head = b"Samples                  Iteration                Wall_Time\n"
    rows = [
        b"100 1 0.5\n",
        b"nan inf 9\n",
        b"1e400 1 1\n",
        b"9" * 5000 + b" 1 1\n",
        b"\xff\xfe 1 1\n",
        b"1 2\n",
    ]
    return [head + row for row in rows] + [b"", b"\x00" * 1000, bytes(range(256))]


def whole_files(ending: str, trap: Path) -> List[bytes]:
    """Files of an ending; the code in hostile ones, if it ran, would make the file `trap`."""
    return {
        "pkl": _pickles,
        "npz": _archives,
        "npy": _arrays,
        "obj": lambda _: [_BOX, b"v 1 2\n", b"v 0 0 1e400\nf 1 1 1\n", b"f " + b"1 " * 50_000, b""],
        "bvh": _takes,
        "yaml": _yaml,
        "pt": _tensors,
        "json": _json,
        "txt": _logs,
    }[ending](trap)
