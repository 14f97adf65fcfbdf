"""Hooks of mkdocs: the site has some files from outside `docs/`, whose links stay right on GitHub and there."""

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Page of the site → file of the project."""
_PAGES = {path: page for page, path in OUTSIDE.items()}
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


def on_files(files, config):
    """Adds the files from outside."""
    for page, path in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links between files of the project into links between pages."""
    uri = page.file.src_uri
    folder = (ROOT / OUTSIDE.get(uri, f"docs/{uri}")).parent

    def between_pages(match):
        target = os.path.relpath(folder / match[2], ROOT).replace(os.sep, "/")
        place = _PAGES.get(target) or (target[len("docs/") :] if target.startswith("docs/") else None)
        if place is None:
            return match[0]  # mkdocs says that it is not a page
        return match[1] + os.path.relpath(place, os.path.dirname(uri) or ".").replace(os.sep, "/") + match[3]

    return _LINK.sub(between_pages, markdown)
