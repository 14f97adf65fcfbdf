"""The store on a folder, in a real S3 bucket, and on fsspec's memory."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.storage.atomic import sha256_bytes
from parc_core.storage.store import Store


@pytest.fixture(params=["folder", "file url", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "s3":
        return Store(request.getfixturevalue("s3_url"))
    if request.param == "memory":
        return Store(f"memory://{uuid.uuid4().hex}")
    folder = tmp_path / "the store"
    return Store(folder if request.param == "folder" else folder.as_uri())


def test_put_and_get(store: Store, tmp_path: Path) -> None:
    (tmp_path / "in.bin").write_bytes(b"abc")
    ref = store.put_file(tmp_path / "in.bin", "runs/1/model.pt")
    assert ref == {"uri": f"{store.url}/runs/1/model.pt", "sha256": sha256_bytes(b"abc")}
    assert store.get_ref(ref, tmp_path / "out" / "model.pt").read_bytes() == b"abc"
    assert store.read_bytes("runs/1/model.pt", ref["sha256"]) == b"abc"
    assert store.key_of(ref["uri"]) == "runs/1/model.pt"
    assert store.put_json({"a": [1]}, "runs/1/x.json")["uri"].endswith("/runs/1/x.json")
    assert store.read_json("runs/1/x.json") == {"a": [1]}
    assert store.exists("runs/1/x.json") and not store.exists("runs/1") and not store.exists("runs/2/x")
    store.put_bytes(b"", "top")
    assert store.list() == ["runs/1/model.pt", "runs/1/x.json", "top"]
    assert store.list("runs") == ["runs/1/model.pt", "runs/1/x.json"]
    assert store.list("nothing") == []


def test_every_read_is_checked(store: Store, tmp_path: Path) -> None:
    ref = store.put_bytes(b"abc", "x")
    store.put_bytes(b"abd", "x")
    (tmp_path / "out").write_bytes(b"old")
    for read in (
        lambda: store.get_ref(ref, tmp_path / "out"),
        lambda: store.read_bytes("x", ref["sha256"]),
        lambda: store.read_json("x", ref["sha256"]),
    ):
        with pytest.raises(DataError, match=r"/x: damaged, its SHA-256 is \w{12}… and not \w{12}…"):
            read()
    assert (tmp_path / "out").read_bytes() == b"old"


def test_missing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="/none: not in the store"):
        store.get_file("none", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(DataError, match="no such file to store"):
        store.put_file(tmp_path / "none", "x")
    store.put_bytes(b"{", "x.json")
    with pytest.raises(DataError, match="not JSON"):
        store.read_json("x.json")
    with pytest.raises(DataError, match="not in the store"):
        store.key_of("s3://other/x")


@pytest.mark.parametrize("key", ["", "/x", "../x", "a/../x", "a//b", "a/", "a\\b", "./a"])
def test_keys_stay_inside(store: Store, key: str) -> None:
    with pytest.raises(DataError, match="store key"):
        store.put_bytes(b"", key)
    with pytest.raises(DataError, match="store key"):
        store.read_bytes(key)


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARC_STORE", raising=False)
    assert Store().root == tmp_path / ".parc" / "store"
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "shared"))
    assert Store().root == tmp_path / "shared"
    assert Store(tmp_path / "named").root == tmp_path / "named"
    assert list(tmp_path.iterdir()) == []  # opening writes nothing


def test_bad_places(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nonsense://x.*cannot be opened"):
        Store("nonsense://x")
    with pytest.raises(ConfigError, match="file:///folder"):
        Store("file://host/folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        Store(tmp_path / "file" / "store").put_bytes(b"", "x")
    with pytest.raises(ConfigError, match="cannot be written"):
        Store(tmp_path / "file" / "store").create("x", b"")
