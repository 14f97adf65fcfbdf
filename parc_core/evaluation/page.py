"""Parts that all pages share: template, style, script, texts without places of a machine."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from markupsafe import Markup

from parc_core.evaluation.result import percent

_HERE = Path(__file__).parent
_PATH = re.compile(r"(?<![\w:/.~])(?:~|[A-Za-z]:)?(?:[/\\][^/\\\s'\",\]})<>]+){2,}")
_FILE_URI = re.compile(r"file://(?=/)")


def render(template: str, **values: Any) -> str:
    """A page from `<template>.html.j2`; whatever is not `Markup` is escaped."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(str(_HERE)),
    )
    environment.filters.update(percent=percent_or_dash, number=number, interval=interval)
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template(f"{template}.html.j2").render(
        style=Markup(style), script=Markup(script), **values
    )


def percent_or_dash(value: Optional[float]) -> str:
    """`percent` with a space; a dash for None."""
    return "–" if value is None else spaced(percent(value))


def spaced(text: str) -> str:
    """29% -> 29 %."""
    return text.replace("%", " %")


def number(value: Optional[float], digits: int = 2) -> str:
    """With a minus sign and thousands; a dash for what is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}".replace("-", "−")


def interval(part: Optional[Mapping[str, Any]], digits: int = 3) -> str:
    """The 95 % interval of a share or mean of `statistics`, "" where there is none."""
    if part is None or part["interval"] is None:
        return ""
    low, high = part["interval"]
    if "share" in part:
        return f"{100 * low:.0f}–{100 * high:.0f} %"
    return f"{number(low, digits)} to {number(high, digits)}"


def without_places(text: str) -> str:
    """Paths of a machine cut to their last two parts: pages are passed on."""

    def short(match: re.Match[str]) -> str:
        parts = re.split(r"[/\\]", match.group(0))
        return "/".join(("…", *parts[-2:])) if len(parts) > 3 else match.group(0)

    return _PATH.sub(short, _FILE_URI.sub("", text))


def as_text(value: Any) -> str:
    """A text or mapping as a page shows it."""
    import yaml

    if not isinstance(value, str):
        value = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    return without_places(value)


def differences(own: Mapping[str, Any], preset: Mapping[str, Any], prefix: str = "") -> Dict[str, str]:
    """Keys of a config (dotted) whose values are not the preset's, as "value (preset)"."""
    found: Dict[str, str] = {}
    for key, value in own.items():
        other = preset.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            found.update(differences(value, other, f"{prefix}{key}."))
        elif value != other:
            found[prefix + key] = without_places(f"{value} ({other})")
    return found
