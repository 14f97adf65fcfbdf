"""Training without Prefect: from a tracker config, or from an argument file, to a trained model.

What `parc-tracker train` and PARC's command `scripts/parc_3_tracker.py` do. The trainer is a process of its own
here too: a crash is tried again from the newest checkpoint, Ctrl-C and SIGTERM end with one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from parc_core.config.dataset_config import held_out_config, load_dataset_config
from parc_core.config.env_config import load_env_config
from parc_core.config.paths import PathLike
from parc_core.config.resolve import ARGS_FILE, emit_configs
from parc_core.config.tracker_config import TrackerConfig
from parc_core.config.train_args import output_folder, read_train_args
from parc_core.registry.names import model_on_this_machine
from parc_core.storage.lease import Lease
from parc_core.storage.store import Store
from parc_core.supervisor.preflight import check_runnable, tracker_warnings
from parc_core.supervisor.run_folder import run_folder, run_key
from parc_core.supervisor.supervise import Limits, Listener, trainer_command
from parc_core.supervisor.training_session import TrainingRun, run_training
from parc_core.system.signals import exit_interrupted

STOP_SECONDS = 600.0
"""From SIGTERM to SIGKILL of the trainer: an iteration with large networks on a CPU takes minutes, and nothing but
the user waits here. A second Ctrl-C ends the waiting."""


def train_from_config(config: PathLike, listener: Listener) -> Path:
    """Trains what a tracker config says; makes the dataset first where it names `create_dataset_config`.

    Returns:
        The training's folder.

    Raises:
        ConfigError, DataError: the config cannot run as it stands; one line says what to set.
        TrainerCrashed: after the last attempt.
        SystemExit: with 75, stopped by a signal with a checkpoint on disk.
    """
    tracker = check_runnable(config, model_on_this_machine)
    for line in tracker_warnings(tracker):
        listener.note(line)
    dataset_file = tracker.dataset_file
    if tracker.create_dataset_config is not None:
        from parc_core.motion.dataset.build import create_dataset

        built = create_dataset(
            load_dataset_config(tracker.create_dataset_config),
            progress=lambda done, total, what: listener.note(f"{what}: {done} of {total}"),
            note=listener.note,
        )
        dataset_file = built["motions_yaml"]
    folder = run_folder(tracker, str(dataset_file))
    held_out = _held_out_dataset(tracker, str(config), str(dataset_file), folder, listener)
    files = emit_configs(tracker, str(dataset_file), folder, held_out)
    store = Store()
    if tracker.output_dir is not None and store.root is not None:
        return train_from_arguments(files[ARGS_FILE], listener, tracker.trainer_python)
    key = run_key(tracker, str(dataset_file))
    with Lease(store, f"runs/{key}/lease.json", listener.note) as lease:
        return train_from_arguments(files[ARGS_FILE], listener, tracker.trainer_python, key, lease)


def _held_out_dataset(
    tracker: TrackerConfig, where: str, dataset_file: str, folder: Path, listener: Listener
) -> Optional[Path]:
    """The dataset of the clips that the training never sees, made in its folder where folders are named."""
    if not tracker.held_out_motions:
        return None
    from parc_core.motion.dataset.held_out import FOLDER, held_out_file, make_held_out, overlap_warning

    found = held_out_file(tracker.held_out_motions, where)
    if found is None:
        of = tracker.create_dataset_config
        settings = held_out_config(
            tracker.held_out_motions,
            None if of is None else load_dataset_config(of),
            load_env_config(tracker.env_config).env.char_file,
        )
        found = make_held_out(settings, folder / FOLDER, note=listener.note)
    warning = overlap_warning(dataset_file, found)
    if warning:
        listener.note(warning)
    return found


def train_from_arguments(
    arg_file: PathLike,
    listener: Listener,
    trainer_python: Optional[str] = None,
    key: Optional[str] = None,
    lease: Optional[Lease] = None,
) -> Path:
    """Trains what a `train_args.txt` says, or resumes it. Returns, raises: as `train_from_config`.

    Args:
        arg_file: the trainer's arguments.
        listener: callbacks for training events.
        trainer_python: interpreter of the trainer; this one by default.
        key: of the training in the store, where its checkpoints are to go there, too.
        lease: the right to train it.
    """
    args = read_train_args(arg_file)
    folder = output_folder(args)
    command = trainer_command(Path(arg_file).absolute(), trainer_python)
    with exit_interrupted():
        run_training(
            TrainingRun(command, folder, args.device, key, args.gpus),
            listener,
            lease,
            Limits(stop=STOP_SECONDS),
        )
    return folder
