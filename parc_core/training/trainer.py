"""The training loop: collect → update → log → checkpoint, with resume, rollback and orderly stops."""

from __future__ import annotations

import copy
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple, Union, cast

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
from parc_core.system.peers import Peers
from parc_core.system.signals import StopSignals
from parc_core.system.world import ONE_PROCESS, World
from parc_core.training import checkpoint as checkpoints
from parc_core.training.columns import HELD_OUT_COLUMNS
from parc_core.training.curves import hyper_parameters
from parc_core.training.divergence import DivergenceGuard, is_diverged
from parc_core.training.log_row import output_row
from parc_core.training.logger import Console, Logger, Number, ProgressFile
from parc_core.training.shared_state import Dealt, State, dealt, gathered
from parc_core.training.test_episodes import run_test_episodes
from parc_core.training.wandb_run import WandbNames

if TYPE_CHECKING:
    from parc_core.envs.tracking_env import TrackingEnv
    from parc_core.training.held_out import HeldOutClips

HEARTBEAT_SECONDS = 5.0
SEED_STEP = 1_000_003  # distance between the seeds of successive rollbacks
RANK_STEP = 15_485_863  # between those of the processes


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
        self.samples = self.iteration = self.rollbacks = 0
        self._tries = 0  # rollbacks since the last checkpoint
        self._hours_before = 0.0
        self._started = time.monotonic()  # the clock of the wall may be set back
        self._stop, self._world, self._peers = stop or StopSignals(), world, peers or Peers(world)
        checkpoints.seed_everything(options.seed)  # of the networks, the same in all processes
        self._ppo = PPO(env, config, self._seed(), options.max_samples, self._heartbeat, world=world)
        if world.size > 1:
            checkpoints.seed_everything(self._seed())
        self.agent, self._rollout = self._ppo.agent, self._ppo.rollout
        self._batch = self._rollout.num_samples * world.size
        self._evaluation: Dict[str, float] = {}  # of all clips, the last
        self._held_out = held_out
        self._obs = torch.empty(0)
        self._progress = progress
        resumed = self._start()
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
                    self._obs = self._ppo.collect(self._obs, self.samples, self._normalizer_learns())
                    info = self._ppo.update()
                first = False
                if self._world.any(is_diverged(info)):
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
            if self._log is not None:
                self._log.close()

    def _over(self) -> bool:
        """All samples are there, or a signal came."""
        stopped = self._world.any(self._stop.number is not None)
        return self.samples >= self.options.max_samples or stopped

    def _advance(self) -> None:
        if self._normalizer_learns():
            self.agent.obs_norm.update(self._world)
        self.samples += self._batch
        self.iteration += 1

    def _output_due(self) -> bool:
        return self.iteration == 1 or self.iteration % self.config.iters_per_output == 0

    def _evaluation_due(self) -> bool:
        """Also at the first iteration and the last: every line of log.txt has the columns."""
        pace = self.config.iters_per_evaluation
        last = self.samples >= self.options.max_samples
        missing = not self._evaluation or (
            self._held_out is not None and HELD_OUT_COLUMNS[0] not in self._evaluation
        )
        return pace > 0 and (last or missing or self.iteration % pace == 0)

    def _normalizer_learns(self) -> bool:
        return self.options.in_model_file is None and self.samples < self.config.normalizer_samples

    def _finish(self, info: Dict[str, float]) -> None:
        """Checkpoint and model.pt of the very end, or of where a signal stopped it; a last line of the log.

        That line comes after the checkpoint: it reads the episode statistics, which an extended training
        must still find.
        """
        if self._world.any(self._world.is_writer and not self._is_written()):
            self._checkpoint()
        if self.samples < self.options.max_samples:
            number = self._world.highest(self._stop.number or 0)
            self._event("interrupted", signal=number)
            raise Interrupted(
                f"stopped by signal {number} at {self.samples} samples; a checkpoint is in "
                f"{self._folder}, run the same command to resume"
            )
        if info and not self._output_due():
            self._output(info)
        self._event("done")

    def _is_written(self) -> bool:
        """Whether checkpoint and model of just now are on disk."""
        newest = checkpoints.list_checkpoints(self._folder)
        return bool(newest) and newest[0][0] == self.samples and self._model_path.is_file()

    # -- start, checkpoints, rollback -----------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self.options.output_dir / "checkpoints"

    @property
    def _model_path(self) -> Path:
        return self.options.output_dir / "model.pt"

    def _seed(self, further: int = 0) -> int:
        """Of this process's random numbers; `further` leads to others."""
        return (self.options.seed + SEED_STEP * further + RANK_STEP * self._world.rank) % 2**63

    def _start(self) -> Optional[str]:
        """State from the newest checkpoint, else from in_model_file, else fresh; says which checkpoint."""
        found = dealt(self._newest, self._world)
        if found is not None:
            self._resume(found)
            self._last_good: Union[Path, State] = found.path
            return str(found.path)
        if self.options.in_model_file is not None:
            model = read_model_file(self.options.in_model_file)
            check_architecture(model.path, model.state, self.agent.state_dict())
            check_actions(model.path, model.state, self.agent.state_dict())
            load_into(self.agent, model)
        for value in self.agent.state_dict().values():
            self._world.broadcast_(value)
        self._obs = self.env.reset()
        self._last_good = copy.deepcopy(self._state())
        return None

    def _newest(self) -> Optional[Tuple[Path, State]]:
        found = checkpoints.load_newest(self._folder, Console.warn)
        if found is not None:
            path, state = found
            checkpoints.check_fingerprint(path, state["fingerprint"], self.options.fingerprint)
        return found

    def _resume(self, found: Dealt) -> None:
        """Goes on from a checkpoint: exactly, or where it is of another number of processes with new episodes."""
        self._load(found, str(found.path))
        if found.exact:
            return
        self._restart(self.iteration)
        if self._world.is_writer:
            Console.warn(
                f"{found.path} is of {found.processes} process(es) and now there are {self._world.size}: what was "
                "learned goes on, the environments start new episodes"
            )

    def _load(self, found: Dealt, where: str) -> None:
        """What all share, and where it is of as many processes this one's own; else of that the failure rates."""
        self._load_shared(found.state, where)
        if found.exact:
            self._load_own(found.state)
        else:
            self.env.load_fail_rates(found.state["env"])

    def _restart(self, further: int) -> None:
        """New episodes and other random numbers."""
        seed = self._seed(further)
        self._ppo.reseed(seed)
        checkpoints.seed_everything(seed)
        self._obs = self.env.reset()

    def _state(self) -> State:
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

    def _load_shared(self, state: State, where: str) -> None:
        self._ppo.load_state(state, where)
        self._evaluation = dict(state.get("evaluation", {}))
        self.samples, self.iteration, self.rollbacks = (
            state["samples"],
            state["iteration"],
            state["rollbacks"],
        )
        self._hours_before, self._started = state["hours"], time.monotonic()

    def _load_own(self, state: State) -> None:
        self._obs = state["obs"].to(self.env.device).clone()
        self.env.load_state_dict(state["env"])
        checkpoints.set_rng_state(state["rng"])

    def _checkpoint(self) -> None:
        self._check_agreement()
        state = gathered(self._state(), self._world)
        path = checkpoints.checkpoint_path(self._folder, self.samples)
        if state is not None:
            self._progress.check_place()
            kept, models = self.config.num_checkpoints_kept, self.config.num_models_kept
            checkpoints.save_checkpoint(self._folder, state, kept, models)
            write_model_file(self._model_path, self._ppo.policy)
        self._last_good, self._tries = path, 0
        self._event("checkpoint", path=str(path))

    def _check_agreement(self) -> None:
        """The processes' weights are the same bits by construction: where they are not, a device computes wrongly."""
        sums = torch.stack([p.detach().double().sum() for p in self.agent.model.parameters()])
        if not self._world.agrees(sums):
            raise RuntimeError(
                f"the weights of the {self._world.size} processes differ at {self.samples} samples, so a GPU or a "
                "connection is faulty; training resumes from the last checkpoint"
            )

    def _roll_back(self, info: Dict[str, float]) -> None:
        """Back to the last good state, on another path of random numbers: the same would diverge again.

        The environments start new episodes, for their physical state may be what broke.
        """
        self._tries += 1
        rollbacks, bad_samples = self.rollbacks + 1, self.samples + self._batch
        losses = ", ".join(
            f"{name} {info[name]:.3g}" for name in ("loss", "actor_loss", "critic_loss", "grad_norm")
        )
        if self._tries > self.config.max_rollbacks:
            raise TrainingDiverged(
                f"training diverged at {bad_samples} samples ({losses}) after {self._tries - 1} rollbacks in a "
                "row; lower optimizer.learning_rate or look at the motions and rewards; the environments' state "
                f"and last actions are in {self._guard.keep(self._rollout.norm_actions[-1])}"
            )
        good, hours = self._last_good, self._hours()
        if isinstance(good, Path):
            path = good
            found = dealt(lambda: (path, checkpoints.load_checkpoint(path)), self._world)
            assert found is not None
        else:
            found = Dealt(self._folder, copy.deepcopy(good), True, self._world.size)
        self._load(found, "rollback")
        self.rollbacks, self._hours_before = rollbacks, hours
        self._restart(rollbacks)
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
            "Wall_Time": self._hours(),
        }
        test = dict(self._evaluation)
        if self.config.test_episodes > 0:
            episodes = self.config.test_episodes
            test.update(run_test_episodes(self.env, self._ppo.policy, episodes, self._heartbeat, self._world))
        speed = self._batch / (info["collect_seconds"] + info["update_seconds"])
        row.update(output_row(self.env, info, test, self._world))
        row.update({"Samples_Per_Second": speed, "Rollbacks": self.rollbacks})
        if self._log is not None:
            self._log.output(row)
        self._guard.check(row, self._obs, self._heartbeat)

    def _evaluate(self) -> None:
        from parc_core.training.clip_evaluation import evaluate_clips_in_training

        env = cast("TrackingEnv", self.env)  # clips are played: it has motions
        policy = self._ppo.policy
        self._evaluation = evaluate_clips_in_training(env, policy, self._heartbeat, self._world)
        if self._held_out is not None:
            self._evaluation.update(self._held_out.evaluate(policy, self._heartbeat, self._world))

    def _hours(self) -> float:
        """Wall time of this training over all its processes."""
        return self._hours_before + (time.monotonic() - self._started) / 3600.0

    def _event(self, event: str, **fields: Any) -> None:
        self._progress.write(event, self.samples, self.iteration, **fields)

    def _heartbeat(self) -> None:
        """A step was made: to the other processes, and where the last event is long ago in progress.jsonl."""
        self._peers.moved()
        if time.monotonic() - self._progress.written_at > HEARTBEAT_SECONDS:
            self._event("heartbeat")
