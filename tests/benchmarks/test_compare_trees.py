"""Two trees measured in turns, each by its own code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.compare_trees import main, table


def fake_tree(folder: Path, speed: int) -> Path:
    """A tree whose train_throughput notes what it was asked and claims a speed."""
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "__main__.py").write_text(
        "import json, os, sys\n"
        f"speed = {speed}\n"
        "if '--fail' in sys.argv: sys.exit(3)\n"
        f"open({str(folder.parent / 'calls')!r}, 'a').write(json.dumps([os.getcwd(), *sys.argv[1:]]) + '\\n')\n"
        "rows = [{'num_envs': n, 'samples_per_second': speed * n} for n in (4096, 8192)]\n"
        "open(sys.argv[sys.argv.index('--json') + 1], 'w').write(json.dumps({'rows': rows}))\n"
    )
    return folder


def test_trees_in_turns_and_in_turned_turns(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    old, new = fake_tree(tmp_path / "old", 100), fake_tree(tmp_path / "new", 98)
    out = tmp_path / "out" / "rows.json"
    main([str(old), str(new), "--rounds", "2", "--motions", "m.yaml", "--epochs", "5", "--json", str(out)])
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [Path(call[0]).name for call in calls] == ["old", "new", "new", "old"]
    assert all(call[1:6] == ["train_throughput", "--motions", "m.yaml", "--epochs", "5"] for call in calls)
    speeds = json.loads(out.read_text())["speeds"]
    assert speeds["before"] == {"4096": [409600] * 2, "8192": [819200] * 2}
    assert capfd.readouterr().out.count("-2.0%") == 2


def test_a_tree_that_fails_ends_it_in_one_line(tmp_path: Path) -> None:
    tree = fake_tree(tmp_path / "old", 100)
    with pytest.raises(SystemExit, match=r"train_throughput of .*old failed"):
        main([str(tree), str(tree), "--motions", "m.yaml", "--fail", "--json", str(tmp_path / "rows.json")])


def test_a_number_that_one_tree_lacks_is_left_out() -> None:
    assert table({"before": {64: [2], 128: [3]}, "after": {64: [2, 4, 3]}}).row_count == 1
