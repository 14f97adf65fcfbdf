"""The store on a folder, in a real S3 bucket, and on fsspec's memory."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from parc_core.errors import ConfigError, DataError
from parc_core.storage.store import Store
from parc_core.system.files import sha256_bytes


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
    copy = store.get_file(store.key_of(ref["uri"]), tmp_path / "out" / "model.pt", ref["sha256"])
    assert copy.read_bytes() == b"abc"
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
        lambda: store.get_file("x", tmp_path / "out", ref["sha256"]),
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


@pytest.mark.parametrize(
    "key", ["", "/x", "../x", "a/../x", "a//b", "a/", "a\\b", "./a", "a\x1bb", "a\nb", "a\x00"]
)
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


def test_keys_that_leave_their_folder_are_not_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a\\..\\..\\b").write_text("")
    (tmp_path / "runs" / "line\nbreak").write_text("")
    (tmp_path / "runs" / "good").write_text("")
    assert Store(tmp_path).list() == ["runs/good"]
    assert caplog.text.count("a key that leaves its folder") == 2


def test_many_at_once(store: Store, tmp_path: Path) -> None:
    files = [tmp_path / "in" / str(i % 3) / f"{i}.bin" for i in range(60)]
    for i, file in enumerate(files):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"%d" % i * (1 if i else 500_000))
    told: list[tuple[int, int]] = []
    pairs = [(file, f"files/{file.parent.name}/{file.name}") for file in files]
    refs = store.put_many(pairs, lambda done, total: told.append((done, total)))
    assert told[-1] == (60, 60) and [done for done, _ in told] == sorted(done for done, _ in told)
    assert store.list("files") == sorted(refs)
    wanted = [(key, tmp_path / "out" / key, refs[key]["sha256"]) for _, key in pairs]
    told.clear()
    found = store.get_many(wanted, lambda done, total: told.append((done, total)))
    assert told[-1] == (60, 60)
    assert found == {key: ref["sha256"] for key, ref in refs.items()}
    for file, key in pairs:
        assert (tmp_path / "out" / key).read_bytes() == file.read_bytes()
    assert not [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(".")]
    with pytest.raises(DataError, match="no such file"):
        store.put_many([*pairs, (tmp_path / "none", "files/none")])
    with pytest.raises(DataError, match="store key"):
        store.get_many([("../x", tmp_path / "x", None)])


def test_what_is_there_already_is_not_sent_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").write_bytes(b"abc")
    ref = store.put_file(tmp_path / "in", "x")
    sent: list[str] = []
    upload = store._files.upload
    monkeypatch.setattr(store._files, "upload", lambda *args: (sent.append(args[1]), upload(*args)))
    assert store.put_file(tmp_path / "in", "x") == ref
    knows = store._files.known_sha256("x") is not None  # not on every fsspec store
    assert len(sent) == (0 if knows else 1)
    store.put_bytes(b"other", "x")
    store.put_file(tmp_path / "in", "x")
    assert sent[-1] == "x" and store.read_bytes("x") == b"abc"
    count = len(sent)
    store.put_file(tmp_path / "in", "x", skip_if_same=False)
    assert len(sent) == count + 1


def test_a_large_file_goes_up_in_parts(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from parc_core.storage import s3 as s3_files

    monkeypatch.setattr(s3_files, "IN_ONE_PUT", 1 << 20)
    with open(tmp_path / "in", "wb") as file:
        for i in range(110):
            file.write(bytes([i]) * (1 << 20))
    store = Store(s3_url)
    ref = store.put_file(tmp_path / "in", "large")
    assert store.size("large") == 110 << 20 and store._files.known_sha256("large") == ref["sha256"]
    assert store.get_file("large", tmp_path / "out", ref["sha256"]).stat().st_size == 110 << 20
    assert store.get_many([("large", tmp_path / "out2", ref["sha256"])]) == {"large": ref["sha256"]}
