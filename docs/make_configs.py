"""Writes docs/configs.md from the config dataclasses: `python docs/make_configs.py`. A test fails where it is old."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Any, Iterator, List, Literal, NamedTuple, Type, get_args, get_origin, get_type_hints

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from parc_core.config.agent_config import AgentConfig
from parc_core.config.attribute_docs import attribute_docs
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.record_config import RecordConfig
from parc_core.config.tracker_config import TrackerConfig
from parc_core.config.train_args import NO_EFFECT, PARC_NAMES

TARGET = Path(__file__).with_name("configs.md")

CONFIGS = (TrackerConfig, EnvFileConfig, AgentConfig, DatasetConfig)

INTRO = """# Config keys

Written by `python docs/make_configs.py` from the dataclasses in `parc_core/config/`; change those, not this page.

- A missing key takes its default. An unknown key, a wrong type or a number out of range is an error that names the
  file and the key (for an unknown one also the nearest known one); a key given twice is an error, too.
- Every YAML file, `motions.yaml` too, is read strictly: `1:30` (90 to base 60) and `010` (octal 8) are errors, dates
  stay texts, and neither depth nor aliases may make a file cost more than its size. Numbers have to be finite.
  Seeds go from 0 to 4294967295: torch's generator drops what is above 32 bits.
- **ours** marks keys that PARC's configs do not have. Their defaults are PARC's behaviour; all other keys and defaults
  of environment and agent are PARC's.
- Keys without effect are accepted, so that PARC's files work as they are. One that is set to something else than its
  default is named when a training starts, or refused where another value would change what is learned.
- `$DATA_DIR` (or `${DATA_DIR}`) is replaced in every text of every config: by the environment variable, else by
  `DATA_DIR: /your/folder` in `user_config.yaml` or, where PARC has it, `data/configs/user_config.yaml`, in the working
  folder or the project's. `data/configs/tracker_config/`, which PARC's set-up of an iteration names, means
  `data/configs/parc_3_tracker/` where it is not there. `~` at the start is the home
  folder. Relative paths belong to the working folder; inputs that are not there are looked for in the project's.
- A training writes the resolved configs, defaults included, into its folder (keys that are null are omitted).
"""

TRACKER_TEXT = """`parc-tracker run`, `parc-tracker train` and `scripts/parc_3_tracker.py` read it.
One of `dataset_file` and `create_dataset_config` is needed. The pipeline (`parc-tracker run`) keeps the dataset that
it makes in the store; the other two write it to `save_path` of the dataset config. Engines that exist now:
[architecture](architecture.md#engines).
"""

ENV_TEXT = """Numbers per body are a list in the character's body order (without the root where it says non-root: torso,
head, right upper arm, right lower arm, right hand, the left arm alike, right thigh, right shin, right foot, the left
leg alike) or, ours, a mapping `{body name: number}`.
"""

AGENT_TEXT = """Networks are `fc_<1 to 4>layers_<width>units`: all layers of that width but the last, which has half
of it (a single one keeps it). `fc_2layers_1024units` = 1024, 512; `fc_3layers_1024units` = 1024, 1024, 512. PARC's
`fc_3layers_2048units` is the exception: 2048, 1024, 512. A ReLU follows each layer, unless `activation` and
`layer_norm` say otherwise.
"""

DATASET_TEXT = "How motions are merged and weighted: see [data](data.md).\n"

RECORD_TEXT = "`parc-tracker record --config` and `scripts/parc_4_phys_record.py` read it.\n"


class Key(NamedTuple):
    """One line of a table."""

    name: str
    default: str
    meaning: str
    no_effect: str
    ours: bool


def main() -> None:
    """Writes the page."""
    TARGET.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    parts = [
        INTRO,
        config_text("Tracker config", TrackerConfig, TRACKER_TEXT),
        config_text("Environment config (`dm_env.yaml`)", EnvFileConfig, ENV_TEXT),
        config_text("Agent config (`agent_config.yaml`)", AgentConfig, AGENT_TEXT),
        config_text("Dataset creation config", DatasetConfig, DATASET_TEXT),
        config_text("Recording config", RecordConfig, RECORD_TEXT),
        arguments_text(),
    ]
    return "\n".join(parts)


def config_text(title: str, cls: Type[Any], text: str) -> str:
    """Heading, text, table of the keys that work, table of those without effect."""
    keys = list(keys_of(cls))
    working = [[_code(k.name) + " **ours**" * k.ours, k.default, k.meaning] for k in keys if not k.no_effect]
    lines = [f"## {title}", "", text, *table(["key", "default", "meaning"], working), ""]
    ignored = [[_code(k.name), k.default, k.no_effect] for k in keys if k.no_effect]
    if ignored:
        lines += ["Without effect:", "", *table(["key", "default", "why"], ignored), ""]
    return "\n".join(lines)


def arguments_text() -> str:
    """PARC's arguments in `train_args.txt` that are read differently."""
    renamed = ", ".join(f"`--{parc}` = `--{ours}`" for parc, ours in PARC_NAMES.items())
    lines = [
        "## Argument file (`train_args.txt`)",
        "",
        "`--key value` lines: `env_config`, `agent_config`, `output_dir`, and of the tracker config's keys `num_envs`,",
        "`max_samples`, `device`, `gpus`, `engine`, `in_model_file`, `seed`. PARC's own files are read, too:",
        f"{renamed}, `--mode train` is accepted, the folder of `--out_model_file` is `output_dir`. Without effect:",
        "",
        *table(["argument", "why"], [[f"`--{name}`", why] for name, why in NO_EFFECT.items()]),
        "",
    ]
    return "\n".join(lines)


def keys_of(cls: Type[Any], prefix: str = "") -> Iterator[Key]:
    """All keys of a config and of the sections inside it, in their order."""
    meanings, hints = attribute_docs(cls), get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from keys_of(hint, f"{prefix}{field.name}.")  # type: ignore[arg-type]
            continue
        meaning = meanings.get(field.name, "")
        if get_origin(hint) is Literal and len(get_args(hint)) > 1:
            meaning += " One of " + ", ".join(_code(choice) for choice in get_args(hint)) + "."
        about = field.metadata
        if about.get("was"):
            meaning += f" Earlier name: {_code(about['was'])}."
        yield Key(
            prefix + field.name,
            default_text(field),
            meaning,
            about.get("no_effect", "")
            or (about.get("only_default") and f"no other value: {about['only_default']}"),
            about.get("ours", False),
        )


def default_text(field: Any) -> str:
    """A default as YAML writes it."""
    if field.default is not dataclasses.MISSING:
        return _code(_yaml(field.default))
    if field.default_factory is dataclasses.MISSING:
        return "needed"
    value = field.default_factory()
    if not isinstance(value, list):
        return _code(_yaml(value))
    runs = [(text, len(list(group))) for text, group in itertools.groupby(map(_yaml, value))]
    items = [f"{count} × {text}" if count > 4 else ", ".join([text] * count) for text, count in runs]
    return _code("[" + ", ".join(items) + "]")


def table(head: List[str], rows: List[List[str]]) -> List[str]:
    """Lines of a Markdown table."""
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def _yaml(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _code(text: Any) -> str:
    return f"`{text}`"


if __name__ == "__main__":
    main()
