"""The alias `best`: which model gets it by itself."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parc_core.registry.gate import is_better, score
from parc_core.registry.models import list_aliases, promote, register_model
from parc_core.storage.store import Store
from tests.object_store import object_server, s3_url

__all__ = ["object_server", "s3_url"]


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_url"))
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def register(store: Store, folder: Path, completed: Any = None, error: Any = None, **options: Any) -> int:
    (folder / "model.pt").write_text("weights")
    metrics = {"completed_share": completed, "joint_error_m": error}
    manifest = {"metrics": {"after": metrics}} if completed is not None else {}
    return int(
        register_model(store, "tracker", {"model.pt": folder / "model.pt"}, manifest, **options)["version"]
    )


def best(store: Store) -> int | None:
    return list_aliases(store, "tracker").get("best")


def test_more_completed_clips_then_less_joint_error(store: Store, tmp_path: Path) -> None:
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
    register(store, tmp_path, 0.9, 0.01, gate={"max_joint_error": 0.001})
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


def test_scores() -> None:
    assert score(after(completed_share=0.5, joint_error_m=0.25)) == (0.5, -0.25)
    assert score({"metrics": {"completed_share": 1}}) == (1.0, float("-inf"))
    for value in (None, "1", True, float("nan"), float("inf"), -0.1, 1.5, [1]):
        assert score(after(completed_share=value)) is None
    for value in (None, "0", float("nan"), -1):
        assert score(after(completed_share=0.5, joint_error_m=value)) == (0.5, float("-inf"))
    assert score({}) is None
    assert score({**after(completed_share=1), "gate": {"failed": ["x"]}}) is None
    assert is_better((0.5, -0.1), (0.5, -0.2)) and not is_better((0.5, -0.1), (0.5, -0.1))
    assert not is_better(None, (0.0, 0.0)) and not is_better((1.0, 0.0), None)
