"""Python objects with the names, signatures and attribute types of Isaac Gym's stub, which refuse everything else."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from tests.engines.isaac_gym.isaac_types import stub_text

NUMBERS = {"int": (int, np.integer), "float": (int, float, np.floating), "bool": (bool,), "str": (str,)}
DEFAULTS: dict[str, Any] = {"int": 0, "float": 0.0, "bool": False, "str": ""}


@dataclass(frozen=True)
class Signature:
    """Parameters without self: (name, annotation, has a default)."""

    name: str
    parameters: tuple[tuple[str, str, bool], ...]

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name; TypeError as pybind11 raises it for a wrong number, keyword or type."""
        names = [name for name, _, _ in self.parameters]
        if len(args) > len(names):
            raise TypeError(f"{self.name} takes {len(names)} arguments, {len(args)} were given")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            # pybind11 calls a parameter without a name arg0, arg1, …: it has no keyword.
            if name not in names or name in given or re.fullmatch(r"arg\d+", name):
                raise TypeError(f"{self.name} has no keyword {name!r} here")
            given[name] = value
        for name, annotation, optional in self.parameters:
            if name not in given and not optional:
                raise TypeError(f"{self.name} misses {name}")
            if name in given:
                check_type(f"{self.name}: {name}", annotation, given[name])
        return given


def check_type(where: str, annotation: str, value: Any) -> None:
    """TypeError where a value is not what the stub says; annotations that it does not understand pass."""
    if annotation in NUMBERS:
        if not isinstance(value, NUMBERS[annotation]) or (
            isinstance(value, bool) and annotation in ("int", "float")
        ):
            raise TypeError(f"{where} must be {annotation}, is {value!r}")
        return
    array = re.match(r"numpy\.ndarray\[Any, numpy\.dtype\[(?:numpy\.)?(\w+)\]\]", annotation)
    if array:
        if not isinstance(value, np.ndarray) or value.dtype.name != array[1] or value.ndim != 1:
            raise TypeError(f"{where} must be a flat array of {array[1]}")
    elif annotation in classes() and not isinstance(value, classes()[annotation]):
        raise TypeError(f"{where} must be {annotation}, is {value!r}")


class Struct:
    """Base of the stub's classes: attributes of the stub alone, values of their types."""

    attributes: ClassVar[dict[str, str]] = {}
    init = Signature("", ())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = self.init.bind(args, kwargs)
        for name, annotation in self.attributes.items():
            if name in given:
                object.__setattr__(self, name, given[name])
            elif annotation in DEFAULTS:
                object.__setattr__(self, name, DEFAULTS[annotation])
            elif annotation in classes() and all(o for _, _, o in classes()[annotation].init.parameters):
                object.__setattr__(self, name, classes()[annotation]())

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.attributes:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        check_type(f"{type(self).__name__}.{name}", self.attributes[name], value)
        object.__setattr__(self, name, value)


class Member(Struct):
    """A member of one of the stub's enumerations."""

    def __init__(self, name: str, number: int) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "number", number)

    def __int__(self) -> int:
        return int(self.number)  # type: ignore[attr-defined]


@lru_cache
def stub() -> ast.Module:
    return ast.parse(stub_text())


@lru_cache
def classes() -> dict[str, type[Struct]]:
    """All classes of the stub, by name."""
    made: dict[str, type[Struct]] = {}
    for node in stub().body:
        if isinstance(node, ast.ClassDef):
            enum = any(
                isinstance(n, ast.AnnAssign) and ast.unparse(n.target) == "__members__" for n in node.body
            )
            fields = {
                ast.unparse(n.target): ast.unparse(n.annotation)
                for n in node.body
                if isinstance(n, ast.AnnAssign) and "ClassVar" not in ast.unparse(n.annotation)
            }
            init = signatures(node).get("__init__", Signature(node.name, ()))
            made[node.name] = type(
                node.name, (Member if enum else Struct,), {"attributes": fields, "init": init}
            )
    return made


def signatures(node: ast.ClassDef) -> dict[str, Signature]:
    """The methods of one class; of `*args` methods the signature that their text begins with."""
    found = {}
    for function in node.body:
        if not isinstance(function, ast.FunctionDef) or any(
            ast.unparse(d) == "property" for d in function.decorator_list
        ):
            continue
        if function.args.vararg is not None:
            text = (ast.get_docstring(function) or "").strip().split("\n")[0]
            match = re.match(rf"{function.name}\((.*)\) -> ", text)
            if match is None:
                continue  # without a known signature it cannot be called
            # Not all annotations of the text are Python.
            words = [part.split(":")[0].strip() for part in match[1].split(",")]
            optional = ["=" in part for part in match[1].split(",")]
            parameters = [(w, "Any", o) for w, o in zip(words[1:], optional[1:], strict=True)]
        else:
            plain = function.args.args[1:]
            optional = [i >= len(plain) - len(function.args.defaults) for i in range(len(plain))]
            parameters = [
                (a.arg, ast.unparse(a.annotation) if a.annotation else "Any", o)
                for a, o in zip(plain, optional, strict=True)
            ]
        found[function.name] = Signature(function.name, tuple(parameters))
    return found


@lru_cache
def gym_signatures() -> dict[str, Signature]:
    """The methods of class Gym."""
    (node,) = (n for n in stub().body if isinstance(n, ast.ClassDef) and n.name == "Gym")
    return signatures(node)


def module_names(acquire_gym: Callable[[], Any]) -> dict[str, Any]:
    """What `isaacgym.gymapi` offers: its classes, constants and enumerations' members."""
    names: dict[str, Any] = dict(classes())
    for number, node in enumerate(stub().body):
        if isinstance(node, ast.AnnAssign):
            kind, name = ast.unparse(node.annotation), ast.unparse(node.target)
            if kind in classes():
                names[name] = classes()[kind](name, number)  # type: ignore[call-arg]
            elif node.value is not None:
                names[name] = ast.literal_eval(node.value)
    return {**names, "acquire_gym": acquire_gym}
