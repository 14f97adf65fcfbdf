"""`--set`, `--seed` and `--output-dir` of the commands that train from a tracker config."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from parc_core.config.paths import expand
from parc_core.config.tracker_config import LARGEST_SEED

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for a key of the tracker, agent or environment config, such as "
        "optimizer.learning_rate=1e-4; repeatable.",
    ),
]
SeedOption = Annotated[
    int | None, typer.Option("--seed", min=0, max=LARGEST_SEED, help="Instead of the config's seed.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output-dir", "--output_dir", help="Instead of the config's output_dir.")
]


def with_options(config: Path, values: list[str] | None, seed: int | None, output_dir: Path | None) -> Path:
    """The config as it is, or a copy in the store's work folder with what the options say.

    Raises:
        ConfigError: a key that there is not, or a value that it cannot have.
    """
    texts = list(values or ())
    if seed is not None:
        texts.append(f"seed={seed}")
    if output_dir is not None:  # quoted: whatever is in a path is no YAML
        texts.append(f"output_dir={json.dumps(str(Path(expand(str(output_dir))).absolute()))}")
    if not texts:
        return config
    from parc_core.config.overrides import with_overrides
    from parc_core.storage.references import work_folder

    return with_overrides(config, texts, work_folder() / "requests")
