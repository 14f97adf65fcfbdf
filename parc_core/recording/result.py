"""`recording.json`: what became of every motion, written again after each wave, so that a killed recording resumes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from parc_core.errors import ConfigError, DataError
from parc_core.motion.quality import Quality, mean_quality
from parc_core.system import json_text
from parc_core.system.files import PathLike, content_sha256, write_json

SCHEMA = "parc-tracker recording 1"
FILE = "recording.json"


@dataclass(frozen=True)
class Failure:
    """A try that gave no recording."""

    start_fraction: float
    """Of the motion's length, where it began."""
    end_time_s: float
    """Time in the motion that was reached."""
    reason: str
    """How the motion was lost, or why its recording was rejected."""


@dataclass
class MotionRecord:
    """One motion of the dataset."""

    name: str
    """As the dataset names it."""
    motion_class: str
    """Folder of its recording below `recorded_motions`."""
    file: str
    """Path of its recording below the output folder, there or not."""
    length_s: float = 0.0
    """Of the reference."""
    failures: List[Failure] = field(default_factory=list)
    """Tries in vain, the first one first."""
    given_up: str = ""
    """Why it is not tried any more; "" while it may be, and for a recorded one."""
    start_fraction: Optional[float] = None
    """Of the recording."""
    frames: int = 0
    """Of the recording."""
    quality: Optional[Quality] = None
    """Of the recording."""
    sha256: str = ""
    """Of the recording's file."""

    @property
    def recorded(self) -> bool:
        return self.start_fraction is not None

    @property
    def why_not(self) -> str:
        """ "" for a recorded motion."""
        return "" if self.recorded else (self.given_up or "not tried yet")


@dataclass
class Recording:
    """All motions of a dataset, in its order."""

    fingerprint: str
    """SHA-256 of all that shapes the recordings."""
    settings: Dict[str, Any]
    """For people: model, dataset, engine, limits."""
    motions: List[MotionRecord]
    complete: bool = False

    def summary(self) -> Dict[str, Any]:
        """Counts, successes by start fraction, mean quality of the recordings."""
        done = [motion for motion in self.motions if motion.recorded]
        fractions = sorted({motion.start_fraction for motion in done if motion.start_fraction is not None})
        return {
            "motions": len(self.motions),
            "recorded": len(done),
            "by_start_fraction": {
                f"{fraction:g}": sum(motion.start_fraction == fraction for motion in done)
                for fraction in fractions
            },
            "frames": sum(motion.frames for motion in done),
            "quality": mean_quality([motion.quality for motion in done if motion.quality is not None]),
        }

    def to_json(self) -> Dict[str, Any]:
        """Plain containers; `load_recording` reads them back."""
        motions = [{"recorded": m.recorded, "why_not": m.why_not, **asdict(m)} for m in self.motions]
        head = {"schema": SCHEMA, "complete": self.complete, "summary": self.summary()}
        return {**head, "settings": self.settings, "fingerprint": self.fingerprint, "motions": motions}

    def save(self, folder: PathLike) -> None:
        """Writes `recording.json` atomically."""
        write_json(Path(folder) / FILE, self.to_json())


def load_recording(folder: PathLike) -> Optional[Recording]:
    """What `Recording.save` wrote, or None where there is nothing.

    Raises:
        DataError: not such a file.
    """
    path = Path(folder) / FILE
    try:
        data = json_text.parse(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r}")
        motions = [_motion(item) for item in data["motions"]]
        return Recording(data["fingerprint"], data["settings"], motions, bool(data["complete"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: not the result of a recording ({type(error).__name__}: {error}); choose another --out"
        ) from error


def _motion(item: Dict[str, Any]) -> MotionRecord:
    own = {key: item[key] for key in MotionRecord.__dataclass_fields__}
    own["failures"] = [Failure(**failure) for failure in own["failures"]]
    own["quality"] = None if own["quality"] is None else Quality(**own["quality"])
    return MotionRecord(**own)


def resumed(new: Recording, folder: PathLike) -> Recording:
    """The recording that a folder holds already where it is the same one, else `new`.

    A recording whose file is gone or altered is made again.

    Raises:
        ConfigError: the folder holds the recording of something else.
        DataError: its recording.json is broken.
    """
    found = load_recording(folder)
    if found is None:
        return new
    if found.fingerprint != new.fingerprint:
        raise ConfigError(
            f"{folder}: holds a recording of another model, dataset or setting "
            f"({found.settings.get('model', 'unknown')}); choose another --out, or remove the folder"
        )
    fresh = {motion.name: motion for motion in new.motions}
    kept = [
        motion
        if not motion.recorded or _is_whole(Path(folder) / motion.file, motion.sha256)
        else fresh[motion.name]
        for motion in found.motions
    ]
    done = found.complete and all(a is b for a, b in zip(kept, found.motions))
    return Recording(new.fingerprint, new.settings, kept, done)


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and content_sha256(path) == sha256
