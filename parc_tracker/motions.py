"""Sample motions, and variants of given ones, from the command line."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.errors import ConfigError
from parc_core.motion.dataset.identity import clip_identity
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.synthetic import KINDS, make_dataset
from parc_core.motion.variants.folder import ORIGINAL, VariantOptions, VariantsResult
from parc_core.motion.variants.folder import make_variants as make
from parc_tracker.next_steps import after_motions, after_variants, say_next
from parc_tracker.progress import counting_bar
from parc_tracker.tables import cell, only_json, print_json, print_table, printable

_VARIANTS = 10
_IN_PICTURE = 12
_COLUMNS = {
    "penetration_max_m": "deepest (m)",
    "foot_skating_m_s": "skating (m/s)",
    "beyond_range_rad": "beyond range (rad)",
    "root_acceleration_m_s2": "root (m/s²)",
    "joint_acceleration_rad_s2": "joints (rad/s²)",
}


def refuse_without_source(
    variants: int | None, vary: Sequence[str] | None, mirror: bool, picture: Path | None
) -> None:
    """Raises ConfigError for options that need --from."""
    given = {"--variants": variants is not None, "--vary": bool(vary), "--mirror": mirror}
    for name, is_given in {**given, "--picture": picture is not None}.items():
        if is_given:
            raise ConfigError(f"{name} needs --from FOLDER, the motions to vary")


def refuse_with_source(kind: Sequence[str] | None, count: int | None, max_seconds: float) -> None:
    """Raises ConfigError for options of generated motions."""
    given = {"--kind": bool(kind), "--count": count is not None, "--max-seconds": math.isfinite(max_seconds)}
    for name, is_given in given.items():
        if is_given:
            raise ConfigError(f"{name} is of generated motions and means nothing with --from; leave it out")


def make_motions(
    kinds: Sequence[str], count: int, seed: int, out: Path, max_seconds: float, as_json: bool = False
) -> None:
    """Writes motions of the PARC humanoid under a progress bar, and says how many."""
    with counting_bar("generating motions") as progress:
        files = make_dataset(
            list(kinds) or list(KINDS), count, seed, out, progress=progress, max_seconds=max_seconds
        )
    if as_json:
        print_json({"files": [str(file) for file in files]})
    else:
        print(f"{len(files)} motions in {out}")
        say_next(after_motions(out))


def variant_options(count: int | None, kinds: Sequence[str], mirror: bool, seed: int) -> VariantOptions:
    """What the command's options say."""
    options = VariantOptions(count=_VARIANTS if count is None else count, mirror=mirror, seed=seed)
    return dataclasses.replace(options, kinds=tuple(kinds)) if kinds else options


def make_variants(
    source: str, out: Path, options: VariantOptions, picture: Path | None, as_json: bool
) -> None:
    """Puts the motions of a folder on other terrain, and says what became of them."""
    with only_json(as_json):
        with counting_bar("making variants") as progress:
            result = make(source, out, options, progress)
        if picture is not None:
            _draw(result, picture, options.char_file)
    if as_json:
        print_json(_as_json(result))
    else:
        _show(result, out)
        if result.files:
            say_next(after_variants(source, out))


def _draw(result: VariantsResult, picture: Path, char_file: str) -> None:
    from parc_core.video.draw import CannotRenderError
    from parc_core.video.still import write_stills

    shown = []
    for row in _chosen([row for row in result.numbers if row["kind"] != ORIGINAL]):
        content = read_motion_terrain(row["file"])
        assert content.motion is not None and content.terrain is not None
        title = Path(row["file"]).stem + (f": {row['ground']}" if row["ground"] else "")
        shown.append((printable(title), content.motion, content.terrain))
    if not shown:
        print("no picture: no variants were made")
        return
    try:
        write_stills(picture, shown, load_character(resolve(char_file)))
        print(f"picture: {printable(picture)}")
    except CannotRenderError as error:
        print(f"no picture: {error}")


def _chosen(rows: list[dict]) -> list[dict]:
    """Up to twelve: every kind and ground in turns, and as many motions as there are."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["kind"], row["ground"]), []).append(row)
    chosen: list[dict] = []
    seen: Counter[str] = Counter()
    while len(chosen) < min(_IN_PICTURE, len(rows)):
        for group in groups.values():
            if group and len(chosen) < _IN_PICTURE:
                best = min(group, key=lambda row: seen[clip_identity(row["file"])])
                group.remove(best)
                seen[clip_identity(best["file"])] += 1
                chosen.append(best)
    return chosen


def _as_json(result: VariantsResult) -> dict:
    return {
        "sources": result.sources,
        "kept": dict(_kept(result)),
        "dropped_by_reason": dict(Counter(dropped.reason for dropped in result.dropped)),
        "files": [printable(file) for file in result.files],
        "dropped": [dataclasses.asdict(dropped) for dropped in result.dropped],
        "skipped": [{"file": file, "reason": reason} for file, reason in result.skipped],
        "numbers": result.numbers,
    }


def _kept(result: VariantsResult) -> Counter[str]:
    return Counter(row["kind"] for row in result.numbers if row["kind"] != ORIGINAL)


def _show(result: VariantsResult, out: Path) -> None:
    kept = _kept(result)
    mirrored = len(result.files) - sum(kept.values())
    made = f"{sum(kept.values())} variants" + (f" and {mirrored} mirror images" if mirrored else "")
    print(f"{made} of {result.sources} motions in {printable(out)}")
    for (kind, reason), count in sorted(Counter((d.kind, d.reason) for d in result.dropped).items()):
        print(f"dropped: {count} ({kind}): {reason}")
    for _, reason in result.skipped:
        print(f"skipped: {printable(reason)}")
    if kept:
        print_table(_numbers(result))


def _numbers(result: VariantsResult) -> Table:
    """Median and greatest of what was measured, of the originals and of each kind."""
    table = Table("", title="median / greatest per motion")
    for heading in ("motions", *_COLUMNS.values()):
        table.add_column(heading, justify="right")
    for kind in dict.fromkeys(row["kind"] for row in result.numbers):
        rows = [row for row in result.numbers if row["kind"] == kind]
        values = ([row[name] for row in rows] for name in _COLUMNS)
        table.add_row(
            cell(kind), str(len(rows)), *(f"{np.median(column):.3g} / {max(column):.3g}" for column in values)
        )
    return table
