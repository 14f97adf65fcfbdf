"""The models of a store, for people (tables) and for programs (plain containers)."""

from __future__ import annotations

import sys
from typing import Any

from rich.table import Table
from rich.text import Text

from parc_core.errors import ConfigError, DataError
from parc_core.evaluation.result import percent
from parc_core.registry.gate import HELD_OUT_PREFIX, gated_numbers
from parc_core.registry.models import list_aliases, list_models, list_versions, resolve_model
from parc_core.registry.promotion import heal_aliases
from parc_core.storage.store import Store
from parc_tracker.tables import cell, printable

_METRICS = ("clips", "completed_share", "mean_completed_fraction", "joint_error_completed_m", "mean_return")
_HELD_OUT = HELD_OUT_PREFIX + "completed_share"


def listed(store: Store, name: str | None) -> list[dict[str, Any]]:
    """The newest version of each model, or all versions of one.

    Returns:
        Of each: `name`, `version`, `aliases` (words for this version), `all_aliases` (of the model, version by word),
        `created`, `metrics` (those of the table that there are), `gate` (None, or `rules` and `failed`), and `error`
        (None, or why its manifest cannot be read; then the last three are missing).

    Raises:
        DataError: there are models, but none called `name`.
    """
    names = list_models(store)
    if name is not None:
        if names and name not in names:
            raise DataError(f"no model called {name} in {store.url}; there are {', '.join(names)}")
        names = [each for each in names if each == name]
    rows = []
    for each in names:
        try:
            heal_aliases(store, each)
        except ConfigError as error:  # who may only read sees what is there
            print(f"note: the aliases of {each} were not completed: {error}", file=sys.stderr)
        aliases, versions = list_aliases(store, each), list_versions(store, each)
        for version in versions if name is not None else versions[-1:]:
            rows.append(_row(store, each, version, aliases))
    return rows


def _row(store: Store, name: str, version: int, aliases: dict[str, int]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": name,
        "version": version,
        "aliases": [alias for alias, means in aliases.items() if means == version],
        "all_aliases": aliases,
        "error": None,
    }
    try:
        manifest = resolve_model(store, name, version)
    except DataError as error:
        return {**row, "error": str(error)}
    metrics = gated_numbers(manifest)
    return {
        **row,
        "created": manifest["created"],
        "metrics": {
            key: metrics[key] for key in (*_METRICS, _HELD_OUT) if isinstance(metrics.get(key), int | float)
        },
        "gate": manifest.get("gate") or None,
    }


def models_table(store: Store, rows: list[dict[str, Any]], every_version: bool) -> Table:
    """One row per model, or per version of one."""
    table = Table(title=cell(f"Models in {store.url}"))
    unseen = ["held out"] if any(_HELD_OUT in row.get("metrics", {}) for row in rows) else []
    headings = [*_HEADINGS, *unseen]
    for heading in ("model", "version", "aliases", "created", *headings, "gate"):
        table.add_column(heading, justify="right" if heading in ("version", *headings) else "left")
    for row in rows:
        words = [
            word if every_version or means == row["version"] else f"{word} = {means}"
            for word, means in row["all_aliases"].items()
            if means == row["version"] or not every_version
        ]
        cells = [row["name"], str(row["version"]), ", ".join(words)]
        if row["error"]:
            table.add_row(*cells, "", *("" for _ in headings), Text(printable(row["error"]), style="red"))
        else:
            share = row["metrics"].get(_HELD_OUT)
            shown = ["" if share is None else percent(share)] if unseen else []
            cells += [shown_time(row), *_numbers(row["metrics"]), *shown, _gate(row["gate"])]
            table.add_row(*map(cell, cells))
    return table


_HEADINGS = ("completed", "tracked", "joint error of completed (m)", "return")


def _numbers(metrics: dict[str, Any]) -> list[str]:
    forms = {
        "completed_share": percent,
        "mean_completed_fraction": percent,
        "joint_error_completed_m": "{:.3f}".format,
        "mean_return": "{:.1f}".format,
    }
    cells = [form(metrics[key]) if key in metrics else "" for key, form in forms.items()]
    if metrics.get("completed_share", 1.0) < 1.0 and cells[1] == "100%":
        cells[1] = (
            "99%"  # of an earlier version, which counted clips lost in their last step as tracked whole
        )
    return cells


