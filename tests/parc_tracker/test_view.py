"""`parc-tracker view`: what it is given, offline pages, and one line for everything that is wrong."""

from __future__ import annotations

import re
import socket
import sys

import pytest
import torch
from typer.testing import CliRunner

from parc_core.config.paths import PROJECT_ROOT
from parc_core.config.resolve import ENV_FILE, write_yaml
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.motion.synthetic import make_dataset
from parc_core.playback.policy import load_policy
from parc_tracker import view as module
from parc_tracker.main import app
from tests.evaluation.sample_data import make_env_file


def view(*args):
    return CliRunner().invoke(app, ["view", *map(str, args)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Motions stand and walk in their folders."""
    folder = tmp_path_factory.mktemp("clips")
    make_dataset(["stand", "walk"], 1, 0, folder, workers=1)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A training's folder with an untrained model."""
    run = tmp_path_factory.mktemp("run")
    env_file = make_env_file(tmp_path_factory.mktemp("motions"), ["stand", "walk"])
    write_yaml(run / ENV_FILE, env_file)
    env = make_evaluation_env(env_file, num_envs=1)
    torch.save(load_policy(None, env).state_dict(), run / "model.pt")
    return run


@pytest.fixture
def served(monkeypatch):
    """What would be served: a player, a title and the clips chosen."""
    found = []
    monkeypatch.setattr(module, "_serve", lambda *given: found.append(given))
    return found


def test_motions_become_an_offline_page(folder, tmp_path):
    page = tmp_path / "page.html"
    result = view(folder, "--html", page)
    assert result.exit_code == 0, result.output
    assert re.search(r"written: .*page.html \(2 clips, 0\.0\d MB\)", result.stdout.replace("\n", " "))
    assert "walk/walk_0" in page.read_text() and page.stat().st_size < 100_000


def test_one_motion_and_a_choice_of_clips(folder, tmp_path):
    page = tmp_path / "page.html"
    file = next(folder.rglob("walk*.pkl"))
    assert view(file, "--html", page, "--max-seconds", "0.5").exit_code == 0
    assert '"end":0.5' in page.read_text()
    assert view(folder, "--html", page, "--clip", "STAND").exit_code == 0
    assert "walk_0" not in page.read_text()


def test_a_training_becomes_an_offline_page_with_failures_first(run, tmp_path):
    page = tmp_path / "page.html"
    result = view(run, "--html", page)
    assert result.exit_code == 0, result.output
    names = re.findall(r'"name":"([^"]+)"', page.read_text())
    assert names == ["walk/walk_0", "stand/stand_0"]  # the walk is lost without learning
    assert '"label":"pose reward"' in page.read_text()


def test_a_training_is_watched_with_its_newest_model(run, served):
    assert view(run).exit_code == 0
    ((player, title, _, chosen, newer),) = served
    assert player.source.names == ["stand/stand_0", "walk/walk_0"] and chosen == []
    assert title.endswith("model.pt") and newer() == ""
    (run / "model.pt").touch()
    assert re.fullmatch(r"now shown: model.pt, since \d\d:\d\d:\d\d", newer())


def test_a_model_that_is_just_being_replaced_is_said_and_the_old_one_stays(run, served):
    whole = (run / "model.pt").read_bytes()
    assert view(run).exit_code == 0
    newer = served[0][4]
    try:
        (run / "model.pt").write_bytes(whole[:100])
        assert "model.pt" in newer()
    finally:
        (run / "model.pt").write_bytes(whole)
    assert re.fullmatch(r"now shown: model.pt, since \d\d:\d\d:\d\d", newer())


def test_a_training_without_a_checkpoint_shows_the_untrained_policy(run, served, tmp_path):
    (tmp_path / ENV_FILE).write_bytes((run / ENV_FILE).read_bytes())
    result = view(tmp_path)
    assert result.exit_code == 0 and "untrained" in result.stderr
    assert served[0][1].endswith("untrained")


def wrong(code, *args):
    """The one line of an error."""
    result = view(*args)
    assert result.exit_code == code, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_what_is_missing_or_empty_is_said(folder, tmp_path):
    assert "no such file or folder" in wrong(78, tmp_path / "model.pt")
    assert "holds no motion that can be used" in wrong(65, tmp_path)
    (tmp_path / "motions.yaml").write_text("motions: []\n")
    assert "motions.yaml" in wrong(65, tmp_path / "motions.yaml")
    (tmp_path / "broken.pkl").write_bytes(b"no motion")
    assert "broken.pkl" in wrong(65, tmp_path / "broken.pkl")
    assert "no clip has that in its name" in wrong(78, folder, "--clip", "swim")
    (tmp_path / "checkpoints").mkdir()
    assert f"has no {ENV_FILE} yet" in wrong(78, tmp_path)


def test_a_model_of_another_character_is_refused(run, tmp_path):
    state = torch.load(run / "model.pt", weights_only=True)
    state["_model._action_dist._mean_net.weight"] = torch.zeros(12, 512)
    other = tmp_path / "model.pt"
    for name, value in list(state.items()):
        if name.startswith(("_model._action_dist", "_a_norm")) and value.ndim and value.shape[0] == 28:
            state[name] = value[:12].clone()
    state["_model._action_dist._mean_net.weight"] = torch.load(run / "model.pt", weights_only=True)[
        "_model._action_dist._mean_net.weight"
    ][:12].clone()
    torch.save(state, other)
    line = wrong(78, other, "--env-config", run / ENV_FILE)
    assert "gives 12 actions, the environment has" in line


def test_a_port_that_is_taken_is_said(folder):
    pytest.importorskip("viser", reason="needs viser (extra: viewer)")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = wrong(78, folder, "--port", port)
    assert f"127.0.0.1, port {port}" in line and "--port" in line
    assert "choose another" in wrong(78, folder, "--host", "203.0.113.7", "--port", "8080")


def test_without_viser_one_line_says_what_to_install(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert f"pip install -e '{PROJECT_ROOT}[viewer]'" in wrong(78, folder, "--no-open")


def test_without_a_browser_the_address_is_said(monkeypatch, capsys):
    monkeypatch.setattr(module.webbrowser, "open", lambda address: False)
    module._open("http://localhost:8080", 8080, True)
    said = capsys.readouterr().err
    assert said.startswith("no browser can be opened here; open http://localhost:8080") and "ssh -L" in said
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    module._open("http://localhost:8080", 8080, None)  # a machine without a screen needs no word about it
    assert capsys.readouterr().err == ""
