"""The `parc-tracker` command; its subcommands are in `parc_tracker.commands`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import tasks  # noqa: F401 - credentials of a Prefect block, before any store is opened
from parc_core import __version__
from parc_core.errors import EXIT_INTERRUPTED, ParcError
from parc_core.system.process_setup import set_up_process
from parc_tracker.commands import machines, motions, playing, training
from parc_tracker.dataset import dataset_app
from parc_tracker.export import export
from parc_tracker.models import models_app


class _OneLineErrors(TyperGroup):
    """Errors that a user can fix are printed as one line, with the exit code of the process contract."""

    def main(self, *args: Any, **options: Any) -> Any:
        set_up_process()
        return super().main(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ParcError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None


app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Trains physics-based motion trackers on many motions and terrains (PARC stage 3).",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"parc-tracker {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


app.command()(training.run)
app.command()(training.train)
app.command("make-motions")(motions.make_motions)
app.command()(motions.convert)
app.command("eval")(playing.evaluate)
app.command()(playing.view)
app.command()(playing.compare)
app.command()(playing.record)
app.command(cls=machines.EarlierNames)(machines.deploy)
app.command()(machines.worker)
app.command()(machines.doctor)
app.command()(training.replay)
app.command()(training.demo)
app.command()(export)
app.add_typer(models_app, name="models")
app.add_typer(dataset_app, name="dataset")


if __name__ == "__main__":
    app()
