"""Iterations of a model that is trained again whenever there are new motions.

`iterations/<model>/<n>.json` in the store says which dataset iteration n trains on and from which model it starts.
It is written once, before the training: a run that takes over from one that died continues with the same parent and so
finds its checkpoints, and of two runs at the same time each has a number of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from parc_core.errors import DataError
from parc_core.registry.manifest import VERSION, Manifest
from parc_core.registry.models import list_versions, resolve_model
from parc_core.registry.names import is_reference
from parc_core.registry.promotion import promote
from parc_core.storage.store import Store
from parc_core.system.files import dump_json


@dataclass(frozen=True)
class Iteration:
    """What one iteration trains."""

    model_name: str
    number: int
    """Counted from 1."""
    dataset: str
    """SHA-256 of the dataset's content."""
    parent: Optional[str]
    """Where it starts from (`registry:NAME@3`); None = from scratch."""

    @property
    def alias(self) -> str:
        """The registry's name of its model."""
        return f"iteration-{self.number}"


def last_registered(store: Store, model_name: str) -> Optional[Dict[str, Any]]:
    """Manifest of the newest version, whether it became `latest` or not; None where there is none."""
    versions = list_versions(store, model_name)
    return resolve_model(store, model_name, versions[-1]) if versions else None


def is_trained(store: Store, model_name: str, dataset: str) -> bool:
    """Whether the newest version was trained on this dataset."""
    last = last_registered(store, model_name)
    return last is not None and _dataset_of(last) == dataset


def _dataset_of(model: Manifest) -> Optional[str]:
    """SHA-256 of the dataset that a model was trained on; None where its manifest does not say (`models register`)."""
    dataset = (model.get("lineage") or {}).get("dataset")
    return dataset.get("sha256") if isinstance(dataset, dict) else None


def begin_iteration(store: Store, model_name: str, dataset: str, parent: Optional[str] = None) -> Iteration:
    """The iteration that trains on a dataset: the last one where that has begun on the same, else the next.

    Args:
        store: where iterations and models are.
        model_name: of the registry.
        dataset: SHA-256 of the dataset's content.
        parent: what to start from; by default the model that is `latest` now, and nothing where there is none.

    Raises:
        DataError: what the store says of an iteration was not written here, or names a file that `parent` does not:
            whoever can write to the store must not choose files of this machine.
    """
    begun = _begun(store, model_name)
    if begun and begun[-1].dataset == dataset:
        named = begun[-1].parent
        if named is not None and not is_reference(named) and named != parent:
            raise DataError(
                f"{store.uri(_key(begun[-1]))}: refused, it starts from the file '{named}', which was not asked for; "
                "name that as the model to start from, or delete this entry"
            )
        return begun[-1]
    start = parent or _latest(store, model_name)
    number = begun[-1].number + 1 if begun else 1
    while True:
        iteration = Iteration(model_name, number, dataset, start)
        content = {"dataset": dataset, "parent": start}
        if store.create(_key(iteration), dump_json(content).encode("utf-8")):
            return iteration
        number += 1


def end_iteration(store: Store, model_name: str) -> None:
    """Gives the newest version the alias of its iteration, where the run that registered it died before.

    Does nothing where it has one, or where it was trained outside of iterations.
    """
    last = last_registered(store, model_name)
    if last is None:
        return
    for iteration in _begun(store, model_name):
        if iteration.dataset == _dataset_of(last) and not store.exists(
            f"models/{model_name}/aliases/{iteration.alias}.json"
        ):
            promote(store, model_name, last["version"], iteration.alias)


def _begun(store: Store, model_name: str) -> List[Iteration]:
    found = []
    for key in store.list(f"iterations/{model_name}"):
        stem, _, ending = key.rpartition("/")[2].rpartition(".")
        if ending == "json" and VERSION.fullmatch(stem):
            content = store.read_json(key)
            if not _is_iteration(content):
                raise DataError(f"{store.uri(key)}: refused, it describes no iteration; delete it")
            found.append(Iteration(model_name, int(stem), content["dataset"], content["parent"]))
    return sorted(found, key=lambda iteration: iteration.number)


def _is_iteration(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("dataset"), str)
        and isinstance(content.get("parent", 0), (str, type(None)))
    )


def _latest(store: Store, model_name: str) -> Optional[str]:
    if not store.exists(f"models/{model_name}/aliases/latest.json"):
        return None
    return f"registry:{model_name}@{resolve_model(store, model_name)['version']}"


def _key(iteration: Iteration) -> str:
    return f"iterations/{iteration.model_name}/{iteration.number}.json"
