"""TensorBoard: the columns of log.txt as curves in groups, and the settings of the training."""

from __future__ import annotations

import ast
import math
import time
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Union

from parc_core.training.columns import EPISODE_COLUMNS, LOSS_COLUMNS, title
from parc_core.training.history import Row

TENSORBOARD = "tensorboard"
"""Subfolder of a training."""
HyperParameters = Dict[str, Union[bool, int, float, str]]
HEADLINES = (
    "Train_Return",
    "Completed",
    "Eval_Completed",
    "Eval_Tracked",
    "Eval_Joint_Error",
    "Eval_Return",
)
"""Columns that trainings are compared by, in the table of hyper-parameters."""
_LOSSES = ("loss", "actor_loss", "critic_loss", "action_bound_loss", "action_reg_loss")
_RUN = ("Iteration", "Wall_Time", "Samples_Per_Second", "Rollbacks")
_GROUPS: Dict[str, str] = {
    **{name: "Episodes" for name in EPISODE_COLUMNS},
    **{title(name): "Loss" if name in _LOSSES else "Update" for name in LOSS_COLUMNS},
    **{name: "Run" for name in _RUN},
}
_BEGINNINGS = (
    ("Eval_", "Evaluation"),
    ("Test_", "Test"),
    ("Fail_Rate_", "Failure_Rates"),
    ("Fail_", "Failures"),
)
_OTHERS = "Physics"
"""What an engine counts (`Diverged`, `Contact_Overflows`, …), of which this knows no list."""
_EVENTS = "events.out.tfevents.*"
_LONGEST = 200


def tag(column: str) -> str:
    """A column's name in TensorBoard: `<group>/<column>`."""
    if column in _GROUPS:
        return f"{_GROUPS[column]}/{column}"
    if column.endswith("_r"):  # a term of the reward, perhaps of the user's own
        return f"Reward/{column}"
    return next(
        (f"{group}/{column}" for start, group in _BEGINNINGS if column.startswith(start)),
        f"{_OTHERS}/{column}",
    )


def hyper_parameters(fingerprint: Mapping[str, str]) -> HyperParameters:
    """The settings that shape a training as TensorBoard takes them: numbers, truth values and texts.

    Args:
        fingerprint: see `training_fingerprint`.
    """
    return {name: _value(text) for name, text in sorted(fingerprint.items())}


def _value(text: str) -> Union[bool, int, float, str]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(value, (bool, str)) or (isinstance(value, (int, float)) and math.isfinite(value)):
        return value[:_LONGEST] if isinstance(value, str) else value
    return text[:_LONGEST]


def writer_class() -> Any:
    """`SummaryWriter`, or None where the package tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter


class Curves:
    """TensorBoard event files, where the package is installed."""

    def __init__(
        self, folder: Optional[Path], say: Callable[[str], None], settings: Optional[HyperParameters] = None
    ) -> None:
        self._folder, self._settings = folder, settings or {}
        self._writer_class: Any = None
        self._writer: Any = None
        self._ending: Any = None
        if folder is None:
            return
        self._writer_class = writer_class()
        if self._writer_class is None:
            say("no TensorBoard curves: the package tensorboard is not installed (log.txt has the numbers)")

    def start(self, rows: Sequence[Row]) -> None:
        """The curves have these points and no others from here on: they are written anew.

        A TensorBoard that is running forgets at step 0 what it has read.
        """
        if self._writer_class is None or self._folder is None:
            return
        self._stop()
        for path in self._folder.glob(_EVENTS):
            path.unlink()
        self._writer = self._writer_class(str(self._folder), purge_step=0)
        self._add_settings()
        now, newest = time.time(), rows[-1].get("Wall_Time", math.nan) if rows else math.nan
        for row in rows:
            hours_ago = newest - row.get("Wall_Time", math.nan)
            self._add(row, now - 3600.0 * hours_ago if math.isfinite(hours_ago) else now)
        self._writer.flush()

    def add(self, row: Row) -> None:
        """One point per curve; NaN leaves it out."""
        if self._writer is not None:
            self._add(row, time.time())
            self._writer.flush()

    def _add(self, row: Row, at: float) -> None:
        for name, value in row.items():
            if name != "Samples" and math.isfinite(value):
                self._writer.add_scalar(tag(name), value, int(row["Samples"]), walltime=at)

    def _add_settings(self) -> None:
        """For the page HPARAMS. The writer's own method would make a run of its own, with points of its own."""
        if not self._settings:
            return
        from torch.utils.tensorboard.summary import hparams

        metrics = {tag(name): 0.0 for name in HEADLINES}  # their names: the values are those of the curves
        experiment, begin, self._ending = hparams(dict(self._settings), metrics)
        for summary in (experiment, begin):
            self._writer.file_writer.add_summary(summary)

    def close(self) -> None:
        """Writes what is left."""
        if self._writer is not None and self._ending is not None:
            self._writer.file_writer.add_summary(self._ending)
        self._stop()

    def _stop(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def write_evaluation(
    folder: Path, name: str, numbers: Mapping[str, float], samples: int, gif: Optional[Path]
) -> bool:
    """A finished evaluation beside a training's curves: its numbers as points, its video as a moving picture.

    It is a run of its own, `<name>`, of which the last evaluation alone stays; a resumed training leaves it as it is.

    Args:
        folder: TensorBoard's, which has to be there.
        name: of the evaluation.
        numbers: value by column.
        samples: of the model that was evaluated.
        gif: of its video, if there is one.

    Returns:
        Whether it was written: not where the package is missing.
    """
    make_writer = writer_class()
    if make_writer is None:
        return False
    for path in (folder / name).glob(_EVENTS):
        path.unlink()
    writer = make_writer(str(folder / name), purge_step=0)
    for column, value in numbers.items():
        if math.isfinite(value):
            writer.add_scalar(tag(column), value, samples)
    if gif is not None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        image = Summary.Image(encoded_image_string=gif.read_bytes(), colorspace=3)
        video = Summary(value=[Summary.Value(tag="Evaluation/video", image=image)])
        writer.file_writer.add_summary(video, samples)
    writer.close()
    return True
