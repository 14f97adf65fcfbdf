"""Debian's headless chromium, for tests of pages."""

from __future__ import annotations

import contextlib
import shutil

import pytest


@contextlib.contextmanager
def chromium_page(flags, size, timeout_ms):
    """A page of `size` (width, height); the test is skipped where playwright or chromium is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra: dev)")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs chromium (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(timeout_ms)
        yield page
        browser.close()
