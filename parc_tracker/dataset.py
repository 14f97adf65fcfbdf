"""Datasets from the command line: `parc-tracker dataset make|check|split`."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parc_core.errors import ConfigError, DataError
from parc_tracker.json_option import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

    from parc_core.config.dataset_config import DatasetConfig
    from parc_core.motion.dataset.check import ClipCheck

dataset_app = typer.Typer(
    no_args_is_help=True, help="Datasets: make one of motion folders, check its clips, hold some out."
)

DATASET_FILE = "motions.yaml"
FoldersArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Folders of motion classes: paths, s3://… addresses, recordings:NAME. Default: those of --config.",
        metavar="FOLDER...",
    ),
]
SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="A motions.yaml, or folders of motion classes: paths, s3://… addresses, recordings:NAME.",
        metavar="SOURCE...",
    ),
]
DatasetConfigOption = Annotated[
    Path | None, typer.Option("--config", help="Dataset creation config with limits and folders.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Output folder. Default: output/dataset; of a motions.yaml its own folder."),
]
ImplausibleOption = Annotated[
    bool,
    typer.Option(
        "--allow-implausible", help="Also motions that look wrong: wxyz, centimetres, y up, off terrain."
    ),
]
_OUT = Path("output/dataset")


@dataset_app.command()
def make(
    folders: FoldersArgument = None,
    config: DatasetConfigOption = None,
    out: OutOption = None,
    allow_implausible: ImplausibleOption = False,
    as_json: JsonOption = False,
) -> None:
    """Check and merge motion folders into one weighted dataset, as the pipeline does."""
    from parc_tracker.tables import only_json, print_json

    settings = _settings(folders, config, allow_implausible)
    with only_json(as_json):
        built = _make(settings, _place(settings, config, out))
    if as_json:
        print_json(built)
        return
    print(_built(built))
    print(
        f"next: parc-tracker dataset check {built['motions_yaml']}, or train on it (dataset_file: in a tracker config)"
    )


@dataset_app.command()
def check(
    sources: SourcesArgument = None,
    config: DatasetConfigOption = None,
    allow_implausible: ImplausibleOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show every clip with what is odd about it or why it is refused; exit code 65 if one is refused."""
    from parc_core.motion.dataset.check import REFUSED, check_dataset, check_folders, totals
    from parc_tracker.tables import only_json, print_json, print_table

    dataset = _dataset_file(sources or ())
    settings = None if dataset else _settings(sources, config, allow_implausible)
    with only_json(as_json), _progress("checking") as progress:
        if settings is None:
            checks = check_dataset(str(dataset), _character(config), progress)
        else:
            checks = check_folders(settings, progress)
    found = totals(checks)
    if as_json:
        print_json({"clips": [dataclasses.asdict(each) for each in checks], "totals": found})
    else:
        print_table(checks_table(checks))
        print(_summed(found))
    refused = [each for each in checks if each.verdict == REFUSED]
    if refused:
        raise DataError(
            f"{len(refused)} of {len(checks)} files are refused, the first {refused[0].file}: {refused[0].remarks[0]}"
        )


@dataset_app.command()
def split(
    sources: SourcesArgument = None,
    held_out: Annotated[
        str, typer.Option("--held-out", help="Share of the clips that the training never sees.")
    ] = "10%",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same clips held out.")] = 0,
    config: DatasetConfigOption = None,
    out: OutOption = None,
    allow_implausible: ImplausibleOption = False,
    as_json: JsonOption = False,
) -> None:
    """Split a dataset in train.yaml and held_out.yaml: by clip, so that no variant or mirror image is in both."""
    from parc_core.motion.dataset.split import parse_share, split_dataset
    from parc_tracker.tables import only_json, print_json

    share, dataset = parse_share(held_out), _dataset_file(sources or ())
    with only_json(as_json):
        if dataset is None:
            settings = _settings(sources, config, allow_implausible)
            built = _make(settings, _place(settings, config, out))
            print(_built(built))
            dataset = Path(built["motions_yaml"])
        found = split_dataset(dataset, out or dataset.parent, share, seed)
    if as_json:
        print_json(found)
        return
    for name in ("train", "held_out"):
        part = found[name]
        print(f"{name:<9} {_counted(part)}: {part['motions_yaml']}")
    print(
        f"next, in a tracker config: dataset_file: {found['train']['motions_yaml']} and held_out_motions: "
        f"[{found['held_out']['motions_yaml']}]"
    )


