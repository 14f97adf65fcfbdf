"""One way to write each address: what is stored under another spelling is found again, or the spelling is refused."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from flows.folder_patterns import expand_folders
from parc_core.errors import ConfigError
from parc_core.motion.dataset.sources import find_motions
from parc_core.registry.models import list_models, list_versions, resolve_model
from parc_core.registry.registration import register_model
from parc_core.storage.addresses import local_root, normalized
from parc_core.storage.store import Store
from parc_tracker.doctor.pipeline import check_store


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3://bucket//prefix", "s3://bucket/prefix"),
        ("s3://bucket/a//b/", "s3://bucket/a/b"),
        ("s3:///bucket///a", "s3://bucket/a"),
        ("s3a://bucket//", "s3a://bucket"),
        ("memory://a//b", "memory://a/b"),
        ("memory:////a//b", "memory:///a/b"),
        ("gs://b/c", "gs://b/c"),
        ("simplecache::s3://bucket//a", "simplecache::s3://bucket/a"),
    ],
)
def test_slashes(written: str, meant: str) -> None:
    assert normalized(written) == meant


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket\\prefix",
        "s3://bucket/a\\b",
        "s3://bucket/a/../b",
        "s3://bucket/./a",
        "s3://bucket/a\n",
        "s3://bucket/a ",
        "s3://bucket/a\x00b",
        "s3://",
        "s3:////",
        "memory://",
        "memory://a\\b",
    ],
)
def test_what_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="an address is written like s3://bucket/prefix, without") as caught:
        Store(url)
    assert "\n" not in str(caught.value)
    if "\x00" not in url:
        monkeypatch.setenv("PARC_STORE", url)
        assert "an address is written" in check_store().detail


@pytest.mark.parametrize("url", ["file://", "file:///a?b", "file:///a#b", "file://host/a", "s3:/bucket/a"])
def test_file_urls_that_mean_something_else(url: str) -> None:
    with pytest.raises(ConfigError, match="is written"):
        local_root(url)


def test_a_folder_has_one_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = str(tmp_path)
    spellings = [text, "/" + text, text + "//", f"file://{text}", f"file:///{text}/", text.replace("/", "//")]
    assert {Store(url).url for url in spellings} == {tmp_path.as_uri()}
    monkeypatch.setenv("PARC_STORE", f"file:///{text}//deeper")
    assert check_store().detail == f"{tmp_path}/deeper, writable"


@pytest.fixture(params=["folder", "memory", "s3"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "s3":
        return request.getfixturevalue("s3_url")
    return str(tmp_path / "store") if request.param == "folder" else f"memory://{uuid.uuid4().hex}"


def test_what_was_registered_is_found(base: str, tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"weights")
    there = Store(f"{base}//deep///er/")
    manifest = {"metrics": {"after": {"completed_share": 1.0}}}
    register_model(there, "walker", {"model.pt": tmp_path / "model.pt"}, manifest)
    for url in (f"{base}/deep/er", f"{base}//deep//er"):
        found = Store(url)
        assert found.url == there.url
        assert (list_models(found), list_versions(found, "walker")) == (["walker"], [1])
        assert resolve_model(found, "walker", "latest")["version"] == 1
    there.delete("models/walker/1/model.pt")
    assert not Store(f"{base}/deep/er").exists("models/walker/1/model.pt")
    there.delete_folder("models")
    assert Store(base).list() == []


def test_motion_folders(motions: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PARC_CACHE", str(tmp_path / "cache"))
    name = uuid.uuid4().hex
    store = Store(f"memory://{name}/it_1")
    for path in motions.glob("*/*.pkl"):
        store.put_file(path, path.relative_to(motions).as_posix())
    classes, files = find_motions([f"memory://{name}//it_1/"])
    assert classes == ["stand", "walk"]
    assert [file.path for file in files] == [f"{store.url}/{file.relative}" for file in files]
    assert (
        expand_folders([f"memory://{name}//it_*", f"memory://{name}//it_1//"])[-1] == f"memory://{name}/it_1"
    )
    assert len(expand_folders([f"memory://{name}//it_*"])) == 1
