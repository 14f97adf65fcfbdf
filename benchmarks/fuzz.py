"""`python -m benchmarks fuzz --count 10000`: broken and hostile files for every reader, the same for the same seed.

What a reader may do with any bytes: give a value, or an error of ours (`ParcError`, of one line), within a budget of
time and memory. A child process reads them, so that a hang or an exhausted memory is a line of the table, too.
"""

from __future__ import annotations

import argparse
import functools
import io
import json
import multiprocessing
import os
import pickle
import random
import resource
import signal
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import torch
from rich.markup import escape
from rich.table import Table

from benchmarks import fuzz_values
from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import DATA_ROOT
from parc_core.config.tracker_config import load_tracker_config
from parc_core.config.train_args import read_train_args
from parc_core.envs.factory import _load_fail_rates
from parc_core.envs.sampling import MotionSampler
from parc_core.errors import ParcError
from parc_core.evaluation.result import SCHEMA
from parc_core.evaluation.result import load as load_evaluation
from parc_core.learning.agent import Agent
from parc_core.learning.model_file import read_model_file
from parc_core.learning.networks import ActorCritic
from parc_core.learning.normalizer import Normalizer
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.motion.dataset.merge_result import read_merge_result
from parc_core.motion.formats.bvh import read_bvh
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.formats.legacy import converted_bytes, read_any
from parc_core.motion.retarget.axes import in_metres
from parc_core.motion.retarget.captures import read_capture, retargeted
from parc_core.motion.retarget.retarget import retarget
from parc_core.motion.synthetic.generate import make_motion
from parc_core.recording.result import load_recording
from parc_core.registry.aliases import read_alias
from parc_core.registry.claims import read_claim
from parc_core.registry.manifest import checked_manifest
from parc_core.storage.lease import _Holder, _token
from parc_core.storage.store import Store
from parc_core.terrain.obj import read_obj
from parc_core.training.history import read_history
from parc_tracker.tables import print_table

BUDGET_S = 5.0
"""Of one input."""
MEMORY = 4 << 30
"""Bytes of address space that a reader may take beyond what the process has."""
OUTCOMES = ("value", "refused", "raw traceback", "over budget", "executed")
_TRAP = "executed"  # the file that code of a hostile pickle would make
Case = Tuple[str, bytes]


@functools.lru_cache(maxsize=None)
def _character() -> Any:
    return load_character(DATA_ROOT / "data" / "assets" / "humanoid.xml")


@functools.lru_cache(maxsize=None)
def _kinematics() -> Kinematics:
    return Kinematics(_character())


def _convert(path: Path) -> Any:
    return read_any(path.read_bytes(), path.name, _kinematics(), int(_character().dof_size))


def _capture(path: Path) -> Any:
    found = read_capture(path.read_bytes(), path.name, _character())
    return found if found is None else retargeted(found, _character(), path.name)


def _take(path: Path) -> Any:
    source, mapping = in_metres(read_bvh(path.read_bytes(), path.name), path.name)
    return retarget(source, mapping, _character())


def _manifest(path: Path) -> Any:
    return checked_manifest(Store(path.parent).read_json(path.name), "m", 1, path.name)


def _lease(path: Path) -> Any:
    """What waits for a lease asks of its file: who holds it, and whether that is somebody who runs no more."""
    data = path.read_bytes()
    holder = _Holder.read(data)
    return _token(data), holder is not None and holder.is_dead_here(_Holder.here())


def _rates(path: Path) -> Any:
    _sampler().set_fail_rates(_load_fail_rates(str(path)), str(path))


@functools.lru_cache(maxsize=None)
def _sampler() -> MotionSampler:
    library: Any = SimpleNamespace(weights=torch.ones(3))  # all that it takes of one
    return MotionSampler(library, 0.01, torch.Generator(), True)


def _history(path: Path) -> Any:
    return read_history(path.parent)


