"""The alias `best`: which model gets it by itself."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parc_core.registry.gate import is_better, score, why_never_best
from parc_core.registry.models import list_aliases, resolve_model
from parc_core.registry.promotion import promote, why_not_best
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_url"))
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def register(store: Store, folder: Path, completed: Any = None, error: Any = None, **options: Any) -> int:
    """Registers a model; further numbers of its evaluation as `metrics`."""
    (folder / "model.pt").write_text(options.pop("weights", "weights"))
    metrics = {
        "completed_share": completed,
        "joint_error_completed_m": error,
        **options.pop("metrics", {}),
    }
    manifest: dict[str, Any] = {"metrics": {"after": metrics}} if completed is not None else {}
    if "before" in options:
        manifest["metrics"]["before"] = options.pop("before")
    if "lineage" in options:
        manifest["lineage"] = options.pop("lineage")
    return int(
        register_model(store, "tracker", {"model.pt": folder / "model.pt"}, manifest, **options)["version"]
    )


def best(store: Store) -> int | None:
    return list_aliases(store, "tracker").get("best")


def test_more_completed_clips_then_less_joint_error_of_these(store: Store, tmp_path: Path) -> None:
    register(store, tmp_path)
    assert best(store) is None  # no numbers
    for completed, error, means in (
        (0.5, 0.08, 2),
        (0.5, 0.08, 2),  # equal: the older one stays
        (0.4, 0.01, 2),
        (0.5, 0.07, 5),
        (0.5, None, 5),
        (0.6, None, 7),
        (0.6, 0.5, 8),
        (None, None, 8),
    ):
        register(store, tmp_path, completed, error)
        assert best(store) == means
    register(store, tmp_path, 0.9, 0.01, gate={"max_joint_error_completed_m": 0.001})
    assert best(store) == 8
    assert list_aliases(store, "tracker")["latest"] == 9


def test_what_was_set_by_hand(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for completed in (0.5, 0.7, None):
        register(store, tmp_path, completed)
    promote(store, "tracker", 1, "best")
    register(store, tmp_path, 0.6)
    assert best(store) == 4  # better than what was best by hand
    promote(store, "tracker", 3, "best")
    register(store, tmp_path, 0.9)
    assert best(store) == 3  # nothing to compare with
    register(store, tmp_path, 0.1, aliases=("best",))
    assert best(store) == 6


@pytest.mark.parametrize("lost", ["alias", "manifest", "content of the alias", "content of the manifest"])
def test_the_best_of_all_where_there_is_none_that_counts(tmp_path: Path, lost: str) -> None:
    store = Store(tmp_path / "store")
    for completed in (0.5, 0.8, 0.8, 0.9):
        register(store, tmp_path, completed)
    key = "models/tracker/aliases/best.json" if "alias" in lost else "models/tracker/4/manifest.json"
    if "content" in lost:
        store.put_bytes(b"{}", key)
    else:
        store.delete(key)
    register(store, tmp_path, 0.6)
    assert best(store) == (4 if "alias" in lost else 2)


def test_registered_at_once_the_best_of_all_is_best(s3_url: str, tmp_path: Path) -> None:
    shares = [0.3, 0.8, 0.1, 0.9, 0.7, 0.2, 0.6, 0.4]
    folders = [tmp_path / str(i) for i in range(len(shares))]
    for folder in folders:
        folder.mkdir()
    with ThreadPoolExecutor(4) as pool:
        versions = list(
            pool.map(lambda i: register(Store(s3_url), folders[i], shares[i]), range(len(shares)))
        )
    assert best(Store(s3_url)) == versions[shares.index(max(shares))]


def after(**metrics: Any) -> dict[str, Any]:
    return {"metrics": {"after": metrics}}


def test_as_many_completed_the_tracked_share_decides_and_no_error_while_tracked(tmp_path: Path) -> None:
    """Who loses clips early has a small error until then."""
    store = Store(tmp_path / "store")
    longer = {"mean_completed_fraction": 0.58, "joint_error_m": 0.209}
    register(store, tmp_path, 0.1, 0.08, metrics=longer)
    register(store, tmp_path, 0.1, 0.05, metrics={"mean_completed_fraction": 0.55, "joint_error_m": 0.193})
    assert best(store) == 1
    register(store, tmp_path, 0.1, 0.09, metrics={"mean_completed_fraction": 0.59, "joint_error_m": 0.3})
    assert best(store) == 3
    register(store, tmp_path, 0.1, 0.08, metrics={"mean_completed_fraction": 0.59, "joint_error_m": 0.4})
    assert best(store) == 4


def test_who_completes_nothing_is_best_at_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    register(store, tmp_path, 0.0, metrics={"mean_completed_fraction": 0.9})
    assert best(store) is None and list_aliases(store, "tracker") == {"latest": 1}
    assert why_not_best(store, resolve_model(store, "tracker")) == "not best: it completes no clip"
    register(store, tmp_path, 0.2)
    assert best(store) == 2
    promote(store, "tracker", 1, "best")  # whoever wants it
    register(store, tmp_path, 0.2)
    assert best(store) == 3


def test_on_other_clips_is_not_compared(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    register(store, tmp_path, 0.8, metrics={"clips": 5, "evaluation_set": "a"})
    for number, identity in enumerate(({"evaluation_set": "b"}, {"clips": 6}, {}), start=2):
        register(store, tmp_path, 1.0, metrics={"clips": 5, **identity})
        assert best(store) == 1
        assert "version 1 was evaluated on other clips" in why_not_best(
            store, resolve_model(store, "tracker", number)
        )
    register(store, tmp_path, 0.9, metrics={"clips": 5, "evaluation_set": "a"})
    assert best(store) == 5
    assert "version 5 is better" in why_not_best(store, resolve_model(store, "tracker", 1))
    assert why_not_best(store, resolve_model(store, "tracker", 5)) == ""


def test_manifests_of_earlier_versions_are_compared_on_one_dataset(tmp_path: Path) -> None:
    """They name no evaluation set, but the dataset that a model was trained and evaluated on."""
    store = Store(tmp_path / "store")
    register(store, tmp_path, 0.8, lineage={"dataset": {"sha256": "d"}})
    register(store, tmp_path, 0.9, lineage={"dataset": {"sha256": "e"}})
    assert best(store) == 1
    register(store, tmp_path, 0.9, lineage={"dataset": {"sha256": "d"}}, metrics={"evaluation_set": "a"})
    assert best(store) == 3


@pytest.mark.parametrize(("parents", "means"), [(0.6, 2), (0.8, 1)])
def test_the_parent_was_evaluated_on_the_new_clips_too(tmp_path: Path, parents: float, means: int) -> None:
    """A training on more motions that starts from the best model has that one's numbers on them."""
    store = Store(tmp_path / "store")
    register(store, tmp_path, 0.9, metrics={"evaluation_set": "a"}, weights="first")
    parent = resolve_model(store, "tracker", 1)["files"]["model.pt"]
    register(
        store,
        tmp_path,
        0.7,
        metrics={"evaluation_set": "b"},
        weights="second",
        lineage={"parent": parent},
        before={"completed_share": parents},
    )
    assert best(store) == means


def test_scores() -> None:
    full = {"completed_share": 0.5, "mean_completed_fraction": 0.75, "joint_error_completed_m": 0.25}
    assert score(full) == (0.5, 0.75, -0.25)
    lost = float("-inf")
    assert score({"completed_share": 1}) == (1.0, lost, lost)
    for value in (None, "1", True, float("nan"), float("inf"), -0.1, 1.5, [1]):
        assert score({"completed_share": value}) is None
    for value in (None, "0", float("nan"), -1):
        assert score({**full, "joint_error_completed_m": value}) == (0.5, 0.75, lost)
    assert score({}) is None
    assert why_never_best({}) and why_never_best({**after(completed_share=1), "gate": {"failed": ["x"]}})
    good, better = after(completed_share=0.5), after(completed_share=0.6)
    assert is_better(better, good) and not is_better(good, good) and not is_better(good, better)
    assert not is_better({}, good) and not is_better(good, {})
