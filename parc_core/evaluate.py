"""Evaluate a model; write metrics, video and an HTML report."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.config.train_args import TrainArgs
from parc_core.evaluation.evaluate import evaluate_model
from parc_core.evaluation.result import EvalResult
from parc_core.playback.scores import Progress
from parc_core.system.files import PathLike

if TYPE_CHECKING:
    from markupsafe import Markup

    from parc_core.video.video import Recorded

_BEFORE_LOSS_S = 0.5
_SCENE_FPS = 15.0
_SCENES_BYTES = 3_500_000  # of a report; clips are long where it does not hold all


@dataclass(frozen=True)
class EvaluationFiles:
    """What an evaluation found, and where its files are."""

    result: EvalResult
    evaluation: Path
    """JSON of all numbers."""
    report: Optional[Path] = None
    """HTML page."""
    video: Optional[Path] = None
    """GIF."""
    note: str = ""
    """Why there is no video."""


@dataclass(frozen=True)
class Runner:
    """Where a model is evaluated."""

    engine: str = "auto"
    device: str = "cpu"
    seed: int = 0
    progress: Optional[Progress] = None
    """See `Progress`."""
    random_starts: int = 0
    """Further tries at each clip, from random times."""


def evaluate_and_save(
    model_file: Optional[PathLike],
    env_file: EnvFileConfig,
    agent_config: AgentConfig,
    out_dir: PathLike,
    runner: Runner = Runner(),
    held_out: Optional[PathLike] = None,
) -> EvaluationFiles:
    """Tracks every clip once and writes `evaluation.json`.

    Args:
        model_file: PARC's or our model.pt, or a checkpoint; None is the untrained policy.
        held_out: dataset of clips that the training never saw, to be tracked beside the others.

    Raises:
        ConfigError, DataError: as `evaluate_model`.
    """
    result = _evaluated(model_file, env_file, agent_config, runner)
    if held_out is not None:
        dm = dataclasses.replace(env_file.env.dm, motion_file=str(held_out))
        unseen = dataclasses.replace(env_file, env=dataclasses.replace(env_file.env, dm=dm))
        found = _evaluated(model_file, unseen, agent_config, runner)
        result = dataclasses.replace(result, held_out=found)
    path = Path(out_dir) / "evaluation.json"
    result.save(path)
    return EvaluationFiles(result, path)


def _evaluated(
    model_file: Optional[PathLike], env_file: EnvFileConfig, agent_config: AgentConfig, runner: Runner
) -> EvalResult:
    return evaluate_model(
        model_file,
        env_file,
        agent_config=agent_config,
        engine=runner.engine,
        device=runner.device,
        seed=runner.seed,
        progress=runner.progress,
        random_starts=runner.random_starts,
    )


def evaluate_and_report(
    model_file: PathLike,
    env_file: EnvFileConfig,
    agent_config: AgentConfig,
    out_dir: PathLike,
    runner: Runner = Runner(),
    *,
    title: str = "",
    before: Optional[EvalResult] = None,
    training_dir: Optional[PathLike] = None,
    settings: Optional[Mapping[str, Any]] = None,
    held_out: Optional[PathLike] = None,
    args: Optional[TrainArgs] = None,
) -> EvaluationFiles:
    """`evaluate_and_save`, and `rollout.gif` and `report.html` with it.

    Args:
        title: of the page; the model's name, or its file where it is empty.
        before: evaluation of the model that the training started from, on the same clips.
        training_dir: folder of the training, for its curves.
        settings: shown at the end of the page.
        held_out: as `evaluate_and_save`.
        args: of the training; default: those in `training_dir`.
    """
    from parc_core.evaluation.lineage import differing_settings, lineage
    from parc_core.evaluation.report import write_report
    from parc_core.video.video import record_rollout

    found = evaluate_and_save(model_file, env_file, agent_config, out_dir, runner, held_out)
    shown = _played(model_file, env_file, agent_config, runner, found.result)
    recording = record_rollout(
        model_file,
        env_file,
        Path(out_dir) / "rollout.gif",
        evaluation=found.result,
        agent_config=agent_config,
        engine=runner.engine,
        device=runner.device,
        seed=runner.seed,
        recorded=shown,
    )
    scenes, player = _scenes(shown)
    report = Path(out_dir) / "report.html"
    write_report(
        report,
        found.result,
        before,
        title=title or _place(Path(model_file)),
        training_dir=training_dir,
        video=recording.path,
        video_note=recording.reason,
        settings=settings,
        lineage=lineage(found.result, env_file, Path(training_dir) if training_dir else None, args),
        differs=differing_settings(env_file, agent_config),
        scenes=scenes,
        player=player,
    )
    video = Path(recording.path) if recording.path else None
    if training_dir is not None:
        _show_in_tensorboard(Path(training_dir), Path(model_file), found.result, video)
    return EvaluationFiles(found.result, found.evaluation, report, video, recording.reason)


def _played(
    model_file: PathLike,
    env_file: EnvFileConfig,
    agent_config: AgentConfig,
    runner: Runner,
    result: EvalResult,
) -> Recorded:
    """The clips of the report's scenes and of its video, played once more with every frame kept."""
    from parc_core.evaluation.report_data import card_places
    from parc_core.video.video import VideoOptions, choose_motions, play_clips

    chosen = choose_motions(result, VideoOptions().max_seconds)
    chosen += [k for k in card_places(result.clips) if k not in chosen]
    engine, device, seed = runner.engine, runner.device, runner.seed
    return play_clips(model_file, env_file, chosen, agent_config, engine, device, seed)


def _scenes(played: Recorded) -> Tuple[Dict[str, Markup], str]:
    """HTML of the scenes of lost clips, by their names, each stopped shortly before its loss; and of the player."""
    from markupsafe import Markup

    from parc_core.viewing.offline import player_parts, scene_element

    scenes: Dict[str, Markup] = {}
    left = _SCENES_BYTES
    for track in played.tracks.values():
        if track.lost_at_s is None:
            continue
        scene = scene_element(track, start_s=track.lost_at_s - _BEFORE_LOSS_S, fps=_SCENE_FPS)
        left -= len(scene)
        if left < 0:
            break
        scenes[track.name] = Markup(scene)
    return scenes, player_parts(played.character) if scenes else ""


def _show_in_tensorboard(
    training_dir: Path, model_file: Path, result: EvalResult, video: Optional[Path]
) -> None:
    """Headline numbers and video beside the training's curves, where it has any and TensorBoard is installed."""
    from parc_core.training.checkpoint import samples_of
    from parc_core.training.curves import TENSORBOARD, write_evaluation
    from parc_core.training.history import read_history

    folder = training_dir / TENSORBOARD
    rows = read_history(training_dir) if folder.is_dir() else []
    if not rows:
        return
    summary = result.summary
    numbers = {
        "Eval_Completed": summary.completed_share,
        "Eval_Tracked": summary.mean_completed_fraction,
        "Eval_Joint_Error": math.nan
        if summary.joint_error_completed_m is None
        else summary.joint_error_completed_m,
        "Eval_Return": summary.mean_return,
        "Eval_Clips": float(summary.clips),
    }
    samples = samples_of(model_file)
    name = "evaluation" if samples is None else f"evaluation_{samples}"
    write_evaluation(folder, name, numbers, int(rows[-1]["Samples"]) if samples is None else samples, video)


def _place(model_file: Path) -> str:
    """The end of a model's path: `<run>/model.pt` says more than `model.pt`."""
    return "/".join(model_file.absolute().parts[-2:])
