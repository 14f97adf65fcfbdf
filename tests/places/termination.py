"""The example's reason ends episodes in both environments, wins over those behind it, and has its statistics."""

from __future__ import annotations

from parc_core.envs.terminations import DoneFlag, FailReason
from parc_core.training.log_row import FAIL_COLUMNS
from tests.places.scene import NUM_ENVS, moved_pair, swing


def main() -> None:
    # So near a limit that another test, whose row comes later, holds as well.
    limits = {"root_pos_termination_dist": 1e-6}
    for env in moved_pair(0, min_root_height=0.3, **limits):
        env.step(swing(env))
        assert env.fail_reason.tolist() == [FailReason.ROOT_POSITION] * NUM_ENVS, "nobody is as low as that"
    for env in moved_pair(0, min_root_height=2.0, **limits):
        done = env.step(swing(env))[2]
        assert done.tolist() == [DoneFlag.FAIL] * NUM_ENVS
        assert env.fail_reason.tolist() == [FailReason.ROOT_LOW] * NUM_ENVS
        stats = env.episode_stats()
        assert (stats["Fail_Root_Low"], stats["Fail_Root_Position"]) == (1.0, 0.0)
    assert "Fail_Root_Low" in FAIL_COLUMNS
    for env in moved_pair(0, min_root_height=2.0, enable_early_termination=False):
        assert env.step(swing(env))[2].tolist() == [DoneFlag.NULL] * NUM_ENVS


if __name__ == "__main__":
    main()
