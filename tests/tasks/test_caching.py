"""Cache keys by content, and results that are believed only while their files are there."""

from __future__ import annotations

from tasks import caching
from tasks.caching import content_key, file_ref, local_path, missing, references
from tasks.evaluate import CODE as evaluate
from tasks.merge import CODE as merge
from tasks.train import CODE as train
from tests.test_trainer_imports import imports_of, module_file


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
    versions = []
    for name, text in (
        ("code.py", "x = 1"),
        ("code.py", "x = 2"),
        ("page.j2", "<p>"),
        ("notes.txt", "not code"),
    ):
        (tmp_path / "room" / name).write_text(text)
        caching.code_version.cache_clear()
        versions.append(caching.code_version("room"))
    caching.code_version.cache_clear()
    assert len(set(versions[:3])) == 3
    assert versions[2] == versions[3]


def test_the_code_of_a_stage_is_all_that_it_runs():
    """What a stage's main modules import is in its code, but for what only carries values and files about."""
    carriers = ("parc_core.config", "parc_core.errors", "parc_core.storage", "parc_core.tail")
    stages = {
        merge: ["parc_core.motion.merge"],
        train: ["parc_core.learning.trainer", "parc_core.envs.factory", "parc_core.engines.mujoco_engine"],
        evaluate: ["parc_core.evaluation.evaluate", "parc_core.engines.mujoco_engine"],
    }
    for stage_, modules in stages.items():
        places = tuple(place.removesuffix(".py").replace("/", ".") for place in stage_)
        for name in imported(modules):
            if not name.startswith(carriers):
                assert name.startswith(places), f"{name} is not in the code of a stage that runs it"


def imported(names):
    """Modules of parc_core that these and their imports import, without packages and lazy imports."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        path = module_file(name)
        if path is not None and path.name != "__init__.py" and name not in found:
            found.add(name)
            queue += [module for module, top in imports_of(path) if top and module.startswith("parc_core")]
    return found
