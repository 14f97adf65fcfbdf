"""Every clip once from its first frame: how far does the deterministic policy follow it?

Clips run side by side, one per environment, in waves of similar length when there are more clips than environments.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvConfig, EnvFileConfig
from parc_core.config.paths import resolve
from parc_core.config.schema import to_mapping
from parc_core.envs.factory import make_env
from parc_core.envs.terminations import TIME_EPS, FailReason
from parc_core.envs.tracking_env import TrackingEnv
from parc_core.envs.tracking_error import NAMES as ERROR_NAMES
from parc_core.errors import ConfigError
from parc_core.evaluation.clip_result import COMPLETED
from parc_core.evaluation.depth import Depth
from parc_core.evaluation.result import ClipResult, EvalResult, summarize
from parc_core.motion.dataset.dataset_cache import content_digests
from parc_core.motion.dataset.dataset_file import read_motions_yaml
from parc_core.playback.play import Policy
from parc_core.playback.policy import load_policy
from parc_core.playback.scores import Progress, Tracked, track_all_clips
from parc_core.system.files import PathLike, dump_json, sha256_bytes

_MAX_ENVS = {"cpu": 256, "cuda": 4096}
LEAST_LEFT_S = 0.5
"""Of a clip after a random start."""
_NO_LIMIT = 1e6  # s; an episode is as long as its clip


def evaluate_model(
    model_file: Optional[PathLike],
    env_file: EnvFileConfig,
    *,
    agent_config: Optional[AgentConfig] = None,
    engine: str = "auto",
    device: str = "cpu",
    num_envs: Optional[int] = None,
    seed: int = 0,
    progress: Optional[Progress] = None,
    random_starts: int = 0,
) -> EvalResult:
    """Evaluates a model on all clips of a dataset.

    Episodes last as long as their clips (one loop of looping ones); early termination is as configured.

    Args:
        model_file: PARC's or our model.pt, or a checkpoint; None is the untrained policy ("before").
        env_file: the environment; `env.dm.motion_file` names the dataset.
        agent_config: norm_obs_clip, and the networks of the untrained policy.
        engine, device: as in training.
        num_envs: clips at a time; default: all, at most 256 on a CPU and 4096 on a GPU.
        seed: of the untrained policy, and of random starts.
        random_starts: further tries at each clip, from random times.

    Raises:
        ConfigError, DataError: environment, dataset or model cannot be used.
    """
    env = make_evaluation_env(env_file, engine, device, num_envs)
    return evaluate_in(env, model_file, agent_config, seed, progress, random_starts)


def evaluate_in(
    env: TrackingEnv,
    model_file: Optional[PathLike],
    agent_config: Optional[AgentConfig] = None,
    seed: int = 0,
    progress: Optional[Progress] = None,
    random_starts: int = 0,
) -> EvalResult:
    """`evaluate_model` in an environment that `make_evaluation_env` made, for several models of one dataset."""
    policy = load_policy(model_file, env, agent_config, seed)
    clips, traces = _evaluated(env, policy.act_mode, progress)
    if random_starts > 0:
        clips = _with_random_starts(env, policy.act_mode, clips, random_starts, seed, progress)
    config = env.config
    settings: Dict[str, Any] = {
        "model_file": None if model_file is None else str(model_file),
        "motion_file": config.dm.motion_file,
        "engine": env.engine.name,
        "device": str(env.device),
        "action_mode": config.action_mode,
        "early_termination": config.enable_early_termination,
        "control_freq": config.control_freq,
        "num_envs": env.num_envs,
        "seed": seed,
        "random_starts": random_starts,
    }
    return EvalResult(clips, summarize(clips, evaluation_set(config)), settings, traces=traces)


_ENDINGS = (
    "enable_early_termination",
    "track_root",
    "track_root_h",
    "root_pos_termination_dist",
    "root_rot_termination_angle",
    "pose_termination",
    "pose_termination_dist",
    "contact_bodies",
    "termination_height",
)
"""Keys of the environment that say when a clip counts as lost."""


def evaluation_set(config: EnvConfig) -> str:
    """SHA-256 of what is asked of a model: the clips' content, whatever their order and weights, and when one is lost.

    Raises:
        DataError: a file of the dataset is missing.
    """
    motions = read_motions_yaml(resolve(config.dm.motion_file or ""))
    shared = [] if motions.terrain is None else content_digests([resolve(motions.terrain)])
    clips = sorted(content_digests([resolve(entry.file) for entry in motions.entries]))
    settings = to_mapping(config)
    asked = {"clips": clips, "terrain": shared, **{name: settings[name] for name in _ENDINGS}}
    return sha256_bytes(dump_json(asked).encode("utf-8"))


def make_evaluation_env(
    env_file: EnvFileConfig, engine: str = "auto", device: str = "cpu", num_envs: Optional[int] = None
) -> TrackingEnv:
    """The environment of a dataset without a limit to episodes; as many environments as clips, up to a limit.

    Raises:
        ConfigError, DataError: see `make_env`.
    """
    dm = env_file.env.dm
    if not dm.motion_file:
        raise ConfigError("env.dm.motion_file is not set; name the dataset's motions.yaml")
    num_clips = len(read_motions_yaml(resolve(dm.motion_file)).entries)
    if num_envs is None:
        num_envs = _MAX_ENVS["cuda" if device.startswith("cuda") else "cpu"]
    env_config = dataclasses.replace(
        env_file.env,
        episode_length=_NO_LIMIT,
        critic_obs=[],
        dm=dataclasses.replace(dm, ignore_fail_rates=True, fail_rates_path=None),
    )
    config = dataclasses.replace(env_file, env=env_config)
    return make_env(config, min(num_envs, num_clips), device, engine)


def evaluate_clips(env: TrackingEnv, policy: Policy, progress: Optional[Progress] = None) -> List[ClipResult]:
    """Runs all clips of the environment's dataset under a policy.

    Returns:
        one result per clip, in the order of the dataset.
    """
    return _evaluated(env, policy, progress)[0]


def _evaluated(
    env: TrackingEnv, policy: Policy, progress: Optional[Progress]
) -> Tuple[List[ClipResult], Dict[str, Dict[str, List[float]]]]:
    """One result per clip in the order of the dataset, and the traces by the clips' names."""
    watched: List[Tuple[Tensor, Depth]] = []

    def observe(ids: Tensor) -> Depth:
        watched.append((ids, Depth(env, ids)))
        return watched[-1][1]

    clips = _clip_results(env, track_all_clips(env, policy, progress, observe=observe))
    traces: Dict[str, Dict[str, List[float]]] = {}
    for ids, depth in watched:
        for place, found in zip(ids.tolist(), depth.results()):
            traces[clips[place].name] = found.trace
            more = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
            del more["trace"]
            clips[place] = dataclasses.replace(clips[place], **more)
    return clips, traces


