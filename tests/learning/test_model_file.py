"""Model files: round trip, fine-tuning checks, bad files."""

from __future__ import annotations

import pickle

import pytest
import torch

from parc_core.errors import ConfigError, DataError
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import build_agent, load_into, read_model_file, write_model_file
from tests.learning.fake_env import FakeEnv
from tests.learning.run_fake import ModelConfig, small_config


def agent_of(net="fc_2layers_32units", std="FIXED"):
    model = ModelConfig(actor_net=net, critic_net=net, actor_std_type=std)
    return make_agent(FakeEnv(), small_config(model=model).model, 10.0)


@pytest.mark.parametrize("std", ["FIXED", "CONSTANT", "VARIABLE"])
def test_round_trip(tmp_path, std):
    agent, obs = agent_of(std=std), torch.randn(4, 8)
    agent.obs_norm.record(torch.randn(50, 8))
    agent.obs_norm.update()
    write_model_file(tmp_path / "model.pt", agent)
    again = build_agent(read_model_file(tmp_path / "model.pt"))
    assert torch.equal(agent.act_mode(obs), again.act_mode(obs))
    assert again.obs_norm.moments()["count"] == 50


def test_other_architecture_names_both(tmp_path):
    write_model_file(tmp_path / "model.pt", agent_of("fc_2layers_16units"))
    with pytest.raises(ConfigError, match=r"actor 16-8.*actor 32-16"):
        load_into(agent_of(), read_model_file(tmp_path / "model.pt"))


def test_files_that_are_no_model(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_model_file(tmp_path / "missing.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(DataError, match="not readable"):
        read_model_file(tmp_path / "text.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(DataError, match="is no tracker model"):
        read_model_file(tmp_path / "other.pt")


def test_a_file_that_is_cut_off(tmp_path):
    write_model_file(tmp_path / "model.pt", agent_of())
    data = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="not readable"):
        read_model_file(tmp_path / "model.pt")


class Evil:
    """Would make a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_a_file_that_would_run_code(tmp_path):
    marker = tmp_path / "marker"
    torch.save({"_obs_norm._mean": Evil(str(marker))}, tmp_path / "evil.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil(str(marker))))
    for name in ("evil.pt", "evil.pkl"):
        with pytest.raises(DataError, match="not readable"):
            read_model_file(tmp_path / name)
    assert not marker.exists()


def test_numbers_that_are_not_finite(tmp_path):
    agent = agent_of()
    with torch.no_grad():
        agent.model._critic_out.bias.fill_(float("nan"))
    write_model_file(tmp_path / "model.pt", agent)
    with pytest.raises(DataError, match=r"_critic_out\.bias"):
        read_model_file(tmp_path / "model.pt")
