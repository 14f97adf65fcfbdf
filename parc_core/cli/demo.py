"""`parc-tracker demo`: the whole way on a small sample data set, in minutes on two cores."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rich.console import Console

MOTIONS_PER_KIND = 2
CONFIG = "data/configs/demo/tracker.yaml"


def run_demo(folder: Path) -> None:
    """Makes motions where there are none yet, runs the flow on them, and shows the table.

    Everything goes to `folder`: motions, store, Prefect's own files.
    """
    console = Console()
    began = time.monotonic()
    folder = folder.absolute()
    os.environ["DATA_DIR"] = str(folder)
    os.environ.setdefault("PARC_STORE", str(folder / "store"))
    os.environ.setdefault("PARC_INDEX", str(folder / "motion_index.json"))
    os.environ.setdefault("PREFECT_HOME", str(folder / "prefect"))
    _make_motions(folder / "motions", console)
    console.print("starting the flow (its first start takes about 15 s)")
    from parc_core.cli.flow import run_flow, show_result

    show_result(run_flow(Path(CONFIG)), console)
    console.print(f"{time.monotonic() - began:.0f} s; run it again: finished stages come from the cache")


def _make_motions(folder: Path, console: Console) -> None:
    from parc_core.cli.progress import counting_bar
    from parc_core.motion.synthetic import KINDS, make_dataset

    with counting_bar("making motions") as progress:
        files = make_dataset(list(KINDS), MOTIONS_PER_KIND, 0, folder, progress=progress)
    console.print(f"{len(files)} sample motions in {folder}", soft_wrap=True)
