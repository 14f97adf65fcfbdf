"""What to do next, said at the end of a command that went well."""

from __future__ import annotations

import shlex
from pathlib import Path

from parc_core.training.curves import TENSORBOARD

DEFAULT_TRAINING = "data/configs/cpu/tracker.yaml"


def say_next(steps: dict[str, str]) -> None:
    """One line each: what for, and the command."""
    for number, (purpose, command) in enumerate(steps.items()):
        print(f"{'next:' if number == 0 else '':<6}{purpose:<13}{command}")


def after_training(folder: Path) -> dict[str, str]:
    """A training's folder: evaluate, view, curves where it has written some."""
    model = shlex.quote(str(folder / "model.pt"))
    steps = {
        "evaluate": f"parc-tracker eval --model {model}",
        "view": f"parc-tracker view {shlex.quote(str(folder))}",
    }
    if (folder / TENSORBOARD).is_dir():
        steps["TensorBoard"] = f"tensorboard --logdir {shlex.quote(str(folder / TENSORBOARD))}"
    return steps


def after_run(name: str, version: int, model: Path, store: str | None = None) -> dict[str, str]:
    """A registered model, and where it was trained.

    Args:
        store: to be named with the commands; None = the one that the user's PARC_STORE says.
    """
    begin = "" if store is None else f"PARC_STORE={shlex.quote(store)} "
    reference = shlex.quote(f"registry:{name}@{version}")
    steps = after_training(model.parent)
    steps["evaluate"] = f"{begin}parc-tracker eval --model {reference}"
    steps["view"] = f"{begin}parc-tracker view {reference}"
    return steps


def after_motions(out: Path) -> dict[str, str]:
    """A folder of motions: view, and train on them."""
    folder = shlex.quote(str(out))
    if out.name == "motions":
        train = f"DATA_DIR={shlex.quote(str(out.parent))} parc-tracker train --config {DEFAULT_TRAINING}"
    else:
        train = f"parc-tracker train --config CONFIG, whose dataset config has folder_paths: [{folder}]"
    return {"view": f"parc-tracker view {folder}", "train": train}


def after_captures(out: Path) -> dict[str, str]:
    """A folder of converted motion capture: view, put on other terrain, and make a dataset of it."""
    folder = shlex.quote(str(out))
    return {
        "view": f"parc-tracker view {folder}",
        "vary": f"parc-tracker make-motions --from {folder} --mirror --out output/variants",
        "dataset": f"parc-tracker dataset make {folder} --out output/dataset",
    }


def after_variants(source: str, out: Path) -> dict[str, str]:
    """A folder of variants beside their source: view, and make a dataset of both."""
    folder = shlex.quote(str(out))
    folders = folder if source == str(out) else f"{shlex.quote(source)} {folder}"
    return {
        "view": f"parc-tracker view {folder}",
        "dataset": f"parc-tracker dataset make {folders} --out output/dataset",
    }