def _settings(folders: list[str] | None, config: Path | None, allow_implausible: bool) -> DatasetConfig:
    """The dataset config that is named, or PARC's defaults, with the folders and switches of the command."""
    from parc_core.config.dataset_config import DatasetConfig, load_dataset_config

    if config is not None:
        settings = load_dataset_config(config)
        if folders:
            settings = dataclasses.replace(settings, folder_paths=list(folders))
    elif folders:
        settings = DatasetConfig(list(folders))
    else:
        raise ConfigError(
            "no folder is given; name folders of motion classes, or a dataset config (--config)"
        )
    return dataclasses.replace(settings, allow_implausible=True) if allow_implausible else settings


def _place(settings: DatasetConfig, config: Path | None, out: Path | None) -> str:
    """Where the dataset goes: what the command says, else the config."""
    if out is None and config is not None:
        return settings.save_path
    return str((out or _OUT) / DATASET_FILE)


def _make(settings: DatasetConfig, save_path: str) -> dict[str, Any]:
    from parc_core.motion.dataset.build import create_dataset

    settings = dataclasses.replace(settings, save_path=save_path)
    with _progress("merging") as progress:
        return create_dataset(settings, progress, note=lambda line: print(line, file=sys.stderr))


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int, str], None]]:
    from parc_tracker.progress import counting_bar

    with counting_bar(what) as bar:
        yield lambda done, total, _: bar(done, total)


def _dataset_file(sources: list[str] | tuple[()]) -> Path | None:
    """The dataset that is meant, where one is: a YAML file, or a folder that `dataset make` has made.

    Raises:
        ConfigError: a dataset and other sources beside it.
        DataError: there is no such file.
    """
    from parc_core.config.paths import resolve

    for text in sources:
        if "://" in text or text.startswith("recordings:"):
            continue
        path = resolve(text)
        if path.is_dir() and (path / DATASET_FILE).is_file():
            path = path / DATASET_FILE
        if path.suffix not in (".yaml", ".yml"):
            continue
        if len(sources) > 1:
            raise ConfigError(f"{text} is a dataset; name it alone, or folders of motion classes only")
        if not path.is_file():
            raise DataError(f"{text}: no such file; check the path")
        return path
    return None


def _character(config: Path | None) -> str:
    from parc_core.config.dataset_config import DatasetConfig, load_dataset_config

    return DatasetConfig.char_filepath if config is None else load_dataset_config(config).char_filepath


def checks_table(checks: list[ClipCheck]) -> Table:
    """One row per file, what is refused first, then what is odd."""
    from rich.table import Table

    from parc_tracker.tables import cell

    table = Table(title="Motion files")
    table.add_column("motion")
    for name in ("s", "fps", "terrain", "range (m)", "contacts", "penetration (m)", "skating (m/s)"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for each in checks:
        cells = "" if each.terrain_cells is None else " x ".join(map(str, each.terrain_cells))
        measured = each.terrain_cells is not None
        table.add_row(
            cell(each.name),
            f"{each.length_s:.2f}" if measured else "",
            str(each.fps) if measured else "",
            cells,
            _shown(each.terrain_range_m),
            "" if each.contact_share is None else f"{100 * each.contact_share:.0f}%",
            _shown(each.penetration_max_m),
            _shown(each.foot_skating_m_s),
            cell(f"{each.verdict}: {'; '.join(each.remarks)}" if each.remarks else each.verdict),
        )
    return table


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"


def _summed(found: dict[str, Any]) -> str:
    parts = [f"{found['refused']} refused", f"{found['odd']} odd", f"{found['copies']} copies of others"]
    return (
        f"{found['usable']} of {found['files']} files can be used ({', '.join(parts)}): {found['clips']} clips, "
        f"{found['length_s']:.0f} s, {len(found['classes'])} classes, {found['flat']} on flat ground"
    )


def _built(built: dict[str, Any]) -> str:
    return (
        f"{built['num_motions']} motions of {len(built['classes'])} classes, {built['length']:.0f} s "
        f"({built['num_rejected']} refused, {built['num_duplicates']} copies of others): {built['motions_yaml']}"
    )


def _counted(part: dict[str, Any]) -> str:
    length = "" if part["length"] is None else f", {part['length']:.0f} s"
    return f"{part['motions']} motions, {part['clips']} clips, {len(part['classes'])} classes{length}"
