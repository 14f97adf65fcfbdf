"""`parc-tracker export`: a model as ONNX or TorchScript."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from parc_core.errors import ConfigError
from parc_tracker.json_option import JsonOption

COMMAND = "parc-tracker export"


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A model.pt (ours or PARC's), a checkpoint, registry:NAME@latest, or s3://bucket/model.pt."
        ),
    ],
    onnx: Annotated[Path | None, typer.Option("--onnx", help="ONNX file to write.")] = None,
    torchscript: Annotated[
        Path | None, typer.Option("--torchscript", help="TorchScript file to write.")
    ] = None,
    env_config: Annotated[
        Path | None,
        typer.Option("--env-config", help="Environment file; default: dm_env.yaml beside the model."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Export a policy for other programs, normalizer and action map inside, with metadata on how to use it."""
    if onnx is None and torchscript is None:
        raise ConfigError(f"{COMMAND}: give --onnx FILE or --torchscript FILE, or both")
    from parc_core.config.agent_config import AgentConfig, load_agent_config
    from parc_core.config.env_config import load_env_config
    from parc_core.config.paths import existing_file
    from parc_core.config.resolve import AGENT_FILE, ENV_FILE, configs_beside
    from parc_core.export import read_policy, write_onnx, write_torchscript
    from parc_core.pull import model_folder
    from parc_tracker.tables import print_json

    file = model_folder(model, False, COMMAND)
    folder = configs_beside(file)
    env_file = load_env_config(existing_file(env_config or folder / ENV_FILE, "--env-config", COMMAND))
    has_agent = (folder / AGENT_FILE).is_file()
    agent_config = load_agent_config(folder / AGENT_FILE) if has_agent else AgentConfig()
    policy = read_policy(file, env_file, agent_config)
    written = []
    for path, write in ((onnx, write_onnx), (torchscript, write_torchscript)):
        if path is not None:
            write(policy, path)
            written.append(path)
    if as_json:
        print_json({"files": [str(path) for path in written], "metadata": policy.metadata})
        return
    inputs = ", ".join(f"{name} (N, {width})" for name, width in policy.inputs.items())
    dofs = len(policy.metadata["action"]["low"])
    for path in written:
        print(f"{path}  {path.stat().st_size:,} bytes")
    print(f"{inputs} -> pd_targets, action (N, {dofs}); {policy.metadata['rates']['control_hz']} Hz")
