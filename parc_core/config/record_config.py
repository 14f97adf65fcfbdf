"""Recording config: PARC's `phys_record.yaml`, and our keys beside its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional

from parc_core.config.paths import PathLike, load_yaml
from parc_core.config.schema import from_mapping, setting
from parc_core.config.tracker_config import check_device_name, none_or_path
from parc_core.errors import ConfigError

_OPTIONAL_PATHS = ("create_dataset_config", "env_file", "agent_file", "dataset_file")


@dataclass(frozen=True)
class RecordConfig:
    """What `parc_4_phys_record.py --config` reads."""

    model_file: str
    """The tracker: a model.pt (ours or PARC's), a checkpoint, an address (`s3://…/model.pt`), or the registry's
    (`registry:NAME@latest`)."""
    output_dir: str
    """Folder of the recordings, or an address in object storage."""
    device: str = "cuda:0"
    """Where the motions are performed: cpu, cuda, cuda:0, …"""
    create_dataset_config: Optional[str] = None
    """Dataset creation file of the motions to perform; null = dataset_file is there already."""
    env_file: Optional[str] = None
    """Environment file; null = dm_env.yaml beside the model."""
    agent_file: Optional[str] = None
    """Agent file; null = agent_config.yaml beside the model."""
    dataset_file: Optional[str] = setting(None, ours=True)
    """The motions to perform: a motions.yaml or a folder of motion classes; null = the environment file's."""
    engine: str = setting("auto", ours=True)
    """Physics; auto takes mujoco_warp on CUDA and mujoco otherwise."""
    num_envs: Optional[int] = setting(None, at_least=1, ours=True)
    """Motions performed at a time; null = all, at most 256 on a CPU and 4096 on a GPU."""
    observations: bool = setting(False, ours=True)
    """Store each frame's observation with the motion (`obs`, `obs_shapes`)."""
    limits: Dict[str, float] = setting({}, ours=True)
    """Recordings that exceed one of these are rejected: joint_error_m, penetration_mean_m, penetration_max_m,
    foot_skating_m_s, jerk_m_s3. Empty = none is, as in PARC."""

    def __post_init__(self) -> None:
        check_device_name(self.device)
        for key in ("model_file", "output_dir"):
            if none_or_path(getattr(self, key)) is None:
                raise ConfigError(f"'{key}' is empty; name one")


def load_record_config(path: PathLike) -> RecordConfig:
    """Read a recording file.

    Raises:
        ConfigError: see `paths.load_yaml` and `schema.from_mapping`.
    """
    return from_mapping(RecordConfig, read_record_mapping(path), str(path))


def read_record_mapping(path: PathLike) -> Dict[str, Any]:
    """The keys of a recording file, to be completed; raises as `paths.load_yaml`."""
    data = load_yaml(path)
    for key in _OPTIONAL_PATHS:
        if isinstance(data.get(key), str):
            data[key] = none_or_path(data[key])
    return data
