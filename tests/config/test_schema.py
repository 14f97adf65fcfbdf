"""Mappings to dataclasses: types, unknown keys, limits, keys without effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Optional, Union

import pytest

from parc_core.config.schema import from_mapping, no_effect_warnings, section, setting, to_mapping
from parc_core.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    weight: float = setting(0.5, at_least=0)
    names: List[str] = setting(["a"])


@dataclass(frozen=True)
class Outer:
    path: str
    count: int = setting(3, at_least=1)
    rate: float = setting(1.0, above=0, below=2)
    on: bool = False
    mode: Literal["fast", "slow"] = "fast"
    maybe: Optional[str] = None
    per_body: Union[List[float], Dict[str, float]] = setting([1.0], at_most=9)
    inner: Inner = section(Inner)
    viewer: Any = setting(None, no_effect="there is no viewer")

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ConfigError("'count' 13 is unlucky")


def build(**data: Any) -> Outer:
    return from_mapping(Outer, {"path": "p", **data}, "file.yaml")


def message(**data: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        build(**data)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("file.yaml: ")
    return text


def test_missing_keys_take_their_defaults():
    assert build() == Outer(path="p")
    assert build(inner=None).inner == Inner()


def test_defaults_that_are_lists_are_not_shared():
    first, second = build(), build()
    first.inner.names.append("b")
    assert second.inner.names == ["a"]


@pytest.mark.parametrize(
    ("given", "wanted"), [("5e-5", 5e-5), ("1.5", 1.5), (1, 1.0), ("1e0", 1.0), (0.25, 0.25)]
)
def test_floats_from_what_yaml_makes_of_them(given, wanted):
    rate = build(rate=given).rate
    assert rate == wanted
    assert isinstance(rate, float)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("3e8", 300_000_000), (4.0, 4), ("12", 12), (10**17 + 1, 10**17 + 1), (str(10**17 + 1), 10**17 + 1)],
)
def test_whole_numbers(given, wanted):
    count = build(count=given).count
    assert count == wanted
    assert isinstance(count, int)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("count", 1.5),
        ("count", True),
        ("count", "many"),
        ("count", None),
        ("rate", "fast"),
        ("rate", True),
        ("rate", float("nan")),
        ("rate", "inf"),
        ("rate", [1.0]),
        ("on", 1),
        ("on", "yes please"),
        ("path", 3),
        ("path", None),
        ("maybe", 3),
        ("mode", "medium"),
        ("mode", ["fast"]),
        ("per_body", 3),
        ("per_body", ["x"]),
        ("per_body", {"head": "x"}),
        ("inner", [1]),
        ("inner", "text"),
    ],
)
def test_wrong_types_name_key_wanted_and_got(key, value):
    text = message(**{key: value})
    assert f"'{key}' must be" in text
    assert ("null" if value is None else repr(value)) in text


def test_wrong_type_of_a_nested_key_is_named_by_its_path():
    assert "'inner.names' must be a list, each a text" in message(inner={"names": "a"})


def test_the_message_says_which_words_are_allowed():
    assert "'mode' must be one of fast, slow, but is 'medium' (str)" in message(mode="medium")


def test_unknown_key_names_the_nearest_known_one():
    assert "unknown key 'cuont'; the nearest known key is 'count'" in message(cuont=3)
    text = message(inner={"wieght": 1})
    assert "unknown key 'wieght' under 'inner'; the nearest known key is 'weight'" in text


def test_missing_key():
    with pytest.raises(ConfigError, match=r"file.yaml: missing key 'path'; add it \(a text\)"):
        from_mapping(Outer, {}, "file.yaml")


def test_not_a_mapping():
    with pytest.raises(ConfigError, match="'the file' must be a mapping"):
        from_mapping(Outer, [1], "file.yaml")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"count": 0}, "'count' is 0, but must be at least 1"),
        ({"rate": 0}, "'rate' is 0, but must be greater than 0"),
        ({"rate": 2}, "'rate' is 2, but must be less than 2"),
        ({"per_body": [1, 10]}, "'per_body[1]' is 10, but must be at most 9"),
        ({"per_body": {"head": 10}}, "'per_body.head' is 10, but must be at most 9"),
        ({"inner": {"weight": -1}}, "'inner.weight' is -1, but must be at least 0"),
    ],
)
def test_limits(data, words):
    assert words in message(**data)


def test_checks_across_keys_name_the_file():
    assert message(count=13) == "file.yaml: 'count' 13 is unlucky"


def test_lists_or_mappings():
    assert build(per_body=[1, "2"]).per_body == [1.0, 2.0]
    assert build(per_body={"head": 1}).per_body == {"head": 1.0}


def test_round_trip():
    cfg = build(count=7, per_body={"head": 1}, maybe="x", inner={"names": []})
    assert from_mapping(Outer, to_mapping(cfg), "again") == cfg
    assert "maybe" not in to_mapping(build())  # PARC asks for the presence of optional keys


def test_keys_without_effect_are_said_once_and_only_when_set():
    assert no_effect_warnings(build()) == []
    assert no_effect_warnings(build(viewer={"camera": 1})) == [
        "'viewer' has no effect here: there is no viewer"
    ]


@dataclass(frozen=True)
class Renamed:
    sharpness: float = setting(1.0, above=0, was="strictness")
    other: int = 0


@dataclass(frozen=True)
class WithRenamed:
    part: Renamed = section(Renamed)


def test_a_key_is_read_under_its_earlier_name_and_written_under_the_new_one():
    cfg = from_mapping(WithRenamed, {"part": {"strictness": 2}}, "file.yaml")
    assert cfg == WithRenamed(Renamed(sharpness=2.0))
    assert to_mapping(cfg) == {"part": {"sharpness": 2.0, "other": 0}}
    with pytest.raises(ConfigError, match=r"^file.yaml: 'part.sharpness' is 0, but must be greater than 0$"):
        from_mapping(WithRenamed, {"part": {"strictness": 0}}, "file.yaml")


def test_a_key_under_both_names_is_an_error():
    with pytest.raises(
        ConfigError,
        match=r"^file.yaml: 'part.strictness' is the earlier name of 'part.sharpness', and both are given; remove one$",
    ):
        from_mapping(WithRenamed, {"part": {"strictness": 2.0, "sharpness": 2.0}}, "file.yaml")
