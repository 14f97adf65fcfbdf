"""The newest model of a training's folder."""

from __future__ import annotations

import os

from parc_core.viewing.newest import NewestModel


def write(path, when):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    path.with_name(path.name + ".sha256").write_text("")
    os.utime(path, (when, when))


def test_each_new_model_is_seen_once(tmp_path):
    newest = NewestModel(tmp_path)
    assert newest.look() is None
    first = tmp_path / "checkpoints" / "checkpoint_100.pt"
    write(first, 1000)
    assert newest.look() == first and newest.look() is None
    second = tmp_path / "checkpoints" / "checkpoint_200.pt"
    write(second, 1001)
    assert newest.look() == second and newest.look() is None
    model = tmp_path / "model.pt"
    write(model, 1002)
    assert newest.look() == model and newest.look() is None


def test_a_model_alone_is_enough_and_a_rewritten_one_is_new(tmp_path):
    newest = NewestModel(tmp_path)
    model = tmp_path / "model.pt"
    write(model, 1000)
    assert newest.look() == model
    write(model, 1005)
    assert newest.look() == model
