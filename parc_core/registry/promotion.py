"""Which versions a model's aliases mean: set by a registration, made up for where one was cut off, or given by hand."""

from __future__ import annotations

from typing import List, Optional, Sequence, Union

from parc_core.errors import DataError
from parc_core.registry.aliases import alias_versions, all_aliases, point_alias
from parc_core.registry.claims import pending_versions, read_claim, settle
from parc_core.registry.gate import BEST, is_better, scores_on_one_set, why_never_best
from parc_core.registry.manifest import Manifest, check_alias
from parc_core.registry.models import list_versions, resolve_model
from parc_core.storage.store import Store

GATED = ("latest", BEST)
"""Aliases that a model which fails its gate does not get."""


def promote(store: Store, name: str, version: Union[int, str], alias: str) -> Manifest:
    """Let `alias` mean a version, whatever it meant before and whatever its gate said.

    Args:
        store: the store.
        name: of the model.
        version: a number or another alias.
        alias: `latest`, `best`, `iteration-3`, or a word of one's own.

    Returns:
        The version's manifest.

    Raises:
        DataError, ConfigError: as `resolve_model`.
    """
    check_alias(alias)
    heal_aliases(store, name)  # what was cut off before must not move the alias afterwards
    model = resolve_model(store, name, version)
    seen = max([model["version"], *list_versions(store, name)])
    point_alias(store, name, alias, model["version"], model["ref"], seen=seen)
    return model


def set_aliases(store: Store, model: Manifest, aliases: Sequence[str]) -> None:
    """What remains to be done once a version is whole: its aliases, `best` too if it is better (`is_better`).

    Args:
        store: the store.
        model: the version's manifest, with `ref`.
        aliases: names that shall mean it; those of `GATED` only where no rule of its gate is broken.
    """
    name, version = model["name"], model["version"]
    failed = (model.get("gate") or {}).get("failed")
    for alias in aliases:
        if not (failed and alias in GATED):
            newer_stays = (lambda means: means > version) if alias == "latest" else (lambda means: False)
            point_alias(store, name, alias, version, model["ref"], newer_stays)
    if BEST not in aliases:
        _move_best(store, model)
    settle(store, name, version)


def _move_best(store: Store, model: Manifest) -> None:
    """Points `best` to a new model that is better (`is_better`) than what it means.

    Where there is no `best` yet, or what it means is gone or damaged, the best of all versions gets it, of equal ones
    the oldest, of such as cannot be compared the newest. A `best` that was given by hand to a model without numbers
    stays.
    """
    name = model["name"]
    if why_never_best(model):
        return
    present = alias_versions(store, name).get(BEST)
    if present is None or _found(store, name, present) is None:
        for version in reversed(list_versions(store, name)):
            other = _found(store, name, version)
            if other is not None and not why_never_best(other) and scores_on_one_set(model, other):
                model = model if is_better(model, other) else other

    def stays(means: int) -> bool:
        other = _found(store, name, means) if means else None
        return other is not None and not is_better(model, other)

    point_alias(store, name, BEST, model["version"], model["ref"], stays)


def heal_aliases(store: Store, name: str) -> List[int]:
    """Sets the aliases of whole versions whose registration was cut off before it did.

    Those are the ones marked as pending, and the newest one where `latest` is older or absent, unless somebody pointed
    it there by hand since.

    Returns:
        The versions whose aliases were set.
    """
    versions = list_versions(store, name)
    cut_off = [version for version in pending_versions(store, name) if version in versions]
    if versions and versions[-1] not in cut_off and _is_newer_than_latest(store, name, versions[-1]):
        cut_off.append(versions[-1])
    healed = []
    for version in cut_off:
        claim, model = read_claim(store, name, version), _found(store, name, version)
        if claim is not None and claim.sha256 and model is not None:
            set_aliases(store, model, claim.aliases)
            healed.append(version)
    return healed


def _is_newer_than_latest(store: Store, name: str, version: int) -> bool:
    """Whether a version was registered for `latest`, which is older and was not set by hand since."""
    latest = all_aliases(store, name).get("latest")
    if latest is not None and max(latest.version, latest.seen) >= version:
        return False
    claim, model = read_claim(store, name, version), _found(store, name, version)
    failed = (model or {}).get("gate") or {}
    return claim is not None and "latest" in claim.aliases and not failed.get("failed")


def why_not_best(store: Store, model: Manifest) -> str:
    """Why a registered model is not `best` now, in one line to tell its user; "" where it is."""
    present = alias_versions(store, model["name"]).get(BEST)
    if present == model["version"]:
        return ""
    reason = why_never_best(model)
    if reason:
        return f"not best: {reason}"
    old = _found(store, model["name"], present) if present else None
    if old is None:
        return "not best: no version is"
    if scores_on_one_set(model, old) is not None:
        return f"not best: version {present} is better, or as good on the same clips"
    return (
        f"not best: version {present} was evaluated on other clips, so the two are not compared; evaluate both on the"
        " same dataset (parc-tracker eval --dataset) and choose with parc-tracker models promote"
    )


def _found(store: Store, name: str, version: int) -> Optional[Manifest]:
    """`resolve_model`, or None where there is no such version or it is damaged."""
    try:
        return resolve_model(store, name, version)
    except DataError:
        return None
