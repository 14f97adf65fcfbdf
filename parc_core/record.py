"""Record what a model makes of a dataset's motions: PARC's stage 4, with its files and folders."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from parc_core.config.agent_config import AgentConfig
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.config.resolve import AGENT_FILE, write_yaml
from parc_core.engines.registry import resolve_engine
from parc_core.errors import ConfigError, DataError
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.motion.dataset.dataset_file import (
    MotionsFile,
    display_names,
    manifest_path,
    read_motions_yaml,
    write_motions_yaml,
)
from parc_core.motion.quality import check_limits
from parc_core.playback.policy import load_policy
from parc_core.recording.names import FOLDER, recording_places
from parc_core.recording.recorder import Progress, Recorder, RecordOptions
from parc_core.recording.result import FILE, MotionRecord, Recording, resumed
from parc_core.system import json_text
from parc_core.system.files import PathLike, sha256_file, unwritable, write_text
from parc_core.system.locks import try_lock
from parc_core.training.fingerprint import dataset_content, shaping_settings

MOTIONS_FILE, ENV_FILE, ARGS_FILE = "motions.yaml", "record_env.yaml", "record_args.txt"
DATASET_CONFIG_FILE = "create_dataset_config.yaml"


@dataclasses.dataclass(frozen=True)
class RecordJob:
    """Everything that a recording is told."""

    model_file: PathLike
    """PARC's or our model.pt, or a checkpoint."""
    env_file: EnvFileConfig
    """The environment; `env.dm.motion_file` names the motions to perform."""
    agent_config: AgentConfig
    """norm_obs_clip."""
    out_dir: PathLike
    """Folder of the results."""
    engine: str = "auto"
    device: str = "cpu"
    num_envs: Optional[int] = None
    """Motions at a time; default: all, at most 256 on a CPU and 4096 on a GPU."""
    options: RecordOptions = dataclasses.field(default_factory=RecordOptions)
    dataset_config: Optional[DatasetConfig] = None
    """What the dataset was made with, for `create_dataset_config.yaml`; default: what its manifest says."""


def record(job: RecordJob, progress: Optional[Progress] = None) -> Recording:
    """Performs every motion of a dataset and writes what came of it.

    Writes into `out_dir`: `recorded_motions/<class>/<motion>_dm.pkl`, `recording.json`, and PARC's `motions.yaml`
    (the motions performed), `create_dataset_config.yaml`, `record_env.yaml`, `record_args.txt`, `terrain.pkl`. All
    are whole or absent; the same call again resumes a recording that was killed.

    Raises:
        ConfigError: a setting that cannot be met here, or an output folder of another recording.
        DataError: model, dataset or character cannot be used.
    """
    out = Path(job.out_dir).absolute()
    _check(job, out)
    motions_yaml = Path(resolve(str(job.env_file.env.dm.motion_file)))
    motions = read_motions_yaml(motions_yaml)
    recording = _fresh(job, motions_yaml, motions)
    with _held(out):
        recording = resumed(recording, out)
        if recording.complete:
            return recording
        env_file = _with(job.env_file, all_touches=True)
        env = make_evaluation_env(env_file, job.engine, job.device, job.num_envs)
        policy = load_policy(job.model_file, env, job.agent_config)
        for motion, length in zip(recording.motions, env.library.lengths.tolist()):
            motion.length_s = round(length, 6)
        recording.save(out)
        _write_parc_files(job, out, motions_yaml, motions, env.num_envs)
        env.save_terrain(out / "terrain.pkl")
        Recorder(env, policy.act_mode, out, job.options, progress).run(recording)
    return recording


