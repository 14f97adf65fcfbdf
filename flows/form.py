"""The form of a run: what the Prefect UI shows, checks and hands to the flow of `flows/deployed.py`.

A form is a tracker config with its dataset's settings, in groups. `form_from_config` fills it from a tracker config,
`write_configs` turns a filled one into the config files that the flow reads.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

import flows.tracker_iteration  # noqa: F401 - all stages
from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.config.attribute_docs import attribute_docs
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.env_config import EnvConfig
from parc_core.config.tracker_config import TrackerConfig, check_share
from parc_core.engines.registry import NAMES as ENGINE_NAMES
from parc_core.errors import ConfigError
from tasks.stage import STAGES

if TYPE_CHECKING:
    Engine = str
    StageName = str
else:
    Engine = Literal[ENGINE_NAMES]
    StageName = Literal[tuple(STAGES)]

Place = Annotated[str, Field(min_length=1)]

_LIMITS = {"above": "gt", "at_least": "ge", "at_most": "le", "below": "lt"}
_AS_IN_CONFIG: Any = object()
_FILE = "On the worker, or one of the project's data/configs/…."


def key(
    config: type, name: str, title: str, default: Any = _AS_IN_CONFIG, text: str = "", **limits: Any
) -> Any:
    """A field of the form that is a key of a config: default, limits and text are the config's, unless given here.

    Args:
        config: the config, or the section of one, that has the key.
        name: of the key.
        title: what the UI shows above the field.
        default: None for a key without null: the field may be empty, which means the value of the config file.
        text: what the UI shows below the title.
        limits: arguments of pydantic's `Field`.
    """
    found: Any = next(each for each in dataclasses.fields(config) if each.name == name)
    theirs = {_LIMITS[limit]: value for limit, value in found.metadata.items() if limit in _LIMITS}
    if default is _AS_IN_CONFIG:
        default = found.default_factory() if found.default is dataclasses.MISSING else found.default
    text = text or attribute_docs(config)[name].replace("null", "empty").replace("`", "")
    text = text.replace("<", "\\<")  # the UI shows Markdown, which takes <number> for a tag and drops it
    return Field(default, title=title, description=text, **{**theirs, **limits})


def _for_the_browser(schema: dict[str, Any]) -> None:
    """What may be empty is shown as an empty field of its own type; with null as a type the UI shows only "None".

    The server takes null all the same for what is not required, except for choices: leave them out.
    """
    for field in schema.get("properties", {}).values():
        kinds = [kind for kind in field.get("anyOf", []) if kind.get("type") != "null"]
        if len(kinds) == 1:
            del field["anyOf"]
            field.pop("default", None)
            field.update(kinds[0])
    for field in schema.get("properties", {}).values():
        # The browser checks `minimum` and `maximum` alone; whether the limit itself counts is checked by the server.
        for open_limit, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
            if open_limit in field:
                field.setdefault(limit, field[open_limit])


class Group(BaseModel):
    """Part of the form; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_for_the_browser)


class Motions(Group):
    """What to train on: motion folders, or a dataset that is there already."""

    folders: list[Place] = key(
        DatasetConfig,
        "folder_paths",
        "Motion folders",
        default=[],
        text="Folders whose first-level folders are the motion classes: paths on the worker or s3://… addresses. "
        "$DATA_DIR is the worker's, a * stands for any folder name (s3://motions/iteration_*/recorded).",
    )
    dataset_file: Place | None = key(
        TrackerConfig, "dataset_file", "Dataset", text="A motions.yaml to train on instead of motion folders."
    )
    held_out: list[Place] = key(
        TrackerConfig,
        "held_out_motions",
        "Held-out motions",
        text="Clips that the training never sees, evaluated beside the others: motion folders, or one dataset.",
    )
    min_num_frames: int = key(DatasetConfig, "min_num_frames", "Min. frames")
    max_terrain_dim_x: int | None = key(DatasetConfig, "max_terrain_dim_x", "Max. terrain size, x")
    max_terrain_dim_y: int | None = key(DatasetConfig, "max_terrain_dim_y", "Max. terrain size, y")
    halved_classes: list[Place] = key(
        DatasetConfig,
        "motion_classes_to_cut_in_half",
        "Halved classes",
        text="Classes of which every second motion is skipped.",
    )
    allow_implausible: bool = key(DatasetConfig, "allow_implausible", "Implausible motions too")
    class_exponent: float = key(DatasetConfig, "class_exponent", "Weight of large classes")
    char_filepath: Place = key(DatasetConfig, "char_filepath", "Character")

    @model_validator(mode="after")
    def _one_source(self) -> Motions:
        if bool(self.folders) == (self.dataset_file is not None):
            raise ValueError("give motion folders or a dataset, not both and not neither")
        return self


_NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
REFERENCE = f"^(registry:{_NAME}(@{_NAME})?|(?!registry:).+)$"
"""A model of the registry, or a file: what is written like neither is refused before there is a run."""


def _checked_reference(text: str) -> str:
    if re.match(REFERENCE, text) is None:
        raise ValueError("a model of the registry is written registry:NAME@latest")
    return text


class Training(Group):
    """How long, where and from what."""

    max_samples: int = key(TrackerConfig, "max_samples", "Samples", default=20_000_000, ge=1)
    num_envs: int = key(TrackerConfig, "num_envs", "Environments", default=256)
    device: str = key(TrackerConfig, "device", "Device", default="cpu", pattern=r"^(cpu|cuda(:[0-9]+)?)$")
    gpus: int = key(TrackerConfig, "gpus", "GPUs")
    engine: Engine = key(TrackerConfig, "engine", "Physics engine")
    in_model_file: Annotated[Place, AfterValidator(_checked_reference)] | None = key(
        TrackerConfig, "in_model_file", "Model to start from", json_schema_extra={"pattern": REFERENCE}
    )
    seed: int = key(TrackerConfig, "seed", "Seed")
    trainer_python: Place | None = key(TrackerConfig, "trainer_python", "Trainer's Python")

    @model_validator(mode="after")
    def _equal_shares(self) -> Training:
        try:
            check_share(self.num_envs, self.gpus)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self


class Learning(Group):
    """Networks and PPO. Empty means: as the file says."""

    agent_config: Place = key(
        TrackerConfig, "agent_config", "Agent file", default="data/configs/cpu/agent.yaml", text=_FILE
    )
    learning_rate: float | None = key(OptimizerConfig, "learning_rate", "Learning rate", default=None)
    schedule: Literal["constant", "linear", "adaptive"] | None = key(
        OptimizerConfig, "schedule", "Learning-rate schedule", default=None
    )
    action_std: float | None = key(ModelConfig, "action_std", "Exploration", default=None)
    discount: float | None = key(AgentConfig, "discount", "Discount", default=None)
    iters_per_output: int | None = key(
        AgentConfig, "iters_per_output", "Iterations between outputs", default=None
    )
    iters_per_checkpoint: int | None = key(
        AgentConfig,
        "iters_per_checkpoint",
        "Iterations between checkpoints",
        default=None,
        text="Maximum work lost in a crash.",
    )


class Environment(Group):
    """Observations, rewards, terminations. Empty means: as the file says."""

    env_config: Place = key(
        TrackerConfig, "env_config", "Environment file", default="data/configs/cpu/env.yaml", text=_FILE
    )
    action_mode: Literal["absolute", "residual"] | None = key(
        EnvConfig, "action_mode", "Actions", default=None
    )
    episode_length: float | None = key(EnvConfig, "episode_length", "Max. episode length", default=None)


class Registration(Group):
    """Under which name the model is kept, and what it has to reach to become the latest."""

    model_name: str = key(
        TrackerConfig, "model_name", "Model name", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100
    )
    min_completed: float | None = Field(
        default=None,
        title="Min. completion rate",
        description="Share of clips that the model has to complete to become latest; empty = any.",
        ge=0,
        le=1,
    )
    min_held_out_completed: float | None = Field(
        default=None,
        title="Min. completion rate, held out",
        description="The same share of the held-out motions; empty = any.",
        ge=0,
        le=1,
    )
    max_joint_error: float | None = Field(
        default=None,
        title="Max. joint error",
        description="In metres, to become latest; empty = any.",
        gt=0,
    )
    record: bool = Field(
        default=True,
        title="Record its motions",
        description="Let the model perform its motions and keep those that it can do as motions for the next "
        "iteration: recordings:NAME among the motion folders means them.",
    )


class Form(Group):
    """All groups: the parameters of both deployments."""

    motions: Motions
    training: Training = Training()
    learning: Learning = Learning()
    environment: Environment = Environment()
    registration: Registration = Registration()
    refresh: list[StageName] = []
    only_new_motions: bool = False

    def parameters(self) -> dict[str, Any]:
        """As JSON, for a deployment; what is not set is omitted, so that the form shows no fields of type None."""
        return self.model_dump(mode="json", exclude_none=True)
