"""Held-out motions of a tracker config: what is refused before anything trains, and what is only said."""

from __future__ import annotations

import pytest

from parc_core.config.tracker_config import load_tracker_config
from parc_core.config.train_args import read_train_args
from parc_core.errors import ConfigError, DataError
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.supervisor import local_training
from parc_core.supervisor.preflight import check_runnable
from parc_core.supervisor.run_folder import run_key
from parc_core.supervisor.supervise import Listener
from tests.motion.small_files import write_small
from tests.pipeline_fixtures import change


@pytest.mark.parametrize(
    ("held_out", "says"),
    [
        (["nowhere"], "'held_out_motions' names .*nowhere, which is not a directory"),
        (["nowhere.yaml"], "'held_out_motions' names .*nowhere.yaml, which does not exist"),
        (["a.yaml", "b"], "'held_out_motions' names the dataset a.yaml and others"),
    ],
)
def test_what_is_not_there_is_said_before_anything_begins(tracker_config, held_out, says):
    with pytest.raises(ConfigError, match=says):
        check_runnable(change(tracker_config, held_out_motions=held_out))


def test_a_gate_on_held_out_clips_needs_some(tracker_config, tmp_path):
    gate = {"min_held_out_completed": 0.5}
    with pytest.raises(ConfigError, match="is about held-out clips; name them"):
        check_runnable(change(tracker_config, gate=gate))
    write_small(tmp_path / "unseen" / "walk" / "a.pkl")
    check_runnable(change(tracker_config, gate=gate, held_out_motions=[str(tmp_path / "unseen")]))


@pytest.fixture
def trained(tracker_config, monkeypatch):
    """Trains without a trainer; returns the arguments and what was said."""

    def run(**changes):
        lines: list[str] = []
        started = []
        monkeypatch.setattr(local_training, "train_from_arguments", lambda file, *_: started.append(file))
        local_training.train_from_config(change(tracker_config, **changes), Listener(note=lines.append))
        return read_train_args(started[0]), "\n".join(lines)

    return run


def test_folders_become_a_dataset_in_the_trainings_folder(trained, tmp_path, monkeypatch, tracker_config):
    monkeypatch.chdir(tmp_path)
    write_small(tmp_path / "unseen" / "walk" / "a.pkl")
    (tmp_path / "unseen" / "walk" / "torn.pkl").write_bytes(b"x")
    args, said = trained(held_out_motions=[str(tmp_path / "unseen")], output_dir=str(tmp_path / "out"))
    assert args.held_out_dataset == str(tmp_path / "out" / "held_out" / "motions.yaml")
    assert len(read_motions_yaml(args.held_out_dataset).entries) == 1
    assert "held_out_motions: skipped: " in said and "torn.pkl" in said
    # Neither the key nor the settings of the training know of it.
    dataset = str(tmp_path / "dataset" / "motions.yaml")
    key = run_key(load_tracker_config(tracker_config), dataset)
    assert key == run_key(load_tracker_config(change(tracker_config, held_out_motions=[])), dataset)


def test_an_empty_folder_is_one_line(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "unseen").mkdir()
    with pytest.raises(DataError, match=r"^held_out_motions: .*no class folder inside"):
        trained(held_out_motions=[str(tmp_path / "unseen")])


def test_clips_that_the_training_sees_too_are_named(trained, motions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_small(tmp_path / "unseen" / "other" / "walk_0_mirror.pkl")
    write_small(tmp_path / "unseen" / "other" / "new.pkl", height=1.0)
    _, said = trained(held_out_motions=[str(tmp_path / "unseen")])
    assert (
        "the training sees 1 of them too" in said
        and "other/walk_0_mirror" in said
        and "other/new" not in said
    )
