"""Links and commands on the pages of a run."""

from __future__ import annotations

import http.server
import shlex
import socket
import threading
from pathlib import Path

import pytest

from parc_core.registry.registration import register_model
from parc_core.storage.store import Store
from tasks.links import file_line, public_url, pull_command, served_url
from tasks.register import _page as model_page


@pytest.fixture
def public(monkeypatch):
    """An endpoint that answers whoever asks for `/bucket/…`, and what it was asked."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append((self.path, self.headers.get("Authorization")))
            self.send_response(200 if self.path.startswith("/bucket/") else 403)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}/")
    yield asked
    server.shutdown()


def ref(uri):
    return {"uri": uri, "sha256": "0" * 64}


def test_a_file_of_a_folder_is_named_without_a_link_that_no_browser_follows(tmp_path, monkeypatch):
    monkeypatch.delenv("PARC_STORE_URL", raising=False)
    path = tmp_path / "my run (2)" / "report.html"
    assert file_line("report", ref(path.as_uri())) == f"- report, on {socket.gethostname()}: `{path}`"


def test_a_served_store_has_links_that_open(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("PARC_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PARC_STORE_URL", "https://lab.example/parc/")
    there = Store().put_bytes(b"x", "models/a b/report.html")
    assert file_line("report", there) == "- [report](https://lab.example/parc/models/a%20b/report.html)"
    other = ref((tmp_path / "out" / "model.pt").as_uri())
    assert "](" not in file_line("model", other)
    monkeypatch.setenv("PARC_STORE", "s3://bucket/p")
    assert served_url("s3://bucket/p/models/x.gif") == "https://lab.example/parc/models/x.gif"
    for wrong in ("javascript:alert(1)", "https://user:secret@lab.example", ""):
        monkeypatch.setenv("PARC_STORE_URL", wrong)
        assert served_url("s3://bucket/p/models/x.gif") is None


def test_an_object_that_everybody_may_read(public, monkeypatch):
    url = public_url("s3://bucket/models/a b/report.html")
    assert url is not None and url.endswith("/bucket/models/a%20b/report.html")
    assert (
        file_line("report", ref("s3://bucket/r.html")) == f"- [report]({url.rpartition('/models')[0]}/r.html)"
    )
    assert public_url("s3://private/r.html") is None
    assert file_line("report", ref("s3://private/r.html")) == "- report: `s3://private/r.html`"
    assert {authorization for _, authorization in public} == {None}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://user:hunter2@127.0.0.1:1")
    assert public_url("s3://bucket/r.html") is None
    assert public_url("gs://bucket/r.html") is None


def test_an_object_that_needs_credentials(s3_url):
    stored = Store(s3_url).put_bytes(b"x", "report.html")
    assert file_line("report", stored) == f"- report: `{stored['uri']}`"


def test_a_registered_models_page(tmp_path, monkeypatch):
    folder = tmp_path / "the store"
    monkeypatch.setenv("PARC_STORE", str(folder))
    for name in ("model.pt", "report.html", "log.txt"):
        (tmp_path / name).write_text(name)
    files = {name: tmp_path / name for name in ("model.pt", "report.html", "log.txt")}
    manifest = {"metrics": {"after": {"completed_share": 0.5}}}
    model = register_model(Store(), "tiny", files, manifest, gate={"min_completed": 0.9})
    page = model_page(model, ["iteration-1"])
    for text in (
        "# tiny version 1",
        "Aliases: iteration-1",
        "gate failed: completed_share is 0.5",
        "- report.html, on ",
        f"`{folder}/models/tiny/1/model.pt`",
    ):
        assert text in page
    assert "log.txt" not in page
    command = shlex.split(pull_command("tiny", 1))
    assert command[:4] == ["parc-tracker", "models", "pull", "tiny@1"]
    assert Path(command[-1]) == folder
