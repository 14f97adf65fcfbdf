"""Which iteration comes next, from which model it starts, and when there is nothing to do."""

from __future__ import annotations

import pytest

from parc_core.errors import DataError
from parc_core.registry.iterations import begin_iteration, end_iteration, is_trained
from parc_core.registry.models import list_aliases
from parc_core.registry.registration import register_model
from parc_core.storage.store import Store

GATE = {"min_completed": 0.9}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def register(store, tmp_path, dataset, completed=1.0):
    """A model that was trained on a dataset."""
    model = tmp_path / "model.pt"
    model.write_bytes(dataset.encode())
    manifest = {
        "lineage": {"dataset": {"sha256": dataset}},
        "metrics": {"after": {"completed_share": completed}},
    }
    return register_model(store, "m", {"model.pt": model}, manifest, gate=GATE)["version"]


def test_from_the_first_iteration_to_the_third(store, tmp_path):
    assert not is_trained(store, "m", "a")
    first = begin_iteration(store, "m", "a")
    assert (first.number, first.parent) == (1, None)
    register(store, tmp_path, "a")
    end_iteration(store, "m")
    assert list_aliases(store, "m") == {"best": 1, "iteration-1": 1, "latest": 1}
    assert is_trained(store, "m", "a")

    assert not is_trained(store, "m", "b")
    second = begin_iteration(store, "m", "b")
    assert (second.number, second.parent) == (2, "registry:m@1")
    # Too bad to become latest: the third starts from the first one's model.
    register(store, tmp_path, "b", completed=0.5)
    end_iteration(store, "m")
    assert is_trained(store, "m", "b")
    third = begin_iteration(store, "m", "c")
    assert (third.number, third.parent) == (3, "registry:m@1")
    assert list_aliases(store, "m")["iteration-2"] == 2


def test_a_run_that_takes_over_goes_on_with_the_same_parent(store, tmp_path):
    register(store, tmp_path, "a")
    begun = begin_iteration(store, "m", "b")
    register(store, tmp_path, "other")  # somebody's own training in the meantime
    assert begin_iteration(store, "m", "b") == begun
    assert begun.parent == "registry:m@1"


def test_two_runs_with_other_motions_get_numbers_of_their_own(store):
    assert begin_iteration(store, "m", "a").number == 1
    assert begin_iteration(store, "m", "b").number == 2
    assert begin_iteration(store, "other", "b").number == 1


def test_a_number_that_is_taken_at_the_same_moment(store, monkeypatch):
    create = store.create
    begin_iteration(store, "m", "a")

    def taken_first(key, data):
        monkeypatch.setattr(store, "create", create)
        create(key, b'{"dataset": "x", "parent": null}')
        return create(key, data)

    monkeypatch.setattr(store, "create", taken_first)
    assert begin_iteration(store, "m", "b").number == 3


def test_a_given_parent(store, tmp_path):
    register(store, tmp_path, "a")
    assert begin_iteration(store, "m", "b", "registry:base@best").parent == "registry:base@best"


def test_the_alias_of_a_run_that_died_after_registering(store, tmp_path):
    begin_iteration(store, "m", "a")
    register(store, tmp_path, "a")
    end_iteration(store, "m")
    end_iteration(store, "m")
    assert list_aliases(store, "m")["iteration-1"] == 1


def test_a_training_outside_of_iterations_gets_no_number(store, tmp_path):
    register(store, tmp_path, "a")
    end_iteration(store, "m")
    assert list_aliases(store, "m") == {"best": 1, "latest": 1}


def test_a_model_that_was_trained_elsewhere(store, tmp_path):
    begin_iteration(store, "m", "a")
    (tmp_path / "model.pt").write_bytes(b"theirs")
    register_model(store, "m", {"model.pt": tmp_path / "model.pt"}, {"lineage": {"note": "by hand"}})
    assert not is_trained(store, "m", "a")
    end_iteration(store, "m")
    assert list_aliases(store, "m") == {"latest": 1}


@pytest.mark.parametrize("content", [b"[1]", b'{"dataset": "a"}', b'{"dataset": "a", "parent": 7}', b"{"])
def test_an_entry_that_was_not_written_here_is_refused(store, content):
    store.put_bytes(content, "iterations/m/1.json")
    with pytest.raises(DataError, match=r"iterations/m/1\.json"):
        begin_iteration(store, "m", "a")


def test_an_entry_chooses_no_file_of_this_machine(store):
    store.put_json({"dataset": "a", "parent": "/home/me/.aws/credentials"}, "iterations/m/1.json")
    store.put_json({}, "iterations/m/².json")
    with pytest.raises(DataError, match="which was not asked for"):
        begin_iteration(store, "m", "a")
    assert begin_iteration(store, "m", "b", "model.pt").parent == "model.pt"
    assert begin_iteration(store, "m", "b", "model.pt").number == 2  # a retry of the same
