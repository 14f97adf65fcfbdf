"""Gate, promotion, references and what is refused: manifests that the registry did not write."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.registry.aliases import point_alias
from parc_core.registry.gate import failed_rules
from parc_core.registry.models import fetch_model, list_aliases, list_models, list_versions, resolve_model
from parc_core.registry.names import resolve_reference
from parc_core.registry.promotion import promote
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store

METRICS = {"completed_share": 0.8, "joint_error_m": 0.05, "joint_error_completed_m": None}


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_url"))
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def register(store: Store, tmp_path: Path, content: str = "weights", **options: Any) -> dict[str, Any]:
    (tmp_path / "model.pt").write_text(content)
    manifest = {"metrics": {"after": METRICS}, "lineage": {"parent": None}}
    return register_model(store, "tracker", {"model.pt": tmp_path / "model.pt"}, manifest, **options)


def test_a_gate_keeps_bad_models_from_latest_and_best(store: Store, tmp_path: Path) -> None:
    good = register(store, tmp_path, "one", gate={"min_completed": 0.8, "max_joint_error": 0.05})
    assert good["gate"] == {"rules": {"min_completed": 0.8, "max_joint_error": 0.05}, "failed": []}
    names = ("latest", "best", "iteration-2")
    bad = register(store, tmp_path, "two", aliases=names, gate={"min_completed": 0.9})
    assert bad["gate"]["failed"] == ["completed_share is 0.8, min_completed is 0.9"]
    assert list_aliases(store, "tracker") == {"best": 1, "iteration-2": 2, "latest": 1}
    assert list_versions(store, "tracker") == [1, 2]
    assert promote(store, "tracker", "iteration-2", "best")["version"] == 2
    assert promote(store, "tracker", 2, "latest")["version"] == 2
    assert promote(store, "tracker", 1, "latest")["version"] == 1  # back again
    assert list_aliases(store, "tracker") == {"best": 2, "iteration-2": 2, "latest": 1}
    with pytest.raises(DataError, match="no version or alias '3'"):
        promote(store, "tracker", 3, "latest")
    with pytest.raises(ConfigError, match="a number"):
        promote(store, "tracker", 1, "7")


def test_rules() -> None:
    assert failed_rules(METRICS, {"min_joint_error_m": 0.06}) == [
        "joint_error_m is 0.05, min_joint_error_m is 0.06"
    ]
    assert failed_rules({"a": 1}, {"min_a": 1, "max_a": 1}) == []
    for value in (None, float("nan"), float("inf"), "1", True):
        assert len(failed_rules({"a": value}, {"max_a": 2})) == 1
    for rule in ("completed", "min_", "least_a", "min_unknown"):
        with pytest.raises(ConfigError, match=r"write min_… or max_… with one of completed, .*joint_error_m"):
            failed_rules(METRICS, {rule: 1})


def test_references(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = register(store, tmp_path, "one", aliases=("best",)), register(store, tmp_path, "two")
    for text, wanted in (
        ("tracker@best", one),
        ("tracker@1", one),
        ("tracker@latest", two),
        ("tracker", two),
    ):
        assert resolve_reference(f"registry:{text}", store) == wanted
    ref = two["files"]["model.pt"]
    assert store.read_bytes(store.key_of(ref["uri"]), ref["sha256"]) == b"two"
    for text in ("registry:tracker@", "registry:", "registry:../x", "registry:a@../b", "tracker@1"):
        with pytest.raises(ConfigError):
            resolve_reference(text, store)
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "empty"))
    with pytest.raises(DataError, match="none registered"):
        resolve_reference("registry:tracker")


def test_models_are_listed(store: Store, tmp_path: Path) -> None:
    assert list_models(store) == []
    register(store, tmp_path)
    store.put_bytes(b"{}", "models/half-registered/1/claim.json")
    store.put_bytes(b"{}", "models/bad name/1/manifest.json")
    assert list_models(store) == ["tracker"]


def test_registered_at_once_each_has_its_own_version(tmp_path: Path, s3_url: str) -> None:
    files = [tmp_path / f"{i}.pt" for i in range(8)]
    for i, file in enumerate(files):
        file.write_text(str(i))

    def one(i: int) -> int:
        return register_model(Store(s3_url), "tracker", {"model.pt": files[i]}, {"i": i})["version"]

    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(one, range(8)))
    assert sorted(versions) == list(range(1, 9))
    store = Store(s3_url)
    assert resolve_model(store, "tracker")["version"] == 8
    for i, version in enumerate(versions):
        model = resolve_model(store, "tracker", version)
        assert model["i"] == i and store.read_bytes(f"models/tracker/{version}/model.pt") == str(i).encode()


def poison(store: Store, model: dict[str, Any], **changes: Any) -> None:
    """A manifest as somebody with the bucket's key could write it, with an alias that fits."""
    manifest = {key: value for key, value in model.items() if key != "ref"}
    manifest.update(changes)
    ref = store.put_json(manifest, "models/tracker/1/manifest.json")
    point_alias(store, "tracker", "latest", 1, ref)