def _with_random_starts(
    env: TrackingEnv,
    policy: Policy,
    clips: List[ClipResult],
    count: int,
    seed: int,
    progress: Optional[Progress],
) -> List[ClipResult]:
    """The results with `count` further tries at each clip, from times that the seed alone says."""
    generator = torch.Generator().manual_seed(seed)
    lengths = env.library.lengths.cpu().float()
    tries: List[List[Dict[str, float]]] = [[] for _ in clips]
    for _ in range(count):
        latest = (lengths - LEAST_LEFT_S).clamp(min=0.0)
        times = torch.rand(len(clips), generator=generator) * latest
        found = track_all_clips(env, policy, progress, times.to(env.device))
        columns = (times, lengths - times, found.steps, found.reason, found.mean_errors[:, 0])
        for own, (start, left, steps, why, error) in zip(tries, zip(*(part.tolist() for part in columns))):
            done = why == FailReason.MOTION_END
            share = 1.0 if done else max(lost_share(steps, env.control_dt, left), 0.0)
            own.append(
                {
                    "start_s": start,
                    "completed": int(done),
                    "completed_fraction": share,
                    "joint_error_m": error,
                }
            )
    return [dataclasses.replace(clip, random_starts=own) for clip, own in zip(clips, tries)]


def _clip_results(env: TrackingEnv, tracked: Tracked) -> List[ClipResult]:
    """From sums over steps, all of M rows, to results."""
    library = env.library
    paths = _path_lengths(env).tolist()
    end_times = torch.minimum(tracked.steps * env.control_dt, library.lengths.to(torch.float32))
    columns = [
        t.tolist()
        for t in (
            tracked.sums[:, 0],
            tracked.mean_errors,
            tracked.steps,
            tracked.reason,
            end_times,
            library.lengths,
        )
    ]
    results = []
    for name, path, (total, errors, count, why, end_time, length) in zip(library.names, paths, zip(*columns)):
        completed = why == FailReason.MOTION_END
        results.append(
            ClipResult(
                name=name,
                motion_class=name.rpartition("/")[0],
                length_s=length,
                completed=completed,
                completed_fraction=1.0 if completed else lost_share(count, env.control_dt, length),
                end_time_s=end_time,
                end_reason=COMPLETED if completed else FailReason(why).label,
                joint_error_m=errors[0],
                tracking_errors=dict(zip(ERROR_NAMES, errors[1:])),
                episode_return=total,
                steps=count,
                path_m=path,
            )
        )
    return results


def lost_share(steps: int, dt: float, length: float) -> float:
    """Share of a clip (length s) that was tracked until it was lost in its step number `steps` (dt s each), below 1.

    Where that step reaches the end of the clip, up to the step before: it was not followed to its end.
    """
    if steps * dt >= length - TIME_EPS:
        steps -= 1
    return steps * dt / length


def _path_lengths(env: TrackingEnv) -> Tensor:
    """(M,) m: length of each reference root's path."""
    library = env.library
    pos = library.frame_root_pos
    moved = torch.cat((torch.zeros(1, device=pos.device), (pos[1:] - pos[:-1]).norm(dim=-1)))
    moved[library.start_idx] = 0.0  # the jump from one clip to the next
    motion = torch.repeat_interleave(torch.arange(library.num_motions, device=pos.device), library.num_frames)
    return torch.zeros(library.num_motions, device=pos.device).index_add_(0, motion, moved)
