"""The benchmark of large datasets runs end to end, small; no test looks at how fast."""

from __future__ import annotations

from benchmarks import data_scale


def test_every_part_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(data_scale, "CACHE_MIN_MOTIONS", 1)
    monkeypatch.setattr(data_scale, "_in_own_process", lambda function, *arguments: function(*arguments))
    load = data_scale.load_dataset
    monkeypatch.setattr(data_scale, "load_dataset", lambda listing: load(listing, cache=True))
    data_scale.main(
        [
            "--motions",
            "13",
            "--folder",
            str(tmp_path),
            "--device",
            "cpu",
            "--json",
            str(tmp_path / "out.json"),
        ]
    )
    result = data_scale.measure(13, tmp_path, "cpu")
    assert result["motions"] == 24  # two of each kind
    assert "motions made" not in result["seconds"]  # they were there
    assert result["first start"]["frames"] == result["start from the cache"]["frames"] > 24 * 30
    assert result["cache_mb"] > 0 and result["terrain"]["mb"]["grid, terrain.pkl with meshes"] > 0
    assert data_scale.table(result).row_count == 12
    assert (tmp_path / "out.json").is_file()
