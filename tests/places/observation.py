"""The example's numbers stand at their place in both environments' vectors, and the normalizer is told of them."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from tests.places.scene import moved_pair, swing


def main() -> None:
    without, _ = moved_pair(0)
    for env in moved_pair(3, force_obs=True):
        obs = env.step(swing(env))[0]
        assert obs.shape[1] == env.obs_dim == without.obs_dim + 15
        place = env.obs_layout.slices["forces"]
        expected = torch.log1p(env.engine.state.contact_forces.norm(dim=-1))
        assert float(expected.max()) > 1.0, "somebody stands"
        assert_close(obs[:, place], expected, atol=1e-5, rtol=1e-5)
        assert bool(env.obs_norm_mask[place].all())
        assert int(env.obs_height_mask.sum()) == 441
    assert "forces" not in without.obs_layout.slices


if __name__ == "__main__":
    main()
