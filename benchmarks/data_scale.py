"""How long large datasets take: motions made, dataset built, loaded with and without cache, terrain grid, memory.

`python -m benchmarks data_scale --motions 16000 --folder output/scale` makes synthetic motions with their terrains
where the folder has none. The start of a training is measured in processes of their own: once with all motion files
read, once from the cache. The folder's `motions.yaml` can then be trained on (`train_throughput --motions`).
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.timing import check_device_or_leave, machine, machine_line
from parc_core.character.kinematics import Kinematics
from parc_core.character.mjcf import load_character
from parc_core.config.dataset_config import DatasetConfig
from parc_core.config.env_config import DeepMimicConfig, EnvConfig, EnvFileConfig
from parc_core.config.paths import PROJECT_ROOT
from parc_core.envs.terrain_layout import TerrainLayout
from parc_core.motion.dataset.build import create_dataset
from parc_core.motion.dataset.dataset_cache import CACHE_MIN_MOTIONS, cache_path
from parc_core.motion.dataset.loading import load_dataset
from parc_core.motion.library import MotionLibrary
from parc_core.motion.synthetic import KINDS, make_dataset
from parc_core.system.files import write_json
from parc_core.system.processes import usable_cores
from parc_tracker.tables import print_table

HUMANOID = PROJECT_ROOT / "data" / "assets" / "humanoid.xml"


class _Laps:
    """Seconds of one piece of work after the other."""

    def __init__(self, device: str = "cpu") -> None:
        self._cuda = device.startswith("cuda")
        self.seconds: Dict[str, float] = {}

    def time(self, name: str, work: Callable[[], Any]) -> Any:
        begin = time.perf_counter()
        result = work()
        if self._cuda:
            torch.cuda.synchronize()
        self.seconds[name] = round(time.perf_counter() - begin, 3)
        return result


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measures, prints a table and writes JSON."""
    args = _parser().parse_args(argv)
    check_device_or_leave(args.device)
    result = measure(args.motions, args.folder, args.device)
    console = Console(soft_wrap=True)
    print_table(table(result))
    console.print(machine_line(result["machine"]))
    write_json(args.json, result)
    console.print(f"JSON: {args.json}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks data_scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--motions", type=int, default=16_000, help="at least so many synthetic motions")
    parser.add_argument("--folder", type=Path, default=Path("output/scale"), help="of motions and dataset")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, default=Path("output/benchmarks/data_scale.json"))
    return parser


def measure(motions: int, folder: Path, device: str) -> Dict[str, Any]:
    """All numbers of a dataset of at least `motions` motions in `folder`."""
    folder = Path(folder).absolute()
    result: Dict[str, Any] = {"benchmark": "data_scale", "machine": machine(), "device": device}
    result["processes"] = usable_cores()
    laps = _Laps()
    if len(list((folder / "source").glob("*/*.pkl"))) < motions:
        per_kind = math.ceil(motions / len(KINDS))
        laps.time("motions made", lambda: make_dataset(list(KINDS), per_kind, 0, folder / "source"))
    config = DatasetConfig([str(folder / "source")], save_path=str(folder / "motions.yaml"))
    index = folder / "motion_index.json"
    if index.exists():
        index.unlink()  # every file is looked at, as in a first build
    built = laps.time("dataset built", lambda: create_dataset(config, index_path=index))
    laps.time("built again, nothing new", lambda: create_dataset(config, index_path=index))
    result.update(
        {"motions": built["num_motions"], "seconds": laps.seconds, "length_h": built["length"] / 3600}
    )
    listing = folder / "motions.yaml"
    if cache_path(listing).exists():
        cache_path(listing).unlink()
    result["first start"] = _in_own_process(start, listing, device)
    if built["num_motions"] >= CACHE_MIN_MOTIONS:
        result["start from the cache"] = _in_own_process(start, listing, device)
        result["cache_mb"] = round(cache_path(listing).stat().st_size / 1e6, 1)
    result["terrain"] = _in_own_process(write_terrain, listing, folder)
    return result


def _in_own_process(function: Callable[..., Dict[str, Any]], *arguments: Any) -> Dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def start(listing: Path, device: str) -> Dict[str, Any]:
    """What a training does before there are environments: seconds per part, and memory."""
    torch.zeros(1, device=device)  # the device's own start is not the data's
    laps = _Laps(device)
    kinematics = Kinematics(load_character(HUMANOID), torch.device(device))
    dataset = laps.time("motions loaded", lambda: load_dataset(listing))
    library = laps.time(
        "on the device, velocities",
        lambda: MotionLibrary(dataset.arrays, dataset.weights, dataset.names, kinematics),
    )
    layout = TerrainLayout.from_dataset(_env_file(listing), dataset)
    terrain = laps.time("terrains padded and packed", lambda: layout.pack(torch.device(device)))
    frames = [value for key, value in vars(library).items() if key.startswith("frame_")]
    return {
        "seconds": laps.seconds,
        "frames": int(library.num_frames.sum()),
        "library_mb": round(sum(t.numel() * t.element_size() for t in frames) / 1e6, 1),
        "terrain_mb": round(terrain.heights.numel() * terrain.heights.element_size() / 1e6, 2),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, 1),
    }


def write_terrain(listing: Path, folder: Path) -> Dict[str, Any]:
    """Builds the grid and writes terrain.pkl with and without meshes: seconds and sizes."""
    laps = _Laps()
    layout = TerrainLayout.from_dataset(_env_file(listing), load_dataset(listing))
    sizes = {}
    for name, meshes in (("grid, terrain.pkl", False), ("grid, terrain.pkl with meshes", True)):
        path = folder / "terrain.pkl"
        laps.time(name, partial(layout.write, path, with_meshes=meshes))
        sizes[name] = round(os.path.getsize(path) / 1e6, 1)
    return {"seconds": laps.seconds, "mb": sizes}


def _env_file(listing: Path) -> EnvFileConfig:
    return EnvFileConfig(env=EnvConfig(dm=DeepMimicConfig(motion_file=str(listing))))


def table(result: Dict[str, Any]) -> Table:
    """One row per piece of work."""
    rows = Table(
        title=f"{result['motions']:,} motions, {result['length_h']:.1f} h, device {result['device']}"
    )
    rows.add_column("what")
    rows.add_column("s", justify="right")
    rows.add_column("MB", justify="right")
    for name, seconds, size in _rows(result):
        rows.add_row(name, f"{seconds:.2f}", "" if size is None else f"{size:,.1f}")
    return rows


def _rows(result: Dict[str, Any]) -> List[Tuple[str, float, Optional[float]]]:
    rows: List[Tuple[str, float, Optional[float]]] = [(*item, None) for item in result["seconds"].items()]
    for name in ("first start", "start from the cache"):
        found = result.get(name)
        if found is not None:
            sizes = {
                "motions loaded": result.get("cache_mb"),
                "on the device, velocities": found["library_mb"],
                "terrains padded and packed": found["terrain_mb"],
            }
            rows += [(f"{name}: {part}", s, sizes[part]) for part, s in found["seconds"].items()]
            rows.append(
                (f"{name}: whole (peak memory)", sum(found["seconds"].values()), found["peak_rss_mb"])
            )
    terrain = result["terrain"]
    rows += [(name, seconds, terrain["mb"][name]) for name, seconds in terrain["seconds"].items()]
    return rows


if __name__ == "__main__":
    main()
