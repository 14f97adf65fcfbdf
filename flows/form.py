"""The form of a run: what the Prefect UI shows, checks and hands to the flows of `flows/deployed.py`.

A form is a tracker config with its data set's settings, in groups. `form_from_config` fills it from a tracker config,
`write_configs` turns a filled one into the config files that the flow reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parc_core.engines.registry import NAMES as ENGINE_NAMES

if TYPE_CHECKING:
    Engine = str
else:
    Engine = Literal[ENGINE_NAMES]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:[0-9]+)?)$")]
Place = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
StageName = Literal["merge_motions", "build_dataset", "emit_configs", "evaluate", "train", "register"]


def _without_null(schema: dict[str, Any]) -> None:
    """What may be empty is shown as an empty field of its own type; with null as a type the UI shows only "None".

    The server takes null all the same for what is not required, except for choices: leave them out.
    """
    for field in schema.get("properties", {}).values():
        kinds = [kind for kind in field.get("anyOf", []) if kind.get("type") != "null"]
        if len(kinds) == 1:
            del field["anyOf"]
            field.pop("default", None)
            field.update(kinds[0])


class Group(BaseModel):
    """Part of the form; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_without_null)


class Motions(Group):
    """What to train on: motion folders, or a data set that is there already."""

    folders: Annotated[
        list[Place],
        Field(
            title="Motion folders",
            description="Folders whose first-level folders are the motion classes: paths on the worker or s3://… "
            "addresses. $DATA_DIR is the worker's, a * stands for any folder name (s3://motions/iteration_*/recorded).",
        ),
    ] = []
    dataset_file: Annotated[
        Place | None,
        Field(title="Data set", description="A motions.yaml to train on instead of motion folders."),
    ] = None
    min_num_frames: Annotated[
        int, Field(ge=0, title="Least frames", description="Motions with fewer frames are left out.")
    ] = 2
    max_terrain_dim_x: Annotated[
        Count | None, Field(title="Largest terrain, x", description="In cells; larger ones are left out.")
    ] = None
    max_terrain_dim_y: Annotated[
        Count | None, Field(title="Largest terrain, y", description="In cells; larger ones are left out.")
    ] = None
    halved_classes: Annotated[
        list[Place],
        Field(title="Halved classes", description="Classes of which every second motion is left out."),
    ] = []
    char_filepath: Annotated[
        Place, Field(title="Character", description="MJCF file of the character that the motions move.")
    ] = "data/assets/humanoid.xml"

    @model_validator(mode="after")
    def _one_source(self) -> Motions:
        if bool(self.folders) == (self.dataset_file is not None):
            raise ValueError("give motion folders or a data set, not both and not neither")
        return self


class Training(Group):
    """How long, where and from what."""

    max_samples: Annotated[
        Count,
        Field(
            title="Samples", description="Training ends after this many control steps over all environments."
        ),
    ] = 20_000_000
    num_envs: Annotated[
        Count, Field(title="Environments", description="Characters that are simulated at once.")
    ] = 256
    device: Annotated[
        Device, Field(title="Device", description="Where the worker trains: cpu, cuda or cuda:<number>.")
    ] = "cpu"
    engine: Annotated[
        Engine, Field(title="Physics", description="auto: mujoco_warp on a GPU, mujoco on a CPU.")
    ] = "auto"
    in_model_file: Annotated[
        Place | None,
        Field(
            title="Model to start from",
            description="Empty: from scratch. A file on the worker, or registry:NAME@latest (@best, @3).",
        ),
    ] = None
    seed: Annotated[
        int, Field(ge=0, title="Seed", description="Of networks, motion sampling and exploration.")
    ] = 0
    trainer_python: Annotated[
        Place | None,
        Field(
            title="Trainer's Python",
            description="Interpreter of the training process; empty = the flow's own.",
        ),
    ] = None


class Learning(Group):
    """Networks and PPO. An empty number means: as the file says."""

    agent_config: Annotated[
        Place, Field(title="Agent file", description="On the worker, or one of the project's data/configs/….")
    ] = "data/configs/cpu/agent.yaml"
    learning_rate: Annotated[
        Positive | None, Field(title="Learning rate", description="Step size of the optimizer.")
    ] = None
    schedule: Annotated[
        Literal["constant", "linear", "adaptive"] | None,
        Field(title="Learning rate's course", description="linear falls to 0; adaptive follows the policy."),
    ] = None
    action_std: Annotated[
        Positive | None, Field(title="Exploration", description="Standard deviation of normalized actions.")
    ] = None
    discount: Annotated[
        Annotated[float, Field(ge=0, lt=1)] | None, Field(title="Discount", description="Per control step.")
    ] = None
    iters_per_output: Annotated[
        Count | None, Field(title="Iterations between outputs", description="Lines of log.txt and progress.")
    ] = None
    iters_per_checkpoint: Annotated[
        Count | None,
        Field(title="Iterations between checkpoints", description="So much a crash costs at most."),
    ] = None


class Environment(Group):
    """Observations, rewards, terminations. Empty means: as the file says."""

    env_config: Annotated[
        Place,
        Field(title="Environment file", description="On the worker, or one of the project's data/configs/…."),
    ] = "data/configs/cpu/env.yaml"
    action_mode: Annotated[
        Literal["absolute", "residual"] | None,
        Field(title="Actions", description="PARC's absolute targets, or changes of the reference's."),
    ] = None
    episode_length: Annotated[Positive | None, Field(title="Longest episode", description="In seconds.")] = (
        None
    )


class Registration(Group):
    """Under which name the model is kept, and what it has to reach to become the latest."""

    model_name: Annotated[Name, Field(title="Model's name", description="In the registry.")] = "tracker"
    min_completed: Annotated[
        Share | None,
        Field(
            title="Least completed clips",
            description="Share of clips that the model has to complete to become latest; empty = any.",
        ),
    ] = None
    max_joint_error: Annotated[
        Positive | None,
        Field(title="Largest joint error", description="In metres, to become latest; empty = any."),
    ] = None


class Form(Group):
    """All groups: the parameters of both deployments."""

    motions: Motions
    training: Training = Training()
    learning: Learning = Learning()
    environment: Environment = Environment()
    registration: Registration = Registration()
    refresh: list[StageName] = []

    def parameters(self) -> dict[str, Any]:
        """As JSON, for a deployment; what is not set is left out, so that the form shows no fields of type None."""
        return self.model_dump(mode="json", exclude_none=True)
