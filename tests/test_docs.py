"""Documentation that is made from the code is current; links between its pages lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.schema import to_mapping
from tests.config.parc_values import AGENT_YAML, ENV_YAML

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def make_configs():
    spec = importlib.util.spec_from_file_location("make_configs", DOCS / "make_configs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_configs_page_is_current(make_configs):
    written = (DOCS / "configs.md").read_text(encoding="utf-8")
    assert written == make_configs.page(), "run `python docs/make_configs.py`"


def test_every_key_has_its_meaning(make_configs):
    for cls in make_configs.CONFIGS:
        for key in make_configs.keys_of(cls):
            assert key.meaning or key.no_effect, key.name


def flat_keys(data, prefix=""):
    for key, value in data.items():
        if isinstance(value, dict):
            yield from flat_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


@pytest.mark.parametrize(("cls", "parc"), [(EnvFileConfig, ENV_YAML), (AgentConfig, AGENT_YAML)])
def test_marked_keys_are_not_parcs(make_configs, cls, parc):
    ours = {key.name for key in make_configs.keys_of(cls) if key.ours}
    theirs = set(flat_keys(yaml.safe_load(parc)))
    assert len(ours) > 5 and not ours & theirs
    assert theirs <= {key.name for key in make_configs.keys_of(cls)}
    assert theirs <= set(flat_keys(to_mapping(cls())))


OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")


@pytest.mark.parametrize(
    "page",
    [*sorted(DOCS.glob("*.md")), *(DOCS.parent / name for name in OTHERS)],
    ids=lambda path: path.relative_to(DOCS.parent).as_posix(),
)
def test_links(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_page_is_in_the_sites_contents():
    """`make docs` checks the rest, with packages that the tests do not need."""

    def pages(entries):
        for entry in entries:
            value = next(iter(entry.values())) if isinstance(entry, dict) else entry
            yield from pages(value) if isinstance(value, list) else [value]

    text = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    listed = set(pages(yaml.safe_load(text)["nav"]))
    ours = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert listed - {"benchmarks.md", "changelog.md", "contributing.md"} == ours
    for page in sorted(DOCS.glob("api/*.md")):
        for module in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert importlib.util.find_spec(module), f"{page}: {module}"
