"""The viewer and its offline page in Debian's chromium."""

from __future__ import annotations

import re
import threading

import pytest
import torch

from parc_core.config.agent_config import AgentConfig
from parc_core.config.resolve import CHECKPOINTS
from parc_core.evaluation.evaluate import make_evaluation_env
from parc_core.playback.policy import load_policy
from parc_core.playback.tracks import record_tracks
from parc_core.training.checkpoint import save_checkpoint
from parc_core.viewing.newest import NewestModel
from parc_core.viewing.offline import offline_page
from parc_core.viewing.player import Player
from parc_core.viewing.policy_source import PolicySource
from tests.chromium import chromium_page
from tests.evaluation.sample_data import make_env_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FLAGS = [
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
LIMIT = 120_000  # ms; without a GPU on a busy machine the browser draws a picture a second
DRAWN = """() => {
  const view = document.querySelector("canvas.parc-view"), own = view.getContext("2d");
  const pixels = own.getImageData(0, 0, view.width, view.height).data, seen = new Set();
  for (let k = 0; k < pixels.length; k += 4)
    if (pixels[k + 3]) seen.add((pixels[k] << 16) + (pixels[k + 1] << 8) + pixels[k + 2]);
  return seen.size;
}"""


@pytest.fixture
def page():
    with chromium_page(FLAGS, (640, 480), LIMIT) as page:
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page


@pytest.fixture
def env(tmp_path):
    return make_evaluation_env(make_env_file(tmp_path, ["stand", "walk"]), num_envs=1)


def zero(obs):
    return torch.zeros(len(obs), 28)


def test_the_offline_page_opens_from_disk_draws_plays_and_is_scrubbed(page, env, tmp_path):
    tracks = record_tracks(env, zero, [0, 1], 2.0)
    file = tmp_path / "clips.html"
    character = env.kinematics.character.to("cpu")
    file.write_text(offline_page(tracks, character, "two clips", scan=env.task.ray_points.numpy()))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_function(f"({DRAWN})() > 20")  # not blank: shaded ground, an orange and a blue figure
    assert asked == [file.as_uri()]  # nothing from anywhere else

    player = "document.querySelector('parc-scenes').player"
    page.evaluate(f"{player}.seek(1.0)")
    assert page.evaluate(f"{player}.frame") == 30
    x = page.evaluate(f"{player}.clip.bodies({player}.clip.figures[0], 1.0).pos.flat()")
    assert x == pytest.approx(tracks[0].body_pos[30].reshape(-1).tolist(), abs=0.01)

    page.evaluate(f"{player}.seek(0)")
    page.get_by_title("play or pause (space)").dispatch_event("click")
    page.wait_for_function(f"{player}.time > 0.2")
    page.get_by_role("button", name="next failure").dispatch_event("click")
    page.wait_for_function(f"{player}.packed.marks.length === 1 && {player}.clip !== null")
    assert page.locator("select").first.input_value() == "1"
    page.wait_for_function(f"({DRAWN})() > 20")
    assert page.errors == []


def numbers(page):
    return page.get_by_text(re.compile("frame [0-9]+ of")).first.inner_text()


def test_the_live_viewer_plays_pushes_and_takes_the_newest_checkpoint(page, env, tmp_path):
    pytest.importorskip("viser", reason="needs viser (extra: viewer)")
    from parc_core.viewing.live import LiveViewer, free_port

    agent = load_policy(None, env)
    source = PolicySource(env, zero)
    player = Player(source)
    newest = NewestModel(tmp_path / "run")
    taken = []

    def newer():
        path = newest.look()
        if path is None:
            return ""
        source.set_policy(load_policy(path, env, AgentConfig()).act_mode)
        taken.append(path.name)
        return f"now shown: {path.name}"

    port = free_port("127.0.0.1", None)
    viewer = LiveViewer(player, "a run", "127.0.0.1", port, newer)
    loop = threading.Thread(target=viewer.run)
    loop.start()
    try:
        page.goto(f"http://127.0.0.1:{port}")
        page.get_by_role("button", name="next failure").wait_for()
        page.get_by_text("joint error").first.wait_for()
        page.get_by_role("button", name="play", exact=True).dispatch_event("click")
        page.wait_for_function("document.body.innerText.match(/frame ([1-9][0-9]*) of/)")
        assert player.frame > 0

        page.get_by_role("button", name="start").dispatch_event("click")
        page.get_by_role("button", name="+y").dispatch_event("click")
        page.get_by_text("pushed: torso").wait_for()
        assert player.source.names[player.clip] == "stand/stand_0"

        page.get_by_role("button", name="next failure").dispatch_event("click")
        page.wait_for_function("!document.body.innerText.includes('looking for a failure')")
        state = {"samples": 7, "agent": agent.state_dict(), "obs_moments": agent.obs_norm.moments()}
        save_checkpoint(tmp_path / "run" / CHECKPOINTS, state, keep=2)
        page.get_by_text("now shown: checkpoint_7.pt").wait_for()
        assert taken == ["checkpoint_7.pt"]
        assert page.errors == []
    finally:
        viewer.stop()
        loop.join(60)
    assert not loop.is_alive()


def test_a_report_with_many_scenes_draws_only_those_in_view(page, env, tmp_path):
    from parc_core.viewing.offline import player_parts, scene_element

    (track,) = record_tracks(env, zero, [1], 1.0)
    parts = player_parts(env.kinematics.character.to("cpu"))
    file = tmp_path / "report.html"
    file.write_text("<!DOCTYPE html><body>" + parts + scene_element(track, start_s=0.5) * 60 + "</body>")
    page.goto(file.as_uri())
    page.wait_for_function(f"({DRAWN})() > 20")
    drawn = page.evaluate("[...document.querySelectorAll('parc-scene')].filter(one => one.clip).length")
    assert 1 <= drawn < 10
    assert page.evaluate("document.querySelector('parc-scene').frame") == 15
    assert page.errors == []
