"""JSON within bounds."""

from __future__ import annotations

import pytest

from parc_core.system.json_text import parse


def test_plain_values() -> None:
    assert parse('{"a": [1, 2.5, null, true, "ü 😀"]}') == {"a": [1, 2.5, None, True, "ü 😀"]}
    assert parse(b"[[[1]]]") == [[[1]]]
    assert parse('"\\ud83d\\ude00"') == "😀"  # a pair of surrogates is a character


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[" * 900 + "]" * 900,
        '{"a":' * 900 + "1" + "}" * 900,
        '{"a": "\\ud800"}',
        '{"\\udfff": 1}',
        "1" * 5000,
        b"\xff\xfe",
    ],
)
def test_what_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert len(str(caught.value)) < 200
