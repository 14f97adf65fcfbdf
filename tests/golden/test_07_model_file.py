"""Golden files 07: a reference model loads, and its outputs agree to 1e-4."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from parc_core.learning.model_file import build_agent, read_model_file, write_model_file


def model_of(npz):
    """`07_<name>.npz` belongs to `<name>.pt` beside it (with or without the number)."""
    stem = npz.stem[len("07_") :]
    for name in (f"{stem}.pt", f"{npz.stem}.pt"):
        if (npz.parent / name).is_file():
            return npz.parent / name
    pytest.skip(f"{npz} has no {stem}.pt beside it")


@pytest.fixture
def golden_files(golden_dir):
    files = sorted(golden_dir.glob("07_*.npz"))
    if not files:
        pytest.skip(f"{golden_dir} has no 07_*.npz")
    return files


def test_outputs_of_reference_models(golden_files):
    for npz in golden_files:
        data = {key: torch.as_tensor(value) for key, value in np.load(npz).items()}
        agent = build_agent(read_model_file(model_of(npz)))
        obs = data["obs"]
        norm_obs = agent.normalize_obs(obs)
        with torch.no_grad():
            dist = agent.model.actor(norm_obs)
            value = agent.model.critic(norm_obs)
        close = {"atol": 1e-4, "rtol": 1e-4}
        assert_close(norm_obs, data["norm_obs"], **close)
        assert_close(dist.mode, data["norm_action_mode"], **close)
        assert_close(dist.std, data["action_std"], **close)
        assert_close(agent.act_mode(obs), data["action"], **close)
        assert_close(dist.log_prob(dist.mode), data["a_logp"], **close)
        assert_close(value.view_as(data["value"]), data["value"], **close)
        assert_close(agent.obs_norm._mean, data["obs_norm_mean"], **close)
        assert_close(agent.obs_norm._std, data["obs_norm_std"], **close)
        assert agent.obs_norm.count == int(data["obs_norm_count"])


def test_written_models_have_the_same_layout(golden_files, golden_dir, tmp_path):
    for npz in golden_files:
        path = model_of(npz)
        model = read_model_file(path)
        write_model_file(tmp_path / "model.pt", build_agent(model))
        again = torch.load(tmp_path / "model.pt", weights_only=True)
        assert list(again) == list(model.state)
        for key, value in model.state.items():
            assert again[key].dtype == value.dtype and torch.equal(again[key], value)
        keys_file = golden_dir / f"{path.stem}_keys.txt"
        if keys_file.is_file():
            listed = [line.split()[0] for line in keys_file.read_text().splitlines() if line.strip()]
            assert listed == list(again)
