"""Single MJCF elements: default classes, numbers, orientations, joint ranges, geoms."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Dict, List, Optional, Sequence, Tuple

from parc_core.character.model import Geom, _volume
from parc_core.errors import DataError

_GEOM_SIZES = {"sphere": 1, "capsule": 2, "cylinder": 2, "box": 3, "ellipsoid": 3}
_WATER = 1000.0  # kg/m³, MuJoCo's default density
_UNREAD_ORIENTATIONS = ("axisangle", "xyaxes", "zaxis")


class Reader:
    """Reads attributes of elements with the file's defaults and units; every error names file and element."""

    def __init__(self, root: ET.Element, where: str) -> None:
        self._where = where
        self._classes: Dict[str, Dict[str, Dict[str, str]]] = {}
        for default in root.findall("default"):
            self._read_defaults(default, default.get("class", "main"), {})
        compiler = root.find("compiler")
        settings = {} if compiler is None else compiler.attrib
        self._to_rad = 1.0 if settings.get("angle", "degree") == "radian" else math.pi / 180.0
        if settings.get("eulerseq", "xyz") != "xyz":
            raise self.error("<compiler>", f"eulerseq {settings['eulerseq']!r} is not read (xyz)")
        if root.find(".//include") is not None:
            raise self.error("<include>", "is not read: put everything into one file")

    def error(self, element: str, problem: str) -> DataError:
        return DataError(f"{self._where}: {element}: {problem}")

    def _read_defaults(self, default: ET.Element, name: str, inherited: Dict[str, Dict[str, str]]) -> None:
        merged = {tag: dict(values) for tag, values in inherited.items()}
        for element in default:
            if element.tag != "default":
                merged.setdefault(element.tag, {}).update(element.attrib)
        self._classes[name] = merged
        for child in default.findall("default"):
            child_name = child.get("class")
            if not child_name:
                raise self.error("<default>", "a nested default needs a class")
            self._read_defaults(child, child_name, merged)

    def attributes(self, element: ET.Element, childclass: Optional[str]) -> Dict[str, str]:
        """The element's attributes over those of its default class.

        MuJoCo's rule: the element's own `class`, else the nearest `childclass`, else the outermost default.
        """
        name = element.get("class", childclass)
        if name is not None and name not in self._classes:
            where = f"<{element.tag} name={element.get('name', '')!r}>"
            raise self.error(where, f"there is no default class {name!r}")
        merged = dict(self._classes.get(name or "main", {}).get(element.tag, {}))
        merged.update(element.attrib)
        return merged

    def numbers(
        self,
        attributes: Dict[str, str],
        key: str,
        where: str,
        default: Sequence[float],
        count: Optional[int] = None,
    ) -> List[float]:
        """A list of finite numbers; `count` of them where it is given."""
        text = attributes.get(key)
        if text is None:
            return list(default)
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if not values or not all(math.isfinite(v) for v in values):
            raise self.error(where, f"{key}={text!r} is not a list of numbers")
        if count is not None and len(values) != count:
            raise self.error(where, f"{key}={text!r} must have {count} numbers")
        return values

    def not_negative(self, attributes: Dict[str, str], key: str, where: str) -> float:
        value = self.numbers(attributes, key, where, (0.0,), count=1)[0]
        if value < 0:
            raise self.error(where, f"{key}={attributes[key]!r} is negative")
        return value

    def orientation(self, attributes: Dict[str, str], where: str) -> List[float]:
        """Quaternion xyzw from `quat` (wxyz) or `euler` (intrinsic x, y, z)."""
        for key in _UNREAD_ORIENTATIONS:
            if key in attributes:
                raise self.error(where, f"{key} is not read: use quat or euler")
        if "euler" in attributes:
            angles = [a * self._to_rad for a in self.numbers(attributes, "euler", where, (), count=3)]
            return _euler_to_quat(angles)
        w, x, y, z = self.numbers(attributes, "quat", where, (1.0, 0.0, 0.0, 0.0), count=4)
        length = math.sqrt(w * w + x * x + y * y + z * z)
        if length < 1e-9:
            raise self.error(where, "the quaternion has no length")
        return [x / length, y / length, z / length, w / length]

    def joint_range(self, joint: Dict[str, str], where: str, ball: bool) -> Tuple[float, float]:
        """Limits in rad; an unlimited joint may turn by half a turn either way."""
        if "range" not in joint or joint.get("limited", "auto") == "false":
            return -math.pi, math.pi
        lower, upper = (v * self._to_rad for v in self.numbers(joint, "range", where, (), count=2))
        if lower >= upper:
            raise self.error(where, f"range={joint['range']!r} must grow")
        # MuJoCo limits a ball joint by one angle: range="0 angle".
        return (-upper, upper) if ball else (lower, upper)

    def geom(self, element: ET.Element, body: int, fallback_name: str, childclass: Optional[str]) -> Geom:
        """One shape; `mass`, where given, is turned into a density."""
        attributes = self.attributes(element, childclass)
        name = attributes.get("name", fallback_name)
        where = f"<geom name={name!r}>"
        kind = attributes.get("type", "sphere")
        if kind not in _GEOM_SIZES:
            raise self.error(where, f"type {kind!r} is not read ({', '.join(_GEOM_SIZES)})")
        pos = self.numbers(attributes, "pos", where, (0.0, 0.0, 0.0), count=3)
        size, fromto = self.numbers(attributes, "size", where, ()), None
        if "fromto" in attributes:
            if _GEOM_SIZES[kind] != 2:
                raise self.error(where, "fromto is read for capsules and cylinders only")
            fromto = self.numbers(attributes, "fromto", where, (), count=6)
            pos, quat, half_length = _span(fromto)
            size = [*size[:1], half_length]
        else:
            quat = self.orientation(attributes, where)
        size = size[: _GEOM_SIZES[kind]]
        if len(size) < _GEOM_SIZES[kind] or min(size) <= 0:
            raise self.error(where, f"a {kind} needs {_GEOM_SIZES[kind]} positive sizes")
        density = self.not_negative(attributes, "density", where) if "density" in attributes else _WATER
        if "mass" in attributes:
            density = self.not_negative(attributes, "mass", where) / _volume(kind, tuple(size))
        return Geom(
            body, name, kind, tuple(size), tuple(pos), tuple(quat), tuple(fromto) if fromto else None, density
        )


