"""What an evaluation found, per clip and in sum, and the JSON file that holds it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Dict, List, Optional, Sequence, Tuple

from parc_core.errors import DataError
from parc_core.evaluation.clip_result import MM, ClipResult
from parc_core.system import json_text
from parc_core.system.files import PathLike, read_regular, write_json

DERIVED = ("mpjpe_global_mm", "mpjpe_mm")
"""Numbers that the file has under the names of the field, made of others: mean per-joint position error, of the bodies'
places in the world and relative to the root."""
SUCCESS = "success_rate_0.5m"
"""Of the summary, the same way: share of the clips whose mean joint error never exceeded 0.5 m (`success.RULES`), null
where they were not judged."""
SCHEMA = "parc-tracker evaluation 1"


def percent(share: float) -> str:
    """Rounded down, so that 100 % is said of nothing less."""
    return f"{_whole_percent(share)}%"


def _whole_percent(share: float) -> int:
    # 0.29 is 28.999… %, which means 29.
    return min(math.floor(100.0 * share + 1e-6), 100 if share >= 1.0 else 99)


def percent_of_parts(shares: Sequence[float]) -> List[str]:
    """`percent` of the parts of a whole, which add up to 100.

    Args:
        shares: of the parts, 1 in all. The first one is shown as `percent` shows it; what rounding down leaves goes to
            those of the others that lose most by it.
    """
    shown = [_whole_percent(share) for share in shares]
    others = sorted(range(1, len(shares)), key=lambda i: shown[i] - 100.0 * shares[i])
    for i in others[: max(100 - sum(shown), 0)]:
        shown[i] += 1
    return [f"{part}%" for part in shown]


@dataclass(frozen=True)
class Summary:
    """Means over clips; every clip counts the same."""

    clips: int
    completed: int
    completed_share: float
    """In [0, 1]."""
    mean_completed_fraction: float
    """In [0, 1]; clips that were lost count with the share that was tracked."""
    joint_error_completed_m: Optional[float]
    """Mean over the completed clips (the number that papers report); None where none was completed."""
    joint_error_m: float
    """Mean over all clips, each while it was tracked."""
    mean_return: float
    mean_steps: float
    tracking_errors: Dict[str, float]
    """Means over all clips."""
    end_reasons: Dict[str, int]
    """How many clips ended how, the most frequent first."""
    evaluation_set: str = ""
    """SHA-256 of the clips' content and of what ends tracking: only models with the same one are compared. "" in files
    of earlier versions."""

    @property
    def shown_tracked_share(self) -> float:
        """`mean_completed_fraction` for people: clips that are lost at their very ends are not shown as completed."""
        return 1.0 if self.completed == self.clips else min(self.mean_completed_fraction, 0.99)

    @property
    def mpjpe_global_mm(self) -> float:
        """Mean per-joint position error in the world frame, mm: `joint_error_m`."""
        return MM * self.joint_error_m

    @property
    def mpjpe_mm(self) -> Optional[float]:
        """Mean per-joint position error relative to the root, mm: tracking error `body_pos_m`, where it is known."""
        error = self.tracking_errors.get("body_pos_m")
        return None if error is None else MM * error


def summarize(clips: List[ClipResult], evaluation_set: str = "") -> Summary:
    """Sums up at least one clip."""
    done = [clip for clip in clips if clip.completed]
    reasons: Dict[str, int] = {}
    for clip in clips:
        reasons[clip.end_reason] = reasons.get(clip.end_reason, 0) + 1
    names = list(clips[0].tracking_errors)
    return Summary(
        clips=len(clips),
        completed=len(done),
        completed_share=len(done) / len(clips),
        mean_completed_fraction=_mean([clip.completed_fraction for clip in clips]),
        joint_error_completed_m=_mean([clip.joint_error_m for clip in done]) if done else None,
        joint_error_m=_mean([clip.joint_error_m for clip in clips]),
        mean_return=_mean([clip.episode_return for clip in clips]),
        mean_steps=_mean([clip.steps for clip in clips]),
        tracking_errors={name: _mean([clip.tracking_errors[name] for clip in clips]) for name in names},
        end_reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        evaluation_set=evaluation_set,
    )


def worst_first(clips: Sequence[ClipResult]) -> List[int]:
    """Places of the clips: lost ones before completed ones, the earliest lost first, then the largest errors."""

    def key(k: int) -> Tuple[bool, float, float]:
        return (clips[k].completed, clips[k].completed_fraction, -clips[k].joint_error_m)

    return sorted(range(len(clips)), key=key)


def _mean(values: List[float]) -> float:
    return math.fsum(values) / len(values)


@dataclass(frozen=True)
class EvalResult:
    """An evaluation of one policy on one dataset."""

    clips: List[ClipResult]
    """In the order of the dataset."""
    summary: Summary
    settings: Dict[str, Any] = field(default_factory=dict)
    """What was evaluated and how: model, dataset, engine, action mode, seed."""
    held_out: Optional[EvalResult] = None
    """The same policy on clips that its training never saw; None without any."""
    traces: Dict[str, Dict[str, List[float]]] = field(default_factory=dict, compare=False)
    """Of each clip by its name how it went over time, see `depth.ClipDepth.trace`. For the report; in no file."""

    def to_json(self) -> Dict[str, Any]:
        """Plain containers; `from_json` reads them back, but for `statistics` and `DERIVED`, made of the rest."""
        from parc_core.evaluation.statistics import statistics

        data = {name: value for name, value in asdict(self).items() if name not in ("traces", "held_out")}
        for part, content in zip([*self.clips, self.summary], [*data["clips"], data["summary"]]):
            content.update({name: getattr(part, name) for name in DERIVED})
        found = statistics(self.clips)
        data["summary"][SUCCESS] = found["overall"]["success"].get("joint_error", {}).get("share")
        held_out = {} if self.held_out is None else {"held_out": self.held_out.to_json()}
        return {"schema": SCHEMA, **data, **held_out, "statistics": found}

    def save(self, path: PathLike) -> None:
        """Writes the JSON file atomically."""
        write_json(path, self.to_json())


def from_json(data: Any, where: str = "evaluation") -> EvalResult:
    """The result that `EvalResult.to_json` wrote.

    Raises:
        DataError: the data has another schema.
    """
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise DataError(f"{where}: not an evaluation of this version ('{SCHEMA}'); evaluate again")
    try:
        clips = [_checked(ClipResult(**_own(clip))) for clip in data["clips"]]
        held_out = data.get("held_out")
        return EvalResult(
            clips,
            _checked(Summary(**_own(data["summary"]))),
            dict(data["settings"]),
            held_out=None if held_out is None else from_json(held_out, f"{where}: held_out"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{where}: not an evaluation ({str(error)[:200]}); evaluate again") from None


_TYPES: Dict[str, Any] = {
    "float": (int, float),
    "int": int,
    "str": str,
    "Optional[float]": (int, float, type(None)),
    "Dict[str, bool]": dict,
    "Dict[str, float]": dict,
    "Dict[str, Optional[float]]": dict,
    "List[Dict[str, float]]": list,
}


def _own(content: Dict[str, Any]) -> Dict[str, Any]:
    """Without what is made of the rest."""
    return {name: value for name, value in content.items() if name not in (*DERIVED, SUCCESS)}


def _checked(part: Any) -> Any:
    """A clip or summary as it is, where its numbers and names are such."""
    for each in fields(part):
        value = getattr(part, each.name)
        wanted = _TYPES.get(str(each.type))
        if wanted and (not isinstance(value, wanted) or isinstance(value, bool)):
            raise ValueError(f"'{each.name}' is a {type(value).__name__}")
        _check_numbers(each.name, value)
    return part


def _check_numbers(name: str, value: Any) -> None:
    """Whatever lies in the part's containers is a number, an answer or nothing."""
    if isinstance(value, (list, dict)):
        for item in value if isinstance(value, list) else value.values():
            _check_numbers(name, item)
            if not (item is None or isinstance(item, (int, float, dict))):
                raise ValueError(f"'{name}' holds a {type(item).__name__}")


def load(path: PathLike) -> EvalResult:
    """Reads the JSON file of an evaluation.

    Raises:
        DataError: missing, broken or of another schema.
    """
    try:
        data = json_text.parse(read_regular(path))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an evaluation ({error}); evaluate again") from error
    return from_json(data, str(path))
