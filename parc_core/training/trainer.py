"""The training loop: collect → update → log → checkpoint, with resume, rollback and orderly stops."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Union, cast

import torch

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.vec_env import VecEnv
from parc_core.errors import Interrupted, TrainingDiverged
from parc_core.learning.model_file import (
    check_actions,
    check_architecture,
    load_into,
    read_model_file,
    write_model_file,
)
from parc_core.learning.ppo import PPO
from parc_core.system.signals import StopSignals
from parc_core.system.world import ONE_PROCESS, World
from parc_core.training import checkpoint as checkpoints
from parc_core.training.divergence import DivergenceGuard
from parc_core.training.log_row import output_row
from parc_core.training.logger import Console, Logger, Number, ProgressFile
from parc_core.training.test_episodes import run_test_episodes

if TYPE_CHECKING:
    from parc_core.envs.tracking_env import TrackingEnv

HEARTBEAT_SECONDS = 5.0
EXPLODED_LOSS = 1e8  # rewards are bounded, so that a healthy loss stays some orders of magnitude below
SEED_STEP = 1_000_003  # distance between the seeds of successive rollbacks


@dataclass(frozen=True)
class TrainerOptions:
    """What a training is told beside the environment and the agent config."""

    output_dir: Path
    """Folder of the results; locked while the training runs."""
    max_samples: int
    """Training ends at the first iteration that reaches this many samples."""
    seed: int = 0
    """Seed of networks, exploration and minibatches."""
    in_model_file: Optional[str] = None
    """Model to start from; its normalizer then stays as it is."""
    fingerprint: Dict[str, str] = field(default_factory=dict)
    """Settings and data that shape the training: only checkpoints of the same are resumed."""


class Trainer:
    """The run of one training: iterations, outputs, checkpoints, rollbacks and its orderly end."""

    def __init__(
        self,
        env: VecEnv,
        config: AgentConfig,
        options: TrainerOptions,
        progress: ProgressFile,
        stop: Optional[StopSignals] = None,
        world: World = ONE_PROCESS,
    ) -> None:
        """Builds the learner and resumes from the newest good checkpoint of the output folder, if there is one.

        Args:
            progress: the locked progress file of `options.output_dir`.
            stop: signals that end the loop; None = none do.
            world: the training's processes.

        Raises:
            ConfigError: the checkpoint or the model to start from belongs to other settings.
        """
        self.env, self.config, self.options = env, config, options
        self.samples = self.iteration = self.rollbacks = 0
        self._tries = 0  # rollbacks since the last checkpoint
        self._hours_before = 0.0
        self._started = time.monotonic()  # the clock of the wall may be set back
        self._stop, self._world = stop or StopSignals(), world
        checkpoints.seed_everything(options.seed)
        self._ppo = PPO(env, config, options.seed, options.max_samples, self._heartbeat, world=self._world)
        self.agent, self._rollout = self._ppo.agent, self._ppo.rollout
        self._evaluation: Dict[str, float] = {}  # of all clips, the last
        self._obs = torch.empty(0)
        self._progress = progress
        resumed = self._start()
        self._guard = DivergenceGuard(
            options.output_dir, env, self.agent, config.max_diverged_share, self.samples
        )
        self._event("start", resumed_from=resumed, max_samples=options.max_samples, num_envs=env.num_envs)
        self._log = Logger(options.output_dir, progress, config.use_tensorboard, self.samples, TERM_COLUMNS)

    # -- the loop -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Trains to max_samples.

        Raises:
            Interrupted: SIGTERM or SIGINT came; the iteration was finished and a checkpoint written.
            TrainingDiverged: losses stayed non-finite after max_rollbacks rollbacks, or simulations diverge.
        """
        info: Dict[str, float] = {}
        try:
            while not self._over():
                self._obs = self._ppo.collect(self._obs, self.samples, self._normalizer_learns())
                info = self._ppo.update()
                if self._world.any(self._diverged(info)):
                    self._roll_back(info)
                    continue
                self._advance()
                if self._evaluation_due():
                    self._evaluate()
                if self._output_due():
                    self._output(info)
                if self.iteration % self.config.iters_per_checkpoint == 0:
                    self._checkpoint()
            self._finish(info)
        finally:
            self._log.close()

    def _over(self) -> bool:
        """All samples are there, or a signal came."""
        stopped = self._world.any(self._stop.number is not None)
        return self.samples >= self.options.max_samples or stopped

    def _advance(self) -> None:
        if self._normalizer_learns():
            self.agent.obs_norm.update(self._world)
        self.samples += self._rollout.num_samples
        self.iteration += 1

    def _output_due(self) -> bool:
        return self.iteration == 1 or self.iteration % self.config.iters_per_output == 0

    def _evaluation_due(self) -> bool:
        """Also at the first iteration and the last: every line of log.txt has the columns."""
        pace = self.config.iters_per_evaluation
        last = self.samples >= self.options.max_samples
        return pace > 0 and (last or not self._evaluation or self.iteration % pace == 0)

    def _normalizer_learns(self) -> bool:
        return self.options.in_model_file is None and self.samples < self.config.normalizer_samples

    def _finish(self, info: Dict[str, float]) -> None:
        """Checkpoint and model.pt of the very end, or of where a signal stopped it; a last line of the log.

        That line comes after the checkpoint: it reads the episode statistics, which an extended training
        must still find.
        """
        newest = checkpoints.list_checkpoints(self._folder)
        if not newest or newest[0][0] != self.samples or not self._model_path.is_file():
            self._checkpoint()
        if self.samples < self.options.max_samples:
            self._event("interrupted", signal=self._stop.number)
            raise Interrupted(
                f"stopped by signal {self._stop.number} at {self.samples} samples; a checkpoint is in "
                f"{self._folder}, run the same command to resume"
            )
        if info and not self._output_due():
            self._output(info)
        self._event("done")

    # -- start, checkpoints, rollback -----------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self.options.output_dir / "checkpoints"

    @property
    def _model_path(self) -> Path:
        return self.options.output_dir / "model.pt"

    def _start(self) -> Optional[str]:
        """State from the newest checkpoint, else from in_model_file, else fresh; says which checkpoint."""
        found = checkpoints.load_newest(self._folder, Console.warn)
        if found is not None:
            path, state = found
            checkpoints.check_fingerprint(path, state["fingerprint"], self.options.fingerprint)
            self._load_state(state, str(path))
            self._last_good: Union[Path, Dict[str, Any]] = path
            return str(path)
        if self.options.in_model_file is not None:
            model = read_model_file(self.options.in_model_file)
            check_architecture(model.path, model.state, self.agent.state_dict())
            check_actions(model.path, model.state, self.agent.state_dict())
            load_into(self.agent, model)
        self._obs = self.env.reset()
        self._last_good = copy.deepcopy(self._state())
        return None

    def _state(self) -> Dict[str, Any]:
        """Everything that an exact resume needs, as tensors and plain containers."""
        return {
            "fingerprint": dict(self.options.fingerprint),
            "samples": self.samples,
            "iteration": self.iteration,
            "rollbacks": self.rollbacks,
            "hours": self._hours(),
            **self._ppo.state(),
            "evaluation": dict(self._evaluation),
            "obs": self._obs,
            "env": self.env.state_dict(),
            "rng": checkpoints.rng_state(),
        }

    def _load_state(self, state: Dict[str, Any], where: str) -> None:
        self._ppo.load_state(state, where)
        self._evaluation = dict(state.get("evaluation", {}))
        self.samples, self.iteration, self.rollbacks = (
            state["samples"],
            state["iteration"],
            state["rollbacks"],
        )
        self._hours_before, self._started = state["hours"], time.monotonic()
        self._obs = state["obs"].to(self.env.device).clone()
        self.env.load_state_dict(state["env"])
        checkpoints.set_rng_state(state["rng"])

    def _checkpoint(self) -> None:
        self._progress.check_place()
        kept, models = self.config.num_checkpoints_kept, self.config.num_models_kept
        path = checkpoints.save_checkpoint(self._folder, self._state(), kept, models)
        write_model_file(self._model_path, self.agent)
        self._last_good, self._tries = path, 0
        self._event("checkpoint", path=str(path))

    def _diverged(self, info: Dict[str, float]) -> bool:
        """A loss is not finite or absurdly large, or weights or normalizer are not finite."""
        if not all(math.isfinite(value) for value in info.values()):
            return True
        return abs(info["loss"]) > EXPLODED_LOSS or info["all_finite"] == 0.0

    def _roll_back(self, info: Dict[str, float]) -> None:
        """Back to the last good state, on another path of random numbers: the same would diverge again.

        The environments start new episodes, for their physical state may be what broke.
        """
        self._tries += 1
        rollbacks, bad_samples = self.rollbacks + 1, self.samples + self._rollout.num_samples
        losses = ", ".join(
            f"{name} {info[name]:.3g}" for name in ("loss", "actor_loss", "critic_loss", "grad_norm")
        )
        if self._tries > self.config.max_rollbacks:
            raise TrainingDiverged(
                f"training diverged at {bad_samples} samples ({losses}) after {self._tries - 1} rollbacks in a "
                "row; lower optimizer.learning_rate or look at the motions and rewards; the environments' state "
                f"and last actions are in {self._guard.keep(self._rollout.norm_actions[-1])}"
            )
        good = self._last_good
        state = checkpoints.load_checkpoint(good) if isinstance(good, Path) else copy.deepcopy(good)
        hours = self._hours()
        self._load_state(state, "rollback")
        self.rollbacks, self._hours_before = rollbacks, hours
        seed = (self.options.seed + SEED_STEP * rollbacks) % 2**63
        self._ppo.reseed(seed)
        checkpoints.seed_everything(seed)
        self._obs = self.env.reset()
        self._log.rolled_back(self.samples)
        self._log.console.warn(
            f"diverged at {bad_samples} samples ({losses}): back to {self.samples} samples"
        )
        self._event("rollback", from_samples=bad_samples, rollbacks=rollbacks, reason=losses)

    # -- saying what happens ---------------------------------------------------------------------------

    def _output(self, info: Dict[str, float]) -> None:
        row: Dict[str, Number] = {
            "Samples": self.samples,
            "Iteration": self.iteration,
            "Wall_Time": self._hours(),
        }
        test = dict(self._evaluation)
        if self.config.test_episodes > 0:
            test.update(run_test_episodes(self.env, self.agent, self.config.test_episodes, self._heartbeat))
        speed = self._rollout.num_samples / (info["collect_seconds"] + info["update_seconds"])
        row.update(output_row(self.env, info, test, self._world))
        row.update({"Samples_Per_Second": speed, "Rollbacks": self.rollbacks})
        self._log.output(row)
        self._guard.check(row, self._obs, self._heartbeat)

    def _evaluate(self) -> None:
        from parc_core.training.clip_evaluation import evaluate_clips_in_training

        env = cast("TrackingEnv", self.env)  # clips are played: it has motions
        self._evaluation = evaluate_clips_in_training(env, self.agent, self._heartbeat)

    def _hours(self) -> float:
        """Wall time of this training over all its processes."""
        return self._hours_before + (time.monotonic() - self._started) / 3600.0

    def _event(self, event: str, **fields: Any) -> None:
        self._progress.write(event, self.samples, self.iteration, **fields)

    def _heartbeat(self) -> None:
        """A sign of life where the last event is long ago."""
        if time.monotonic() - self._progress.written_at > HEARTBEAT_SECONDS:
            self._event("heartbeat")
