"""Motion folders in a real S3 bucket, beside local ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from parc_core.config.dataset_config import DatasetConfig
from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.merge import inputs_fingerprint, merge_folders
from parc_core.motion.dataset.merge_result import MergeResult
from parc_core.storage.cache import LocalCache
from parc_core.storage.store import Store
from parc_core.system.files import sha256_file
from tests.motion.small_files import RunsCode, write_small


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARC_INDEX", raising=False)


class Fetches:
    """Counts what the merge fetches."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.keys: list[str] = []
        real = Store.get_many

        def counted(store: Store, wanted: Any, *args: Any) -> Any:
            self.keys += [key for key, _, _ in wanted]
            return real(store, wanted, *args)

        monkeypatch.setattr(Store, "get_many", counted)

    def take(self) -> list[str]:
        keys, self.keys = sorted(self.keys), []
        return keys


def upload(folder: Path, url: str) -> Store:
    store = Store(url)
    files = [path for path in folder.rglob("*") if path.is_file()]
    store.put_many([(path, path.relative_to(folder).as_posix()) for path in files])
    return store


def merge(tmp_path: Path, *roots: object) -> MergeResult:
    return merge_folders(DatasetConfig([str(root) for root in roots]), tmp_path / "out")


def names(result: MergeResult) -> list[str]:
    return [motion.name for motion in result.motions]


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    folder = tmp_path / "recorded"
    write_small(folder / "run" / "a.pkl", height=1.0)
    write_small(folder / "run" / "deep" / "b.pkl", height=1.1)
    write_small(folder / "walk" / "c.pkl", height=1.2)
    write_small(folder / "ignore_me" / "d.pkl", height=1.3)
    write_small(folder / "walk" / ".hidden" / "e.pkl", height=1.4)
    write_small(folder / "copies" / "f.pkl", height=1.5)
    (folder / "copies" / ".parc-merged").write_text("copies")
    (folder / "walk" / "notes.txt").write_text("no motion")
    return folder


def test_merged_as_if_they_were_local(tmp_path: Path, s3_url: str, recorded: Path) -> None:
    upload(recorded, s3_url)
    write_small(tmp_path / "more" / "walk" / "g.pkl", height=2.0)
    remote = merge(tmp_path, s3_url, tmp_path / "more")
    assert names(remote) == ["run/a", "run/b", "walk/c", "walk/g"]
    assert remote.motions[0].source == f"{s3_url}/run/a.pkl"
    for motion in remote.motions:
        assert sha256_file(remote.path_of(motion)) == motion.sha256
    assert sha256_file(remote.path_of(remote.motions[0])) == sha256_file(recorded / "run" / "a.pkl")
    local = merge_folders(DatasetConfig([str(recorded), str(tmp_path / "more")]), tmp_path / "out2")
    assert remote.fingerprint == local.fingerprint
    as_url = merge_folders(DatasetConfig([recorded.as_uri(), str(tmp_path / "more")]), tmp_path / "out3")
    assert as_url.fingerprint == local.fingerprint


def test_unchanged_files_are_not_fetched_again(
    tmp_path: Path, s3_url: str, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = upload(recorded, s3_url)
    fetches = Fetches(monkeypatch)
    first = merge(tmp_path, s3_url)
    assert fetches.take() == ["run/a.pkl", "run/deep/b.pkl", "walk/c.pkl"] and first.num_read == 3
    again = merge(tmp_path, s3_url)
    assert fetches.take() == [] and again.num_read == 0 and again.motions == first.motions
    write_small(tmp_path / "new.pkl", height=3.0)
    store.put_file(tmp_path / "new.pkl", "run/a.pkl")
    changed = merge(tmp_path, s3_url)
    assert fetches.take() == ["run/a.pkl"] and changed.num_read == 1
    assert changed.motions[0].sha256 == sha256_file(tmp_path / "new.pkl")
    # Removed from the cache: fetched again where a copy is to be made, and only then.
    LocalCache().drop(changed.motions[0].sha256)
    assert inputs_fingerprint(DatasetConfig([s3_url])) == changed.fingerprint
    assert fetches.take() == []
    changed.path_of(changed.motions[0]).unlink()
    assert merge(tmp_path, s3_url).motions == changed.motions
    assert fetches.take() == ["run/a.pkl"]


def test_a_damaged_copy_in_the_cache_is_not_taken(tmp_path: Path, s3_url: str, recorded: Path) -> None:
    upload(recorded, s3_url)
    first = merge(tmp_path, s3_url)
    path = LocalCache().path(first.motions[0].sha256)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"?")
    (tmp_path / ".parc" / "motion_index.json").unlink()
    damaged = merge(tmp_path, s3_url)
    assert [item.path for item in damaged.rejected] == [f"{s3_url}/run/a.pkl"]
    assert "cache was damaged" in damaged.rejected[0].reason
    assert merge(tmp_path, s3_url).motions == first.motions


def test_poisoned_files_are_refused_and_told(tmp_path: Path, s3_url: str, recorded: Path) -> None:
    store = upload(recorded, s3_url)
    poisoned = pickle.dumps(
        {"motion_data": RunsCode(tmp_path / "ran"), "terrain_data": None, "misc_data": None}
    )
    store.put_bytes(poisoned, "walk/evil.pkl")
    store.put_bytes(b"half", "walk/half.pkl")
    result = merge(tmp_path, s3_url)
    assert names(result) == ["run/a", "run/b", "walk/c"]
    assert {item.path.rpartition("/")[2] for item in result.rejected} == {"evil.pkl", "half.pkl"}
    assert not (tmp_path / "ran").exists()


def test_progress_is_told(tmp_path: Path, s3_url: str, recorded: Path) -> None:
    upload(recorded, s3_url)
    told: list[tuple[int, int, str]] = []
    merge_folders(
        DatasetConfig([s3_url]),
        tmp_path / "out",
        progress=lambda done, total, what: told.append((done, total, what)),
    )
    assert (3, 3, f"fetching motions from {s3_url}") in told


def test_what_cannot_be_had(
    tmp_path: Path, s3_url: str, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="nothing lies there"):
        merge(tmp_path, s3_url)
    upload(recorded, s3_url)
    with pytest.raises(ConfigError, match=r"the store refuses .*make it, or correct the address"):
        merge(tmp_path, "s3://no-such-bucket/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(ConfigError, match="check AWS_ACCESS_KEY_ID") as caught:
        merge(tmp_path, s3_url)
    assert "wrong-secret" not in str(caught.value)
