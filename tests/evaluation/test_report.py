"""The page holds the numbers, whatever the size of the dataset."""

from __future__ import annotations

import base64
import dataclasses
import re

import pytest
from markupsafe import Markup

from parc_core.envs.terminations import FAILURES
from parc_core.evaluation.depth import BINS, MEASURES, TRACES
from parc_core.evaluation.report import MAX_ROWS, write_report
from parc_core.evaluation.result import EvalResult, load, summarize
from parc_core.evaluation.success import RULES
from tests.evaluation.sample_data import clip
from tests.ui.conftest import page

__all__ = ["page"]


def _result(clips):
    return EvalResult(clips, summarize(clips), {"engine": "mujoco"})


def _page(path, *args, **kwargs):
    write_report(path, *args, **kwargs)
    return path.read_text(encoding="utf-8")


def _text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_numbers_clips_and_settings_are_on_the_page(tmp_path):
    after = _result([clip("walk/a", 1.0, 0.041, 120.0), clip("jump/<b>", 0.25, 0.3, 30.5, "root position")])
    before = _result([clip("walk/a", 0.5, 0.2, 40.0), clip("jump/<b>", 0.125, 0.3, 10.0)])
    page = _page(
        tmp_path / "report.html", after, before, title="Tracker 7", settings={"agent": {"discount": 0.99}}
    )
    text = _text(page)
    assert "Tracker 7" in text and "discount: 0.99" in text and "engine: mujoco" in text
    assert "Clips completed 50 % 1 of 2 · before 0 %" in text
    assert "0.041 m before – · all clips while tracked 0.170 m, before 0.250 m" in text
    assert "75.2 before 25.0" in text
    assert "jump/&lt;b&gt;" in page and "<b>" not in re.findall(r"jump/(...)", page)
    assert re.search(r"root position 25 % 12 % 2\.00 0\.50 0\.300 30\.5 10\.0", text)
    assert "http://" not in page and "https://" not in page and 'src="' not in page


def test_every_reason_has_a_colour_of_its_own(tmp_path):
    ends = ["completed", *(reason.label for reason in FAILURES)]
    clips = [clip(f"walk/{k}", 0.5, 0.1, 5.0, end) for k, end in enumerate(ends)]
    page = _page(tmp_path / "report.html", _result(clips))
    colours = dict(re.findall(r"td i\.r-(\S+) { background:(#\w+); }", page))
    assert len(set(colours.values())) == len(ends)
    assert all(f'<i class="r-{style}"></i>{style.replace("-", " ")}' in page for style in colours)
    assert {style.replace("-", " ") for style in colours} == set(ends)


def test_video_and_curves_become_part_of_the_page(tmp_path):
    (tmp_path / "rollout.gif").write_bytes(b"GIF89a, more or less")
    log = ["Samples Wall_Time Train_Return Completed", "1000 0.1 12.5 0.25", "2000000 3.0 77.25 0.5"]
    (tmp_path / "log.txt").write_text("\n".join(log))
    page = _page(
        tmp_path / "report.html",
        _result([clip("walk/a", 1.0, 0.04, 120.0)]),
        training_dir=tmp_path,
        video=tmp_path / "rollout.gif",
    )
    assert "data:image/gif;base64," + base64.b64encode(b"GIF89a, more or less").decode() in page
    assert page.count('<svg class="chart"') == 4  # two curves, over samples and over time
    assert "77.25" in page and "50 %" in page and "2M" in page and "hours" in page


def test_many_clips_are_shown_by_class_and_as_distributions(tmp_path):
    many = [clip(f"{'walk' if k % 2 else 'jump'}/{k}", 0.5 if k < 20 else 1.0, 0.1, 5.0) for k in range(400)]
    page = _page(tmp_path / "report.html", _result(many))
    assert "Completed clips of each class" in page and "walk (200)" in page
    assert page.count('<div class="fill') == 2 and "Tracked share of the clips" in page
    lost = re.findall(r"<title>50 % to 55 %: (\d+) lost</title>", page)
    assert lost == ["20"] and "Failures to look at: 12 of 20 lost clips" in page
    assert len(re.findall(r'<tr data-clip="\d+"><td>(walk|jump)/', page)) == 400


