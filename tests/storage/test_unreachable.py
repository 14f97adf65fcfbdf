"""A store that does not answer, answers late, or refuses: what is said, and that no credential is in it."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from parc_core.errors import ConfigError, DataError, StoreUnreachable
from parc_core.storage.redact import masked
from parc_core.storage.retry import RETRY_TIMEOUT_S, retry_timeout
from parc_core.storage.store import Store
from parc_tracker.object_server import ObjectServer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Proxy:
    """Passes connections on to the server; while `broken` it cuts them off."""

    def __init__(self, target: int, port: int) -> None:
        self.broken = False
        self.cut = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            if self.broken:
                self.cut += 1
                one.close()
                continue
            other = socket.create_connection(("127.0.0.1", self._target))
            for source, sink in ((one, other), (other, one)):
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if self.broken:
                    self.cut += 1
                    break
                sink.sendall(data)
        except OSError:
            self.cut += 1
        for end in (source, sink):
            end.close()

    def close(self) -> None:
        self._listener.close()


@pytest.mark.slow
def test_nobody_listens(s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PARC_STORE_RETRY_TIMEOUT", "1")
    store = Store(s3_url)
    for call in (
        lambda: store.put_bytes(b"", "x"),
        lambda: store.read_bytes("x"),
        lambda: store.exists("x"),
        store.list,
        lambda: store.get_many([("x", tmp_path / "x", None)]),
        lambda: store.get_file("x", tmp_path / "x"),
    ):
        begin = time.monotonic()
        with pytest.raises(
            StoreUnreachable, match=r"does not answer .*run the same command to resume"
        ) as caught:
            call()
        assert caught.value.exit_code == 69 and "\n" not in str(caught.value)
        assert time.monotonic() - begin < 30
    assert not (tmp_path / "x").exists()


def test_the_retry_timeout_and_its_earlier_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARC_STORE_RETRY_TIMEOUT", raising=False)
    monkeypatch.delenv("PARC_STORE_PATIENCE", raising=False)
    assert retry_timeout() == RETRY_TIMEOUT_S
    monkeypatch.setenv("PARC_STORE_PATIENCE", "7")
    assert retry_timeout() == 7.0
    monkeypatch.setenv("PARC_STORE_RETRY_TIMEOUT", "3")
    assert retry_timeout() == 3.0
    for name in ("PARC_STORE_RETRY_TIMEOUT", "PARC_STORE_PATIENCE"):
        monkeypatch.setenv(name, "nan")
        with pytest.raises(ConfigError, match=f"{name} is 'nan': set it to seconds"):
            retry_timeout()
        monkeypatch.delenv(name)


def test_a_break_is_waited_for(
    s3_url: str, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = free_port()
    proxy = Proxy(object_server.port, port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    store = Store(s3_url)
    (tmp_path / "in").write_bytes(bytes(range(256)) * 4000)
    refs = [store.put_file(tmp_path / "in", f"files/{i}") for i in range(20)]
    proxy.broken = True
    threading.Timer(0.8, lambda: setattr(proxy, "broken", False)).start()
    got = store.get_many([(f"files/{i}", tmp_path / "out" / str(i), refs[i]["sha256"]) for i in range(20)])
    assert set(got.values()) == {refs[0]["sha256"]} and proxy.cut > 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(map(str, range(20)))
    proxy.broken = True
    threading.Timer(0.8, lambda: setattr(proxy, "broken", False)).start()
    assert store.create("claim", b"mine") and not store.create("claim", b"yours")
    proxy.close()


def test_wrong_credentials_and_no_bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no such bucket"):
        Store("s3://no-such-bucket/x").read_bytes("x")
    with pytest.raises(ConfigError, match="no such bucket"):
        Store("s3://no-such-bucket/x").list()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(ConfigError, match="the store refuses") as caught:
        Store(s3_url).put_bytes(b"", "x")
    assert "wrong-secret" not in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "UnknownKeyOfNobody")
    for call in (lambda: Store(s3_url).read_bytes("x"), lambda: Store(s3_url).exists("x")):
        with pytest.raises(ConfigError, match="check AWS_ACCESS_KEY_ID") as caught:
            call()
        assert "UnknownKeyOfNobody" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "127.0.0.1:9000"),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:port"),
        ("AWS_PROFILE", "nobody"),
        ("AWS_DEFAULT_REGION", "no region"),
        ("PARC_STORE", "s3://No Bucket!/x"),
        ("PARC_STORE", "s3://"),
        ("PARC_STORE", "s3:/bucket/x"),
    ],
)
def test_what_the_client_cannot_use(
    name: str, value: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARC_STORE", s3_url)
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=r"check the address|write it like|address is written") as caught:
        Store().exists("x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["s3://b/x?sig=of-me", "memory://x?sig=of-me", "http://127.0.0.1:9/x?sig=of-me"]
)
def test_a_query_would_be_in_every_reference(url: str) -> None:
    with pytest.raises(ConfigError, match="without a query") as caught:
        Store(url)
    assert "of-me" not in str(caught.value)


def test_credentials_do_not_belong_into_the_url() -> None:
    with pytest.raises(ConfigError, match="do not belong into the URL") as caught:
        Store("s3://AKIAABCDEFGHIJKLMNOP:s/ec@ret@bucket/x")
    assert (
        "s/ec" not in str(caught.value)
        and "AKIA" not in str(caught.value)
        and "ret@" not in str(caught.value)
    )


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://parc:pass/w@rd@db/x failed", "pass/w@rd"),
        ("https://token-abc@host/x", "token-abc"),
        ("GET https://b.s3.aws/x?X-Amz-Credential=AKIA1&X-Amz-Signature=abcdef 403", "abcdef"),
        ("aws_secret_access_key = abc/def+ghi", "abc/def+ghi"),
        ('{"SecretAccessKey": "abc/def+ghi"}', "abc/def+ghi"),
        ("the key AKIAIOSFODNN7EXAMPLE is unknown", "AKIAIOSFODNN7EXAMPLE"),
        ("password: hunter2", "hunter2"),
        ("signed with environment-secret by curl", "environment-secret"),
    ],
)
def test_masked(text: str, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "environment-secret")
    assert secret in text and secret not in masked(text) and "***" in masked(text)


def test_masking_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")  # too short to be looked for everywhere
    for text in (
        "s3://bucket/a@b/model.pt: damaged",
        "http://127.0.0.1:8333/bucket/a@b",
        "a store at file:///x/y",
        "registry:tracker@latest",
    ):
        assert masked(text) == text


def test_a_missing_file_is_no_unreachable_store(s3_url: str, tmp_path: Path) -> None:
    store = Store(s3_url)
    store.put_bytes(b"x", "there")
    failed: dict[str, DataError] = {}
    got = store.get_many([("there", tmp_path / "a", None), ("none", tmp_path / "b", None)], failed=failed)
    assert list(got) == ["there"] and "not in the store" in str(failed["none"])
    with pytest.raises(DataError, match="none: not in the store"):
        store.get_many([("there", tmp_path / "a", None), ("none", tmp_path / "b", None)])
    with pytest.raises(DataError, match="there: damaged"):
        store.get_many([("there", tmp_path / "c", "0" * 64)])
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a"]
