"""BVH files of motion capture: a skeleton as text, then one line of numbers per frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterator, List, NoReturn, Tuple

import numpy as np

from parc_core.errors import DataError
from parc_core.motion.formats.numbers import MAX_FPS
from parc_core.motion.formats.safe_pickle import printable
from parc_core.motion.skeleton import multiply, rotate

MAX_BYTES = 512 << 20
"""Of a file: six hours of 60 joints."""
_MAX_JOINTS = 1000
_MAX_DEPTH = 200
_MAX_HEADER = 1 << 20
_LARGEST = 1e7  # of any number: a kilometre in 0.1 mm
_CHANNELS = {
    f"{axis}{kind}".lower(): (kind, k) for k, axis in enumerate("XYZ") for kind in ("position", "rotation")
}
_MOTION = re.compile(
    r"\s*Frames:[ \t]*(\d{1,9})[ \t]*\r?\n\s*Frame[ \t]+Time:[ \t]*(\S{1,40})[ \t]*(?:\r?\n|$)", re.IGNORECASE
)


@dataclass(frozen=True)
class BvhMotion:
    """A BVH file's motion, in the file's own units and axes. End Sites are joints, too ("Head_end")."""

    names: Tuple[str, ...]
    parents: np.ndarray
    """(J,) int64, -1 at the root."""
    rest_positions: np.ndarray
    """(J, 3): where the joints are when all channels are zero."""
    positions: np.ndarray
    """(T, J, 3), global."""
    rotations: np.ndarray
    """(T, J, 4) xyzw, global."""
    fps: float


@dataclass
class _Joint:
    name: str
    parent: int
    offset: Tuple[float, float, float]
    channels: List[Tuple[str, int]]
    first: int
    """Column of its first channel."""


def is_bvh(data: bytes) -> bool:
    """Whether a file begins as a BVH file."""
    return data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n").upper().startswith(b"HIERARCHY")


def read_bvh(data: bytes, where: str) -> BvhMotion:
    """Reads a file: any order of channels, position channels on any joint (they take the place of its OFFSET).

    Args:
        data: the file's content.
        where: its name for messages.

    Raises:
        DataError: not a BVH file, broken (with the line), or beyond the limits above.
    """
    head, separator, rest = _text(data, where).partition("MOTION")
    if not head.lstrip().upper().startswith("HIERARCHY") or not separator:
        raise DataError(f"{where}: not a BVH file (HIERARCHY, then MOTION); check which file this is")
    joints = _Hierarchy(head, where).joints
    line = head.count("\n") + 2  # the one below MOTION
    match = _MOTION.match(rest)
    if match is None:
        raise DataError(f"{where}, line {line}: 'Frames: COUNT' and 'Frame Time: SECONDS' must follow MOTION")
    count, fps = int(match.group(1)), _frame_rate(match.group(2), where)
    width = sum(len(joint.channels) for joint in joints)
    values = _numbers(rest[match.end() :], count, width, where)
    positions, rotations = _forward(joints, values)
    zeros, _ = _forward([_at_rest(joint) for joint in joints], np.zeros((1, 0)))
    parents = np.array([joint.parent for joint in joints], dtype=np.int64)
    return BvhMotion(tuple(joint.name for joint in joints), parents, zeros[0], positions, rotations, fps)


def _text(data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        raise DataError(
            f"{where}: has {len(data) >> 20} MiB, at most {MAX_BYTES >> 20} are read; cut the take"
        )
    # Names in other encodings are seen; they are only compared and printed.
    return data[3 if data.startswith(b"\xef\xbb\xbf") else 0 :].decode("utf-8", "replace")


def _frame_rate(text: str, where: str) -> float:
    seconds = _float(text)
    if not 1.0 / MAX_FPS <= seconds <= 2.0:
        raise DataError(f"{where}: Frame Time is {printable(text)} s; {1 / MAX_FPS:g} to 2 are read")
    fps = 1.0 / seconds
    # Files round it: 0.0333333 is 30 a second, 0.00833333 is 120.
    return float(round(fps)) if abs(fps - round(fps)) < 1e-3 * fps and round(fps) > 0 else fps


def _numbers(text: str, count: int, width: int, where: str) -> np.ndarray:
    """(T, C) float64."""
    if "_" in text:
        raise DataError(f"{where}: a frame holds something else than numbers")
    tokens = text.split()
    if width == 0 or count < 1 or len(tokens) != count * width:
        found = f"{len(tokens)} numbers follow"
        raise DataError(
            f"{where}: Frames says {count} of {width} channels, but {found}; the file is cut off or damaged"
        )
    try:
        values = np.array(tokens, dtype=np.float64).reshape(count, width)
    except ValueError:
        raise DataError(f"{where}: a frame holds something else than numbers") from None
    if not (np.abs(values) <= _LARGEST).all():
        frame = int(np.argmax(~(np.abs(values) <= _LARGEST).all(axis=1)))
        raise DataError(f"{where}: frame {frame} holds a number that is not finite or beyond {_LARGEST:g}")
    return values


def _float(text: str) -> float:
    try:
        value = float(text) if "_" not in text else np.nan
    except ValueError:
        value = np.nan
    return value if abs(value) <= _LARGEST else np.nan


class _Hierarchy:
    """Reads the skeleton token by token, without recursion."""

    def __init__(self, text: str, where: str) -> None:
        if len(text) > _MAX_HEADER:
            raise DataError(f"{where}: the skeleton takes more than {_MAX_HEADER >> 20} MiB of text")
        self._where, self._line = where, 0
        self._tokens = self._split(text)
        self.joints: List[_Joint] = []
        self._columns = 0
        next(self._tokens)  # HIERARCHY
        self._read()

    def _split(self, text: str) -> Iterator[str]:
        for number, line in enumerate(text.splitlines(), start=1):
            words = line.split()
            # A name may hold spaces ("Bip01 L Thigh"): all that follows ROOT or JOINT on the line.
            if words and words[0].upper() in ("ROOT", "JOINT") and len(words) > 2:
                name = " ".join(words[1:]).rstrip("{").strip()
                words = [words[0], name, *(["{"] if line.rstrip().endswith("{") else [])]
            for word in words:
                self._line = number
                yield word

    def _fail(self, problem: str) -> NoReturn:
        raise DataError(f"{self._where}, line {self._line}: {problem}")

    def _next(self, wanted: str) -> str:
        token = next(self._tokens, None)
        if token is None:
            self._fail(f"the skeleton ends early, {wanted} is missing")
        return token

    def _expect(self, wanted: str) -> None:
        token = self._next(f"'{wanted}'")
        if token.upper() != wanted:
            self._fail(f"'{printable(token[:40])}' stands where '{wanted}' is needed")

    def _read(self) -> None:
        open_joints: List[int] = []
        for token in self._tokens:
            word = token.upper()
            if word == "}" and open_joints:
                open_joints.pop()
            elif word == "ROOT" and not open_joints and not self.joints:
                open_joints.append(self._joint(self._next("a name"), -1))
            elif word == "JOINT" and open_joints:
                open_joints.append(self._joint(self._next("a name"), open_joints[-1]))
            elif word == "END" and open_joints:
                self._next("'Site'")  # some write a name
                open_joints.append(
                    self._joint(f"{self.joints[open_joints[-1]].name}_end", open_joints[-1], True)
                )
            elif word == "ROOT":
                self._fail("a second ROOT; a file with one skeleton is needed")
            else:
                self._fail(f"'{printable(token[:40])}' is not expected here")
            if len(open_joints) > _MAX_DEPTH or len(self.joints) > _MAX_JOINTS:
                self._fail(f"more than {_MAX_JOINTS} joints, or {_MAX_DEPTH} inside each other")
        if open_joints or not self.joints:
            self._fail("the skeleton ends early, '}' is missing")

    def _joint(self, name: str, parent: int, is_end: bool = False) -> int:
        self._expect("{")
        self._expect("OFFSET")
        offset = tuple(self._number() for _ in range(3))
        channels = [] if is_end else self._channels()
        self.joints.append(_Joint(name, parent, offset, channels, self._columns))  # type: ignore[arg-type]
        self._columns += len(channels)
        return len(self.joints) - 1

    def _channels(self) -> List[Tuple[str, int]]:
        self._expect("CHANNELS")
        token = self._next("a number of channels")
        if token not in ("0", "1", "2", "3", "4", "5", "6"):
            self._fail(f"'{printable(token[:40])}' channels; 0 to 6 are read")
        channels = []
        for _ in range(int(token)):
            name = self._next("a channel")
            if name.lower() not in _CHANNELS:
                self._fail(
                    f"there is no channel '{printable(name[:40])}'; there are Xposition, … and Zrotation"
                )
            channels.append(_CHANNELS[name.lower()])
        if len(set(channels)) < len(channels):
            self._fail("a channel is named twice")
        return channels

    def _number(self) -> float:
        token = self._next("a number")
        value = _float(token)
        if np.isnan(value):
            self._fail(f"'{printable(token[:40])}' is not a number")
        return value


def _at_rest(joint: _Joint) -> _Joint:
    return _Joint(joint.name, joint.parent, joint.offset, [], 0)


def _forward(joints: List[_Joint], values: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
    """Forward kinematics over all frames: (T, C) -> (T, J, 3), (T, J, 4)."""
    count = len(values)
    positions, rotations = np.empty((count, len(joints), 3)), np.empty((count, len(joints), 4))
    for index, joint in enumerate(joints):
        place = np.tile(np.array(joint.offset), (count, 1))
        turn = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (count, 1))
        for column, (kind, axis) in enumerate(joint.channels, start=joint.first):
            if kind == "position":
                place[:, axis] = values[:, column]
            else:
                half = np.deg2rad(values[:, column]) * 0.5
                step = np.zeros((count, 4))
                step[:, axis], step[:, 3] = np.sin(half), np.cos(half)
                turn = multiply(turn, step)
        if joint.parent >= 0:
            above = rotations[:, joint.parent]
            place = positions[:, joint.parent] + rotate(above, place)
            turn = multiply(above, turn)
        positions[:, index], rotations[:, index] = place, turn
    return positions, rotations