def test_very_many_clips_leave_the_rest_to_the_json(tmp_path):
    clips = [clip(f"walk/{k}", 1.0, 0.1, 5.0) for k in range(MAX_ROWS + 7)]
    text = _text(_page(tmp_path / "report.html", _result(clips)))
    assert "7 more are in evaluation.json" in text


def test_without_video_the_reason_is_said(tmp_path):
    page = _page(tmp_path / "report.html", _result([clip("a", 0.5, 0.1, 1.0)]), video_note="no OpenGL here")
    assert "no OpenGL here" in page and "<img" not in page


def test_parts_add_up_to_100_and_nothing_less_is_100(tmp_path):
    clips = [clip(f"walk/{k}", 1.0, 0.1, 5.0) for k in range(5)]
    clips += [clip("jump/a", 0.5, 0.1, 5.0), clip("jump/b", 0.999, 0.1, 5.0, "root position")]
    (tmp_path / "log.txt").write_text("Samples Wall_Time Completed\n1000 0.1 0.25\n2000 3.0 0.99999\n")
    text = _text(_page(tmp_path / "report.html", _result(clips), training_dir=tmp_path))
    assert "completed 5 (71 %) fall 1 (15 %) root position 1 (14 %)" in text
    assert "99.99 %" in text
    nearly = [clip(f"walk/{k}", 1.0, 0.1, 5.0) for k in range(5)]
    nearly += [dataclasses.replace(clip("jump/a", 0.99999999999, 0.1, 5.0), end_time_s=2.0)] * 2
    text = _text(_page(tmp_path / "report.html", _result(nearly)))
    assert "Tracked, mean over clips 99 %" in text and "completed 5 (71 %) fall 2 (29 %)" in text


def test_failures_come_first_with_the_limit_that_was_broken(tmp_path):
    lost = dataclasses.replace(
        clip("walk/b", 0.25, 0.3, 30.0, "body position"),
        lost_body="left_foot",
        lost_value=0.71,
        lost_limit=0.6,
    )
    result = EvalResult([clip("walk/a", 1.0, 0.04, 100.0), lost], summarize([lost, lost]), {})
    scenes = {"walk/b": Markup("<b>a scene</b>")}
    page = _page(tmp_path / "report.html", result, scenes=scenes, player="<script>player()</script>")
    text = _text(page)
    assert "lost at 0.50 of 2.00 s: body position; left_foot off by 0.71 m, limit 0.60 m" in text
    assert page.index("<b>a scene</b>") < page.index('id="clips"') and page.count("player()") == 1
    rows = re.findall(r'<tr data-clip="(\d)"><td>([^<]*)', page)
    assert rows == [("0", "walk/b"), ("1", "walk/a")]


def test_no_place_of_a_machine_is_on_the_page(tmp_path):
    result = EvalResult(
        [clip("walk/a", 1.0, 0.04, 1.0)],
        summarize([clip("walk/a", 1.0, 0.04, 1.0)]),
        {"model_file": "/home/somebody/lab/run7/model.pt", "store": "s3://bucket/models/a/b"},
    )
    page = _page(
        tmp_path / "report.html",
        result,
        settings={"config": {"file": "C:\\Users\\somebody\\lab\\x.yaml"}},
        lineage={"dataset": "file:///home/somebody/lab/data/motions.yaml"},
        differs={"env.key": "1 (2)"},
    )
    assert "somebody" not in page and "…/run7/model.pt" in page and "s3://bucket/models/a/b" in page
    assert "…/data/motions.yaml" in page and "1 (2)" in page


def test_names_cannot_end_the_script_of_the_details(tmp_path):
    one = dataclasses.replace(clip("walk/</script><script>alert(1)//", 0.5, 0.1, 1.0), lost_body="</script>")
    page = _page(tmp_path / "report.html", _result([one]))
    assert page.count("</script>") == 2 and "alert(1)" not in re.sub(
        r"<script.*?</script>", "", page
    ).replace("&lt;script&gt;alert(1)", "")


