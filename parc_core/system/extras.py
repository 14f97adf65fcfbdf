"""How to install what is optional: the project is on no package index, so pip is told where it is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def pip_arguments(requirement: str) -> str:
    """What follows `pip install`; `{}` in a requirement is this project: the checkout, or its wheel's file."""
    if "{}" in requirement and (ROOT / "parc_core" / "shipped").is_dir():
        from parc_core import __version__

        return requirement.format(f"parc_tracker-{__version__}-py3-none-any.whl")
    return "-e " + requirement.format(ROOT)


def install_extra(name: str) -> str:
    """The command that installs the project with one of its extras."""
    return "pip install " + pip_arguments("'{}[" + name + "]'")
