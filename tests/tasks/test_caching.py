"""Cache keys by content, and results that are believed only while their files are there."""

from __future__ import annotations

from tasks import caching
from tasks.caching import content_key, file_ref, local_path, missing, references


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
    def key(sha="1", uri="file:///a", setting=1, code=("tasks/merge.py",)):
        return content_key("stage", code, {"ref": {"uri": uri, "sha256": sha}, "setting": setting})

    assert key() == key(uri="file:///elsewhere")
    assert len({key(), key(sha="2"), key(setting=2), key(code=("tasks/train.py",))}) == 4
    assert key().startswith("stage-")


def test_the_code_version_follows_the_source(tmp_path, monkeypatch):
    monkeypatch.setattr(caching, "PROJECT_ROOT", tmp_path)
    (tmp_path / "room").mkdir()
    source = tmp_path / "room" / "code.py"
    versions = []
    for text in ("x = 1", "x = 2"):
        source.write_text(text)
        caching.code_version.cache_clear()
        versions.append(caching.code_version("room"))
    caching.code_version.cache_clear()
    assert versions[0] != versions[1]
