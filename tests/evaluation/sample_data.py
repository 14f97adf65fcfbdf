"""A dataset of synthetic motions and results written by hand, for the tests of evaluation and recording."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from parc_core.config.agent_config import AgentConfig, ModelConfig
from parc_core.config.env_config import DeepMimicConfig, EnvConfig, EnvFileConfig
from parc_core.envs.tracking_error import NAMES
from parc_core.evaluation.clip_result import COMPLETED, ClipResult
from parc_core.motion.dataset.dataset_file import MotionEntry, MotionsFile, write_motions_yaml
from parc_core.motion.formats.container import read_motion_terrain, write_motion_terrain
from parc_core.motion.synthetic import make_dataset

SMALL_NETS = AgentConfig(model=ModelConfig(actor_net="fc_1layers_16units", critic_net="fc_1layers_16units"))


def make_env_file(folder: Path, kinds: list[str], looping: bool = False) -> EnvFileConfig:
    """The environment of a dataset with one motion of each kind; with `looping` the last one loops."""
    files = make_dataset(kinds, 1, 0, folder, workers=1)
    if looping:
        content = read_motion_terrain(files[-1])
        assert content.motion is not None
        loop = dataclasses.replace(content, motion=dataclasses.replace(content.motion, loop_mode="WRAP"))
        write_motion_terrain(files[-1], loop)
    motions = folder / "motions.yaml"
    write_motions_yaml(motions, MotionsFile([MotionEntry(str(file), 1.0) for file in files]))
    names = [{"file": file.name, "name": f"{file.parent.name}/{file.stem}"} for file in files]
    (folder / "manifest.json").write_text(json.dumps({"motions": names}))
    # episode_length is shorter than any clip: an evaluation must not care.
    dm = DeepMimicConfig(motion_file=str(motions))
    return EnvFileConfig(env=EnvConfig(action_mode="residual", episode_length=0.1, dm=dm))


def clip(name: str, fraction: float, error: float, episode_return: float, reason: str = "fall") -> ClipResult:
    """A clip of 2 s; completed where fraction is 1."""
    return ClipResult(
        name=name,
        motion_class=name.rpartition("/")[0],
        length_s=2.0,
        completed=fraction == 1.0,
        completed_fraction=fraction,
        end_time_s=2.0 * fraction,
        end_reason=COMPLETED if fraction == 1.0 else reason,
        joint_error_m=error,
        tracking_errors={key: error * (k + 1) for k, key in enumerate(NAMES)},
        episode_return=episode_return,
        steps=round(60 * fraction),
    )
