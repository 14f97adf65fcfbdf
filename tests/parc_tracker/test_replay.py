"""A training whose simulations diverge stops, and the step that breaks can be repeated elsewhere."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from typer.testing import CliRunner

from parc_core.config.agent_config import AgentConfig, ModelConfig
from parc_core.config.resolve import write_yaml
from parc_core.config.train_args import TrainArgs, write_train_args
from parc_core.engines.engine import ResetState
from parc_core.errors import DataError, TrainingDiverged
from parc_core.training.divergence import STATE_FILE, DivergenceGuard, next_divergence, write_state
from parc_core.training.logger import ProgressFile
from parc_core.training.trainer import Trainer
from parc_core.training.training_state import TrainerOptions
from parc_tracker import replay
from parc_tracker.main import app
from tests.envs.scenes import env_file, env_of, motion, physics, shortened, write_dataset, zero_action

SMALL = AgentConfig(
    model=ModelConfig(actor_net="fc_1layers_16units", critic_net="fc_1layers_16units"),
    steps_per_iter=4,
    iters_per_output=1,
    test_episodes=0,
    use_tensorboard=False,
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    motions = {"short": shortened(motion("stand", 1), 12), "walk": motion("walk")}
    return write_dataset(tmp_path_factory.mktemp("mixed"), motions)


@pytest.fixture
def run_folder(mixed, tmp_path):
    """What a training leaves beside its state: configs and arguments."""
    write_yaml(tmp_path / "dm_env.yaml", env_file(mixed))
    args = TrainArgs(str(tmp_path / "dm_env.yaml"), "", str(tmp_path), num_envs=4, device="cuda:0")
    write_train_args(tmp_path / "train_args.txt", args)
    return tmp_path


def break_env(env, index, dof, speed):
    """Gives one joint of one environment a speed that no integrator survives."""
    s = env.engine.state
    put = {
        field.name: getattr(s, field.name)[[index]].clone()
        for field in dataclasses.fields(ResetState)
        if field.name != "terrain_ids"
    }
    put["dof_vel"][0, dof] = speed
    env.engine.reset(torch.tensor([index]), ResetState(terrain_ids=env.motion_ids[[index]], **put))


def kept_state(mixed, folder):
    env = env_of(mixed, seed=1)
    env.reset_to(torch.tensor([0, 1, 1, 0]), torch.tensor([0.0, 0.5, 1.0, 0.1]))
    for _ in range(2):
        env.step(zero_action(env))
    break_env(env, 2, 4, 1e6)
    state, diverged = next_divergence(env, lambda obs: zero_action(env), env.observe())
    assert diverged.tolist() == [False, False, True, False]
    write_state(folder / STATE_FILE, state)
    return env


def command(folder, exit_code=0):
    """What `parc-tracker replay` prints."""
    done = CliRunner().invoke(app, ["replay", str(folder / STATE_FILE)])
    assert done.exit_code == exit_code
    return done.stderr if exit_code else done.stdout


def test_replay_names_environment_motion_and_quantity(mixed, run_folder):
    env = kept_state(mixed, run_folder)
    said = command(run_folder)
    name = env.kinematics.character.joint_names
    first = [int(i) for i in env.kinematics.character.joint_dof_idx]
    joint = name[max(j for j in range(1, len(name)) if first[j] <= 4)]
    assert "1 environment(s) diverge in the step, repeated exactly with mujoco on cpu" in said
    assert (
        f"env 2 (walk at 1.07 s) diverges: dof_vel of {joint}[{4 - max(i for i in first[1:] if i <= 4)}]"
        in said
    )
    assert "is 1e+06 before it" in said


def test_replay_gives_the_very_step(mixed, run_folder):
    """What the training saw after its last step is what the replay sees, bit for bit."""
    trained = kept_state(mixed, run_folder)
    again = env_of(mixed, seed=9)
    state = replay.load_state(run_folder / STATE_FILE)
    again.load_state_dict(state["env"])
    again.step(state["action"])
    for field in dataclasses.fields(trained.engine.state):
        assert torch.equal(getattr(trained.engine.state, field.name), getattr(again.engine.state, field.name))


def test_state_of_another_engine_starts_from_positions_and_velocities(mixed, run_folder):
    kept_state(mixed, run_folder)
    state = torch.load(run_folder / STATE_FILE, weights_only=True)
    state["engine"], state["device"], state["env"] = "mujoco_warp", "cuda", {}
    write_state(run_folder / STATE_FILE, state)
    args = replay.read_train_args(run_folder / "train_args.txt")
    found = replay.replay(run_folder / STATE_FILE, args)
    assert not found.exact and found.engine == "mujoco on cpu"
    assert [(f.env, f.diverged, f.suspect.quantity) for f in found.findings] == [(2, True, "dof_vel")]


def test_actions_that_are_not_finite_are_named(mixed, run_folder):
    kept_state(mixed, run_folder)
    state = torch.load(run_folder / STATE_FILE, weights_only=True)
    state["action"][0, 3] = float("nan")
    write_state(run_folder / STATE_FILE, state)
    found = replay.replay(run_folder / STATE_FILE, replay.read_train_args(run_folder / "train_args.txt"))
    assert {f.env: f.suspect.quantity for f in found.findings} == {0: "action", 2: "dof_vel"}


def test_another_file_or_data_set_is_refused(mixed, run_folder, tmp_path):
    torch.save({"format": "?"}, run_folder / STATE_FILE)
    assert "is not a state of a diverged simulation" in command(run_folder, DataError.exit_code)
    kept_state(mixed, run_folder)
    (tmp_path / "other").mkdir()
    other = write_dataset(tmp_path / "other", {"stand": motion("stand")})
    write_yaml(run_folder / "dm_env.yaml", env_file(other))
    assert "another dataset" in command(run_folder, DataError.exit_code)


def test_training_stops_when_simulations_go_on_diverging(mixed, tmp_path, monkeypatch):
    env = env_of(mixed)
    engine = physics(env)
    step = engine.step

    def breaking(targets):
        engine._qvel[2, 7] = float("nan")
        step(targets)

    monkeypatch.setattr(engine, "step", breaking)
    progress = ProgressFile(tmp_path / "progress.jsonl")
    trainer = Trainer(env, SMALL, TrainerOptions(tmp_path, 100_000), progress)
    with pytest.raises(TrainingDiverged, match=r"25\.00% of the environment-steps.*parc-tracker replay"):
        trainer.run()
    progress.close()
    assert trainer.iteration == 3
    state = replay.load_state(tmp_path / STATE_FILE)
    assert state["names"] == ["short", "walk"] and state["action"].shape == (4, 28)


def test_a_training_whose_losses_diverge_keeps_its_state(mixed, tmp_path, monkeypatch):
    env = env_of(mixed)
    reward = env._reward

    def diverged(ref):
        total, terms = reward(ref)
        return total * float("nan"), terms

    monkeypatch.setattr(env, "_reward", diverged)
    progress = ProgressFile(tmp_path / "progress.jsonl")
    config = dataclasses.replace(SMALL, max_rollbacks=0)
    trainer = Trainer(env, config, TrainerOptions(tmp_path, 100_000), progress)
    with pytest.raises(TrainingDiverged, match=STATE_FILE):
        trainer.run()
    progress.close()
    assert replay.load_state(tmp_path / STATE_FILE)["physical"]["dof_vel"].shape == (4, 28)


def guard(tmp_path, max_share=0.01):
    """A guard of an environment that is never asked: what it counts."""
    return DivergenceGuard(tmp_path, None, None, max_share, samples=1000)


def test_a_few_diverged_steps_are_no_harm(tmp_path):
    """1 % and less, or more for less than three outputs in a row, and a rollback in between."""
    rows = [
        {"Samples": 2000, "Diverged": 10.0},
        {"Samples": 3000, "Diverged": 400.0},
        {"Samples": 4000, "Episodes": 100.0, "Fail_Simulation_Diverged": 0.5},
        {"Samples": 3500, "Diverged": 400.0},
        {"Samples": 4500, "Diverged": 400.0},
        {"Samples": 5500, "Diverged": 400.0},
        {"Samples": 6500, "Episodes": 0.0, "Fail_Simulation_Diverged": float("nan")},
    ]
    watch = guard(tmp_path)
    for row in rows:
        watch.check(row, torch.zeros(1), lambda: None)
    assert not (tmp_path / STATE_FILE).exists()