def test_thousands_of_clips_stay_below_15_mb(tmp_path):
    trace = {name: [0.123456] * BINS for name in TRACES}
    clips = [
        dataclasses.replace(
            clip(f"{'walk' if k % 2 else 'jump'}/a_clip_with_a_name_{k}", 0.5 if k % 3 else 1.0, 0.1, 5.0),
            measures=dict.fromkeys(MEASURES, 0.12345678),
            success=dict.fromkeys(RULES, True),
        )
        for k in range(3000)
    ]
    result = dataclasses.replace(_result(clips), traces={one.name: trace for one in clips})
    write_report(tmp_path / "report.html", result)
    assert 1e6 < (tmp_path / "report.html").stat().st_size < 15e6


@pytest.mark.slow  # a browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_row_opens_and_a_curve_says_its_values(tmp_path, page, scheme):
    lost = dataclasses.replace(clip("walk/b", 0.25, 0.3, 30.0), measures=dict.fromkeys(MEASURES, 0.5))
    result = dataclasses.replace(
        _result([clip("walk/a", 1.0, 0.04, 100.0), lost]),
        traces={"walk/b": {name: [0.25] * BINS for name in TRACES}},
    )
    log = ["Samples Wall_Time Train_Return Completed", "1000 0.1 12.5 0.25", "2000000 3.0 77.25 0.5"]
    (tmp_path / "log.txt").write_text("\n".join(log))
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.emulate_media(color_scheme=scheme)
    write_report(tmp_path / "report.html", result, training_dir=tmp_path)
    page.goto((tmp_path / "report.html").as_uri())
    page.locator("#clips button.open-row").first.click()
    opened = page.locator("tr.detail")
    assert "root rotation" in opened.inner_text() and "contact precision" in opened.inner_text()
    assert opened.locator("svg").count() == 3
    page.locator("#clips button.open-row").first.click()
    assert page.locator("tr.detail").count() == 0
    curve = page.locator("svg[data-points]").first
    curve.scroll_into_view_if_needed()
    curve.hover(position={"x": 40, "y": 80})
    assert page.locator(".tip").inner_text() == "1k samples: 12.5"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(14, 18, 23)") == (scheme == "dark") and errors == []


@pytest.mark.slow  # a browser
@pytest.mark.parametrize("width", [320, 420, 640, 1280])
def test_as_wide_as_the_screen(tmp_path, page, width):
    """Also with long names, many columns, curves, long settings; tables scroll inside."""
    name = "a_class_with_a_long_name/sie_run_left_around_the_corner_and_up_the_stairs_take_0001"
    after = _result([clip(name, 1.0, 0.041, 120.0), clip("jump/b", 0.25, 0.3, 30.5, "simulation diverged")])
    before = _result([clip(name, 0.5, 0.2, 12345.0), clip("jump/b", 0.125, 0.3, 10.0)])
    log = ["Samples Wall_Time Train_Return Completed", "1000 0.1 12.5 0.25", "2000000 3.0 77.25 0.5"]
    (tmp_path / "log.txt").write_text("\n".join(log))
    file = tmp_path / "report.html"
    settings = {"agent": {"a_key": "x" * 300}}
    write_report(
        file, after, before, title=f"store/{'x' * 60}/model.pt", training_dir=tmp_path, settings=settings
    )
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    cut = "e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display != 'inline'"
    assert (
        page.evaluate(f"[...document.querySelectorAll('.name, .value, .tile *, h1')].filter({cut}).length")
        == 0
    )
    inside = "e => e.getBoundingClientRect().right <= innerWidth"
    assert page.evaluate(f"[...document.querySelectorAll('section > *, .bars > *')].every({inside})")


def test_held_out_clips_have_a_part_of_their_own(tmp_path):
    seen, unseen = _result([clip("walk/a", 1.0, 0.04, 9.0)]), _result([clip("run/b", 0.5, 0.2, 4.0)])
    page = _page(tmp_path / "report.html", seen)
    assert "Held-out" not in page
    both = dataclasses.replace(seen, held_out=unseen)
    text = _text(
        _page(
            tmp_path / "both.html",
            both,
            dataclasses.replace(both, held_out=_result([clip("run/b", 0.25, 0.3, 2.0)])),
        )
    )
    assert (
        "Held-out clips: the training never saw them 0 of 1 completed (0 %, before 0 %), tracked 50 %" in text
    )
    assert "run/b 50 % fall" in text and "Clips completed 100 % 1 of 1" in text
    both.save(tmp_path / "evaluation.json")
    assert load(tmp_path / "evaluation.json") == both
    assert "held_out" not in seen.to_json()