def _gate(gate: dict[str, Any] | None) -> str:
    if not gate:
        return ""
    failed = gate.get("failed") or []
    return "failed: " + "; ".join(map(printable, failed)) if failed else "passed"


def shown_time(manifest: dict[str, Any]) -> str:
    """When a model was registered, to the minute."""
    return printable(manifest["created"])[:16].replace("T", " ")


def short_table(manifest: dict[str, Any], aliases: list[str]) -> Table:
    """What people want to know of one model: how good it is, what it was trained on, and which files there are."""
    table = _head(manifest, aliases)
    rows = {
        **_quality(dict(gated_numbers(manifest))),
        "gate": _gate(manifest.get("gate")),
        **_origin(manifest.get("lineage") or {}),
        "machine": (manifest.get("machine") or {}).get("host"),
        "files": f"{', '.join(manifest['files'])} ({_size(sum(manifest.get('sizes', {}).values()))})",
    }
    for name, value in rows.items():
        if value not in (None, ""):
            table.add_row(name, cell(value))
    return table


def _quality(metrics: dict[str, Any]) -> dict[str, str]:
    """The numbers of an evaluation as far as there are any."""
    rows: dict[str, str] = {}
    if isinstance(metrics.get("completed_share"), int | float):
        count = f" of {metrics['clips']} clips" if isinstance(metrics.get("clips"), int) else ""
        rows["completed"] = percent(metrics["completed_share"]) + count
        rows["tracked"] = _numbers(metrics)[1]
    if isinstance(metrics.get(_HELD_OUT), int | float):
        rows["completed, held out"] = percent(metrics[_HELD_OUT])
    errors = metrics.get("tracking_errors")
    relative = errors.get("body_pos_m") if isinstance(errors, dict) else None
    for name, metres in (("MPJPE, global", metrics.get("joint_error_m")), ("MPJPE, root-relative", relative)):
        if isinstance(metres, int | float):
            rows[name] = f"{1000.0 * metres:.1f} mm"
    if isinstance(metrics.get("mean_return"), int | float):
        rows["return"] = f"{metrics['mean_return']:.1f}"
    return rows


def _origin(lineage: dict[str, Any]) -> dict[str, Any]:
    """Where a model comes from."""
    dataset, parent, configs = (_mapping(lineage.get(key)) for key in ("dataset", "parent", "configs"))
    samples, motions = lineage.get("samples"), dataset.get("motions")
    arguments = _mapping(configs.get("arguments"))
    on = [str(arguments[key]) for key in ("engine", "device") if key in arguments]
    return {
        "trained": f"{samples:,} samples{' on ' + ', '.join(on) if on else ''}"
        if isinstance(samples, int)
        else "",
        "motions": motions if isinstance(motions, int) else "",
        "started from": "/".join(str(parent.get("uri", "")).split("/")[-3:]) if parent else "",
        "note": lineage.get("note"),
    }


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _size(count: int) -> str:
    """Bytes for people."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _head(manifest: dict[str, Any], aliases: list[str]) -> Table:
    table = Table(title=cell(f"{manifest['name']} version {manifest['version']}"), show_header=False)
    table.add_column(style="bold")
    table.add_column()
    table.add_row("aliases", ", ".join(aliases) or "none")
    table.add_row("created", cell(shown_time(manifest)))
    return table


def model_table(manifest: dict[str, Any], aliases: list[str]) -> Table:
    """All that is known of one model."""
    table = _head(manifest, aliases)
    for part in ("machine", "metrics", "gate", "lineage"):
        for key, value in _flat(manifest.get(part) or {}, part):
            table.add_row(cell(key), cell(value))
    sizes = manifest.get("sizes", {})
    for file, ref in manifest["files"].items():
        table.add_row(cell(file), f"{sizes.get(file, 0):,} bytes, SHA-256 {ref['sha256']}")
    table.add_row("manifest", cell(manifest["ref"]["uri"]))
    return table


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    """Every value at its dotted name, in order, however deep."""
    rows, left = [], [(name, value)]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left.extend((f"{name}.{key}", item) for key, item in reversed(value.items()))
        else:
            rows.append((printable(name), f"{value:.6g}" if isinstance(value, float) else printable(value)))
    return rows
