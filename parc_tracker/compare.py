"""`parc-tracker compare`: several models or runs on one page."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from parc_core.config.paths import resolve
from parc_core.config.resolve import configs_beside
from parc_core.errors import ConfigError
from parc_core.evaluation.compare import Compared, compare, write_comparison
from parc_core.evaluation.result import load, percent
from parc_core.pull import model_folder
from parc_core.registry.names import is_reference
from parc_tracker.tables import cell, only_json, print_json, print_table

COMMAND = "parc-tracker compare"
FILE = "evaluation.json"


def run_compare(names: list[str], out: Path, as_json: bool) -> None:
    """Compares evaluations and writes the page.

    Args:
        names: models, folders of runs, `evaluation.json` files or `registry:NAME@alias`; the first is compared with.
        out: place of the page.

    Raises:
        ConfigError, DataError: fewer than two, one without an evaluation, or no clip in common.
    """
    if len(names) < 2:
        raise ConfigError(f"{COMMAND}: at least two models or runs are needed")
    with only_json(as_json):
        found = [load(evaluation_of(name)) for name in names]
        compared = compare(labels(names), found)
        write_comparison(out, compared)
    if as_json:
        print_json(_plain(compared, out))
        return
    print_table(_table(compared))
    if compared.note:
        print(compared.note)
    print(f"page     {out}")


def evaluation_of(name: str) -> Path:
    """The `evaluation.json` of a model, a run's folder, or the file itself.

    Raises:
        ConfigError: there is none.
        DataError: the registry has no such model.
    """
    if is_reference(name):
        return model_folder(name, False, COMMAND).parent / FILE
    path = resolve(name)
    if path.suffix == ".json" and path.is_file():
        return path
    if not path.exists():
        raise ConfigError(f"{name}: no such file or folder; name a model, a run's folder or an {FILE}")
    if path.is_dir():
        places = [path / FILE, path / "evaluation" / FILE]
    else:
        folder = configs_beside(path)
        places = [folder / "evaluation" / path.stem / FILE]
        if folder == path.parent:
            places = [folder / "evaluation" / FILE, folder / FILE]
    for place in places:
        if place.is_file():
            return place
    raise ConfigError(f"{name}: not evaluated yet; run parc-tracker eval --model on it first")


def labels(names: list[str]) -> list[str]:
    """Short names that differ: as many last parts of the paths as that takes."""
    parts = [[name] if is_reference(name) else list(resolve(name).parts) for name in names]
    for count in range(1, max(len(each) for each in parts) + 1):
        short = ["/".join(each[-count:]).replace("//", "/") for each in parts]
        if len(set(short)) == len(short):
            return short
    return [f"{'/'.join(each[-2:])} ({k + 1})" for k, each in enumerate(parts)]


def _table(compared: Compared) -> Table:
    table = Table(title="Compared on the clips that all have")
    table.add_column("model")
    for name in ("completed", "tracked", "joint error (m)", "gained", "lost"):
        table.add_column(name, justify="right")
    for k, label in enumerate(compared.labels):
        overall = compared.statistics[k]["overall"]
        change = compared.changes[k - 1] if k > 0 else None
        done, tracked = overall["completed"], overall["completed_fraction"]["mean"]
        table.add_row(
            cell(label),
            f"{done['count']} of {done['of']} ({percent(done['share'])})",
            percent(tracked if done["count"] == done["of"] else min(tracked, 0.99)),
            f"{overall['joint_error_m']['mean']:.3f}",
            "" if change is None else str(change["gained"]),
            "" if change is None else str(change["lost"]),
        )
    return table


def _plain(compared: Compared, out: Path) -> dict[str, object]:
    return {
        "models": [
            {"name": label, **found}
            for label, found in zip(compared.labels, compared.statistics, strict=True)
        ],
        "changes": compared.changes,
        "clips": [
            {
                "name": row[0].name,
                "completed_fraction": [clip.completed_fraction for clip in row],
                "joint_error_m": [clip.joint_error_m for clip in row],
                "end_reason": [clip.end_reason for clip in row],
            }
            for row in compared.clips
        ],
        "note": compared.note,
        "page": str(out),
    }
