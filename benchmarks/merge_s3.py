"""Motion folders in S3: how much longer than a plain `s3fs.get` the verified fetch takes, and what a merge costs.

`python -m benchmarks merge_s3 --motions 2000` starts a SeaweedFS server of its own on this machine, puts synthetic
motions into it, and fetches them in turns with `s3fs.get(recursive=True)` and as the merge does (listed, fetched,
SHA-256 of each, into the local cache, noted), each time into empty folders.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.timing import machine, machine_line
from parc_core.config.dataset_config import DatasetConfig
from parc_core.motion.dataset.merge import merge_folders
from parc_core.motion.dataset.remote_folders import find_remote
from parc_core.motion.synthetic import KINDS, make_dataset
from parc_core.storage.store import Store
from parc_core.system.files import write_json
from parc_tracker.object_server import ObjectServer
from parc_tracker.tables import print_table


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, prints a table and writes JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks merge_s3",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--motions", type=int, default=2000, help="at least so many synthetic motions")
    parser.add_argument(
        "--folder", type=Path, default=Path("output/s3"), help="of the motions that are put there"
    )
    parser.add_argument("--repeats", type=int, default=5, help="fetches of each kind")
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/merge_s3.json"))
    args = parser.parse_args(argv)
    result = measure(args.motions, args.folder.absolute(), args.repeats)
    console = Console(soft_wrap=True)
    print_table(table(result))
    console.print(machine_line(result["machine"]))
    write_json(args.json, result)
    console.print(f"JSON: {args.json}")


def measure(motions: int, folder: Path, repeats: int) -> Dict[str, Any]:
    """All numbers, in seconds."""
    if len(list(folder.glob("*/*.pkl"))) < motions:
        make_dataset(list(KINDS), math.ceil(motions / len(KINDS)), 0, folder, max_seconds=4.0)
    files = sorted(folder.glob("*/*.pkl"))
    result: Dict[str, Any] = {"benchmark": "merge_s3", "machine": machine(), "motions": len(files)}
    result["megabytes"] = round(sum(path.stat().st_size for path in files) / 1e6, 1)
    with tempfile.TemporaryDirectory(prefix="parc-s3-") as temp:
        work = Path(temp)
        with ObjectServer(work / "server") as server:
            os.environ.update(server.environment())
            url = f"s3://{server.bucket}/recorded"
            pairs = [(path, path.relative_to(folder).as_posix()) for path in files]
            result["upload"] = _seconds(lambda: Store(url).put_many(pairs))
            result.update(_fetches(url, len(files), work, repeats))
            result.update(_merges(url, work))
    return result


def _fetches(url: str, count: int, work: Path, repeats: int) -> Dict[str, Any]:
    plain: List[float] = []
    ours: List[float] = []
    target = work / "plain"
    for _ in range(repeats):  # in turns: whatever else the machine does hits both
        plain.append(_seconds(lambda: _plain_get(url, target)))
        assert len(list(target.glob("**/*.pkl"))) == count
        shutil.rmtree(target)
        os.environ["PARC_CACHE"] = str(work / "cache")
        ours.append(_seconds(lambda: find_remote(url)))
        assert len(list((work / "cache" / "files").glob("*/*"))) == count
        shutil.rmtree(work / "cache")
    return {"s3fs.get": plain, "fetch": ours, "ratio": statistics.median(ours) / statistics.median(plain)}


def _plain_get(url: str, target: Path) -> None:
    import s3fs

    fs = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    fs.get(url, str(target), recursive=True)


def _merges(url: str, work: Path) -> Dict[str, float]:
    config, index = DatasetConfig([url]), work / "index.json"
    return {
        name: _seconds(lambda: merge_folders(config, work / "out", index_path=index))
        for name in ("first merge", "second merge")
    }


def _seconds(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return round(time.perf_counter() - begin, 3)


def table(result: Dict[str, Any]) -> Table:
    """One row a measurement."""
    rows = Table(
        title=f"{result['motions']:,} motions, {result['megabytes']} MB, SeaweedFS on the same machine"
    )
    for name in ("what", "median s", "best s", "files/s"):
        rows.add_column(name, justify="left" if name == "what" else "right")
    for name in ("upload", "s3fs.get", "fetch", "first merge", "second merge"):
        value = result[name]
        times = value if isinstance(value, list) else [value]
        middle = statistics.median(times)
        rows.add_row(name, f"{middle:.2f}", f"{min(times):.2f}", f"{result['motions'] / middle:,.0f}")
    rows.caption = f"fetch / s3fs.get: {result['ratio']:.2f} (medians)"
    return rows


if __name__ == "__main__":
    main()
