"""From a tracker config to the form of a run, and from a filled form to the config files that the flow reads."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from flows.folder_patterns import expand_folders
from flows.form import Environment, Form, Group, Learning, Motions, Training
from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.paths import PathLike, expand, read_mapping, resolve
from parc_core.config.resolve import portable, write_yaml
from parc_core.config.schema import from_mapping, to_mapping
from parc_core.config.tracker_config import TrackerConfig, none_or_path
from parc_core.errors import ConfigError
from parc_core.system.files import write_text

_LIMITS = ("min_num_frames", "max_terrain_dim_x", "max_terrain_dim_y", "allow_implausible", "class_exponent")


def form_from_config(config: PathLike) -> Form:
    """The form with the values of a tracker config and of the dataset config that it names.

    `$DATA_DIR` stays as it is written: each worker puts its own folder there. Relative paths become absolute ones,
    those of the project's own files stay relative to the project. `output_dir` is ignored: trainings of the
    deployments lie in the store.

    Raises:
        ConfigError: the config cannot be read, or holds what the form refuses.
    """
    data = read_mapping(resolve(config))
    tracker = from_mapping(
        TrackerConfig,
        {key: none_or_path(value) if isinstance(value, str) else value for key, value in data.items()},
        str(config),
    )
    motions: dict[str, Any] = {"dataset_file": _portable_path(tracker.dataset_file)}
    if tracker.create_dataset_config is not None:
        file = resolve(tracker.create_dataset_config)
        dataset = from_mapping(DatasetConfig, read_mapping(file), str(file))
        motions = {
            "folders": [_portable_path(folder) for folder in dataset.folder_paths],
            "char_filepath": _portable_path(dataset.char_filepath),
            "halved_classes": dataset.motion_classes_to_cut_in_half
            if dataset.cut_some_classes_in_half
            else [],
            **{name: getattr(dataset, name) for name in _LIMITS},
        }
    motions["held_out"] = [_portable_path(path) for path in tracker.held_out_motions]
    values = {
        "motions": motions,
        "training": {
            **{name: getattr(tracker, name) for name in Training.model_fields},
            "in_model_file": _portable_path(tracker.in_model_file),
        },
        "learning": {"agent_config": _portable_path(tracker.agent_config)},
        "environment": {"env_config": _portable_path(tracker.env_config)},
        # Deployments record, unless the config says that they shall not.
        "registration": {
            "model_name": tracker.model_name,
            "record": tracker.record if "record" in data else True,
            **tracker.gate,
        },
    }
    try:
        return Form.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{config}: {_faults(error)}") from None


def write_configs(form: Form, folder: Path) -> Path:
    """Writes the config files that a form means into `folder/<hash of the form>/`.

    The same form gives the same files, so that a retry finds everything where it was.

    Returns:
        The tracker config.

    Raises:
        ConfigError: a file that the form names is missing or bad, or no folder matches a pattern.
    """
    text = json.dumps(form.parameters(), sort_keys=True)
    out = folder / hashlib.sha256(text.encode()).hexdigest()[:16]
    write_text(out / "form.json", text)
    tracker: dict[str, Any] = {
        "env_config": _changed_env(form.environment, out / "env.yaml"),
        "agent_config": _changed_agent(form.learning, out / "agent.yaml"),
        "model_name": form.registration.model_name,
        "gate": form.registration.model_dump(exclude={"model_name", "record"}, exclude_none=True),
        "record": form.registration.record,
        "held_out_motions": expand_folders([expand(path) for path in form.motions.held_out]),
        **form.training.model_dump(),
    }
    if form.motions.dataset_file is not None:
        tracker["dataset_file"] = form.motions.dataset_file
    else:
        write_yaml(out / "dataset.yaml", _dataset(form.motions))
        tracker["create_dataset_config"] = str(out / "dataset.yaml")
    write_yaml(out / "tracker.yaml", from_mapping(TrackerConfig, tracker, "form"))
    return out / "tracker.yaml"


def _dataset(motions: Motions) -> DatasetConfig:
    return DatasetConfig(
        folder_paths=expand_folders([expand(folder) for folder in motions.folders]),
        char_filepath=motions.char_filepath,
        cut_some_classes_in_half=bool(motions.halved_classes),
        motion_classes_to_cut_in_half=motions.halved_classes,
        **{name: getattr(motions, name) for name in _LIMITS},
    )


def _changed_agent(learning: Learning, target: Path) -> str:
    """The agent file, or a copy with the form's changes."""
    changes = learning.model_dump(exclude={"agent_config"}, exclude_none=True)
    if not changes:
        return learning.agent_config
    agent = to_mapping(load_agent_config(learning.agent_config))
    for key, value in changes.items():
        section = next(part for part in (agent, agent["optimizer"], agent["model"]) if key in part)
        section[key] = value
    write_yaml(target, from_mapping(AgentConfig, agent, "form"))
    return str(target)


def _changed_env(environment: Environment, target: Path) -> str:
    """The environment file, or a copy with the form's changes."""
    changes = environment.model_dump(exclude={"env_config"}, exclude_none=True)
    if not changes:
        return environment.env_config
    env = to_mapping(load_env_config(environment.env_config))
    env["env"].update(changes)
    write_yaml(target, from_mapping(EnvFileConfig, env, "form"))
    return str(target)


def _portable_path(path: str | None) -> str | None:
    """A path as it can be used on another machine or in another working folder."""
    if path is None or "://" in path or path.startswith(("$", "~", "registry:", "recordings:")):
        return path
    return portable(resolve(path))


def _faults(error: ValidationError) -> str:
    """All that is wrong, each with the field's label and its key."""
    return "; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors())


def _place(location: tuple[int | str, ...]) -> str:
    names = [str(part) for part in location]
    key = ".".join(names)
    group = Form.model_fields[names[0]].annotation if names and names[0] in Form.model_fields else None
    field = getattr(group, "model_fields", {}).get(names[1]) if len(names) > 1 else None
    return f"{field.title} ('{key}')" if field is not None else f"'{key}'"


def described(schema: dict[str, Any], form: Form) -> dict[str, Any]:
    """The form's JSON schema, in which each field that the form leaves empty says what counts then.

    Args:
        schema: of the flow's parameters, with the groups under `definitions`.
        form: the values that the form starts with.
    """
    schema = copy.deepcopy(schema)
    for group, values in _in_force(form).items():
        fields = schema["definitions"][group]["properties"]
        for name, (value, file) in values.items():
            fields[name]["description"] += f" Empty: {value}, as in {file}."
    return schema


def _in_force(form: Form) -> dict[str, dict[str, tuple[Any, str]]]:
    """Of each group the fields that the form leaves empty, with value and name of the file that has it.

    A file that is not on this machine says nothing here; the workers may have it.
    """
    found: dict[str, dict[str, tuple[Any, str]]] = {}
    with contextlib.suppress(ConfigError):
        agent = to_mapping(load_agent_config(form.learning.agent_config))
        parts = {**agent["model"], **agent["optimizer"], **agent}
        found["Learning"] = _empty(form.learning, parts, form.learning.agent_config)
    with contextlib.suppress(ConfigError):
        env = to_mapping(load_env_config(form.environment.env_config))["env"]
        found["Environment"] = _empty(form.environment, env, form.environment.env_config)
    return found


def _empty(group: Group, values: dict[str, Any], file: str) -> dict[str, tuple[Any, str]]:
    return {
        name: (values[name], file) for name, value in group if value is None and values.get(name) is not None
    }
