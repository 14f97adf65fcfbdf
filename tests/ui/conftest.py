"""A Prefect server with a worker and the deployments of a tiny tracker, and a browser that looks at it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chromium import chromium_page
from tests.prefect_processes import running_server

if TYPE_CHECKING:
    from playwright.sync_api import Locator

SETTLED = 1000
"""Milliseconds until fades and the drawing of a run have ended."""
FLAGS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]


@pytest.fixture
def server(tmp_path, tracker_config, store):
    """Server, deployments and one worker. The form names files by `$DATA_DIR`, which is the worker's own."""
    data = str(tmp_path)
    for name in ("tracker.yaml", "dataset.yaml"):
        path = tmp_path / name
        path.write_text(path.read_text().replace(data, "$DATA_DIR"))
    with running_server(tmp_path / "server") as found:
        found.deploy(tracker_config, PARC_STORE=str(store), DATA_DIR=data)
        with found.worker(tmp_path / "worker", PARC_INDEX=os.environ["PARC_INDEX"], DATA_DIR=data):
            yield found


@pytest.fixture
def page():
    """A page of Debian's chromium that reaches nothing but loopback."""
    with chromium_page(FLAGS, (1280, 800), 30_000) as page:
        yield page


@pytest.fixture
def shoot(page, tmp_path):
    """Takes a picture of the page, into `PARC_SCREENSHOTS` (`docs/media`: those of the docs) where that is set."""
    folder = Path(os.environ.get("PARC_SCREENSHOTS", tmp_path / "screenshots")).absolute()

    def take(name: str, hide: Locator | None = None) -> None:
        page.wait_for_timeout(SETTLED)
        page.screenshot(
            path=folder / f"{name}.png", mask=[] if hide is None else [hide], mask_color="#d4d4d8"
        )

    return take
