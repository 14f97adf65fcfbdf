"""What is odd about the clips of a dataset, or of motion folders: a look at all of them before a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Sequence

import numpy as np

from parc_core.character.mjcf import load_character
from parc_core.config.paths import resolve
from parc_core.motion.clip import MotionClip
from parc_core.motion.dataset.clip_list import list_clips
from parc_core.motion.dataset.file_index import FileFacts, inspect
from parc_core.motion.dataset.identity import clip_identity
from parc_core.motion.dataset.inputs import Progress
from parc_core.motion.dataset.remote_folders import local_file
from parc_core.motion.dataset.survey import survey_folders
from parc_core.motion.flight import Flight, FlightMeter, worst_of
from parc_core.motion.formats.container import read_motion_terrain
from parc_core.motion.quality import QualityMeter
from parc_core.motion.skeleton import Skeleton
from parc_core.terrain.heightfield import Heightfield

if TYPE_CHECKING:
    from parc_core.config.dataset_config import DatasetConfig

OK, ODD, REFUSED, COPY = "ok", "odd", "refused", "copy"
"""Verdicts: nothing to say; kept, but look at it; left out of datasets; left out, for its content is there already."""

SHORT_S, LONG_S = 0.5, 30.0
MAX_PENETRATION = 0.1
"""m of the deepest surface point in the worst frame."""
MAX_SKATING = 1.0
"""m/s of feet while they are labelled as touching, mean."""
MAX_OFF_FREE_FALL = 0.05
"""m of the centre of mass in flight. Of 95 published clips two have more, 0.11 m each: one is learned, the other never
was."""
FLAT = 0.01
"""m between the highest and the lowest cell of a terrain that counts as flat."""
_TOUCHING = 0.5  # contact labels lie between 0 and 1


@dataclass(frozen=True)
class ClipCheck:
    """One file; numbers are None where it could not be measured."""

    name: str
    """`<class>/<stem>`."""
    motion_class: str
    identity: str
    """The clip that it goes back to."""
    file: str
    verdict: str
    """One of `OK`, `ODD`, `REFUSED`, `COPY`."""
    remarks: List[str]
    """What is odd, or why it is refused."""
    frames: int = 0
    fps: int = 0
    length_s: float = 0.0
    terrain_cells: Optional[List[int]] = None
    """Along x and y."""
    terrain_range_m: Optional[float] = None
    """Between the highest and the lowest cell."""
    contact_share: Optional[float] = None
    """Of the frames in which some body is labelled as touching."""
    penetration_max_m: Optional[float] = None
    foot_skating_m_s: Optional[float] = None
    jerk_m_s3: Optional[float] = None
    off_free_fall_m: Optional[float] = None
    """How far the centre of mass is from free fall, at worst, while no terrain is near; 0 where that never is."""


def check_folders(config: DatasetConfig, progress: Optional[Progress] = None) -> List[ClipCheck]:
    """Looks at every motion file of the config's folders, with the config's limits; sorted by verdict and name.

    Raises:
        ConfigError, DataError: as `merge_folders`.
    """
    found = survey_folders(config, progress)
    found.index.save()
    checker = _Checker(config.char_filepath)
    checks = [
        _plain(_name(item.motion_class, item.path), item.motion_class, item.path, REFUSED, item.reason)
        for item in found.rejected
    ]
    checks += [
        _plain(
            _name(item.motion_class, item.path),
            item.motion_class,
            item.path,
            COPY,
            f"the same as {item.same_as}",
        )
        for item in found.duplicates
    ]
    names = {motion.source: motion.name for motion in found.motions()}
    for done, file in enumerate(found.kept, start=1):
        name = names[file.shown]
        facts = found.facts[file.path]
        checks.append(checker.check(name, file.motion_class, file.shown, str(local_file(file)), facts))
        if progress is not None:
            progress(done, len(found.kept), "measuring motions")
    return _sorted(checks)


def check_dataset(motions_yaml: str, char_file: str, progress: Optional[Progress] = None) -> List[ClipCheck]:
    """The same of the clips of a dataset file.

    Raises:
        DataError: see `read_motions_yaml`.
    """
    checker, clips, checks = _Checker(char_file), list_clips(motions_yaml), []
    for done, clip in enumerate(clips, start=1):
        file = clip.entry.file
        facts = inspect(file, checker.num_bodies, checker.skeleton)
        reason = facts.error or facts.implausible
        if reason:
            checks.append(_plain(clip.name, clip.motion_class, file, REFUSED, reason, clip.identity))
        else:
            checks.append(checker.check(clip.name, clip.motion_class, file, file, facts, clip.identity))
        if progress is not None:
            progress(done, len(clips), "measuring motions")
    return _sorted(checks)


def _name(motion_class: str, path: str) -> str:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    return f"{motion_class}/{stem}" if motion_class else stem


def _plain(
    name: str, motion_class: str, file: str, verdict: str, remark: str, identity: str = ""
) -> ClipCheck:
    return ClipCheck(name, motion_class, identity or clip_identity(file), file, verdict, [remark])


def _sorted(checks: List[ClipCheck]) -> List[ClipCheck]:
    order = (REFUSED, ODD, COPY, OK)
    return sorted(checks, key=lambda check: (order.index(check.verdict), check.name, check.file))


class _Checker:
    """Measures files of one character."""

    def __init__(self, char_file: str) -> None:
        character = load_character(resolve(char_file))
        self.num_bodies, self.skeleton = character.num_bodies, Skeleton.of(character)
        self._meter = QualityMeter(character)
        self._flight_meter = FlightMeter(character)

    def check(
        self, name: str, motion_class: str, shown: str, file: str, facts: FileFacts, identity: str = ""
    ) -> ClipCheck:
        """A file that `inspect` found usable; taken though implausible, it is odd."""
        content = read_motion_terrain(file)
        assert content.motion is not None and content.terrain is not None  # `inspect` saw to it
        clip, terrain = content.motion, content.terrain
        quality = self._meter.measure(clip, terrain)
        contacts = _contact_share(clip)
        length = (clip.num_frames - 1) / clip.fps
        remarks = [text for text in (facts.implausible, facts.notes) if text]
        remarks += _remarks(length, contacts, quality.penetration_max_m, quality.foot_skating_m_s)
        flights = self._flight_meter.flights(clip, terrain)
        remarks += _flown(flights)
        return ClipCheck(
            name=name,
            motion_class=motion_class,
            identity=identity or clip_identity(shown),
            file=shown,
            verdict=ODD if remarks else OK,
            remarks=remarks,
            frames=clip.num_frames,
            fps=clip.fps,
            length_s=length,
            terrain_cells=[int(n) for n in terrain.hf.shape],
            terrain_range_m=terrain_range(terrain),
            contact_share=contacts,
            penetration_max_m=quality.penetration_max_m,
            foot_skating_m_s=quality.foot_skating_m_s,
            jerk_m_s3=quality.jerk_m_s3,
            off_free_fall_m=worst_of(flights),
        )


def terrain_range(terrain: Heightfield) -> float:
    """m between the highest and the lowest cell."""
    return float(terrain.hf.max()) - float(terrain.hf.min())


def _contact_share(clip: MotionClip) -> Optional[float]:
    if clip.body_contacts is None:
        return None
    return float(np.mean((clip.body_contacts > _TOUCHING).any(axis=1)))


def _remarks(length: float, contacts: Optional[float], penetration: float, skating: float) -> Iterator[str]:
    if length < SHORT_S:
        yield f"only {length:.2f} s long"
    if length > LONG_S:
        yield f"{length:.0f} s long; a failure counts for the whole clip, so cut long takes"
    if contacts is None or contacts == 0.0:
        yield "no contact is labelled: the contact reward says nothing"
    if penetration > MAX_PENETRATION:
        yield f"{penetration:.2f} m inside its terrain at worst"
    if skating > MAX_SKATING:
        yield f"feet that touch slide at {skating:.2f} m/s"


def _flown(flights: Sequence[Flight]) -> Iterator[str]:
    wrong = [flight for flight in flights if flight.off_m > MAX_OFF_FREE_FALL]
    if wrong:
        worst = max(wrong, key=lambda flight: flight.off_m)
        others = f" (the worst of {len(wrong)} such flights)" if len(wrong) > 1 else ""
        yield (
            f"{worst.off_m:.2f} m off free fall from {worst.begin_s:.1f} to {worst.end_s:.1f} s{others}: hard or "
            "impossible, unless something that the terrain lacks holds the character"
        )


def totals(checks: Sequence[ClipCheck]) -> Dict[str, object]:
    """`files`, `usable`, `odd`, `refused`, `copies`, `clips` (by identity), `length_s`, `classes` (name -> files)."""
    usable = [check for check in checks if check.verdict in (OK, ODD)]
    classes: Dict[str, int] = {}
    for check in usable:
        classes[check.motion_class] = classes.get(check.motion_class, 0) + 1
    return {
        "files": len(checks),
        "usable": len(usable),
        **{
            key: sum(check.verdict == verdict for check in checks)
            for key, verdict in (("odd", ODD), ("refused", REFUSED), ("copies", COPY))
        },
        "clips": len({check.identity for check in usable}),
        "length_s": sum(check.length_s for check in usable),
        "flat": sum((check.terrain_range_m or 0.0) < FLAT for check in usable),
        "classes": dict(sorted(classes.items())),
    }
