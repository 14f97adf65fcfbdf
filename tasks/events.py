"""What the pipeline tells others through Prefect's events."""

from __future__ import annotations

from typing import Any

from prefect.events import emit_event

MODEL_REGISTERED = "parc.model.registered"


def model_registered(model: dict[str, Any]) -> None:
    """Says that a model is in the registry, so that an automation can start what follows (PARC's stage 4).

    The event's payload: `model` (`registry:NAME@VERSION`), `name`, `version`, `manifest` (its address), `recordings`
    (address of the folder of motion classes that the model has recorded, or None).

    Args:
        model: the result of the stage `register`.
    """
    emit_event(
        event=MODEL_REGISTERED,
        resource={
            "prefect.resource.id": f"parc.model.{model['name']}",
            "prefect.resource.name": f"{model['name']} version {model['version']}",
        },
        payload={
            "model": f"registry:{model['name']}@{model['version']}",
            "name": model["name"],
            "version": model["version"],
            "manifest": model["manifest"]["uri"],
            "recordings": model["recordings"],
        },
    )
