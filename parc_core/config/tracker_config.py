"""Tracker config: one training (or one pipeline run) on one page (spec section 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from parc_core.config.paths import PathLike, load_yaml
from parc_core.config.schema import from_mapping, setting
from parc_core.errors import ConfigError

MOST_GPUS = 1024
LARGEST_SEED = 2**32 - 1
"""torch's generator on the CPU, which makes the networks, takes 32 bits and drops the others without a word."""

NEEDS_FOLDERS = (
    "iterations: the config names a dataset_file, to which no recorded motions can be added; give it a "
    "create_dataset_config"
)
"""Why a config is refused for several iterations."""
_OPTIONAL_PATHS = ("in_model_file", "output_dir", "dataset_file", "create_dataset_config", "trainer_python")


@dataclass(frozen=True)
class TrackerConfig:
    """What `parc_3_tracker.py --config` reads."""

    env_config: str = "data/configs/parc_3_tracker/dm_env_default.yaml"
    """Environment file."""
    agent_config: str = "data/configs/parc_3_tracker/agent_default.yaml"
    """Agent file."""
    output_dir: Optional[str] = None
    """Folder of the training's results; null = `runs/<key>` in the store, the key made from what is trained."""
    num_envs: int = setting(2048, at_least=1, at_most=10_000_000)
    """Environments that are simulated at once, on all GPUs together."""
    max_samples: int = setting(10_000_000_000, at_least=0)
    """Training ends after this many control steps over all environments."""
    device: str = "cuda:0"
    """Where training runs: cpu, cuda, cuda:0, …"""
    gpus: int = setting(1, at_least=1, at_most=MOST_GPUS, ours=True)
    """GPUs of this machine that train together, from device on: with cuda:2 and 4 GPUs cuda:2 to cuda:5. Each takes the
    same share of num_envs. With device cpu so many processes on the CPU."""
    # Which engines there are is checked where they are known: `engines/registry.py`.
    engine: str = setting("auto", ours=True)
    """Physics; auto takes mujoco_warp on CUDA and mujoco otherwise."""
    dataset_file: Optional[str] = None
    """The dataset to train on (`motions.yaml`); made by the pipeline where create_dataset_config is given."""
    in_model_file: Optional[str] = None
    """Model to start from: ours, PARC's model.pt, one of our checkpoints, or the registry's (`registry:NAME@latest`,
    `@best`, `@3`); null or none = from scratch."""
    create_dataset_config: Optional[str] = None
    """Dataset creation file; null = dataset_file is there already."""
    held_out_motions: List[str] = setting([], ours=True)
    """Clips that the training never sees, evaluated beside those that it sees: one dataset (such as the `held_out.yaml`
    of `parc-tracker dataset split`), or motion folders as in folder_paths of a dataset config."""
    seed: int = setting(0, at_least=0, at_most=LARGEST_SEED, ours=True)
    """Seed of networks, motion sampling and exploration."""
    model_name: str = setting("tracker", ours=True)
    """Name under which the registry keeps the trained model."""
    gate: Dict[str, float] = setting({}, ours=True)
    """What the model has to reach to become `latest` or `best`: `min_…` or `max_…` with completed (share of clips),
    tracked, joint_error (m), return or another number of its evaluation, such as `min_completed: 0.9`; it is registered
    anyway. Without one every model becomes `latest`, and `best` only one that completes a clip."""
    record: bool = setting(False, ours=True)
    """Let the trained model perform its motions and keep those that it can do as motions for the next iteration (in the
    pipeline; by hand `parc-tracker record`)."""
    record_limits: Dict[str, float] = setting({}, ours=True)
    """Recordings that exceed one of these are rejected, see the recording config's limits."""
    trainer_python: Optional[str] = setting(None, ours=True)
    """Python interpreter of the training process; null = this one."""

    def __post_init__(self) -> None:
        if self.dataset_file is None and self.create_dataset_config is None:
            raise ConfigError(
                "neither 'dataset_file' nor 'create_dataset_config' is set; name the motions.yaml to train on"
                " or a dataset creation config"
            )
        check_device_name(self.device)
        check_share(self.num_envs, self.gpus)
        datasets = [path for path in self.held_out_motions if is_dataset_file(path)]
        if datasets and len(self.held_out_motions) > 1:
            raise ConfigError(
                f"'held_out_motions' names the dataset {datasets[0]} and others; give one dataset, or only folders"
            )
        name = self.model_name
        if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
            raise ConfigError(
                f"'model_name' is '{name}', but must be letters, digits, '-', '_', '.' (it names a folder)"
            )


def load_tracker_config(path: PathLike) -> TrackerConfig:
    """Read a tracker file.

    Raises:
        ConfigError: see `paths.load_yaml` and `schema.from_mapping`.
    """
    return complete_tracker(load_yaml(path), str(path))


def complete_tracker(data: Dict[str, Any], where: str) -> TrackerConfig:
    """The config of a tracker file's keys; raises as `schema.from_mapping`.

    Args:
        data: changed where it names no file in one of PARC's ways.
        where: source for the messages.
    """
    for key in _OPTIONAL_PATHS:
        if isinstance(data.get(key), str):
            data[key] = none_or_path(data[key])
    return from_mapping(TrackerConfig, data, where)


def is_dataset_file(path: str) -> bool:
    """Whether a path among motion folders names a dataset file instead."""
    return "://" not in path and path.endswith((".yaml", ".yml"))


def none_or_path(text: Optional[str]) -> Optional[str]:
    """PARC writes "no file" as null, "None", "none" or nothing."""
    return None if text is None or text.strip().lower() in ("", "none", "null") else text


def check_device_name(device: str) -> None:
    """Refuse what is not a device name; whether the device is there is asked when training starts.

    Raises:
        ConfigError: not `cpu`, `cuda` or `cuda:<number>`.
    """
    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda") or (":" in device and not index.isdigit()):
        raise ConfigError(f"'device' is '{device}', but must be cpu, cuda or cuda:<number>")


def check_share(num_envs: int, gpus: int) -> None:
    """Refuse environments that cannot be shared out equally.

    Raises:
        ConfigError: gpus does not divide num_envs.
    """
    less = num_envs // gpus * gpus
    if less != num_envs:
        nearest = f"{less} or {less + gpus}" if less else str(gpus)
        raise ConfigError(
            f"'num_envs' is {num_envs}, which 'gpus' ({gpus}) does not divide; it counts the environments of all GPUs: "
            f"set it to {nearest}"
        )
