"""Learning curves of trainings over samples and over wall-clock time: one picture, one table, one JSON.

`python -m benchmarks learning_curves output/a output/b` draws one line per folder. Seeds of one setting share a
colour when they share a name: `absolute=output/abs_0 absolute=output/abs_1 residual=output/res_0`.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from rich.console import Console
from rich.table import Table

from parc_core.evaluation.curves import LearningCurves, read_curves
from parc_core.evaluation.result import percent
from parc_core.system.files import write_json
from parc_tracker.tables import print_table

COLUMNS = {
    "Eval_Completed": "clips completed",
    "Eval_Joint_Error": "joint error of completed clips, m",
    "Train_Return": "return of training episodes",
}
SPEED = "Samples_Per_Second"
HEADINGS = ("samples", "minutes", "completed", "error, m", "return", "samples/s")


@dataclass(frozen=True)
class Run:
    """One training."""

    name: str
    """Of its setting; runs of one name share a colour."""
    folder: Path
    curves: LearningCurves


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Reads the folders, prints the table, writes picture and JSON."""
    args = _parser().parse_args(argv)
    runs = [read_run(text) for text in args.folders]
    rows = table_rows(runs, args.at)
    console = Console(soft_wrap=True)
    print_table(table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    content = {"rows": rows, "runs": [_as_json(run) for run in runs]}
    write_json(args.out / "learning_curves.json", _without_nan(content))
    draw(runs, args.out / "learning_curves.png")
    console.print(f"learning_curves.png and .json: {args.out}/")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks learning_curves", description=__doc__)
    add = parser.add_argument
    add("folders", nargs="+", help="output folders of trainings, each as FOLDER or NAME=FOLDER")
    add("--at", type=float, nargs="*", default=[100e6], help="sample counts of the table beside the end: 1e8")
    add("--out", type=Path, default=Path("output/benchmarks"), help="folder of the picture and the JSON")
    return parser


def read_run(text: str) -> Run:
    """The training of `FOLDER` or `NAME=FOLDER`.

    Raises:
        SystemExit: the folder has no log.
    """
    name, equals, rest = text.partition("=")
    folder = Path(rest if equals else text)
    curves = read_curves(folder, (*COLUMNS, SPEED))
    if not len(curves):
        raise SystemExit(f"error: {folder} has no log.txt or progress.jsonl with a line of output")
    return Run(name if equals else folder.name, folder, curves)


def table_rows(runs: Sequence[Run], counts: Sequence[float]) -> List[Dict[str, Any]]:
    """Of every run its last line at or before each sample count, and its last line at all.

    A run that ended before a count has no row for it.
    """
    rows = []
    for run in runs:
        for count in (*counts, math.inf):
            reached = run.curves.samples[0] <= count <= run.curves.samples[-1]
            if reached or count == math.inf:
                rows.append(_row(run, count))
    return rows


def _row(run: Run, count: float) -> Dict[str, Any]:
    at = max(i for i, samples in enumerate(run.curves.samples) if samples <= count)
    columns = {name: values[at] for name, values in run.curves.values.items()}
    where = {"name": run.name, "folder": str(run.folder), "at": "end" if count == math.inf else count}
    return {
        **where,
        "samples": run.curves.samples[at],
        "minutes": 60.0 * run.curves.hours[at],
        **{name: columns.get(name, math.nan) for name in (*COLUMNS, SPEED)},
    }


def table(rows: Sequence[Dict[str, Any]]) -> Table:
    """For the screen."""
    shown = Table(title="Learning curves")
    for column in ("training", "folder", *HEADINGS):
        shown.add_column(column, justify="left" if column in ("training", "folder") else "right")
    for row in rows:
        shown.add_row(
            row["name"],
            Path(row["folder"]).name,
            f"{row['samples'] / 1e6:,.1f} M",
            f"{row['minutes']:.1f}",
            percent(row["Eval_Completed"]) if math.isfinite(row["Eval_Completed"]) else "–",
            f"{row['Eval_Joint_Error']:.4f}" if math.isfinite(row["Eval_Joint_Error"]) else "–",
            f"{row['Train_Return']:.1f}" if math.isfinite(row["Train_Return"]) else "–",
            f"{row[SPEED]:,.0f}" if math.isfinite(row[SPEED]) else "–",
        )
    return shown


def draw(runs: Sequence[Run], path: Path) -> None:
    """A row of plots per column of the log, over samples on the left and over minutes on the right."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(run.name for run in runs))
    figure = Figure(figsize=(11.0, 3.0 * len(COLUMNS)), layout="constrained")
    axes = figure.subplots(len(COLUMNS), 2, sharex="col", sharey="row")
    for (column, label), (left, right) in zip(COLUMNS.items(), axes):
        for run in runs:
            if column not in run.curves.values:
                continue
            colour, first = f"C{names.index(run.name) % 10}", run is _first(runs, run.name)
            style = {"color": colour, "linewidth": 1.2, "label": run.name if first else None}
            left.plot([samples / 1e6 for samples in run.curves.samples], run.curves.values[column], **style)
            right.plot([60.0 * hours for hours in run.curves.hours], run.curves.values[column], **style)
        left.set_ylabel(label)
        for axis in (left, right):
            axis.grid(alpha=0.3)
    axes[-1][0].set_xlabel("million samples")
    axes[-1][1].set_xlabel("minutes")
    if axes[-1][0].has_data():
        axes[-1][0].legend()
    figure.savefig(path, dpi=120)


def _first(runs: Sequence[Run], name: str) -> Run:
    return next(run for run in runs if run.name == name)


def _without_nan(value: Any) -> Any:
    """None in place of what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_json(run: Run) -> Dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "samples": run.curves.samples,
        "minutes": [60.0 * hours for hours in run.curves.hours],
        **run.curves.values,
    }


if __name__ == "__main__":
    main()
