"""Settings given beside a tracker config (`optimizer.learning_rate=1e-4`): checked, and written into its files."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Type, get_type_hints

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.paths import PathLike, expand, load_yaml
from parc_core.config.resolve import write_yaml
from parc_core.config.schema import check_setting, from_mapping
from parc_core.config.tracker_config import TrackerConfig, complete_tracker
from parc_core.config.yaml_reader import parse_yaml, shown
from parc_core.errors import ConfigError

TRACKER, AGENT, ENV = "tracker", "agent", "env"
_CONFIGS: Tuple[Tuple[str, Type[Any]], ...] = (
    (TRACKER, TrackerConfig),
    (AGENT, AgentConfig),
    (ENV, EnvFileConfig),
)


@dataclass(frozen=True)
class Setting:
    """One key of one of the three configs."""

    config: str
    """`TRACKER`, `AGENT` or `ENV`."""
    path: Tuple[str, ...]
    """Of the key in its file, section by section."""
    hint: Any
    """Type of its value."""
    field: Any
    """Its field, with the limits."""

    @property
    def names(self) -> List[str]:
        """All that means it, the shortest last: `agent.optimizer.learning_rate` … `learning_rate`."""
        parts = (self.config, *self.path)
        return [".".join(parts[start:]) for start in range(len(parts))]

    @property
    def key(self) -> str:
        """As its file has it, with dots."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Override:
    """A setting and its new value."""

    setting: Setting
    inside: Tuple[str, ...]
    """Key inside a setting that is a mapping: `min_completed` of `gate.min_completed`."""
    value: Any


def all_settings() -> List[Setting]:
    """Every key of the three configs."""
    return [each for name, cls in _CONFIGS for each in _settings_of(name, cls, ())]


def _settings_of(config: str, cls: Type[Any], path: Tuple[str, ...]) -> Iterator[Setting]:
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        here = (*path, field.name)
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _settings_of(config, hints[field.name], here)
        else:
            yield Setting(config, here, hints[field.name], field)


def parse_override(text: str, where: str = "--set") -> Override:
    """`KEY=VALUE`: the key as its file has it, with dots, or as much of its end as no other key has.

    The value is read as YAML: `5`, `1e-4`, `[1, 2]`, `null`.

    Raises:
        ConfigError: no `=`, a key that there is not (the nearest is named) or that several configs have, or a value of
            another type or out of its limits.
    """
    name, equals, value_text = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise ConfigError(f"{where} {shown(text)}: write it like {where} optimizer.learning_rate=1e-4")
    setting, inside = _find(name, where)
    value = parse_yaml(value_text, f"{where} {shown(name)}")
    if isinstance(value, str):
        value = expand(value)
    probe = value if not inside else _nested(inside, value)
    check_setting(setting.hint, probe, where, setting.key, setting.field)
    return Override(setting, inside, value)


def _find(name: str, where: str) -> Tuple[Setting, Tuple[str, ...]]:
    settings = all_settings()
    known = name
    while known:
        found = [each for each in settings if known in each.names]
        # A key that one file has as it is given comes before ends of longer ones: `seed`, not `….seed`.
        exact = [each for each in found if each.key == known]
        found = exact if len(exact) == 1 else found
        inside = tuple(name[len(known) + 1 :].split(".")) if known != name else ()
        if len(found) > 1:
            choice = " or ".join(each.names[0] for each in found)
            raise ConfigError(f"{where} {shown(name)}: several keys are called so; write {choice}")
        if found and (not inside or "Dict" in str(found[0].hint)):
            return found[0], inside
        known = known.rpartition(".")[0]
    within = next(
        (each.key for each in settings if name in each.path[:-1] or each.key.startswith(f"{name}.")), None
    )
    if within is not None:
        raise ConfigError(f"{where}: '{shown(name)}' is a section; name a key in it, such as '{within}'")
    raise ConfigError(
        f"{where}: unknown key '{shown(name)}'; the nearest known key is '{_nearest(name, settings)}'"
    )


def _nearest(name: str, settings: List[Setting]) -> str:
    """The key spelled most like it, by its last words."""
    words = name.count(".") + 1
    ends = {".".join(each.path[-words:]): each.key for each in settings}
    return ends[difflib.get_close_matches(name[:100], list(ends), n=1, cutoff=0.0)[0]]


def _nested(inside: Tuple[str, ...], value: Any) -> Any:
    for key in reversed(inside):
        value = {key: value}
    return value


def with_overrides(config: PathLike, texts: Sequence[str], folder: Path, where: str = "--set") -> Path:
    """A tracker config with other values: itself without any, else a copy, and copies of the files that have them.

    The same values give the same files in the same place.

    Args:
        config: the tracker config.
        texts: `KEY=VALUE` each, see `parse_override`; of one key the last counts.
        folder: the copies go to `<hash>/` in it.
        where: what messages call the source of the values.

    Raises:
        ConfigError: see `parse_override`; or the values do not go together.
    """
    if not texts:
        return Path(config)
    overrides = [parse_override(text, where) for text in texts]
    source = f"{config} with {where}"
    tracker = complete_tracker(_changed(load_yaml(config), overrides, TRACKER), source)
    changed: Dict[str, Any] = {TRACKER: tracker}
    for name, cls in ((AGENT, AgentConfig), (ENV, EnvFileConfig)):
        if any(each.setting.config == name for each in overrides):
            path = getattr(tracker, f"{name}_config")
            changed[name] = from_mapping(
                cls, _changed(load_yaml(path), overrides, name), f"{path} with {where}"
            )
    content = {name: repr(value) for name, value in changed.items()}
    out = folder / hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    places: Dict[str, Any] = {
        f"{name}_config": str(out / f"{name}.yaml") for name in changed if name != TRACKER
    }
    changed[TRACKER] = dataclasses.replace(tracker, **places)
    for name, value in changed.items():
        write_yaml(out / f"{name}.yaml", value)
    return out / f"{TRACKER}.yaml"


def _changed(data: Dict[str, Any], overrides: Sequence[Override], config: str) -> Dict[str, Any]:
    """The content of a file with its overrides; a key's earlier name gives way to its name."""
    for override in overrides:
        if override.setting.config != config:
            continue
        section = data
        path = (*override.setting.path, *override.inside)
        for key in path[:-1]:
            if not isinstance(section.get(key), dict):
                section[key] = {}
            section = section[key]
        if not override.inside:
            section.pop(override.setting.field.metadata.get("was") or "", None)
        section[path[-1]] = override.value
    return data
