"""A stage's key changes with every file that it can run, and with no other."""

from __future__ import annotations

import shutil

import pytest

from parc_core.config.paths import PROJECT_ROOT
from tasks import code_version as module
from tasks.code_version import code_version, source_files
from tasks.configs import emit_configs
from tasks.dataset import build_dataset
from tasks.evaluate import evaluate
from tasks.merge import merge_motions
from tasks.register import register
from tasks.train import train

ENGINES = sorted(
    path.relative_to(PROJECT_ROOT).as_posix() for path in (PROJECT_ROOT / "parc_core/engines").rglob("*.py")
)
ROTATIONS = "parc_core/engines/mujoco_warp/rotations.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the source whose files can be touched."""
    root = tmp_path_factory.mktemp("project")
    for package in ("parc_core", "tasks"):
        shutil.copytree(PROJECT_ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def changes(project, monkeypatch, stage, file):
    """Whether the stage's code version changes with a file."""
    monkeypatch.setattr(module, "PROJECT_ROOT", project)
    monkeypatch.setattr(stage, "_own_source", project / stage._own_source.relative_to(PROJECT_ROOT))
    path = project / file
    before = path.read_bytes()
    versions = []
    try:
        for content in (before, before + b"\n# touched\n"):
            path.write_bytes(content)
            code_version.cache_clear()
            versions.append(stage.code_version())
    finally:
        path.write_bytes(before)
        code_version.cache_clear()
    return versions[0] != versions[1]


@pytest.mark.parametrize("file", [*ENGINES, "parc_core/errors.py", "parc_core/envs/warp/env.py"])
@pytest.mark.parametrize("stage", [train, evaluate], ids=lambda stage: stage.__name__)
def test_stages_that_simulate_can_run_every_engine(project, monkeypatch, stage, file):
    assert ROTATIONS in ENGINES
    assert changes(project, monkeypatch, stage, file)


CASES = [
    (merge_motions, "parc_core/motion/formats/safe_pickle.py", True),
    (merge_motions, "parc_core/storage/s3.py", True),  # imported lazily, where motions lie there
    (merge_motions, "tasks/merge.py", True),
    (merge_motions, ROTATIONS, False),
    (merge_motions, "parc_core/learning/agent.py", False),
    (merge_motions, "tasks/train.py", False),
    (build_dataset, "parc_core/motion/dataset/dataset_file.py", True),
    (build_dataset, "parc_core/envs/tracking_env.py", False),
    (emit_configs, "parc_core/config/env_config.py", True),
    (emit_configs, "parc_core/video/draw.py", False),
    (train, "parc_core/training/trainer.py", True),
    (train, "parc_core/train.py", True),
    (train, "parc_core/video/draw.py", False),
    (train, "parc_core/evaluation/report.py", False),
    (evaluate, "parc_core/video/draw.py", True),
    (evaluate, "parc_core/evaluation/report.html.j2", True),
    (evaluate, "parc_core/training/trainer.py", False),
    (register, "parc_core/registry/gate.py", True),
    (register, "parc_core/registry/promotion.py", True),
    (register, "parc_core/motion/clip.py", False),
]


@pytest.mark.parametrize(
    ("stage", "file", "expected"), CASES, ids=lambda value: getattr(value, "__name__", str(value))
)
def test_a_stage_changes_with_what_it_can_run(project, monkeypatch, stage, file, expected):
    assert changes(project, monkeypatch, stage, file) == expected


def test_a_release_by_itself_changes_no_key(project, monkeypatch):
    monkeypatch.setattr(module, "PROJECT_ROOT", project)
    path = project / "parc_core" / "__init__.py"
    text = path.read_text()
    assert "__version__ = " in text
    versions = []
    try:
        for number in ("1.2.3", "1.2.4"):
            path.write_text(
                module.VERSION_LINE.sub(f'__version__ = "{number}"'.encode(), text.encode()).decode()
            )
            code_version.cache_clear()
            versions.append(code_version("parc_core.train"))
    finally:
        path.write_text(text)
        code_version.cache_clear()
    assert versions[0] == versions[1]


def test_what_counts_as_an_import(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PROJECT_ROOT", tmp_path)
    room = tmp_path / "parc_core"
    room.mkdir()
    (room / "__init__.py").write_text("")
    for name in ("lazy", "by_name", "typing_only", "after_else", "unused"):
        (room / f"{name}.py").write_text("import torch.nn\n")
    (room / "root.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import parc_core.typing_only\nelse:\n    import parc_core.after_else\n"
        "def f():\n    from parc_core import lazy\n    return __import__('parc_core.by_name'), 'parc_core/unused.py'\n"
    )
    names = {path.stem for path in source_files("parc_core.root")}
    assert names == {"__init__", "root", "lazy", "by_name", "after_else"}
    with pytest.raises(ValueError, match=r"parc_core\.nothing is not a module"):
        source_files("parc_core.nothing")
