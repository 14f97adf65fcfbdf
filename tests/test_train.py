"""Where a training writes terrain.pkl."""

from __future__ import annotations

from types import SimpleNamespace

from parc_core.train import ARGS_FILE, MANY_TERRAINS, save_terrain


class Env:
    """Writes its number of terrains in place of a grid."""

    def __init__(self, num_terrains):
        self.terrain = SimpleNamespace(num_terrains=num_terrains)

    def save_terrain(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(str(self.terrain.num_terrains))


def test_beside_the_model_and_where_asked_for(tmp_path):
    assert save_terrain(Env(5), tmp_path, None) == []
    assert save_terrain(Env(6), tmp_path, str(tmp_path / "terrain.pkl")) == []
    assert save_terrain(Env(7), tmp_path, str(tmp_path / "mine.pkl")) == []
    assert (tmp_path / "terrain.pkl").read_text() == (tmp_path / "mine.pkl").read_text() == "7"


def test_many_terrains_are_written_only_where_asked_for(tmp_path):
    (tmp_path / "terrain.pkl").write_text("of an earlier start")
    notes = save_terrain(Env(MANY_TERRAINS + 1), tmp_path, str(tmp_path / "terrain.pkl"))
    assert len(notes) == 1 and "terrain_save_path" in notes[0]
    assert list(tmp_path.iterdir()) == []
    assert save_terrain(Env(MANY_TERRAINS + 1), tmp_path, str(tmp_path / "all.pkl")) == []
    assert [path.name for path in tmp_path.iterdir()] == ["all.pkl"]


def test_what_held_other_terrains_is_said(tmp_path):
    env = Env(3)
    env.layout = SimpleNamespace(is_in=lambda path: path.read_text() == "3")
    (tmp_path / "mine.pkl").write_text("4")
    (note,) = save_terrain(env, tmp_path, str(tmp_path / "mine.pkl"))
    assert note.endswith("mine.pkl held the terrains of another dataset; overwriting it")
    assert save_terrain(env, tmp_path, str(tmp_path / "mine.pkl")) == []
    assert (tmp_path / "mine.pkl").read_text() == "3"


def test_another_trainings_file_stays(tmp_path):
    """A dm_env.yaml taken from another training's folder names that one's terrain.pkl."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "terrain.pkl").write_text("old")
    (old / ARGS_FILE).write_text("")
    notes = save_terrain(Env(3), new, str(old / "terrain.pkl"))
    assert "belongs to another training" in notes[0]
    assert (old / "terrain.pkl").read_text() == "old" and (new / "terrain.pkl").read_text() == "3"