SHA = "0" * 64


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"files": {"../../evil": {"uri": "x", "sha256": SHA}}}, "could leave the folder"),
        ({"files": {"/etc/passwd": {"uri": "x", "sha256": SHA}}}, "could leave the folder"),
        ({"files": {".bashrc": {"uri": "x", "sha256": SHA}}}, "could leave the folder"),
        ({"files": {"manifest.json": {"uri": "x", "sha256": SHA}}}, "could leave the folder"),
        ({"files": {"model.pt": {"uri": "x", "sha256": "zz"}}}, "has no SHA-256"),
        ({"files": {"model.pt": {"uri": "x", "sha256": [1]}}}, "has no SHA-256"),
        ({"files": ["model.pt"]}, "list of files is none"),
        ({"files": {f"f{i}": {"sha256": SHA} for i in range(1000)}}, "list of files is none"),
        ({"sizes": {"model.pt": -1}}, "has no size"),
        ({"sizes": {"model.pt": "many"}}, "has no size"),
        ({"name": "other"}, "it says that it is 'other'"),
        ({"version": 2}, "version 2"),
        ({"version": True}, "version True"),
        ({"created": 3}, "'created' is missing"),
        ({"metrics": []}, "'metrics' is not an object"),
        ({"metrics": {"after": {"joint_error_m": 10**400}}}, "a number that is not finite"),
        ({"gate": {"failed": 5}}, "failures are no list"),
    ],
)
def test_poisoned_manifests_are_refused(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    poison(store, register(store, tmp_path), **changes)
    for version in ("latest", 1):
        with pytest.raises(DataError, match="refused, ") as caught:
            resolve_model(store, "tracker", version)
        assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_a_manifest_with_a_number_that_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    model = register(store, tmp_path)
    text = store.read_bytes("models/tracker/1/manifest.json").replace(b"0.05", b"NaN")
    store.put_bytes(text, "models/tracker/1/manifest.json")
    with pytest.raises(DataError, match="refused, it holds a number that is not finite"):
        resolve_model(store, "tracker", 1)
    assert register(store, tmp_path)["version"] == 2  # the damaged one is in nobody's way
    for options in ({"gate": {"min_completed": float("nan")}}, {"gate": {"max_joint_error": float("inf")}}):
        with pytest.raises(ConfigError, match="give a finite number"):
            register(store, tmp_path, **options)
    with pytest.raises(DataError, match=r"'tracker': a number of its .* is not finite"):
        register_model(
            store, "tracker", {"model.pt": tmp_path / "model.pt"}, {"metrics": {"a": float("nan")}}
        )
    assert list_versions(store, "tracker") == [1, 2]
    assert model["version"] == 1 and not store.exists("models/tracker/3/claim.json")  # no number was taken


@pytest.mark.parametrize("folder", ["²", "٣", "1e3", "0", "03", "9" * 30])
def test_folders_that_are_no_versions(folder: str, store: Store, tmp_path: Path) -> None:
    store.put_bytes(b"{}", f"models/tracker/{folder}/manifest.json")
    assert register(store, tmp_path)["version"] == 1
    assert list_versions(store, "tracker") == [1]


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b'{"version": 1}',
        b'{"version": "1/../2"}',
        b'{"version": 1%s}' % (b"0" * 300),
    ],
)
def test_poisoned_aliases_are_refused_and_can_be_set_again(content: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    model = register(store, tmp_path)
    store.put_bytes(content, "models/tracker/aliases/latest.json")
    with pytest.raises(DataError, match="set the alias again"):
        resolve_model(store, "tracker")
    assert promote(store, "tracker", 1, "latest") == model
    assert resolve_model(store, "tracker") == model


def test_addresses_in_a_manifest_are_not_followed(store: Store, tmp_path: Path) -> None:
    model = register(store, tmp_path, "good")
    (tmp_path / "private").write_text("secret")
    elsewhere = {"uri": (tmp_path / "private").as_uri(), "sha256": model["files"]["model.pt"]["sha256"]}
    poison(store, model, files={"model.pt": elsewhere})
    found = resolve_model(store, "tracker")
    assert found["files"]["model.pt"]["uri"] == store.uri("models/tracker/1/model.pt")
    assert fetch_model(store, found, tmp_path / "got")["model.pt"].read_text() == "good"


def test_a_file_of_another_size_is_not_fetched(store: Store, tmp_path: Path) -> None:
    model = register(store, tmp_path)
    store.put_bytes(b"x" * 100_000, "models/tracker/1/model.pt")
    with pytest.raises(DataError, match="has not the 7 bytes"):
        fetch_model(store, model, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_a_huge_manifest_is_not_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    register(store, tmp_path)
    store.put_bytes(b" " * (9 << 20), "models/tracker/1/manifest.json")
    with pytest.raises(DataError, match="too large for a manifest"):
        resolve_model(store, "tracker", 1)


def test_a_moved_store_is_still_good(tmp_path: Path) -> None:
    model = register(Store(tmp_path / "store"), tmp_path)
    (tmp_path / "store").rename(tmp_path / "moved")
    found = resolve_model(Store(tmp_path / "moved"), "tracker")
    assert found["files"]["model.pt"]["uri"] == (tmp_path / "moved/models/tracker/1/model.pt").as_uri()
    assert found["files"]["model.pt"]["sha256"] == model["files"]["model.pt"]["sha256"]
    assert json.loads((tmp_path / "moved/models/tracker/1/manifest.json").read_text())["machine"]["host"]