def _span(fromto: Sequence[float]) -> Tuple[List[float], List[float], float]:
    """Centre, orientation (z axis along the line, xyzw) and half length of a line."""
    start, end = fromto[:3], fromto[3:]
    delta = [b - a for a, b in zip(start, end)]
    length = math.sqrt(sum(d * d for d in delta))
    centre = [0.5 * (a + b) for a, b in zip(start, end)]
    if length < 1e-9:
        return centre, [0.0, 0.0, 0.0, 1.0], 0.0
    x, y, z = (d / length for d in delta)
    if z < -1.0 + 1e-9:
        return centre, [1.0, 0.0, 0.0, 0.0], 0.5 * length
    # Half-way rotation from (0, 0, 1) to the direction: (cross, 1 + dot), normalized.
    norm = math.sqrt(2.0 * (1.0 + z))
    return centre, [-y / norm, x / norm, 0.0, (1.0 + z) / norm], 0.5 * length


def _euler_to_quat(angles: Sequence[float]) -> List[float]:
    """Rotations about the moving x, then y, then z axis. rad -> xyzw."""
    (sx, sy, sz), (cx, cy, cz) = [math.sin(0.5 * a) for a in angles], [math.cos(0.5 * a) for a in angles]
    return [
        sx * cy * cz + cx * sy * sz,
        cx * sy * cz - sx * cy * sz,
        cx * cy * sz + sx * sy * cz,
        cx * cy * cz - sx * sy * sz,
    ]
