"""The registry from the command line: `parc-tracker models list|show|pull|promote|register`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parc_core.errors import ConfigError, DataError
from parc_core.system import json_text
from parc_tracker.json_option import JsonOption

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
    as_json: JsonOption = False,
) -> None:
    """Show the models of the store, or all versions of one."""
    from parc_tracker.model_views import listed, models_table
    from parc_tracker.tables import print_json, print_table

    place = _open(store)
    rows = listed(place, name)
    if as_json:
        print_json({"store": place.url, "models": rows})
    else:
        print_table(models_table(place, rows, every_version=name is not None))


@models_app.command()
def show(
    model: ModelArgument,
    store: StoreOption = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All numbers and the whole lineage, with places and SHA-256.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one model: how good it is, what it was trained on, its files (with --json its manifest)."""
    from parc_tracker.model_views import model_table, short_table
    from parc_tracker.tables import print_json, print_table

    place = _open(store)
    manifest = _find(model, place)
    if as_json:
        print_json(manifest)
    else:
        table = model_table if everything else short_table
        print_table(table(manifest, _aliases_of(place, manifest)))


def _aliases_of(store: Store, manifest: dict[str, Any]) -> list[str]:
    from parc_core.registry.models import list_aliases

    aliases = list_aliases(store, manifest["name"])
    return [alias for alias, version in aliases.items() if version == manifest["version"]]


@models_app.command()
def pull(
    model: ModelArgument,
    to: Annotated[Path, typer.Option("--to", help="Folder for the files; created if missing.")],
    with_dataset: Annotated[
        bool, typer.Option("--with-dataset", help="The motions, too, so that eval needs no --dataset.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Download a model's files and verify them: all that PARC's next stage and `parc-tracker eval` need."""
    from parc_core.pull import pull_model
    from parc_tracker.progress import counting_bar

    place = _open(store)
    manifest = _find(model, place)
    with counting_bar(f"{manifest['name']} version {manifest['version']}") as progress:
        files = pull_model(place, manifest, to, with_dataset, progress)
    for path in files:
        print(path)
    print(
        f"{manifest['name']} version {manifest['version']}: {len(files)} files in {to}, all verified"
        + _unsure(place, manifest)
    )


def _unsure(store: Store, manifest: dict[str, Any]) -> str:
    """What verifying could not cover: the manifest itself, where nothing else in the store names its digest."""
    from parc_core.registry.claims import known_digest

    if known_digest(store, manifest["name"], manifest["version"]) is not None:
        return ""
    return " against manifest.json, which itself could not be: an earlier release registered it, and no alias means it"


@models_app.command()
def promote(
    model: ModelArgument,
    alias: Annotated[str, typer.Option("--as", help="latest, best, iteration-3 or a name of your own.")],
    store: StoreOption = None,
) -> None:
    """Point an alias at this version, even if it failed its gate."""
    from parc_core.registry.names import PREFIX, parse_name
    from parc_core.registry.promotion import promote as move

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
    from parc_core.registry.promotion import why_not_best
    from parc_core.registry.registration import register_model

    files = _files_of(folder)
    metrics, held_out = (_metrics_of(files.get("evaluation.json"), part) for part in ("", "held_out"))
    manifest: dict[str, Any] = {"lineage": {"registered_from": folder.name, "note": note}}
    if metrics:
        manifest["metrics"] = {"after": metrics}
        if held_out:
            manifest["metrics"]["held_out"] = {"after": held_out}
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
    """What is registered of a training's folder, and the character that its environment names."""
    from parc_core.config.env_config import load_env_config
    from parc_core.config.paths import resolve
    from parc_core.config.resolve import CHARACTER_FILE

    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the folder of a training (--from)")
    found = {}
    for name in _FILES:
        places = (folder / name, folder / "evaluation" / name)
        path = next((place for place in places if place.is_file()), None)
        if path is not None:
            found[name] = path
    if "model.pt" not in found:
        raise DataError(f"{folder}: no model.pt inside; name the folder of a training")
    if "dm_env.yaml" in found:
        character = resolve(load_env_config(found["dm_env.yaml"]).env.char_file)
        if not character.is_file():
            raise DataError(f"{found['dm_env.yaml']}: 'env.char_file' names {character}, which is not there")
        found[CHARACTER_FILE] = character
    return found


def _metrics_of(path: Path | None, part: str = "") -> dict[str, Any]:
    """The summary of an evaluation; the clips of one by an earlier version are known by their names and lengths.

    Args:
        path: of the evaluation.
        part: key of an evaluation inside it, which need not be there.
    """
    if path is None:
        return {}
    try:
        content = json_text.parse(path.read_text(encoding="utf-8"))
        if part and not content.get(part):
            return {}
        content = content[part] if part else content
        summary = dict(content["summary"])
        clips = sorted((str(clip["name"]), float(clip["length_s"])) for clip in content.get("clips", ()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"{path}: no evaluation ({error}); evaluate again (parc-tracker eval)") from None
    if clips and not summary.get("evaluation_set"):
        from parc_core.system.files import sha256_bytes

        summary["evaluation_set"] = f"names:{sha256_bytes(repr(clips).encode('utf-8', 'replace'))}"
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
