"""Runs the opcodes of a pickle on plain values: nothing but a few functions of this project is ever called.

Python's own unpickler hashes whatever a file gives as a key (a tuple that holds itself twice, sixty levels deep, is
never done), calls whatever is callable and reserves what a file asks for. This one takes keys of plain values, calls
stand-ins alone (see `pickle_values`), and stops when a pickle takes more steps or memory than its size allows.
"""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings
from collections import OrderedDict
from typing import IO, Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np

from parc_core.motion.formats.pickle_limits import max_steps

FindClass = Callable[[str, str], Any]

_MAX_ARGUMENTS = 64
_MAX_KEY_DEPTH = 4
_MAX_KEY_ITEMS = 64
_MAX_DIGITS = 4000
"""Decimal text of this length is read in no time; its time grows with the square of the length."""

_LONG_TEXT = re.compile(rb"[IL][-+_0-9]{%d}" % _MAX_DIGITS)
_PLAIN_KEYS = (str, bytes, bool, float, type(None), np.integer, np.floating, np.bool_, np.str_, np.bytes_)
_PUSH_ARGUMENT = frozenset(
    [
        "INT",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG",
        "LONG1",
        "LONG4",
        "FLOAT",
        "BINFLOAT",
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
        "BYTEARRAY8",
        "UNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE",
        "BINUNICODE8",
    ]
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_NEW = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUT = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GET = frozenset(("GET", "BINGET", "LONG_BINGET"))
_NOTHING_TO_DO = frozenset(("PROTO", "FRAME", "READONLY_BUFFER"))


class Callee:
    """Base of what a pickle may call: `made` gives the value, or raises `pickle.UnpicklingError`."""

    __slots__ = ()

    def made(self, arguments: Tuple[Any, ...]) -> Any:
        raise NotImplementedError


class Stateful:
    """Base of what a pickle may set a state on (its `BUILD`)."""

    __slots__ = ()

    def set_state(self, state: Any) -> None:
        raise NotImplementedError


def opcodes(data: bytes, file: Optional[IO[bytes]] = None) -> Iterator[Tuple[str, Any]]:
    """Name and argument of each opcode up to the end of the pickle.

    Args:
        data: all bytes that there are.
        file: where in them to begin, for several pickles one after the other; the beginning by default.

    Raises:
        ValueError: no pickle, or cut short.
        pickle.UnpicklingError: more steps than a pickle of this size may take.
    """
    if _LONG_TEXT.search(data):
        raise pickle.UnpicklingError(f"a number of more than {_MAX_DIGITS} digits")
    left = max_steps(len(data))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in broken text
        for opcode, argument, _ in pickletools.genops(data if file is None else file):
            left -= 1
            if left < 0:
                raise pickle.UnpicklingError("it takes more steps than its size allows")
            yield opcode.name, argument


def run(
    data: bytes,
    find_class: FindClass,
    persistent: Optional[Callable[[Any], Any]] = None,
    file: Optional[IO[bytes]] = None,
) -> Any:
    """The value of a pickle, with stand-ins inside.

    Args:
        data: the pickle.
        find_class: what stands for a global, by module and name: a `Callee`, or an exception.
        persistent: what stands for an object outside of the pickle, by its id; by default there are none.
        file: see `opcodes`.

    Raises:
        pickle.UnpicklingError, and what Python raises on broken data: see `safe_pickle`.
    """
    machine = _Machine(find_class, len(data), persistent)
    for name, argument in opcodes(data, file):
        machine.step(name, argument)
    return machine.top()


def check_key(key: Any, depth: int = _MAX_KEY_DEPTH) -> Any:
    """The key, where hashing it is cheap: a plain value, or a small tuple of those.

    Raises:
        pickle.UnpicklingError: anything else.
    """
    if isinstance(key, int):
        if key.bit_length() > 64:  # their hashes can be made equal at will
            raise pickle.UnpicklingError("a key beyond 64 bits")
    elif isinstance(key, tuple):
        if depth == 0 or len(key) > _MAX_KEY_ITEMS:
            raise pickle.UnpicklingError("a key that is a large or deep tuple")
        for item in key:
            check_key(item, depth - 1)
    elif not isinstance(key, _PLAIN_KEYS):
        raise pickle.UnpicklingError(f"a key that is a {type(key).__name__}")
    elif isinstance(key, (float, np.floating)) and np.isnan(key):  # all have one hash in Python 3.8
        raise pickle.UnpicklingError("a key that is not a number")
    return key


class _Machine:
    def __init__(
        self, find_class: FindClass, size: int, persistent: Optional[Callable[[Any], Any]] = None
    ) -> None:
        self._find_class = find_class
        self._persistent = persistent
        self._size = size
        self._stack: List[Any] = []
        self._below: List[List[Any]] = []  # the stacks below the marks
        self._memo: Dict[int, Any] = {}

    def top(self) -> Any:
        return self._stack[-1]

    def step(self, name: str, argument: Any) -> None:
        """One opcode."""
        stack = self._stack
        if name in _PUSH_ARGUMENT:
            stack.append(argument)
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in _PUT:
            if argument > self._size:
                raise pickle.UnpicklingError(f"memo place {argument}")
            self._memo[argument] = stack[-1]
        elif name in _GET:
            if argument not in self._memo:
                raise pickle.UnpicklingError(f"memo place {argument} is empty")
            stack.append(self._memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            if len(stack) < count:
                raise pickle.UnpicklingError("stack underflow")
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "MARK":
            self._below.append(stack)
            self._stack = []
        else:
            self._step_otherwise(name, argument)

    def _step_otherwise(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _NEW:
            self._stack.append(_NEW[name]())
        elif name not in _NOTHING_TO_DO:
            handle = getattr(self, f"_{name.lower()}", None)
            if handle is None:  # extension codes, persistent ids, buffers outside the pickle
                raise pickle.UnpicklingError(f"opcode {name} is not for files")
            handle(argument)

    def _above_mark(self) -> List[Any]:
        items = self._stack
        self._stack = self._below.pop()
        return items

    def _target(self, kind: type) -> Any:
        target = self._stack[-1]
        if not isinstance(target, kind):
            raise pickle.UnpicklingError(f"items for a {type(target).__name__}")
        return target

    def _stop(self, _: Any) -> None:
        self.top()  # an empty stack is an error

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._above_mark()

    def _pop_mark(self, _: Any) -> None:
        self._above_mark()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _tuple(self, _: Any) -> None:
        made = tuple(self._above_mark())
        self._stack.append(made)

    def _list(self, _: Any) -> None:
        made = self._above_mark()
        self._stack.append(made)

    def _dict(self, _: Any) -> None:
        made = _filled({}, self._above_mark())
        self._stack.append(made)

    def _frozenset(self, _: Any) -> None:
        made = frozenset([check_key(item) for item in self._above_mark()])
        self._stack.append(made)

    def _append(self, _: Any) -> None:
        item = self._stack.pop()
        self._target(list).append(item)

    def _appends(self, _: Any) -> None:
        items = self._above_mark()
        self._target(list).extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        _filled(self._target(dict), (key, value))

    def _setitems(self, _: Any) -> None:
        items = self._above_mark()
        _filled(self._target(dict), items)

    def _additems(self, _: Any) -> None:
        items = self._above_mark()
        self._target(set).update([check_key(item) for item in items])

    def _global(self, argument: str) -> None:
        self._stack.append(self._find_class(*argument.split(" ", 1)))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise pickle.UnpicklingError("a global without a name")
        self._stack.append(self._find_class(module, name))

    def _binpersid(self, _: Any) -> None:
        if self._persistent is None:
            raise pickle.UnpicklingError("objects outside of the pickle")
        self._stack.append(self._persistent(self._stack.pop()))

    def _reduce(self, _: Any) -> None:
        arguments, callee = self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(callee, arguments))

    _newobj = _reduce

    def _newobj_ex(self, _: Any) -> None:
        self._stack.pop()  # arguments by name: nothing here takes any
        self._reduce(None)

    def _obj(self, _: Any) -> None:
        callee, *arguments = self._above_mark()
        self._stack.append(self._call(callee, tuple(arguments)))

    def _inst(self, argument: str) -> None:
        callee = self._find_class(*argument.split(" ", 1))
        arguments = tuple(self._above_mark())
        self._stack.append(self._call(callee, arguments))

    def _call(self, callee: Any, arguments: Any) -> Any:
        if not isinstance(callee, Callee) or not isinstance(arguments, tuple):
            raise pickle.UnpicklingError(f"a call of a {type(callee).__name__}")
        if len(arguments) > _MAX_ARGUMENTS:
            raise pickle.UnpicklingError(f"a call with {len(arguments)} arguments")
        return callee.made(arguments)

    def _build(self, _: Any) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, OrderedDict) and not state:
            return
        if not isinstance(target, Stateful):
            raise pickle.UnpicklingError(f"state set on a {type(target).__name__}")
        target.set_state(state)


def _filled(target: Dict[Any, Any], items: Sequence[Any]) -> Dict[Any, Any]:
    if len(items) % 2:
        raise pickle.UnpicklingError("a key without a value")
    for place in range(0, len(items), 2):
        target[check_key(items[place])] = items[place + 1]
    return target
