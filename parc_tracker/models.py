"""The registry from the command line: `parc-tracker models list|show|pull|promote|register`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parc_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from parc_core.storage.store import Store

models_app = typer.Typer(
    no_args_is_help=True, help="Trained models in the store: list, show, pull, promote, register."
)

StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="Folder or URL, s3://bucket/prefix; default: PARC_STORE, else .parc/store."),
]
ModelArgument = Annotated[
    str, typer.Argument(help="NAME, NAME@latest, NAME@best or NAME@3.", metavar="MODEL")
]


def _open(url: str | None) -> Store:
    from parc_core.storage.store import Store

    return Store(url)


def _find(text: str, store: Store) -> dict[str, Any]:
    from parc_core.registry.models import resolve_model
    from parc_core.registry.names import PREFIX, parse_name

    return resolve_model(store, *parse_name(text.removeprefix(PREFIX)))


@models_app.command("list")
def list_command(
    name: Annotated[str | None, typer.Argument(help="One model's versions; default: all models.")] = None,
    store: StoreOption = None,
) -> None:
    """Show the models of the store, or all versions of one."""
    from rich.console import Console

    from parc_core.registry.models import list_models, list_versions

    place = _open(store)
    names = [name] if name is not None else list_models(place)
    versions = {each: list_versions(place, each) for each in names}
    if not any(versions.values()):
        raise DataError(
            f"no model {f'called {name} ' if name else ''}in {place.url}; register one or give --store"
        )
    Console().print(_table(place, versions, every_version=name is not None))


def _table(store: Store, versions: dict[str, list[int]], every_version: bool) -> Any:
    from rich.markup import escape
    from rich.table import Table

    from parc_core.registry.models import list_aliases, resolve_model

    table = Table(title=f"Models in {store.url}")
    for heading in (
        "model",
        "version",
        "aliases",
        "created",
        "completed",
        "tracked",
        "joint error (m)",
        "gate",
    ):
        table.add_column(
            heading, justify="right" if heading in ("version", "completed", "tracked") else "left"
        )
    for name, numbers in versions.items():
        aliases = list_aliases(store, name)
        for version in numbers if every_version else numbers[-1:]:
            words = [
                alias if every_version or means == version else f"{alias} = {means}"
                for alias, means in aliases.items()
                if means == version or not every_version
            ]
            try:
                manifest = resolve_model(store, name, version)
            except DataError as error:
                table.add_row(
                    name, str(version), ", ".join(words), "", "", "", "", f"[red]{escape(str(error))}"
                )
                continue
            cells = [_shown(manifest), *_numbers(manifest), _gate(manifest)]
            table.add_row(name, str(version), ", ".join(words), *(escape(cell) for cell in cells))
    return table


def _shown(manifest: dict[str, Any]) -> str:
    return _printable(manifest["created"])[:16].replace("T", " ")


def _numbers(manifest: dict[str, Any]) -> list[str]:
    from parc_core.evaluation.result import percent
    from parc_core.registry.gate import metrics_of

    metrics = metrics_of(manifest)
    forms = {"completed_share": percent, "mean_completed_fraction": percent, "joint_error_m": "{:.3f}".format}
    values = {key: metrics.get(key) for key in forms}
    return [forms[key](value) if isinstance(value, int | float) else "" for key, value in values.items()]


def _printable(text: object) -> str:
    """Without control characters: a manifest must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


def _gate(manifest: dict[str, Any]) -> str:
    gate = manifest.get("gate")
    if not gate:
        return ""
    failed = gate.get("failed") or []
    return "failed: " + "; ".join(map(_printable, failed)) if failed else "passed"