READERS: Dict[str, Tuple[str, Callable[[Path], Any]]] = {
    "motion": ("x.pkl", read_motion_terrain),
    "legacy": ("x.pkl", _convert),
    "npz": ("x.npz", _convert),
    "npy": ("x.npy", _capture),
    "amass": ("x.npz", _capture),
    "take": ("x.bvh", _take),
    "boxes": ("x.obj", lambda path: read_obj(path.read_bytes(), path.name)),
    "motions.yaml": ("motions.yaml", read_motions_yaml),
    "env config": ("env.yaml", load_env_config),
    "tracker config": ("tracker.yaml", load_tracker_config),
    "model": ("model.pt", read_model_file),
    "manifest": ("manifest.json", _manifest),
    "evaluation": ("evaluation.json", load_evaluation),
    "merge result": ("manifest.json", read_merge_result),
    "train args": ("train_args.txt", read_train_args),
    "claim": ("models/m/1/claim.json", lambda path: read_claim(Store(path.parents[3]), "m", 1)),
    "alias": ("models/m/aliases/best.json", lambda path: read_alias(Store(path.parents[3]), "m", "best")),
    "lease": ("lease.json", _lease),
    "failure rates": ("rates.pt", _rates),
    "recording": ("recording.json", lambda path: load_recording(path.parent)),
    "log": ("log.txt", _history),
}


class _Evil:
    def __init__(self, call: str) -> None:
        self._call = call

    def __reduce__(self) -> Any:
        return os.system, (self._call,)


def cases(seed: int, count: int, trap: Path) -> Iterator[Case]:
    """(reader, bytes) of so many inputs; their code, if it ran, would make the file `trap`."""
    chance = random.Random(seed)
    samples = {name: _samples(name, trap) for name in READERS}
    structures = fuzz_values.valid()
    names = list(READERS)
    for number in range(count):
        name = names[number % len(names)]
        pool, values = samples[name], structures.get(name, [])
        whole = number // len(names)  # each sample as it is, then changed ones
        if whole < len(pool):
            yield name, pool[whole]
        elif values and chance.random() < 0.5:
            yield name, fuzz_values.changed(chance.choice(values), chance)
        else:
            yield name, _changed(chance.choice(pool), chance)


