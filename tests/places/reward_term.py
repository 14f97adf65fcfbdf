"""The example's term is all of the reward: in both environments it is what its formula says, and not 1."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from tests.places.scene import moved_pair, swing

OTHERS = dict.fromkeys(("pose_w", "vel_w", "root_pos_w", "root_vel_w", "key_pos_w"), 0.0)


def main() -> None:
    for env in moved_pair(1, **OTHERS, calm_w=2.0, calm_exponent=3.0, use_contact_info=False):
        env.episode_stats()  # of the step before
        reward = env.step(swing(env))[1]
        expected = torch.exp(-0.003 * (env.engine.state.dof_vel**2).sum(-1))
        assert float(expected.max()) < 0.9, "the joints move"
        assert_close(reward, expected, atol=1e-5, rtol=1e-4)
        logged = env.episode_stats()["calm_r"]
        assert abs(logged - float(expected.mean())) < 1e-4, "the term's mean is logged"
    for env in moved_pair(0):
        assert float(env.task.reward_weights[-1]) == 0.0, "without its key the reward is as it was"


if __name__ == "__main__":
    main()
