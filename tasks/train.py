"""Stage 4: training, in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import get_run_logger

from parc_core.errors import ConfigError, DataError
from parc_core.supervise import Listener, supervise, trainer_command
from tasks.caching import SIMULATION, Result, file_ref, local_path, stage
from tasks.configs import character_content
from tasks.progress import ProgressLines

CODE = (*SIMULATION, "parc_core/learning", "parc_core/train.py")
BACK_OFF = [10, 60, 300]  # s


def worth_another_attempt(_task: Any, _run: Any, state: Any) -> bool:
    """Crashes are; bad data and bad configs stay bad."""
    return not isinstance(state.result(raise_on_failure=False), DataError | ConfigError)


def _inputs(parameters: dict[str, Any]) -> Any:
    """All but the interpreter, with the character's content: nothing else in the configs is a place alone."""
    inputs = {key: value for key, value in parameters.items() if key != "trainer_python"}
    return [inputs, character_content(parameters["configs"])]


@stage(
    name="train",
    code=CODE,
    inputs=_inputs,
    retries=len(BACK_OFF),
    retry_delay_seconds=BACK_OFF,
    retry_condition_fn=worth_another_attempt,
)
def train(configs: Result, dataset: Result, max_samples: int, trainer_python: str | None = None) -> Result:
    """Runs the trainer process to its end; every attempt goes on from the newest good checkpoint.

    Args:
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`; its content is part of the cache key.
        max_samples: where the training ends, for the progress.
        trainer_python: interpreter of the trainer; this one by default.

    Returns:
        `model` (reference), `run_dir`, `samples`.
    """
    log = get_run_logger()
    run_dir = Path(configs["run_dir"])
    lines = ProgressLines(max_samples, log.info)
    listener = Listener(event=lines.event, output=log.debug, note=log.warning)
    supervise(trainer_command(local_path(configs["train_args"]), trainer_python), run_dir, listener)
    return {"model": file_ref(run_dir / "model.pt"), "run_dir": str(run_dir), "samples": lines.samples}
