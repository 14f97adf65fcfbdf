"""Synthetic motions from the command line."""

from __future__ import annotations

from pathlib import Path

from parc_core.motion.synthetic import make_dataset
from parc_tracker.progress import counting_bar


def make_motions(kinds: list[str], count: int, seed: int, out: Path, max_seconds: float) -> None:
    """Writes motions of the PARC humanoid under a progress bar, and says how many."""
    with counting_bar("generating motions") as progress:
        files = make_dataset(kinds, count, seed, out, progress=progress, max_seconds=max_seconds)
    print(f"{len(files)} motions in {out}")
