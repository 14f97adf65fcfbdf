"""`$DATA_DIR`, relative paths, YAML files."""

from __future__ import annotations

import pytest

from parc_core.config import paths
from parc_core.config.paths import DATA_ROOT, PROJECT_ROOT, expand, load_yaml, resolve
from parc_core.errors import ConfigError


@pytest.fixture
def work(tmp_path, monkeypatch):
    """An empty working folder and project without a user_config.yaml; DATA_DIR unset."""
    monkeypatch.delenv("DATA_DIR", raising=False)
    (tmp_path / "work").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for root in ("PROJECT_ROOT", "DATA_ROOT"):
        monkeypatch.setattr(paths, root, tmp_path / "project")
    return tmp_path / "work"


def test_from_the_environment(work, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/data")
    assert expand("$DATA_DIR/a.yaml") == "/data/a.yaml"
    assert expand("${DATA_DIR}/a") == "/data/a"
    assert expand("x:$DATA_DIR") == "x:/data"


def test_a_longer_name_is_another_variable(work, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/data")
    assert expand("$DATA_DIRECTORY/a") == "$DATA_DIRECTORY/a"


def test_backslashes_in_the_folder_stay(work, monkeypatch):
    monkeypatch.setenv("DATA_DIR", r"C:\new\1")
    assert expand("$DATA_DIR") == r"C:\new\1"


def test_from_user_config_in_the_working_folder_or_the_project(work):
    (work.parent / "project" / "user_config.yaml").write_text("DATA_DIR: /project/data\n")
    assert expand("$DATA_DIR/a") == "/project/data/a"
    (work / "user_config.yaml").write_text("DATA_DIR: /here\nother: 3\n")
    assert expand("$DATA_DIR/a") == "/here/a"


def test_a_relative_folder_in_user_config_belongs_to_the_file(work):
    (work.parent / "project" / "user_config.yaml").write_text("DATA_DIR: data\n")
    assert expand("$DATA_DIR/a") == str(work.parent / "project" / "data" / "a")


def test_the_environment_comes_first(work, monkeypatch):
    (work / "user_config.yaml").write_text("DATA_DIR: /here\n")
    monkeypatch.setenv("DATA_DIR", "/environment")
    assert expand("$DATA_DIR") == "/environment"


def test_unset_says_what_to_set(work):
    with pytest.raises(ConfigError) as caught:
        expand("$DATA_DIR/motions.yaml")
    text = str(caught.value)
    assert "\n" not in text
    for word in ("$DATA_DIR/motions.yaml", "DATA_DIR is not set", "environment variable", "user_config.yaml"):
        assert word in text
    assert expand("no variable") == "no variable"


def test_user_config_of_a_wrong_type(work):
    (work / "user_config.yaml").write_text("DATA_DIR: [a]\n")
    with pytest.raises(ConfigError, match=r"user_config.yaml: 'DATA_DIR' must be the path of a folder"):
        expand("$DATA_DIR")


def test_home(work, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert expand("~/a") == "/home/me/a"
    assert expand("a~b") == "a~b"


def test_resolve_prefers_the_working_folder(work):
    project = work.parent / "project"
    (project / "a.yaml").write_text("")
    assert resolve("a.yaml") == project / "a.yaml"
    (work / "a.yaml").write_text("")
    assert resolve("a.yaml") == work / "a.yaml"
    assert resolve("new/output") == work / "new" / "output"
    assert str(resolve("/abs/x")) == "/abs/x"


def test_shipped_files_are_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve("data/configs/parc_3_tracker_default.yaml").is_file()
    assert (PROJECT_ROOT / "parc_core").is_dir()


def test_load_yaml_expands_every_string(work, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/data")
    (work / "a.yaml").write_text("a: $DATA_DIR/x\nb: {c: [$DATA_DIR, 3]}\n")
    assert load_yaml("a.yaml") == {"a": "/data/x", "b": {"c": ["/data", 3]}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "line 3: broken YAML"),
        ("a: 1\nb: 2\na: 3\n", "line 3: broken YAML: key 'a' is given twice"),
        ("- 1\n", "must be a mapping"),
        (
            "a: !!python/object/apply:os.getcwd []\n",
            "line 1: broken YAML: the tag tag:yaml.org,2002:python/object",
        ),
        ("a: $DATA_DIR\n", "DATA_DIR is not set"),
    ],
)
def test_broken_files_end_in_one_line(work, text, words):
    (work / "a.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_yaml("a.yaml")
    assert words in str(caught.value)
    assert "a.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_empty_file_and_binary_file(work):
    with pytest.raises(ConfigError, match=r"nothing.yaml: there is no such config file"):
        load_yaml("nothing.yaml")
    (work / "empty.yaml").write_text("# nothing\n")
    assert load_yaml("empty.yaml") == {}
    (work / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(ConfigError, match="cannot be read as a config"):
        load_yaml("binary.yaml")
    (work / "folder.yaml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read as a config"):
        load_yaml("folder.yaml")


def test_data_dir_of_parcs_place(tmp_path, monkeypatch):
    """`data/configs/user_config.yaml`, as PARC has it; a relative folder is relative to the file."""
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/configs").mkdir(parents=True)
    (tmp_path / "data/configs/user_config.yaml").write_text("DATA_DIR: /where/parc/has/it\n")
    assert expand("$DATA_DIR/motions.yaml") == "/where/parc/has/it/motions.yaml"
    (tmp_path / "user_config.yaml").write_text("DATA_DIR: /mine\n")
    assert expand("$DATA_DIR") == "/mine"


def test_the_other_name_of_the_trackers_configs(tmp_path, monkeypatch):
    """PARC's set-up of an iteration names data/configs/tracker_config/…; a file that lies there is taken."""
    monkeypatch.chdir(tmp_path)
    name = "data/configs/tracker_config/dm_env_default.yaml"
    assert resolve(name) == DATA_ROOT / "data/configs/parc_3_tracker/dm_env_default.yaml"
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("")
    assert resolve(name) == tmp_path / name
    assert (
        resolve("data/configs/tracker_config/none.yaml") == tmp_path / "data/configs/tracker_config/none.yaml"
    )
