"""The training loop: collect → update → log → checkpoint, with resume, rollback and orderly stops."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Dict, List, Optional, cast

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.episode_stats import TERM_COLUMNS
from parc_core.envs.vec_env import VecEnv
from parc_core.errors import Interrupted, TrainingDiverged
from parc_core.learning.ppo import Numbers
from parc_core.system.peers import Peers
from parc_core.system.signals import StopSignals
from parc_core.system.world import ONE_PROCESS, World
from parc_core.training.columns import HELD_OUT_COLUMNS
from parc_core.training.curves import hyper_parameters
from parc_core.training.divergence import DivergenceGuard, is_diverged
from parc_core.training.log_row import output_row
from parc_core.training.logger import Logger, Number, ProgressFile
from parc_core.training.test_episodes import run_test_episodes
from parc_core.training.training_state import TrainerOptions, TrainingState
from parc_core.training.wandb_run import WandbNames

if TYPE_CHECKING:
    from parc_core.envs.tracking_env import TrackingEnv
    from parc_core.training.held_out import HeldOutClips

HEARTBEAT_SECONDS = 5.0


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
        peers: Optional[Peers] = None,
        held_out: Optional[HeldOutClips] = None,
    ) -> None:
        """Builds the learner and resumes from the newest good checkpoint of the output folder, if there is one.

        Args:
            env: this process's part of the environments.
            progress: the locked progress file of `options.output_dir`, in the process that writes.
            stop: signals that end the loop; None = none do.
            world: the training's processes, with the same config and options.
            peers: what looks whether they live.
            held_out: clips that the training never sees, evaluated with the others.

        Raises:
            ConfigError: the checkpoint or the model to start from belongs to other settings.
        """
        self.env, self.config, self.options = env, config, options
        self._tries = 0  # rollbacks since the last checkpoint
        self._seconds: List[float] = []  # of the iterations since the last output
        self._stop, self._world, self._peers = stop or StopSignals(), world, peers or Peers(world)
        self._progress, self._held_out = progress, held_out
        self._at = TrainingState(env, config, options, self._heartbeat, world)
        self._ppo, self.agent = self._at.ppo, self._at.ppo.agent
        resumed = self._at.start()
        self._guard = DivergenceGuard(
            options.output_dir, env, self.agent, config.max_diverged_share, self.samples, world.rank
        )
        self._event(
            "start",
            resumed_from=resumed,
            max_samples=options.max_samples,
            num_envs=env.num_envs * world.size,
            **({"processes": world.size} if world.size > 1 else {}),
        )
        self._log: Optional[Logger] = None
        if world.is_writer:
            self._log = Logger(
                options.output_dir,
                progress,
                config.use_tensorboard,
                self.samples,
                TERM_COLUMNS,
                hyper_parameters(options.fingerprint),
                WandbNames(config.project_name, config.exp_name) if config.use_wandb else None,
            )

    @property
    def samples(self) -> int:
        """Of all processes so far."""
        return self._at.samples

    @property
    def iteration(self) -> int:
        """How many there were."""
        return self._at.iteration

    @property
    def rollbacks(self) -> int:
        """How many there were."""
        return self._at.rollbacks

    # -- the loop -----------------------------------------------------------------------------------

    def run(self) -> None:
        """Trains to max_samples.

        Raises:
            Interrupted: SIGTERM or SIGINT came; the iteration was finished and a checkpoint written.
            TrainingDiverged: losses stayed non-finite after max_rollbacks rollbacks, or simulations diverge.
        """
        info: Dict[str, float] = {}
        first = True  # kernels are compiled and graphs recorded, which takes a minute
        try:
            while not self._over():
                with nullcontext() if first else self._peers.stepping():
                    updates = self._iterate()
                first = False
                if self._diverged(updates):
                    continue
                info = updates[-1] if updates else info
                if self._evaluation_due():
                    self._evaluate()
                if self._output_due():
                    self._output(info)
                if self._checkpoint_due():
                    self._checkpoint()
            self._finish(info)
        finally:
            if self._log is not None:
                self._log.close()

    def _over(self) -> bool:
        """All samples are there, or a signal came."""
        stopped = self._world.any(self._stop.number is not None)
        return self.samples >= self.options.max_samples or stopped

    def _iterate(self) -> List[Numbers]:
        """One iteration; the numbers of all updates that ended in it.

        Where an update may be pending it is made before anything that shows or keeps what was learned.
        """
        learns = self._normalizer_learns()
        self._at.obs, updates = self._ppo.iterate(self._at.obs, self.samples, learns)
        if learns:
            self.agent.obs_norm.update(self._world)
        self._at.samples += self._at.batch
        self._at.iteration += 1
        last = self.samples >= self.options.max_samples
        if last or self._output_due() or self._evaluation_due() or self._checkpoint_due():
            updates += self._ppo.catch_up()
        self._seconds += [info["iteration_seconds"] for info in updates]
        return updates

    def _diverged(self, updates: List[Numbers]) -> bool:
        """Whether one of these updates went wrong in any process; the training is then that of before."""
        bad = [info for info in updates if is_diverged(info)]
        if not self._world.any(bool(bad)):
            return False
        self._roll_back((bad or updates)[0])
        return True

    def _checkpoint_due(self) -> bool:
        return self.iteration % self.config.iters_per_checkpoint == 0

    def _output_due(self) -> bool:
        return self.iteration == 1 or self.iteration % self.config.iters_per_output == 0

    def _evaluation_due(self) -> bool:
        """Also at the first iteration and the last: every line of log.txt has the columns."""
        pace = self.config.iters_per_evaluation
        last = self.samples >= self.options.max_samples
        missing = not self._at.evaluation or (
            self._held_out is not None and HELD_OUT_COLUMNS[0] not in self._at.evaluation
        )
        return pace > 0 and (last or missing or self.iteration % pace == 0)

    def _normalizer_learns(self) -> bool:
        return self.options.in_model_file is None and self.samples < self.config.normalizer_samples

    def _finish(self, info: Dict[str, float]) -> None:
        """Checkpoint and model.pt of the very end, or of where a signal stopped it; a last line of the log.

        That line comes after the checkpoint: it reads the episode statistics, which an extended training
        must still find.
        """
        self._diverged(self._ppo.catch_up())  # pending where a signal came in between
        if self._world.any(self._world.is_writer and not self._at.is_written()):
            self._checkpoint()
        if self.samples < self.options.max_samples:
            number = self._world.highest(self._stop.number or 0)
            self._event("interrupted", signal=number)
            raise Interrupted(
                f"stopped by signal {number} at {self.samples} samples; a checkpoint is in "
                f"{self._at.folder}, run the same command to resume"
            )
        if info and not self._output_due():
            self._output(info)
        self._event("done")

    # -- checkpoints, rollback -----------------------------------------------------------------

    def _checkpoint(self) -> None:
        path = self._at.save(self._progress.check_place)
        self._tries = 0
        self._event("checkpoint", path=str(path))

    def _roll_back(self, info: Dict[str, float]) -> None:
        """Back to the last good state, on another path of random numbers: the same would diverge again.

        The environments start new episodes, for their physical state may be what broke.
        """
        self._tries += 1
        rollbacks, bad_samples = self.rollbacks + 1, self.samples
        losses = ", ".join(
            f"{name} {info[name]:.3g}" for name in ("loss", "actor_loss", "critic_loss", "grad_norm")
        )
        if self._tries > self.config.max_rollbacks:
            raise TrainingDiverged(
                f"training diverged at {bad_samples} samples ({losses}) after {self._tries - 1} rollbacks in a "
                "row; lower optimizer.learning_rate or look at the motions and rewards; the environments' state "
                f"and last actions are in {self._guard.keep(self._ppo.rollout.norm_actions[-1])}"
            )
        self._at.restore_last_good(rollbacks)
        if self._log is not None:
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
            "Wall_Time": self._at.hours(),
        }
        test = dict(self._at.evaluation)
        if self.config.test_episodes > 0:
            episodes = self.config.test_episodes
            test.update(run_test_episodes(self.env, self._ppo.policy, episodes, self._heartbeat, self._world))
        speed = self._at.batch * len(self._seconds) / sum(self._seconds)
        self._seconds = []
        row.update(output_row(self.env, info, test, self._world))
        row.update({"Samples_Per_Second": speed, "Rollbacks": self.rollbacks})
        if self._log is not None:
            self._log.output(row)
        self._guard.check(row, self._at.obs, self._heartbeat)

    def _evaluate(self) -> None:
        from parc_core.training.clip_evaluation import evaluate_clips_in_training

        env = cast("TrackingEnv", self.env)  # clips are played: it has motions
        policy = self._ppo.policy
        # Only at iterations that every training of this pace evaluates: a shorter or extended one learns the same.
        pace = self.config.iters_per_evaluation
        paced = self.iteration == 1 or self.iteration % pace == 0
        self._at.evaluation = evaluate_clips_in_training(
            env, policy, self._heartbeat, self._world, heed=paced, turn=self.iteration // pace
        )
        if self._held_out is not None:
            self._at.evaluation.update(self._held_out.evaluate(policy, self._heartbeat, self._world))

    def _event(self, event: str, **fields: Any) -> None:
        self._progress.write(event, self.samples, self.iteration, **fields)

    def _heartbeat(self) -> None:
        """A step was made: to the other processes, and where the last event is long ago in progress.jsonl."""
        self._peers.moved()
        if time.monotonic() - self._progress.written_at > HEARTBEAT_SECONDS:
            self._event("heartbeat")
