"""From YAML mappings to typed, frozen dataclasses and back.

A config is a frozen dataclass whose fields carry the YAML's own key names. `from_mapping` checks every key
and every value and raises one-line `ConfigError`s; nothing else in the project reads raw config dictionaries.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import reprlib
from typing import (
    Any,
    Callable,
    Container,
    Dict,
    Iterator,
    List,
    Optional,
    Tuple,
    Type,
    TypeVar,
    get_type_hints,
)

from parc_core.config.values import Mismatch, convert, describe
from parc_core.config.yaml_reader import shown
from parc_core.errors import ConfigError

T = TypeVar("T")

_MISSING = dataclasses.MISSING
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def setting(
    default: Any = _MISSING,
    *,
    above: Optional[float] = None,
    at_least: Optional[float] = None,
    at_most: Optional[float] = None,
    below: Optional[float] = None,
    no_effect: str = "",
    only_default: str = "",
    ours: bool = False,
    shapes_training: bool = True,
    always_fingerprinted: bool = False,
    was: str = "",
) -> Any:
    """A config field.

    Args:
        default: value where the YAML lacks the key; a list or mapping is copied for each config.
        above: numbers (also those inside a list) must be greater than this.
        at_least: numbers must not be smaller than this.
        at_most: numbers must not be greater than this.
        below: numbers must be smaller than this.
        no_effect: why the key is accepted without effect; empty for keys that work.
        only_default: why every value but the default is refused; empty where others work, too.
        ours: PARC's configs do not have the key, and its default is what PARC does. So a training's fingerprint holds
            it only where it is set to something else: trainings from before there was such a key stay the same.
        shapes_training: False for outputs, their pace and room: may change between two parts of one training.
        always_fingerprinted: a key of ours that the fingerprint holds at its default, too, as it always did.
        was: the key's earlier name, which is still read, and stays its name in fingerprints.
    """
    metadata = {
        "above": above,
        "at_least": at_least,
        "at_most": at_most,
        "below": below,
        "no_effect": no_effect,
        "only_default": only_default,
        "ours": ours,
        "shapes_training": shapes_training,
        "always_fingerprinted": always_fingerprinted,
        "was": was,
    }
    if default is _MISSING:
        return dataclasses.field(metadata=metadata)
    if isinstance(default, (list, dict)):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def fixed(default: Any, reason: str) -> Any:
    """A key of PARC's of which another value would change what is learned, in a way that there is not here."""
    return setting(default, only_default=reason, shapes_training=False)


def unheeded(default: Any, reason: str) -> Any:
    """A key of PARC's without effect here, which therefore may change between two parts of a training."""
    return setting(default, no_effect=reason, shapes_training=False)


def section(cls: Callable[[], T]) -> T:
    """A nested config that takes its own defaults where the YAML lacks it."""
    nested: Any = dataclasses.field(default_factory=cls)
    return nested


def from_mapping(cls: Type[T], data: Any, where: str, key: str = "") -> T:
    """Build the config `cls` from a mapping read from YAML.

    Args:
        cls: a dataclass whose fields are the allowed keys.
        data: the mapping; None means empty.
        where: file name (or other source) for the messages.
        key: dotted path of `data` inside the file; empty at the top.

    Raises:
        ConfigError: unknown key (the nearest known one is named), missing key, wrong type, out of range, a key given
            under its earlier name as well.
    """
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise _wrong_type(where, key or "the file", "a mapping of keys to values", data)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    data = _under_current_names(data, fields, where, key)
    hints = get_type_hints(cls)
    for name in data:
        if name not in fields:
            raise ConfigError(_unknown_key_message(name, list(fields), where, key))
    values: Dict[str, Any] = {}
    for name, field in fields.items():
        path = _join(key, name)
        if name in data:
            values[name] = _checked(hints[name], data[name], where, path, field.metadata)
            _check_only_default(values[name], field, where, path)
        elif field.default is _MISSING and field.default_factory is _MISSING:
            raise ConfigError(f"{where}: missing key '{path}'; add it ({describe(hints[name])})")
    try:
        return cls(**values)
    except ConfigError as error:  # from a __post_init__ that checks how keys go together
        raise ConfigError(f"{where}: {error}") from None


def _under_current_names(
    data: Dict[Any, Any], fields: Dict[str, Any], where: str, key: str
) -> Dict[Any, Any]:
    earlier = {f.metadata["was"]: name for name, f in fields.items() if f.metadata.get("was")}
    for old, new in earlier.items():
        if old in data and new in data:
            raise ConfigError(
                f"{where}: '{_join(key, old)}' is the earlier name of '{_join(key, new)}', and both are given; "
                "remove one"
            )
    return {earlier.get(name, name): value for name, value in data.items()}


