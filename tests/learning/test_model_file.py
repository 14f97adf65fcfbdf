"""Model files: round trip, fine-tuning checks, bad files."""

from __future__ import annotations

import pickle

import pytest
import torch

from parc_core.errors import ConfigError, DataError
from parc_core.learning.agent import make_agent
from parc_core.learning.model_file import build_agent, load_into, read_model_file, write_model_file
from parc_core.learning.plain_values import with_marked_floats
from tests.learning.fake_env import FakeEnv
from tests.training.run_fake import ModelConfig, small_config, train


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
    with pytest.raises(DataError, match="is not a tracker model"):
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


KEY_LISTS = {"fc_2layers_1024units": 2, "fc_3layers_1024units": 3, "fc_3layers_2048units": 3}


@pytest.mark.parametrize("std", ["FIXED", "CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("net", sorted(KEY_LISTS))
def test_every_network_has_the_reference_layout(tmp_path, net, std):
    """Flat names in the reference's order, float32 but for the counts; nothing more."""
    layers = [f"{2 * i}.{kind}" for i in range(KEY_LISTS[net]) for kind in ("weight", "bias")]
    logstd = ["_logstd_net.weight", "_logstd_net.bias"] if std == "VARIABLE" else ["_logstd_net"]
    want = [f"{norm}.{name}" for norm in ("_obs_norm", "_a_norm") for name in ("_count", "_mean", "_std")]
    want += [f"_model._actor_layers.{layer}" for layer in layers]
    want += [f"_model._action_dist.{name}" for name in (*logstd, "_mean_net.weight", "_mean_net.bias")]
    want += [f"_model._critic_layers.{layer}" for layer in layers]
    want += ["_model._critic_out.weight", "_model._critic_out.bias"]
    agent = agent_of(net, std)
    write_model_file(tmp_path / "model.pt", agent)
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    # A state_dict lists a module's own parameters before those of its children.
    assert sorted(state) == sorted(want)
    hidden = [state[f"_model._actor_layers.{2 * i}.weight"].shape[0] for i in range(KEY_LISTS[net])]
    assert (
        hidden
        == {
            "fc_2layers_1024units": [1024, 512],
            "fc_3layers_1024units": [1024, 1024, 512],
            "fc_3layers_2048units": [2048, 1024, 512],
        }[net]
    )
    for key, value in state.items():
        assert value.dtype == (torch.int64 if key.endswith("_count") else torch.float32), key
    obs = torch.randn(3, 8)
    assert torch.equal(build_agent(read_model_file(tmp_path / "model.pt")).act_mode(obs), agent.act_mode(obs))


@pytest.mark.parametrize("std", ["FIXED", "CONSTANT", "VARIABLE"])
def test_fine_tuning_keeps_the_normalizer(tmp_path, std):
    """A model file has no second moments: its mean, std and count stay, also after going on from a checkpoint."""
    start = agent_of(std=std)
    start.obs_norm.record(torch.randn(50, 8) * 3.0 + 1.0)
    start.obs_norm.update()
    write_model_file(tmp_path / "start.pt", start)
    came = read_model_file(tmp_path / "start.pt").state
    net = "fc_2layers_32units"
    config = small_config(model=ModelConfig(actor_net=net, critic_net=net, actor_std_type=std))
    for samples in (256, 512):  # the second goes on from the first's checkpoint
        trainer = train(tmp_path / "out", samples, config=config, in_model_file=tmp_path / "start.pt")
        assert trainer.samples == samples
        tuned = read_model_file(tmp_path / "out" / "model.pt").state
        for key in ("_obs_norm._count", "_obs_norm._mean", "_obs_norm._std"):
            assert torch.equal(tuned[key], came[key]), (samples, key)
    changed = [key for key in came if not torch.equal(tuned[key], came[key])]
    assert "_model._actor_layers.0.weight" in changed
    assert any("_logstd_net" in key for key in changed) == (std != "FIXED")


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("_model._actor_layers.0.weight", lambda v: v.half(), "holds float16 numbers, not float32"),
        ("_model._actor_layers.0.weight", lambda v: v[0], "has the shape"),
        ("_model._actor_layers.0.weight", lambda v: v[:0], "has the shape"),
        ("_model._critic_out.weight", lambda v: v * float("nan"), "is not a tensor of finite numbers"),
        ("_obs_norm._mean", lambda v: v + float("inf"), "is not a tensor of finite numbers"),
        ("_obs_norm._std", lambda v: v * 0, "below its least"),
        ("_obs_norm._count", lambda v: v - 10**6, "below its least"),
        ("_obs_norm._count", lambda v: v.float(), "holds float32 numbers, not int64"),
    ],
)
def test_arrays_that_are_not_a_models(tmp_path, key, change, message):
    state = agent_of().model_state()
    torch.save({**state, key: change(state[key])}, tmp_path / "model.pt")
    with pytest.raises(DataError, match=message) as caught:
        read_model_file(tmp_path / "model.pt")
    assert key in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        {"format": "parc-tracker checkpoint 1"},
        {"format": "parc-tracker checkpoint 1", "agent": None},
        {"format": "parc-tracker checkpoint 1", "agent": [1]},
        {"python float": None},
        {"a": {"python float": torch.zeros(2)}},
    ],
)
def test_checkpoints_without_a_model(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(DataError, match=r"is not a tracker model|not readable"):
        read_model_file(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"mean": torch.zeros(3)},
        {"mean": torch.zeros(8)},  # float32
        {"mean": torch.full((8,), float("nan"), dtype=torch.float64)},
        {"m2": -torch.ones(8, dtype=torch.float64)},
        {"m2": None},
        {"count": 1e30},
        {"count": 10**30},
        {"count": -1},
        {"count": True},
    ],
)
def test_moments_of_another_normalizer(tmp_path, change):
    moments = {**agent_of().obs_norm.moments(), **change}
    check_refused_moments(tmp_path, {"obs_moments": moments})


@pytest.mark.parametrize("state", [{}, {"obs_moments": None}, {"obs_moments": [1]}, {"obs_moments": {}}])
def test_checkpoints_without_moments(tmp_path, state):
    check_refused_moments(tmp_path, state)


def check_refused_moments(folder, state):
    """As a model to start from; a resume asks the same question."""
    agent = agent_of()
    state = {"format": "parc-tracker checkpoint 1", "agent": agent.model_state(), **state}
    torch.save(with_marked_floats(state), folder / "model.pt")
    with pytest.raises(DataError, match="'obs_moments' are not those") as caught:
        read_model_file(folder / "model.pt")
    assert "\n" not in str(caught.value)


def test_a_model_that_is_a_folder(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_model_file(tmp_path)


def test_a_resume_refuses_such_moments(tmp_path):
    ppo = train(tmp_path / "out", 256)._ppo
    state = ppo.state()
    ppo.load_state(state, "a.pt")
    for moments in (None, {**state["obs_moments"], "count": 1e30}):
        with pytest.raises(DataError, match=r"a\.pt: 'obs_moments' are not those"):
            ppo.load_state({**state, "obs_moments": moments}, "a.pt")
