"""The part of an environment file that says which motions are tracked and how they are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Literal, Optional

from parc_core.config.schema import fixed, section, setting, unheeded
from parc_core.errors import ConfigError

OTHER_ENV = "it belongs to PARC's other sub-environments"
RECORDER = "recordings are made by `parc-tracker record`"
_CLASSES = "the class of a motion comes from the dataset's manifest"
_SHORTEST_BIN = 0.1  # s; three control steps


@dataclass(frozen=True)
class HeightmapConfig:
    """How the motions' terrains are put together."""

    horizontal_scale: float = setting(0.4, above=0)
    """Cell size of every terrain, m; a motion's terrain must have the same."""
    padding: float = setting(0.4, at_least=0)
    """Width of the border around each terrain, m; a multiple of horizontal_scale."""


@dataclass(frozen=True)
class DeepMimicConfig:
    """Which motions are tracked and how they are drawn."""

    fail_rate_quantiles: List[float] = setting(
        [0.25, 0.5, 0.75, 0.9, 0.95, 0.99], at_least=0, at_most=1, shapes_training=False
    )
    """Quantiles of the failure rates over the motions that are logged."""
    heightmap: HeightmapConfig = section(HeightmapConfig)
    min_motion_weight: float = setting(0.01, at_least=0)
    """A motion is drawn with probability ∝ weight × max(failure rate, this)."""
    sampling_bin_seconds: float = setting(0.0, at_least=0, ours=True)
    """Draw bins of time of about this length, s, by the failures in them instead of whole motions; 0 = PARC's
    drawing per motion, else at least 0.1."""
    sampling_uniform_share: float = setting(0.15, at_least=0, at_most=1, ours=True)
    """Share of the episodes that are drawn by the motions' weights alone (sampling_bin_seconds above 0)."""
    hard_motion_boost: float = setting(1.0, at_least=1, ours=True)
    """A motion that the training's evaluation (needs iters_per_evaluation) loses, or follows with more than twice the
    mean joint error of all that are played, is drawn twice as often from then on, up to this factor; another one that
    is played half as often, down to 1; 1 = off."""
    has_motion_classes: bool = setting(False, no_effect=_CLASSES)
    motion_classes: List[str] = setting([], no_effect=_CLASSES)
    motion_file: Optional[str] = setting(None, shapes_training=False)
    """Dataset file (`motions.yaml`); in a pipeline the tracker config's dataset takes its place."""
    terrain_build_mode: Literal["square", "wide", "file"] = "square"
    """Arrangement of the terrains in `terrain.pkl`: a square, one row along x, or one terrain for all."""
    terrain_save_path: Optional[str] = setting(None, shapes_training=False)
    """Not heeded: a training's arranged terrain is `<output_dir>/terrain.pkl`, and its dm_env.yaml names that here.
    One place for several trainings would hold another dataset's."""
    terrains_per_motion: int = setting(1, at_least=1)
    """Copies of each motion's terrain in `terrain.pkl` (`wide` and `file` only)."""
    fail_rates_path: Optional[str] = None
    """File with a tensor (num_motions,) of failure rates to start from; without it each starts at 1."""
    ignore_fail_rates: bool = False
    """Draw motions by their weights only."""
    random_reset_pos: bool = fixed(False, "episodes start at their motion's place")
    record_motion_frame_hist: Any = unheeded(False, RECORDER)
    mdm_model: Any = unheeded(None, OTHER_ENV)
    target_xy_future_time_min: Any = unheeded(None, OTHER_ENV)
    target_xy_future_time_max: Any = unheeded(None, OTHER_ENV)

    def __post_init__(self) -> None:
        if 0 < self.sampling_bin_seconds < _SHORTEST_BIN:
            raise ConfigError(
                f"'env.dm.sampling_bin_seconds' is {self.sampling_bin_seconds:g}; set 0 to draw whole motions, or at "
                f"least {_SHORTEST_BIN:g}"
            )

    @property
    def heeds_evaluations(self) -> bool:
        """Whether what the training's evaluations find decides how often motions are drawn."""
        return self.hard_motion_boost > 1.0 and not self.ignore_fail_rates

    def check_evaluations(self, pace: int, where: str) -> None:
        """Whether a training has the evaluations that are to be heeded.

        Args:
            pace: the agent file's iters_per_evaluation.
            where: the environment file.

        Raises:
            ConfigError: it has none.
        """
        if self.heeds_evaluations and pace == 0:
            raise ConfigError(
                f"{where}: 'env.dm.hard_motion_boost' needs the training's evaluations; set iters_per_evaluation in "
                "the agent file, or leave it out"
            )

    def without_effect(self) -> List[str]:
        """One line for each key that ignore_fail_rates leaves without effect."""
        if not self.ignore_fail_rates:
            return []
        is_set = {
            "sampling_bin_seconds": self.sampling_bin_seconds > 0,
            "hard_motion_boost": self.hard_motion_boost > 1,
        }
        return [f"'env.dm.{key}' has no effect with ignore_fail_rates" for key in is_set if is_set[key]]