def to_mapping(cfg: Any) -> Dict[str, Any]:
    """The YAML form of a config: plain containers, key order of the dataclass.

    Keys whose value is None are omitted where None is their default, as PARC tests for presence of those.
    """
    result: Dict[str, Any] = {}
    for field in dataclasses.fields(cfg):
        value = getattr(cfg, field.name)
        if value is None and field.default is None:
            continue
        result[field.name] = to_mapping(value) if dataclasses.is_dataclass(value) else copy.deepcopy(value)
    return result


def settings_in(cfg: Any, key: str = "") -> Iterator[Tuple[str, Any, Any]]:
    """All fields of a config and of the sections inside it: (dotted path of the section, field, value)."""
    for field in dataclasses.fields(cfg):
        value = getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            yield from settings_in(value, _join(key, field.name))
        else:
            yield key, field, value


def check_setting(hint: Any, value: Any, where: str, path: str, field: Any) -> None:
    """Refuses a value that a setting cannot take.

    Args:
        hint: type of the setting's field, whose limits count as well.
        value: as YAML gives it.
        where, path: source and key for the message.

    Raises:
        ConfigError: wrong type, out of range, or another value than the only one that works here.
    """
    _check_only_default(_checked(hint, value, where, path, field.metadata), field, where, path)


def no_effect_warnings(cfg: Any, heeded: Container[str] = ()) -> List[str]:
    """One line for each key that has no effect here and is set away from its default.

    Args:
        cfg: the config.
        heeded: reasons for no effect (texts of `no_effect`) that do not hold here.
    """
    lines: List[str] = []
    for key, field, value in settings_in(cfg):
        reason = field.metadata.get("no_effect", "")
        if reason and reason not in heeded and value != default_of(field):
            lines.append(f"'{_join(key, field.name)}' has no effect here: {reason}")
    return lines


def nearest_key(name: Any, known: List[str]) -> str:
    """The known key that is spelled most like `name`."""
    return difflib.get_close_matches(str(name)[:100], known, n=1, cutoff=0.0)[0]


def _checked(hint: Any, value: Any, where: str, path: str, limits: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_mapping(hint, value, where, path)  # type: ignore[arg-type]
    try:
        converted = convert(hint, value)
    except Mismatch:
        raise _wrong_type(where, path, describe(hint), value) from None
    _check_limits(converted, where, path, limits)
    return converted


def _check_only_default(value: Any, field: Any, where: str, path: str) -> None:
    reason = field.metadata.get("only_default", "")
    if reason and value != default_of(field):
        raise ConfigError(f"{where}: '{path}' is {value!r}, but must be {default_of(field)!r}: {reason}")


def _check_limits(value: Any, where: str, path: str, limits: Any) -> None:
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_limits(item, where, f"{path}[{index}]", limits)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_limits(item, where, _join(path, str(name)), limits)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        tests = (
            ("above", "greater than", lambda bound: value > bound),
            ("at_least", "at least", lambda bound: value >= bound),
            ("at_most", "at most", lambda bound: value <= bound),
            ("below", "less than", lambda bound: value < bound),
        )
        for name, words, holds in tests:
            bound = limits.get(name)
            if bound is not None and not holds(bound):
                raise ConfigError(
                    f"{where}: '{path}' is {_digits(value)}, but must be {words} {_digits(bound)}"
                )


def _digits(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def default_of(field: Any) -> Any:
    """A field's value where the YAML lacks it; `dataclasses.MISSING` where it must not."""
    if field.default_factory is not _MISSING:
        return field.default_factory()
    return field.default


def _join(key: str, name: Any) -> str:
    return f"{key}.{name}" if key else str(name)


def _wrong_type(where: str, path: str, wanted: str, value: Any) -> ConfigError:
    got = _SHORT.repr(value)  # of what aliases repeat the whole `repr` might never end
    got = got if len(got) <= 60 else got[:57] + "..."
    kind = "null" if value is None else f"{got} ({type(value).__name__})"
    return ConfigError(f"{where}: '{path}' must be {wanted}, but is {kind}")


def _unknown_key_message(name: Any, known: List[str], where: str, key: str) -> str:
    inside = f" under '{key}'" if key else ""
    return (
        f"{where}: unknown key '{shown(name)}'{inside}; the nearest known key is '{nearest_key(name, known)}'"
    )