@models_app.command()
def show(
    model: ModelArgument,
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole manifest as JSON.")] = False,
) -> None:
    """Show one model: aliases, files, metrics, lineage."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    place = _open(store)
    manifest = _find(model, place)
    if as_json:
        print(json.dumps(manifest, indent=2, ensure_ascii=False))
        return
    table = Table(title=f"{manifest['name']} version {manifest['version']}", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("aliases", ", ".join(_aliases_of(place, manifest)) or "none")
    table.add_row("created", _shown(manifest))
    for part in ("machine", "metrics", "gate", "lineage"):
        for key, value in _flat(manifest.get(part) or {}, part):
            table.add_row(escape(key), escape(value))
    sizes = manifest.get("sizes", {})
    for file, ref in manifest["files"].items():
        table.add_row(escape(file), f"{sizes.get(file, 0):,} bytes, SHA-256 {ref['sha256']}")
    table.add_row("manifest", escape(manifest["ref"]["uri"]))
    Console().print(table)


def _aliases_of(store: Store, manifest: dict[str, Any]) -> list[str]:
    from parc_core.registry.models import list_aliases

    aliases = list_aliases(store, manifest["name"])
    return [alias for alias, version in aliases.items() if version == manifest["version"]]


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [row for key, item in value.items() for row in _flat(item, f"{name}.{key}")]
    return [(_printable(name), f"{value:.6g}" if isinstance(value, float) else _printable(value))]


@models_app.command()
def pull(
    model: ModelArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder for the files; created if missing.")],
    store: StoreOption = None,
) -> None:
    """Download a model's files and verify them: all that PARC's next stage and `parc-tracker eval` need."""
    from parc_core.registry.models import fetch_model
    from parc_core.system.files import dump_json, write_text
    from parc_tracker.progress import counting_bar

    place = _open(store)
    manifest = _find(model, place)
    with counting_bar(f"{manifest['name']} version {manifest['version']}") as progress:
        files = fetch_model(place, manifest, to, progress)
    write_text(to / "manifest.json", dump_json(manifest))
    for path in files.values():
        print(path)
    print(f"{manifest['name']} version {manifest['version']}: {len(files)} files in {to}, all verified")


@models_app.command()
def promote(
    model: ModelArgument,
    alias: Annotated[str, typer.Option("--as", help="latest, best, iteration-3 or a name of your own.")],
    store: StoreOption = None,
) -> None:
    """Point an alias at this version, even if it failed its gate."""
    from parc_core.registry.models import promote as move
    from parc_core.registry.names import PREFIX, parse_name

    name, version = parse_name(model.removeprefix(PREFIX))
    manifest = move(_open(store), name, version, alias)
    print(f"{name}@{alias} is now version {manifest['version']}")


@models_app.command()
def register(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    folder: Annotated[
        Path, typer.Option("--from", help="Folder of a training: model.pt, dm_env.yaml, agent_config.yaml, …")
    ],
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", help="Repeatable. Default: latest; best is set automatically."),
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            "--gate",
            help="min_completed=0.9, max_joint_error=0.08, …; a model that fails is not promoted to latest or best.",
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="A note for the manifest.")] = "",
    store: StoreOption = None,
) -> None:
    """Register a model that was trained outside the pipeline (including PARC's own)."""
    from parc_core.registry.models import register_model, why_not_best

    files = _files_of(folder)
    metrics = _metrics_of(files.get("evaluation.json"))
    manifest: dict[str, Any] = {"lineage": {"registered_from": folder.name, "note": note}}
    if metrics:
        manifest["metrics"] = {"after": metrics}
    place = _open(store)
    registered = register_model(
        place, name, files, manifest, tuple(alias or ("latest",)), gate=_rules(gate or [])
    )
    failed = (registered.get("gate") or {}).get("failed")
    aliases = ", ".join(_aliases_of(place, registered))
    print(f"registered as {name} version {registered['version']}" + (f" ({aliases})" if aliases else ""))
    if failed:
        print(
            f"gate failed ({'; '.join(failed)}): not promoted to latest or best; use `models promote` to override"
        )
    elif not_best := why_not_best(place, registered):
        print(not_best)


_FILES = (
    "model.pt",
    "dm_env.yaml",
    "agent_config.yaml",
    "train_args.txt",
    "log.txt",
    "evaluation.json",
    "report.html",
    "rollout.gif",
)


def _files_of(folder: Path) -> dict[str, Path]:
    found = {}
    for name in _FILES:
        places = (folder / name, folder / "evaluation" / name)
        path = next((place for place in places if place.is_file()), None)
        if path is not None:
            found[name] = path
    if "model.pt" not in found:
        raise DataError(f"{folder}: no model.pt inside; name the folder of a training")
    return found


def _metrics_of(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))["summary"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: no evaluation ({error}); evaluate again (parc-tracker eval)") from None
    if not isinstance(summary, dict):
        raise DataError(f"{path}: no evaluation; evaluate again (parc-tracker eval)")
    return summary


def _rules(texts: list[str]) -> dict[str, float]:
    rules = {}
    for text in texts:
        key, equals, value = text.partition("=")
        try:
            rules[key] = float(value)
        except ValueError:
            equals = ""
        if not equals or not key:
            raise ConfigError(f"--gate {text}: write it like min_completed=0.9")
    return rules
