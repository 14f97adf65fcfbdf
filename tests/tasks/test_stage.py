"""Cache keys by content, and results that are believed only while their files are there."""

from __future__ import annotations

import base64
import json
import pickle

import pytest

from parc_core.errors import ConfigError
from parc_core.storage.references import file_ref, local_path, missing, references
from parc_core.storage.store import Store
from tasks.results import content_key, read_result, write_result
from tasks.stage import STAGES, refreshing
from tasks.stage_names import stage_names


def test_a_reference_names_a_file_and_its_content(tmp_path):
    path = tmp_path / "with space.txt"
    path.write_text("a")
    ref = file_ref(path)
    assert ref["uri"].startswith("file:///")
    assert local_path(ref) == path
    # SHA-256 of "a"
    assert ref["sha256"] == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_references_are_found_at_any_depth(tmp_path):
    refs = [{"uri": f"file:///{i}", "sha256": str(i)} for i in range(3)]
    result = {"a": refs[0], "b": {"c": [refs[1], {"d": refs[2]}]}, "e": 5, "f": None}
    assert list(references(result)) == refs


def test_a_changed_or_vanished_file_is_missing(tmp_path):
    path = tmp_path / "model.pt"
    path.write_text("one")
    result = {"model": file_ref(path)}
    assert missing(result) is None
    path.write_text("two")
    assert missing(result) == result["model"]["uri"]
    path.unlink()
    assert missing(result) == result["model"]["uri"]


def test_the_key_depends_on_content_settings_and_code_but_not_on_places():
    def key(sha="1", uri="file:///a", setting=1, code="1"):
        return content_key("stage", code, {"ref": {"uri": uri, "sha256": sha}, "setting": setting})

    assert key() == key(uri="file:///elsewhere")
    assert len({key(), key(sha="2"), key(setting=2), key(code="2")}) == 4
    assert key().startswith("stage-")


class Pickled:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def kept_record(value) -> None:
    Store().put_bytes(value if isinstance(value, bytes) else json.dumps(value).encode(), "results/s-1.json")


def test_a_result_comes_back_as_it_was(store):
    result = {"model": {"uri": "file:///m", "sha256": "1"}, "count": 3, "none": None}
    write_result("s-1", result)
    assert read_result("s-1") == result
    assert read_result("s-2") is None


@pytest.mark.parametrize(
    "record",
    [
        b"not JSON",
        b"[]",
        {"format": 2, "key": "s-1", "result": {}},
        {"format": 1, "key": "another key", "result": {}},
        {"format": 1, "key": "s-1", "result": [1]},
        {"format": 1, "key": "s-1", "result": {"model": {"uri": 5, "sha256": "1"}}},
    ],
)
def test_what_no_stage_wrote_is_no_result(store, record):
    kept_record(record)
    assert read_result("s-1") is None


def test_a_result_that_names_a_serializer_runs_nothing(store, tmp_path):
    ran = tmp_path / "ran"
    payload = base64.b64encode(pickle.dumps(Pickled(ran))).decode()
    kept_record({"metadata": {"serializer": {"type": "pickle"}, "storage_key": "s-1"}, "result": payload})
    assert read_result("s-1") is None
    assert not ran.exists()


def test_a_result_of_a_store_for_many_names_no_file_of_one_machine(store, monkeypatch, tmp_path):
    monkeypatch.setenv("PARC_STORE", f"memory://{tmp_path.name}")
    monkeypatch.setenv("PARC_WORK", str(tmp_path / "work"))
    write_result("s-1", {"model": {"uri": "file:///etc/passwd", "sha256": "1"}})
    assert read_result("s-1") is None


def test_references_into_a_store_for_many_are_the_same_on_each_machine(store, monkeypatch, tmp_path):
    monkeypatch.setenv("PARC_STORE", f"memory://{tmp_path.name}")
    monkeypatch.setenv("PARC_WORK", str(tmp_path / "a"))
    path = tmp_path / "a" / "merges" / "x.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    given = tmp_path / "given.pt"
    given.write_text("model")
    refs = [file_ref(path), file_ref(given), file_ref(path, "runs/1/log.txt")]
    assert [Store().key_of(ref["uri"]) for ref in refs][0::2] == ["merges/x.json", "runs/1/log.txt"]
    monkeypatch.setenv("PARC_WORK", str(tmp_path / "b"))
    given.unlink()
    assert [local_path(ref).read_text() for ref in refs] == ["{}", "model", "{}"]
    assert all(tmp_path / "b" in local_path(ref).parents for ref in refs)
    assert missing(refs) is None
    # Altered in the store: the copy here is still good, another machine notices.
    Store().put_bytes(b"[]", "merges/x.json")
    monkeypatch.setenv("PARC_WORK", str(tmp_path / "c"))
    assert missing(refs) == refs[0]["uri"]
    Store().delete("merges/x.json")
    monkeypatch.setenv("PARC_WORK", str(tmp_path / "b"))
    assert missing(refs) == refs[0]["uri"]


def test_a_reference_to_another_store_is_refused(store, monkeypatch, tmp_path):
    monkeypatch.setenv("PARC_STORE", f"memory://{tmp_path.name}")
    for uri in ("s3://elsewhere/x", f"memory://{tmp_path.name}/../../etc/passwd"):
        assert missing({"model": {"uri": uri, "sha256": "1"}}) == uri


def test_refresh_knows_the_stages():
    with pytest.raises(ConfigError, match="no stage 'trian'; do you mean 'train'"), refreshing(["trian"]):
        pytest.fail("accepted")
    assert set(stage_names()) == set(STAGES)  # found without importing them
    assert {"merge_motions", "build_dataset", "train"} <= STAGES.keys()
