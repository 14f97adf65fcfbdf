"""Motions: made, varied, converted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from parc_tracker.json_option import JsonOption


def make_motions(
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="A kind of motion; repeatable. Default: all.")
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Motions per kind. [default: 4]")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same motions; 0 to 2^32 - 1.")] = 0,
    out: Annotated[
        Path, typer.Option("--out", help="Output folder, with one folder per kind or class.")
    ] = Path("output/motions"),
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", help="Longer motions are truncated to this.")
    ] = math.inf,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Put the motions of this folder of classes on other terrain, instead."),
    ] = None,
    variants: Annotated[
        int | None, typer.Option("--variants", min=0, help="With --from: of each motion. [default: 10]")
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="With --from: surroundings, footing or both; repeatable. Default: in turns."
        ),
    ] = None,
    mirror: Annotated[
        bool, typer.Option("--mirror", help="With --from: also the mirror image of each motion and variant.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="With --from: a PNG of up to twelve variants.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Generate sample motions on blocky terrains, or put given motions on varied terrain (--from)."""
    from parc_tracker import motions

    if source is None:
        motions.refuse_without_source(variants, vary, mirror, picture)
        motions.make_motions(kind or (), count or 4, seed, out, max_seconds, as_json)
    else:
        motions.refuse_with_source(kind, count, max_seconds)
        options = motions.variant_options(variants, vary or (), mirror, seed)
        motions.make_variants(source, out, options, picture, as_json)


def convert(
    sources: Annotated[list[Path], typer.Argument(help="Motion files, or folders of them.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    to: Annotated[str, typer.Option("--to", help="container (PARC's .pkl) or npz.")] = "container",
    char_file: Annotated[
        str, typer.Option("--char-file", help="MJCF of the motions' character.")
    ] = "data/assets/humanoid.xml",
    terrain: Annotated[
        str, typer.Option("--terrain", help="For motions without: flat (at height 0) or none.")
    ] = "flat",
    allow_implausible: Annotated[
        bool,
        typer.Option(
            "--allow-implausible", help="Also motions that look wrong: wxyz, centimetres, y up, off terrain."
        ),
    ] = False,
    skeleton: Annotated[
        Path | None,
        typer.Option("--skeleton", help="Of motion capture: YAML with its joints' roles, units and up axis."),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option("--units", help="Of motion capture: m, cm, mm, in, cmu, or the metres of one unit."),
    ] = None,
    up: Annotated[str | None, typer.Option("--up", help="Of motion capture: x, y or z.")] = None,
    max_seconds: Annotated[
        float, typer.Option("--max-seconds", min=1.0, help="Longer takes are cut into equal pieces.")
    ] = 10.0,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit",
            help="Reject clips of motion capture beyond it, such as foot_skating_m_s=0.3; repeatable.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", help="Write the numbers of each clip of motion capture here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert motion capture (BVH, AMASS, AMP), flat files (older PARC, MimicKit), .npz to motion files, or to .npz."""
    from parc_tracker.convert import Conversion, run_convert
    from parc_tracker.convert_captures import capture_options

    how = capture_options(skeleton, units, up, max_seconds, limit or ())
    run_convert(sources, out, Conversion(to, char_file, terrain, allow_implausible, how), as_json, csv)
