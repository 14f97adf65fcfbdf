"""Where a training is: learner, environments and counters, which are started, written, and put back."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, Optional, Tuple, Union

import torch

from parc_core.config.agent_config import AgentConfig
from parc_core.envs.vec_env import VecEnv
from parc_core.learning.model_file import (
    check_actions,
    check_architecture,
    load_into,
    read_model_file,
    with_wider_critic,
    write_model_file,
)
from parc_core.learning.pipeline import make_learner
from parc_core.system.world import World
from parc_core.training import checkpoint as checkpoints
from parc_core.training.logger import Console
from parc_core.training.shared_state import Dealt, State, dealt, gathered

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


class TrainingState:
    """The state of one training in one of its processes.

    Attributes:
        env, ppo: this process's part of the environments, and the learner.
        samples, iteration, rollbacks: of all processes so far.
        evaluation: of all clips, the last; empty before.
        obs: (N, O) to act on next.
    """

    def __init__(
        self,
        env: VecEnv,
        config: AgentConfig,
        options: TrainerOptions,
        heartbeat: Callable[[], None],
        world: World,
    ) -> None:
        """Builds the learner; `start` puts all in its place.

        Args:
            heartbeat: called every control step and every minibatch.
            world: the training's processes, with the same config and options.
        """
        self.env, self.options = env, options
        self.samples = self.iteration = self.rollbacks = 0
        self.evaluation: Dict[str, float] = {}
        self.obs = torch.empty(0)
        self._config, self._world = config, world
        self._hours_before = 0.0
        self._started = time.monotonic()  # the clock of the wall may be set back
        checkpoints.seed_everything(options.seed)  # of the networks, the same in all processes
        self.ppo = make_learner(env, config, self._seed(), options.max_samples, heartbeat, world=world)
        if world.size > 1:
            checkpoints.seed_everything(self._seed())

    @property
    def batch(self) -> int:
        """Samples of an iteration, in all processes."""
        return self.ppo.rollout.num_samples * self._world.size

    def start(self) -> Optional[str]:
        """Takes the state of the newest good checkpoint, else of in_model_file, else a fresh one.

        Returns:
            which checkpoint.

        Raises:
            ConfigError: the checkpoint or the model to start from belongs to other settings.
        """
        found = dealt(self._newest, self._world)
        if found is not None:
            self._resume(found)
            self._last_good: Union[Path, State] = found.path
            return str(found.path)
        if self.options.in_model_file is not None:
            model = read_model_file(self.options.in_model_file)
            own = self.ppo.agent.state_dict()
            check_architecture(model.path, with_wider_critic(model.state, own), own)
            check_actions(model.path, model.state, own)
            load_into(self.ppo.agent, model)
        for value in self.ppo.agent.state_dict().values():
            self._world.broadcast_(value)
        self.obs = self.env.reset()
        self._last_good = copy.deepcopy(self._state())
        return None

    def _newest(self) -> Optional[Tuple[Path, State]]:
        found = checkpoints.load_newest(self.folder, Console.warn)
        if found is not None:
            path, state = found
            checkpoints.check_fingerprint(path, state["fingerprint"], self.options.fingerprint)
        return found

    def _resume(self, found: Dealt) -> None:
        """Resumes from a checkpoint: exactly, or with new episodes where it is of another number of processes."""
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
        self.ppo.reseed(seed)
        checkpoints.seed_everything(seed)
        self.obs = self.env.reset()

    def restore_last_good(self, rollbacks: int) -> None:
        """The state of the last checkpoint, or of the start, with new episodes and other random numbers.

        Args:
            rollbacks: how many there were, with this one.
        """
        good, hours = self._last_good, self.hours()
        if isinstance(good, Path):
            path = good
            found = dealt(lambda: (path, checkpoints.load_checkpoint(path)), self._world)
            assert found is not None
        else:
            found = Dealt(self.folder, copy.deepcopy(good), True, self._world.size)
        self._load(found, "rollback")
        self.rollbacks, self._hours_before = rollbacks, hours
        self._restart(rollbacks)

    def save(self, check_place: Callable[[], None]) -> Path:
        """Writes a checkpoint of all processes and model.pt. Collective; process 0 alone writes.

        Args:
            check_place: called before anything is written; what it raises stops it.

        Returns:
            the checkpoint's file.
        """
        self._check_agreement()
        state = gathered(self._state(), self._world)
        path = checkpoints.checkpoint_path(self.folder, self.samples)
        if state is not None:
            check_place()
            kept, models = self._config.num_checkpoints_kept, self._config.num_models_kept
            checkpoints.save_checkpoint(self.folder, state, kept, models)
            write_model_file(self._model_path, self.ppo.policy)
        self._last_good = path
        return path

    def is_written(self) -> bool:
        """Whether checkpoint and model of just now are on disk."""
        newest = checkpoints.list_checkpoints(self.folder)
        return bool(newest) and newest[0][0] == self.samples and self._model_path.is_file()

    def hours(self) -> float:
        """Wall time of this training over all its processes."""
        return self._hours_before + (time.monotonic() - self._started) / 3600.0

    @property
    def folder(self) -> Path:
        """Of the checkpoints."""
        return self.options.output_dir / "checkpoints"

    @property
    def _model_path(self) -> Path:
        return self.options.output_dir / "model.pt"

    def _seed(self, further: int = 0) -> int:
        """Of this process's random numbers; `further` leads to others."""
        return (self.options.seed + SEED_STEP * further + RANK_STEP * self._world.rank) % 2**63

    def _state(self) -> State:
        """Everything that an exact resume needs, as tensors and plain containers."""
        return {
            "fingerprint": dict(self.options.fingerprint),
            "samples": self.samples,
            "iteration": self.iteration,
            "rollbacks": self.rollbacks,
            "hours": self.hours(),
            **self.ppo.state(),
            "evaluation": dict(self.evaluation),
            "obs": self.obs,
            "env": self.env.state_dict(),
            "rng": checkpoints.rng_state(),
        }

    def _load_shared(self, state: State, where: str) -> None:
        self.ppo.load_state(state, where)
        self.evaluation = dict(state.get("evaluation", {}))
        self.samples, self.iteration, self.rollbacks = (
            state["samples"],
            state["iteration"],
            state["rollbacks"],
        )
        self._hours_before, self._started = state["hours"], time.monotonic()

    def _load_own(self, state: State) -> None:
        self.obs = state["obs"].to(self.env.device).clone()
        self.env.load_state_dict(state["env"])
        checkpoints.set_rng_state(state["rng"])

    def _check_agreement(self) -> None:
        """The processes' weights are the same bits by construction: where they are not, a device computes wrongly."""
        sums = torch.stack([p.detach().double().sum() for p in self.ppo.agent.model.parameters()])
        if not self._world.agrees(sums):
            raise RuntimeError(
                f"the weights of the {self._world.size} processes differ at {self.samples} samples, so a GPU or a "
                "connection is faulty; training resumes from the last checkpoint"
            )
