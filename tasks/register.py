"""Stage 6: the trained model, with its lineage, into the registry."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger

from parc_core import __version__
from parc_core.config.env_config import load_env_config
from parc_core.config.resolve import CHARACTER_FILE
from parc_core.registry.manifest import Manifest
from parc_core.registry.models import list_aliases
from parc_core.registry.promotion import why_not_best
from parc_core.registry.registration import register_model
from parc_core.storage.references import local_path
from parc_core.storage.store import Store
from parc_core.system.files import PathLike
from tasks.artifacts import show_page
from tasks.code_version import code_version
from tasks.configs import write_here
from tasks.events import model_registered
from tasks.links import file_line, pull_command
from tasks.record import address
from tasks.results import Result
from tasks.stage import by_result, stage

SHOWN = ("report.html", "rollout.gif", "model.pt")
"""Files with a line on the model's page."""


def _inputs(parameters: dict[str, Any]) -> Any:
    """The model with all that is said of it."""
    training, configs = parameters["training"], parameters["configs"]
    return [
        parameters["model_name"],
        [training["model"], training["samples"], configs["run_key"]],
        [configs[name] for name in ("dm_env", "agent_config", "character", "in_model_file")],
        parameters["dataset"]["sha256"],
        [parameters[name]["summary"] for name in ("before", "after")],
        parameters.get("gate") or {},
        parameters.get("recording") and parameters["recording"]["recording"],
        *([held_out] if (held_out := _held_out(parameters["before"], parameters["after"])) else []),
    ]


def _held_out(before: Result, after: Result) -> dict[str, Any]:
    """The numbers on clips that the training never saw, before and after it; empty without any."""
    parts = {"before": before.get("held_out"), "after": after.get("held_out")}
    return {when: numbers for when, numbers in parts.items() if numbers}


@stage(name="register model", runs=("parc_core.registry.registration",), inputs=_inputs, lease=by_result)
def register(
    model_name: str,
    training: Result,
    configs: Result,
    dataset: Result,
    before: Result,
    after: Result,
    gate: dict[str, float] | None = None,
    recording: Result | None = None,
) -> Result:
    """Makes the model the next version of `model_name`, `latest` if it passes the gate, `best` if it is better.

    Args:
        model_name: name in the registry.
        training: the result of `train`.
        configs: the result of `emit_configs`.
        dataset: the result of `build_dataset`.
        before: the evaluation of the model that the training started from.
        after: the evaluation of the trained model.
        gate: least and largest values of its numbers (`min_completed: 0.9`) for becoming `latest`.
        recording: the result of `record_motions`, where the model was recorded.

    Returns:
        `name`, `version`, `manifest` (reference), `model` (reference to the registered model.pt), `recordings` (address
        of the folder of recorded motions, or None).
    """
    store = Store()
    files = _files(training, configs, dataset, after)
    manifest = _manifest(training, configs, dataset, before, after, recording)
    model = register_model(store, model_name, files, manifest, gate=gate or None)
    version = model["version"]
    aliases = [alias for alias, meant in list_aliases(store, model_name).items() if meant == version]
    _log_registration(store, model, aliases)
    result = {
        "name": model_name,
        "version": version,
        "manifest": model["ref"],
        "model": model["files"]["model.pt"],
        "recordings": address(recording) if recording and recording["summary"]["recorded"] else None,
    }
    show_page("model", _page(model, aliases), f"{model_name} version {version}, and how to get it")
    model_registered(result)
    return result


def _files(training: Result, configs: Result, dataset: Result, after: Result) -> dict[str, PathLike]:
    """Name in the registry -> file on this machine."""
    shown = (ref for ref in (after["report"], after["video"]) if ref)
    return {
        "model.pt": local_path(training["model"]),
        **write_here(configs, dataset),
        CHARACTER_FILE: local_path(configs["character"]),
        "log.txt": local_path(training["log"]),
        "evaluation.json": local_path(after["evaluation"]),
        **{ref["uri"].rpartition("/")[2]: local_path(ref) for ref in shown},
    }


def _manifest(
    training: Result,
    configs: Result,
    dataset: Result,
    before: Result,
    after: Result,
    recording: Result | None,
) -> dict[str, Any]:
    """Where the model comes from, and its numbers before and after the training."""
    metrics = {"before": before["summary"], "after": after["summary"]}
    held_out = _held_out(before, after)
    if held_out:
        metrics["held_out"] = held_out
    return {
        "action_mode": load_env_config(local_path(configs["dm_env"])).env.action_mode,
        "lineage": {
            "dataset": dataset,
            "parent": configs["in_model_file"],
            "configs": configs,
            "samples": training["samples"],
            "recording": recording,
            "code": code_version("parc_core"),
            "parc_tracker": __version__,
        },
        "metrics": metrics,
    }


def _log_registration(store: Store, model: Manifest, aliases: list[str]) -> None:
    """Says what the model is now, and why it is not `latest` or `best`."""
    log, name, version = get_run_logger(), model["name"], model["version"]
    log.info("registered as %s version %d%s", name, version, f" ({', '.join(aliases)})" if aliases else "")
    for rule in model.get("gate", {}).get("failed", ()):
        log.warning("%s version %d does not become latest: %s", name, version, rule)
    not_best = why_not_best(store, model)
    if not_best:
        log.info("%s version %d is %s", name, version, not_best)


def _page(model: Manifest, aliases: list[str]) -> str:
    """The registered model's page: its gate, its files, and the command that fetches them."""
    name, version = model["name"], model["version"]
    failed = model.get("gate", {}).get("failed", ())
    return "\n".join(
        [
            f"# {name} version {version}",
            f"Aliases: {', '.join(aliases) or 'none'}",
            *(f"- gate failed: {rule}" for rule in failed),
            "",
            f"All files, verified: `{pull_command(name, version)}`",
            "",
            *(file_line(file, model["files"][file]) for file in SHOWN if file in model["files"]),
        ]
    )
