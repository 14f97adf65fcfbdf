"""What PARC's stage 1 wants of motions (`compute_preprocessing_data`), as fast as one process does it.

python -m benchmarks preprocessing [--files 200] [--seconds 10] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, machine_line
from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.motion.dataset.preprocessing import Preprocessor, preprocess
from parc_core.motion.formats.container import motion_terrain_bytes, read_motion_terrain
from parc_core.motion.synthetic import KINDS, make_dataset
from parc_core.system.files import write_bytes, write_json
from parc_tracker.tables import print_table


def measure(num_files: int, seconds: float) -> list[dict[str, Any]]:
    """Seconds to read, compute and write synthetic motions of at most `seconds`; one row for each part."""
    preprocessor = Preprocessor(load_character(resolve("data/assets/humanoid.xml")))
    parts = {"read": 0.0, "compute": 0.0, "write": 0.0}
    frames = 0
    with tempfile.TemporaryDirectory() as folder:
        each = -(-num_files // len(KINDS))
        files = make_dataset(list(KINDS), each, 0, Path(folder) / "in", max_seconds=seconds)[:num_files]
        for number, path in enumerate(files):
            begin = time.perf_counter()
            content = read_motion_terrain(path)
            read = time.perf_counter()
            prepared = preprocess(content, preprocessor, override=True, where=str(path))
            computed = time.perf_counter()
            write_bytes(Path(folder) / "out" / f"{number}.pkl", motion_terrain_bytes(prepared))
            parts["read"] += read - begin
            parts["compute"] += computed - read
            parts["write"] += time.perf_counter() - computed
            frames += content.motion.num_frames if content.motion is not None else 0
    parts["all"] = sum(parts.values())
    return [
        {"part": name, "files": len(files), "frames": frames, "seconds": spent}
        for name, spent in parts.items()
    ]


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """The rows of `measure` for people."""
    title = f"Preprocessing of {rows[0]['files']} files ({rows[0]['frames']:,} frames), one process"
    found = Table(title=title)
    for name in ("part", "s", "ms a file"):
        found.add_column(name, justify="left" if name == "part" else "right")
    for row in rows:
        found.add_row(row["part"], f"{row['seconds']:.2f}", f"{1000 * row['seconds'] / row['files']:.1f}")
    return found


def main(argv: Sequence[str]) -> None:
    """Measures, prints the table, writes the JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks preprocessing", description=__doc__)
    parser.add_argument("--files", type=int, default=200, help="motions to make and prepare")
    parser.add_argument("--seconds", type=float, default=10.0, help="longest motion")
    parser.add_argument("--out", type=Path, default=Path("output/benchmarks"), help="folder of the JSON file")
    args = parser.parse_args(argv)
    here = machine()
    rows = measure(args.files, args.seconds)
    console = Console(soft_wrap=True)
    print_table(table(rows))
    args.out.mkdir(parents=True, exist_ok=True)
    write_json(args.out / "preprocessing.json", {"benchmark": "preprocessing", "machine": here, "rows": rows})
    console.print(f"{machine_line(here)}. JSON: {args.out}/preprocessing.json")
