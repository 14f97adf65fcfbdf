"""Models by name, version and alias."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.registry.models import fetch_model, list_versions, resolve_model
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_url"))
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def register(store: Store, tmp_path: Path, content: str = "weights", **options: Any) -> dict[str, Any]:
    (tmp_path / "model.pt").write_text(content)
    return register_model(store, "tracker", {"model.pt": tmp_path / "model.pt"}, {"parent": None}, **options)


def test_versions_and_aliases(store: Store, tmp_path: Path) -> None:
    one = register(store, tmp_path, "one", aliases=("latest", "best"))
    two = register(store, tmp_path, "two")
    assert (one["version"], two["version"]) == (1, 2)
    assert list_versions(store, "tracker") == [1, 2]
    assert resolve_model(store, "tracker") == two
    assert resolve_model(store, "tracker", "best") == one
    assert resolve_model(store, "tracker", 1) == resolve_model(store, "tracker", "1") == one
    assert one["name"] == "tracker" and one["parent"] is None and one["created"].endswith("+00:00")
    files = fetch_model(store, one, tmp_path / "got")
    assert files["model.pt"].read_text() == "one"
    assert store.list("models/tracker/1") == [
        f"models/tracker/1/{file}" for file in ("claim.json", "manifest.json", "model.pt")
    ]
    assert store.list("models/tracker/aliases") == [
        "models/tracker/aliases/best.json",
        "models/tracker/aliases/latest.json",
    ]


def test_unknown_names_what_there_is(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="model 'tracker': none registered"):
        resolve_model(store, "tracker")
    register(store, tmp_path)
    for version in ("best", 7):
        with pytest.raises(DataError, match=f"no version or alias '{version}'; there are 1, latest"):
            resolve_model(store, "tracker", version)


def test_damage_is_seen(store: Store, tmp_path: Path) -> None:
    model = register(store, tmp_path)
    store.put_bytes(b"other", "models/tracker/1/model.pt")
    with pytest.raises(DataError, match=r"model\.pt: damaged"):
        fetch_model(store, model, tmp_path / "got")
    store.put_json({"version": 1}, "models/tracker/1/manifest.json")
    with pytest.raises(DataError, match=r"manifest\.json: damaged"):
        resolve_model(store, "tracker")


def test_nothing_is_registered_when_a_file_is_missing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file to register as model\.pt"):
        register_model(store, "tracker", {"model.pt": tmp_path / "none"}, {})
    assert store.list() == []


@pytest.mark.parametrize(
    ("name", "alias", "file"),
    [("a/b", "latest", "m"), ("..", "latest", "m"), ("a", "3", "m"), ("a", "x/y", "m"), ("a", "x", "../m")],
)
def test_names_that_cannot_be_used(store: Store, tmp_path: Path, name: str, alias: str, file: str) -> None:
    (tmp_path / "m").write_text("")
    with pytest.raises(ConfigError):
        register_model(store, name, {file: tmp_path / "m"}, {}, aliases=(alias,))
    with pytest.raises(ConfigError, match="registry's own"):
        register_model(store, "a", {"manifest.json": tmp_path / "m"}, {})


def test_interrupted_before_the_manifest_is_no_version(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    register(store, tmp_path)
    store.put_bytes(b"half", "models/tracker/2/model.pt")
    assert list_versions(store, "tracker") == [1]
    assert resolve_model(store, "tracker")["version"] == 1
    assert register(store, tmp_path)["version"] == 3  # 2 is never reused


def test_many_at_once_get_their_own_versions(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    files = [tmp_path / f"{i}.pt" for i in range(12)]
    for i, file in enumerate(files):
        file.write_text(str(i))

    def one(i: int) -> int:
        return register_model(store, "tracker", {"model.pt": files[i]}, {"i": i})["version"]

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(one, range(12)))
    assert sorted(versions) == list(range(1, 13))
    assert resolve_model(store, "tracker")["version"] == 12
    for i, version in enumerate(versions):
        model = resolve_model(store, "tracker", version)
        assert model["i"] == i
        assert fetch_model(store, model, tmp_path / "got")["model.pt"].read_text() == str(i)
    assert json.loads((tmp_path / "store/models/tracker/aliases/latest.json").read_text())["version"] == 12
