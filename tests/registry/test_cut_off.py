"""A registration that dies between manifest and aliases, and a manifest that was changed afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import DataError
from parc_core.registry import promotion
from parc_core.registry.models import list_aliases, resolve_model
from parc_core.registry.promotion import heal_aliases, promote
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store
from parc_tracker.main import app


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "store" if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def register(store: Store, tmp_path: Path, completed: float = 0.5, **options: Any) -> dict[str, Any]:
    (tmp_path / "model.pt").write_text(f"{completed}")
    after = {
        "completed_share": completed,
        "joint_error_completed_m": 0.1,
        "mean_completed_fraction": completed,
    }
    return register_model(
        store, "tracker", {"model.pt": tmp_path / "model.pt"}, {"metrics": {"after": after}}, **options
    )


class Killed(BaseException):
    """What no code of ours catches."""


def cut_off(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int = 0, **options: Any
) -> None:
    """A registration that dies after it has set so many aliases."""
    real, calls = promotion.point_alias, []

    def point(*arguments: Any, **more: Any) -> bool:
        calls.append(1)
        if len(calls) > after:
            raise Killed
        return real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(promotion, "point_alias", point)
        with pytest.raises(Killed):
            register(store, tmp_path, **options)


@pytest.mark.parametrize("after", [0, 1])
def test_the_next_registration_completes_it(store, tmp_path, monkeypatch, after):
    register(store, tmp_path, 0.5)
    cut_off(store, tmp_path, monkeypatch, after, completed=0.9, aliases=("latest", "candidate"))
    register(store, tmp_path, 0.4)
    assert list_aliases(store, "tracker") == {"latest": 3, "best": 2, "candidate": 2}
    assert not [key for key in store.list() if key.endswith("pending.json")]


def test_a_listing_completes_it(tmp_path, monkeypatch):
    store = Store(tmp_path / "store")
    cut_off(store, tmp_path, monkeypatch)
    assert list_aliases(store, "tracker") == {}
    done = CliRunner().invoke(app, ["models", "list", "--json", "--store", str(tmp_path / "store")])
    assert sorted(json.loads(done.stdout)["models"][0]["aliases"]) == ["best", "latest"]
    assert resolve_model(store, "tracker")["version"] == 1
    assert heal_aliases(store, "tracker") == []


def test_a_listing_of_a_store_that_cannot_be_written_shows_it(tmp_path, monkeypatch):
    from parc_core.errors import ConfigError

    cut_off(Store(tmp_path / "store"), tmp_path, monkeypatch)

    def refuse(*_: Any, **__: Any) -> bool:
        raise ConfigError("read-only")

    monkeypatch.setattr(promotion, "point_alias", refuse)
    done = CliRunner().invoke(app, ["models", "list", "--json", "--store", str(tmp_path / "store")])
    assert done.exit_code == 0
    assert "tracker" in done.stdout
    assert done.stderr == "note: the aliases of tracker were not completed: read-only\n"


def test_an_alias_that_is_lost_comes_back(store, tmp_path):
    register(store, tmp_path)
    register(store, tmp_path)
    store.delete("models/tracker/aliases/latest.json")
    assert heal_aliases(store, "tracker") == [2]
    assert list_aliases(store, "tracker")["latest"] == 2


def test_what_was_chosen_by_hand_or_failed_its_gate_stays(store, tmp_path, monkeypatch):
    register(store, tmp_path)
    register(store, tmp_path)
    promote(store, "tracker", 1, "latest")
    assert heal_aliases(store, "tracker") == []
    register(store, tmp_path, gate={"min_completed": 0.9})
    assert heal_aliases(store, "tracker") == []
    assert list_aliases(store, "tracker")["latest"] == 1
    cut_off(store, tmp_path, monkeypatch)
    promote(store, "tracker", 1, "latest")  # after the cut: it counts
    assert heal_aliases(store, "tracker") == []
    assert list_aliases(store, "tracker")["latest"] == 1


def test_a_registration_for_other_words_never_becomes_latest(store, tmp_path, monkeypatch):
    register(store, tmp_path)
    register(store, tmp_path, aliases=("candidate",))
    cut_off(store, tmp_path, monkeypatch, aliases=("candidate",))
    assert heal_aliases(store, "tracker") == [3]
    assert {**list_aliases(store, "tracker"), "best": 0} == {"latest": 1, "candidate": 3, "best": 0}


KILLED = """
import os, sys
from pathlib import Path
from parc_core.registry import promotion
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store
promotion.point_alias = lambda *a, **k: os.kill(os.getpid(), 9)
register_model(Store(sys.argv[1]), "tracker", {"model.pt": Path(sys.argv[2])}, {})
"""


def test_kill_9(tmp_path):
    (tmp_path / "model.pt").write_text("w")
    words = [str(tmp_path / "store"), str(tmp_path / "model.pt")]
    env = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    assert subprocess.run([sys.executable, "-c", KILLED, *words], env=env, check=False).returncode == -9
    store = Store(tmp_path / "store")
    assert heal_aliases(store, "tracker") == [1]
    assert resolve_model(store, "tracker")["version"] == 1


def changed_manifest(store: Store) -> None:
    key = "models/tracker/1/manifest.json"
    store.put_bytes(store.read_bytes(key).replace(b"0.5", b"0.9"), key)


@pytest.mark.parametrize("aliased", [True, False])
def test_a_changed_manifest_is_refused_by_number_too(store, tmp_path, aliased):
    register(store, tmp_path)
    if not aliased:
        register(store, tmp_path, 0.8)
    changed_manifest(store)
    with pytest.raises(DataError, match=r"models/tracker/1/manifest\.json: damaged"):
        resolve_model(store, "tracker", 1)


def pull(tmp_path: Path) -> Any:
    words = ["models", "pull", "tracker@1", "--to", str(tmp_path / "to"), "--store", str(tmp_path / "store")]
    return CliRunner().invoke(app, words)


def test_pull_says_what_it_could_not_verify(tmp_path):
    store = Store(tmp_path / "store")
    register(store, tmp_path)
    assert pull(tmp_path).stdout.endswith(", all verified\n")
    store.put_bytes(b'{"by": "an earlier release"}', "models/tracker/1/claim.json")
    assert pull(tmp_path).stdout.endswith(", all verified\n")  # the aliases know it
    store.delete_folder("models/tracker/aliases")
    assert "against manifest.json, which itself could not be" in pull(tmp_path).stdout
