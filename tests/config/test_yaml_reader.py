"""The one reader of YAML: what plain YAML gives, strictly, and never more than a file's size is worth."""

from __future__ import annotations

import os
import time

import pytest
import yaml

from parc_core.config.paths import PROJECT_ROOT, load_yaml, resolve
from parc_core.config.tracker_config import load_tracker_config
from parc_core.config.yaml_reader import parse_yaml, read_text
from parc_core.errors import ConfigError, DataError

ALIAS_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 8)}]\n" for k in range(1, 12)
)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith("f.yaml")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


@pytest.mark.parametrize("path", sorted((PROJECT_ROOT / "data" / "configs").glob("**/*.yaml")), ids=str)
def test_shipped_files_are_read_as_plain_yaml(path):
    text = path.read_text(encoding="utf-8")
    assert parse_yaml(text, str(path)) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: 0x1F\nb: 1_000\nc: 0b11\nd: .inf\ne: -.INF\ng: 1e5\nh: 1.5e+3\ni: +12\nj: 0\nk: 08\nl: -0\nm: 0o10",
        "a: ~\nb: yes\nc: Off\nd: null\ne: ''\nf: '010'\ng: \"1:30\"\nh: |\n  x\n  y\ni: >-\n  x\n  y\nj:",
        "a: &x {b: 1, c: 2}\nd: {<<: *x, b: 3}\ne: [*x, *x]\nf: {<<: [*x, {z: 1}]}",
        "a: !!str 5\nb: !!float 5\nc: !!int '7'\nd: ! x",
        "- a\n- - b: 1\n-\n  - [c, {d: e}]\n",
        "# nothing\n",
        "plain text",
        "? a\n: b\n2: x\ntrue: y\n1.5: z\n",
    ],
)
def test_values(text):
    assert parse_yaml(text, "f.yaml") == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1:30", "line 1: broken YAML: '1:30' means a number to base 60"),
        ("b: 1\na: -010", "line 2: broken YAML: '-010' means an octal number"),
        ("a: !!int abc", "'abc' is no int"),
        ("a: !!bool maybe", "'maybe' is no bool"),
        ("a: !!timestamp 2001-99-99", "is not for plain values"),
        ("a: !!python/object/new:os.system [x]", "is not for plain values"),
        ("a: " + "9" * 5000, "a number of 5000 characters"),
        ("&s [*s]", "stands inside what it names"),
        ("a: *b", "names nothing"),
        ("[" * 3000, "more than 50 deep"),
        ("{a: " * 3000, "more than 50 deep"),
        ("- " * 3000, "more than 50 deep"),
        (ALIAS_BOMB, "aliases repeat more than 100,000 values"),
        (f"a: &a {'x' * 1_000_000}\nb: [{'*a, ' * 20}]", "aliases repeat"),
        ("{[a]: b}", "is no key"),
        ("{{a: b}: c}", "is no key"),
        ("&a [x]: b", "is no key"),
        (f"{2**70}: a", "is no key"),
        ("'a': 1\na: 2", "line 2: broken YAML: key 'a' is given twice"),
        ("--- 1\n--- 2\n", "line 2: broken YAML: a second document"),
        ("<<: 5", "'<<' takes a mapping"),
        ('a: "\\ud800"', "broken YAML"),
        ("a: \ud800", "not Unicode text"),
        ("a: \x00", "broken YAML"),
        ("a: [b", "broken YAML"),
        ("%YAML 3.0\n---\na", "broken YAML"),
    ],
    ids=range(26),
)
def test_refused_in_one_line(text, words):
    begun = time.monotonic()
    assert words in refusal(text)
    assert time.monotonic() - begun < 5.0


def test_dates_are_texts():
    assert parse_yaml("a: 2001-99-99\nb: 2026-11-28", "f") == {"a": "2001-99-99", "b": "2026-11-28"}


def test_the_error_is_that_of_the_caller():
    with pytest.raises(DataError, match="f, line"):
        parse_yaml("a: [", "f", DataError)


def test_files(tmp_path):
    (tmp_path / "crlf.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert load_yaml(tmp_path / "crlf.yaml") == {"a": 1, "b": 2}
    (tmp_path / "large.yaml").write_bytes(b"# \n" * 2_000_000)
    with pytest.raises(ConfigError, match=r"large\.yaml: is larger than 4 MiB"):
        load_yaml(tmp_path / "large.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="a named pipe, not a file"):
        read_text(tmp_path / "pipe.yaml")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("num_envs: [" + "[" * 40 + "1" + "]" * 40 + "]", "'num_envs' must be a whole number"),
        ("num_envs: " + "9" * 300, "'num_envs' must be a whole number"),
        ("output_dir: !!binary aGVsbG8=", "is not for plain values"),
        ("seed: -1", "'seed' is -1, but must be at least 0"),
        (f"seed: {1 + 2**32}", f"'seed' is {1 + 2**32}, but must be at most {2**32 - 1}"),
        (f"seed: {2**64}", "'seed' must be a whole number"),
        ("num_envs: 1000000000000", "must be at most 10000000"),
        ("seed: 1.0e+300", "'seed' must be a whole number"),
        ("gate: {min_return: 1.0e+39}", "'gate' must be a mapping"),
        ("gate: {min_return: .nan}", "'gate' must be a mapping"),
        ("? " + "x" * 100_000 + "\n: 1", "unknown key 'xxx"),
        ("a: &a [" + "x, " * 300 + "]\nseed: [" + "*a, " * 300 + "]", "unknown key"),
    ],
)
def test_configs_that_hold_odd_values(tmp_path, line, words):
    (tmp_path / "t.yaml").write_text("dataset_file: m.yaml\n" + line + "\n")
    with pytest.raises(ConfigError) as caught:
        load_tracker_config(tmp_path / "t.yaml")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "words"),
    [("x" * 100_000, "too long"), ("a/" * 5000, "too long"), ("a\0b", "a NUL"), ("\ud800", "not Unicode")],
)
def test_names_that_no_file_can_have(path, words):
    with pytest.raises(ConfigError, match=words) as caught:
        resolve(path)
    assert len(str(caught.value)) < 300
