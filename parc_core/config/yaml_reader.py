"""The one reader of YAML: plain values, strictly.

Files of other people come through here, so nothing that a file holds costs more than its size: containers are built
from the parser's events without recursion, and aliases may repeat only so much. What YAML 1.1 quietly turns into
something else than it looks like (`1:30` into 90, `010` into 8) is an error, and so is a key given twice.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NoReturn, Optional, Type

import yaml

from parc_core.errors import ConfigError, ParcError
from parc_core.system.files import PathLike, open_regular

MAX_BYTES = 4 << 20
"""A config file is never larger."""
MAX_DEPTH = 50
"""Lists and mappings inside each other."""
MAX_REPEATED = 100_000
"""Values that aliases may repeat in all; a long text counts as several."""
_TEXT_OF_ONE = 100  # characters that count as one value
MAX_NUMBER = 400
"""Characters of a number; a float has at most 309 digits before its point."""
_MAX_KEY_BITS = 64  # hashes of larger numbers can be made equal at will

_EVENTS = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"
_DIGITS = re.compile(r"[-+]?[0-9][0-9_,.:]*")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_OCTAL = re.compile(r"[-+]?0[0-7_]+")


def read_text(
    path: PathLike,
    error: Type[ParcError] = ConfigError,
    what: str = "config",
    max_bytes: int = MAX_BYTES,
    where_missing: str = "check the path",
) -> str:
    """The text of a file, where it is a regular one, UTF-8 and not too large.

    Args:
        path: the file.
        error: what is raised.
        what: what the file is to be, for the message.
        max_bytes: limit.
        where_missing: what to do where there is none, for the message.
    """
    try:
        with open_regular(path) as file:
            data = file.read(max_bytes + 1)
        if len(data) <= max_bytes:
            return data.decode("utf-8").replace("\r\n", "\n")
    except FileNotFoundError:
        raise error(f"{path}: there is no such {what} file; {where_missing}") from None
    except (OSError, UnicodeDecodeError, ValueError) as problem:
        raise error(f"{path}: cannot be read as a {what} ({_one_line(problem)})") from None
    raise error(f"{path}: is larger than {max_bytes >> 20} MiB, so it is no {what} file")


def parse_yaml(text: str, where: str, error: Type[ParcError] = ConfigError) -> Any:
    """The value of a YAML document: None, bool, int, float, str, and lists and mappings of these.

    Dates stay texts. Aliases and merge keys (`<<`) are followed.

    Args:
        text: the document.
        where: file name for messages.
        error: what is raised.

    Raises:
        ParcError: `error`, in one line with the place: broken YAML, a key given twice, a tag that is not plain YAML, a
            number that is not what it looks like, too deep, too much repeated by aliases.
    """
    try:
        return _Builder(where, error).build(yaml.parse(text, Loader=_EVENTS))
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        words = getattr(problem, "problem", None) or _one_line(problem)
        raise error(f"{where}{line}: broken YAML: {_one_line(words)}") from None
    except UnicodeEncodeError:
        raise error(f"{where}: broken YAML: characters that are not Unicode text") from None


class _Open:
    """A list or mapping whose end has not been read."""

    __slots__ = ("anchor", "key", "merged", "size", "value", "wants_key")

    def __init__(self, value: Any, anchor: Optional[str]) -> None:
        self.value = value
        self.anchor = anchor
        self.size = 1  # values in it, itself included, those repeated by aliases too
        self.wants_key = isinstance(value, dict)
        self.key: Any = None
        self.merged: List[Dict[Any, Any]] = []


class _Named:
    """What an anchor names: the value and its size, or nothing while it is being read."""

    __slots__ = ("size", "value")

    def __init__(self, value: Any, size: int) -> None:
        self.value = value
        self.size = size


class _Merge:
    """The key `<<`, unquoted."""


class _Builder:
    def __init__(self, where: str, error: Type[ParcError]) -> None:
        self._where = where
        self._error = error
        self._open: List[_Open] = []
        self._named: Dict[str, Optional[_Named]] = {}
        self._repeated = 0
        self._documents = 0
        self._result: Any = None

    def build(self, events: Any) -> Any:
        for event in events:
            if isinstance(event, yaml.ScalarEvent):
                value, size = self._scalar(event), 1 + len(event.value) // _TEXT_OF_ONE
                self._name(event.anchor, value, size)
                self._put(value, size, event)
            elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                self._start(event)
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._end(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    self._fail(event, "a second document begins ('---'); a file holds one")
        return self._result

    def _fail(self, event: Any, problem: str) -> NoReturn:
        raise self._error(f"{self._where}, line {event.start_mark.line + 1}: broken YAML: {problem}")

    def _start(self, event: Any) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in (None, "!", _TAG + ("map" if mapping else "seq")):
            self._fail(event, f"the tag {shown(event.tag)} is not for plain values; remove it")
        if self._open and self._open[-1].wants_key:
            self._fail(event, "a list or mapping is no key")
        if len(self._open) >= MAX_DEPTH:
            self._fail(event, f"lists and mappings inside each other, more than {MAX_DEPTH} deep")
        self._name(event.anchor, None, 0)
        self._open.append(_Open({} if mapping else [], event.anchor))

    def _end(self, event: Any) -> None:
        ended = self._open.pop()
        for other in ended.merged:
            for key, value in other.items():
                ended.value.setdefault(key, value)
        self._name(ended.anchor, ended.value, ended.size)
        self._put(ended.value, ended.size, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._named:
            self._fail(event, f"the alias *{shown(event.anchor)} names nothing")
        named = self._named[event.anchor]
        if named is None:
            self._fail(event, f"*{shown(event.anchor)} stands inside what it names")
        self._repeated += named.size
        if self._repeated > MAX_REPEATED:
            self._fail(event, f"aliases repeat more than {MAX_REPEATED:,} values")
        self._put(named.value, named.size, event)

    def _name(self, anchor: Optional[str], value: Any, size: int) -> None:
        if anchor is not None:
            self._named[anchor] = _Named(value, size) if size else None

    def _put(self, value: Any, size: int, event: Any) -> None:
        if not self._open:
            self._result = value
            return
        parent = self._open[-1]
        parent.size += size
        if isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.wants_key:
            self._take_key(parent, value, event)
        else:
            parent.wants_key = True
            if parent.key is _Merge:
                self._merge(parent, value, event)
            else:
                parent.value[parent.key] = value

    def _take_key(self, parent: _Open, key: Any, event: Any) -> None:
        if isinstance(key, (list, dict)):
            self._fail(event, "a list or mapping is no key")
        if isinstance(key, int) and key.bit_length() > _MAX_KEY_BITS:
            self._fail(event, "a number of this size is no key")
        if key is not _Merge and key in parent.value:
            self._fail(event, f"key '{shown(key)}' is given twice; remove one")
        parent.key, parent.wants_key = key, False

    def _merge(self, parent: _Open, value: Any, event: Any) -> None:
        for other in value if isinstance(value, list) else [value]:
            if not isinstance(other, dict):
                self._fail(event, "'<<' takes a mapping or a list of mappings")
            parent.merged.append(other)

    def _scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        plain = event.implicit[0]
        if plain and tag in (None, "!"):
            if text == _MERGE and self._open and self._open[-1].wants_key:
                return _Merge
            return self._resolved(text, event)
        if any("\ud800" <= c <= "\udfff" for c in text):  # by its escape, \ud800
            self._fail(event, "half a character (a lone surrogate)")
        if tag in (None, "!", _TAG + "str") or event.implicit[1]:
            return text
        value = self._resolved(text, event)
        wanted: Any = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}.get(
            tag[len(_TAG) :]
        )
        if not tag.startswith(_TAG) or wanted is None:
            self._fail(event, f"the tag {shown(tag)} is not for plain values; remove it")
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            self._fail(event, f"'{shown(text)}' is no {tag[len(_TAG) :]}, as its tag says")
        return float(value) if tag == _TAG + "float" else value

    def _resolved(self, text: str, event: Any) -> Any:
        """A plain scalar as the number, truth value or null that it is, else the text."""
        if len(text) > MAX_NUMBER:
            if _DIGITS.fullmatch(text):
                self._fail(event, f"a number of {len(text)} characters; if it is a text, put it into quotes")
            return text
        kind = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))[len(_TAG) :]
        if kind == "null":
            return None
        if kind == "bool":
            return yaml.SafeLoader.bool_values[text.lower()]
        if kind not in ("int", "float"):
            return text
        if _SEXAGESIMAL.fullmatch(text):
            self._fail(event, f"'{text}' means a number to base 60; write the number, or put it into quotes")
        if _OCTAL.fullmatch(text):
            self._fail(event, f"'{text}' means an octal number; write it without 0, or put it into quotes")
        try:
            return _number(text.replace("_", "").lower(), kind)
        except ValueError:  # such as 0x_
            return text


def _number(text: str, kind: str) -> Any:
    if kind == "int":
        return int(text, 0)
    return float(text.replace(".", "") if text.endswith((".inf", ".nan")) else text)


def shown(value: Any) -> str:
    """A key or text from a file, fit for a one-line message."""
    text = str(value)[:81]
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean if len(clean) <= 80 else clean[:79] + "…"


def _one_line(error: Any) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:299] + "…"
