"""parc-tracker as a library: a dataset, an environment, a policy, a clip played and shown, for notebooks and scripts.

Everything here is also an attribute of `parc_core` itself, which imports nothing heavy before it is used:

    import parc_core

    dataset = parc_core.load_dataset("output/motions")
    policy = parc_core.load_policy("output/cpu_tracker/model.pt")
    env = parc_core.make_env(dataset, config=policy)
    clip = parc_core.play(env, policy, dataset.names[0])
    parc_core.show(clip)
"""

from __future__ import annotations

from parc_core.api.clips import Animation, PlayedClip, play, show
from parc_core.api.dataset import Dataset, load_dataset
from parc_core.api.environment import make_env, make_gym_env, make_gym_vector_env
from parc_core.api.policy import Policy, load_policy

__all__ = [
    "Animation",
    "Dataset",
    "PlayedClip",
    "Policy",
    "load_dataset",
    "load_policy",
    "make_env",
    "make_gym_env",
    "make_gym_vector_env",
    "play",
    "show",
]
