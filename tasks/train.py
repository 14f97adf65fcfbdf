"""Stage 4: training, in a process of its own."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from prefect import get_run_logger

from parc_core.config.resolve import ARGS_FILE
from parc_core.storage.references import file_ref
from parc_core.storage.store import Store
from parc_core.supervisor.supervise import Listener, trainer_command
from parc_core.supervisor.training_session import TrainingRun, run_training
from tasks.artifacts import TrainingArtifacts
from tasks.cancel import check_cancelled
from tasks.configs import training_folder, write_here
from tasks.progress import ProgressLines
from tasks.results import Result
from tasks.stage import held_lease, stage

BACK_OFF = (10.0, 60.0, 300.0)  # s


def _inputs(parameters: dict[str, Any]) -> Any:
    """What is trained, how far, and where its user wants it; neither the device nor the interpreter."""
    configs = parameters["configs"]
    names = ("run_key", "output_dir", "dm_env", "agent_config", "character", "in_model_file")
    return [
        {name: configs[name] for name in names},
        parameters["dataset"]["sha256"],
        parameters["max_samples"],
    ]


def _lease(parameters: dict[str, Any], _key: str) -> str | None:
    """Of the training, whatever its length; a folder of the user's own on one machine has its lock."""
    configs = parameters["configs"]
    if configs["output_dir"] is not None and Store().root is not None:
        return None
    return f"runs/{configs['run_key']}/lease.json"


@stage(name="train", runs=("parc_core.train",), inputs=_inputs, lease=_lease)
def train(
    configs: Result,
    dataset: Result,
    max_samples: int,
    trainer_python: str | None = None,
    held_out: Result | None = None,
) -> Result:
    """Runs the trainer process to its end; every attempt resumes from the newest valid checkpoint.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`; its content is part of the cache key.
        max_samples: where the training ends, for the progress.
        trainer_python: interpreter of the trainer; this one by default.
        held_out: dataset of clips that are only evaluated: the model does not depend on it, nor does the cache key.

    Returns:
        `model`, `log` (references), `run_key`, `samples`.
    """
    run_dir, key = training_folder(configs), configs["run_key"]
    files = write_here(configs, dataset, held_out)
    lines = ProgressLines(max_samples, get_run_logger().info)
    arguments = configs["arguments"]
    command = trainer_command(files[ARGS_FILE], trainer_python)
    run = TrainingRun(command, run_dir, arguments["device"], key, arguments["gpus"])
    with TrainingArtifacts(max_samples, run_dir) as artifacts, _heard(lines, artifacts) as listener:
        run_training(run, listener, held_lease(), delays=BACK_OFF)
    done = f"runs/{key}/done/{lines.samples}"
    return {
        "model": file_ref(run_dir / "model.pt", f"{done}/model.pt"),
        "log": file_ref(run_dir / "log.txt", f"{done}/log.txt"),
        "run_key": key,
        "samples": lines.samples,
    }


@contextlib.contextmanager
def _heard(lines: ProgressLines, artifacts: TrainingArtifacts) -> Iterator[Listener]:
    """All that hear of a training: the run's log, its artifacts, and a bar where somebody looks at a terminal."""
    log = get_run_logger()
    with contextlib.ExitStack() as stack:
        hearers: list[Callable[[dict[str, Any]], None]] = [lines.event, artifacts.event]
        if sys.stdout.isatty():
            from parc_core.supervisor.console import TrainingBar

            hearers.append(stack.enter_context(TrainingBar()).listener.event)

        def event(found: dict[str, Any]) -> None:
            for hear in hearers:
                hear(found)

        yield Listener(event=event, output=log.debug, note=log.warning, check=check_cancelled)
