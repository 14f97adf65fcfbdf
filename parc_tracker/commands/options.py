"""Options that several subcommands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parc_core.engines.registry import NAMES as ENGINE_NAMES

DEFAULT_CONFIG = "data/configs/parc_3_tracker_default.yaml"
ENGINE_HELP = "One of " + ", ".join(ENGINE_NAMES) + "."

ConfigOption = Annotated[Path, typer.Option("--config", help="Tracker config.")]
EngineOption = Annotated[str, typer.Option("--engine", help=ENGINE_HELP)]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda:0.")]
EnvOption = Annotated[
    Path | None, typer.Option("--env-config", help="Environment file; default: dm_env.yaml beside the model.")
]