def _changed(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, cut, repeated, inserted or exchanged, a few times."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at, length = chance.randrange(len(changed) + 1), chance.choice((1, 2, 8, 64))
        kind = chance.randrange(5)
        if kind == 0 and at < len(changed):
            changed[at] = chance.randrange(256)
        elif kind == 1:
            del changed[at : at + length]
        elif kind == 2:
            changed[at:at] = changed[at : at + length] * chance.choice((1, 2, 100))
        elif kind == 3:
            changed[at:at] = chance.choice(_TOKENS)
        else:
            del changed[at:]
    return bytes(changed)


_TOKENS = [
    b"\x85",
    b"h\x00h\x00\x86",
    b"R",
    b"b",
    b"\xff\xff\xff\x7f",
    b"\x00",
    b"*a",
    b"&a ",
    b"[",
    b"{",
    b"- ",
    b": ",
]
_TOKENS += [
    b"!!int ",
    b"1e999",
    b".nan",
    b"-1",
    b"9" * 5000,
    b"\\ud800",
    b"[/]",
    b"null",
    b"2001-99-99",
    b"\n",
]


def _samples(name: str, trap: Path) -> List[bytes]:
    kind = READERS[name][0].rpartition(".")[2]
    valid = [fuzz_values.encoded(case) for case in fuzz_values.valid().get(name, [])]
    return valid + {
        "pkl": _pickles,
        "npz": _archives,
        "npy": _arrays,
        "obj": lambda _: [_BOX, b"v 1 2\n", b"v 0 0 1e400\nf 1 1 1\n", b"f " + b"1 " * 50_000, b""],
        "bvh": _takes,
        "yaml": _yaml,
        "pt": _tensors,
        "json": _json,
        "txt": _logs,
    }[kind](trap)


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
    real = make_motion("stand", 0, _character())
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
    real = converted_bytes(make_motion("stand", 0, _character()), "npz", "stand")
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


class _TooLong(BaseException):
    """The budget of time is used up."""


def _alarm(*_: Any) -> None:
    raise _TooLong


def outcome(name: str, data: bytes, folder: Path) -> Tuple[str, str]:
    """What a reader makes of an input: one of `OUTCOMES`, and the error's class and beginning."""
    path = folder / READERS[name][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, BUDGET_S)
    try:
        READERS[name][1](path)
        found = "value", ""
    except ParcError as error:
        found = (
            ("refused" if len(str(error)) < 5000 and "\n" not in str(error) else "raw traceback"),
            str(error)[:200],
        )
    except (_TooLong, MemoryError) as error:
        found = "over budget", type(error).__name__
    except Exception as error:  # noqa: BLE001 - whatever else it is, it is what is looked for
        found = "raw traceback", f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        path.unlink()
    return found


def _work(seed: int, count: int, first: int, folder: Path, answers: Any) -> None:
    """Reads the inputs from number `first` on; says before each which it is."""
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    for number, (name, data) in enumerate(cases(seed, count, folder / _TRAP)):
        if number >= first:
            answers.send((number, name, None))
            answers.send((number, name, outcome(name, data, folder)))
    answers.send(None)


def measure(seed: int, count: int) -> List[Dict[str, Any]]:
    """The outcome of each input: `number`, `reader`, `outcome`, `error`."""
    context = multiprocessing.get_context("fork")
    rows: List[Dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        while len(rows) < count:
            theirs, ours = context.Pipe(duplex=True)
            child = context.Process(target=_work, args=(seed, count, len(rows), folder, theirs), daemon=True)
            child.start()
            theirs.close()
            found = _answers(ours)
            child.kill()
            child.join()
            if not found:
                raise RuntimeError(f"no answer for input {len(rows)}: the harness itself has failed")
            rows += found
        if (folder / _TRAP).exists():
            rows[-1] = {**rows[-1], "outcome": "executed", "error": "code of an input ran"}
    return rows


def _answers(pipe: Any) -> List[Dict[str, Any]]:
    """Of one child, until it is done, dies, or is silent for too long; what it was at then is over budget."""
    rows: List[Dict[str, Any]] = []
    at: Optional[Tuple[int, str]] = None
    while True:
        try:
            answer: Any = pipe.recv() if pipe.poll(4 * BUDGET_S) else EOFError
        except EOFError:
            answer = EOFError
        if answer is EOFError:
            if at is not None:
                rows.append(_row(*at, "over budget", "hung, or died"))
            return rows
        if answer is None:
            return rows
        number, name, found = answer
        at = (number, name) if found is None else None
        if found is not None:
            rows.append(_row(number, name, *found))


def _row(number: int, name: str, found: str, error: str) -> Dict[str, Any]:
    return {"number": number, "reader": name, "outcome": found, "error": error}


def table(rows: List[Dict[str, Any]]) -> Table:
    """Counts of outcomes by reader."""
    shown = Table(title=f"{len(rows):,} hostile and broken inputs")
    shown.add_column("reader")
    for name in OUTCOMES:
        shown.add_column(name, justify="right")
    for reader in [*READERS, "all"]:
        counts = Counter(row["outcome"] for row in rows if reader in (row["reader"], "all"))
        shown.add_row(reader, *(f"{counts[name]:,}" for name in OUTCOMES))
    return shown


def main(argv: Sequence[str]) -> None:
    """Prints the table, and what fell short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="inputs, spread over all readers")
    parser.add_argument("--seed", type=int, default=0, help="of the changes")
    args = parser.parse_args(argv)
    start = time.monotonic()
    rows = measure(args.seed, args.count)
    print_table(table(rows))
    short = [row for row in rows if row["outcome"] not in ("value", "refused")]
    for row in short[:50]:
        print(f"{row['number']} {row['reader']}: {row['outcome']}: {escape(row['error'])}")
    print(f"{time.monotonic() - start:.0f} s")
    raise SystemExit(1 if short else 0)