@contextlib.contextmanager
def _held(out: Path) -> Iterator[None]:
    """One recording at a time writes into a folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = open(out / ".lock", "a")  # noqa: SIM115 - closed below
    except OSError as error:
        raise unwritable(out, error) from error
    with file:
        if not try_lock(file):
            raise ConfigError(f"{out}: another recording writes there; wait for it, or choose another --out")
        yield


def _check(job: RecordJob, out: Path) -> None:
    check_limits(job.options.limits, "limits")
    if not job.env_file.env.dm.motion_file:
        raise ConfigError("env.dm.motion_file is not set; name the motions to perform")
    if any("ignore" in part for part in out.parts):
        raise ConfigError(f"{out}: merges pass over paths with 'ignore' in them; choose another --out")
    if (out / FOLDER).exists() and not (out / FILE).exists():
        raise ConfigError(
            f"{out}: holds {FOLDER} of another program (there is no {FILE}); choose another --out"
        )


def _fresh(job: RecordJob, motions_yaml: Path, motions: MotionsFile) -> Recording:
    """A recording of which nothing is done yet."""
    places = recording_places(motions_yaml, motions)
    records = [
        MotionRecord(name, place.motion_class, f"{FOLDER}/{place.path}")
        for name, place in zip(display_names(motions_yaml, motions), places)
    ]
    parts = _shape(job, motions_yaml)
    settings = {
        "model": str(job.model_file),
        "motion_file": str(motions_yaml),
        "engine": resolve_engine(job.engine, job.device),
        "device": job.device,
        "observations": job.options.observations,
        "limits": dict(job.options.limits),
    }
    return Recording(
        hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(), settings, records
    )


def _shape(job: RecordJob, motions_yaml: Path) -> Dict[str, Any]:
    """All that shapes recordings, by content."""
    try:
        model = sha256_file(job.model_file)
        character = sha256_file(resolve(job.env_file.env.char_file))
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); correct the path") from error
    return {
        "model": model,
        "character": character,
        "dataset": dataset_content(str(motions_yaml)),
        "env": shaping_settings("env", job.env_file),
        "norm_obs_clip": job.agent_config.norm_obs_clip,
        "engine": resolve_engine(job.engine, job.device),
        "options": dataclasses.asdict(job.options),
    }


def _with(env_file: EnvFileConfig, **changes: Any) -> EnvFileConfig:
    return dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, **changes))


def _write_parc_files(
    job: RecordJob, out: Path, motions_yaml: Path, motions: MotionsFile, num_envs: int
) -> None:
    """The configs that PARC's stage 4 leaves beside its recordings."""
    entries = [dataclasses.replace(entry, file=os.path.abspath(entry.file)) for entry in motions.entries]
    write_motions_yaml(out / MOTIONS_FILE, MotionsFile(entries, motions.terrain))
    dm = dataclasses.replace(
        job.env_file.env.dm, motion_file=str(out / MOTIONS_FILE), terrain_save_path=str(out / "terrain.pkl")
    )
    write_yaml(out / ENV_FILE, _with(job.env_file, dm=dm))
    write_yaml(out / AGENT_FILE, job.agent_config)
    config = job.dataset_config or DatasetConfig(_source_folders(motions_yaml, motions))
    write_yaml(out / DATASET_CONFIG_FILE, dataclasses.replace(config, save_path=str(out / MOTIONS_FILE)))
    arguments: List[Tuple[str, Any]] = [
        ("mode", "test"),
        ("env_config", out / ENV_FILE),
        ("agent_config", out / AGENT_FILE),
        ("model_file", Path(job.model_file).absolute()),
        ("num_envs", num_envs),
        ("device", job.device),
        ("engine", resolve_engine(job.engine, job.device)),
    ]
    write_text(out / ARGS_FILE, "".join(f"--{key} {value}\n" for key, value in arguments))


def _source_folders(motions_yaml: Path, motions: MotionsFile) -> List[str]:
    """Folders of motion classes that a dataset was made of: as its manifest says, else above its files' folders."""
    try:
        manifest = json_text.parse(manifest_path(motions_yaml).read_text(encoding="utf-8"))
        return [str(folder) for folder in manifest["settings"]["folder_paths"]]
    except (OSError, ValueError, KeyError, TypeError):
        above = [str(Path(entry.file).absolute().parent.parent) for entry in motions.entries]
        return list(dict.fromkeys(above))
