"""Trainings that differ in some settings."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Dict

import pytest
import yaml

from benchmarks import sweep


def test_what_a_variant_says_comes_over_the_preset() -> None:
    base = {"a": 1, "model": {"std": 0.1, "net": "x"}}
    assert sweep.merged(base, {"model": {"std": 0.2}}) == {"a": 1, "model": {"std": 0.2, "net": "x"}}
    assert base["model"]["std"] == 0.1


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text("one: {agnet: {}}\n")
    with pytest.raises(SystemExit, match="one: unknown key 'agnet'; use agent, env, num_envs, seed"):
        sweep.main([str(file), "--out", str(tmp_path / "out")])
    file.write_text("one: {agent: {learning_rat: 1}}\n")
    with pytest.raises(SystemExit, match=r"variants.yaml: one: agent: .*learning_rat"):
        sweep.main([str(file), "--out", str(tmp_path / "out"), "--synthetic", "2"])


@pytest.mark.slow
def test_two_variants_are_trained_with_their_own_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "variants.yaml"
    file.write_text(
        textwrap.dedent("""
        small: {agent: {steps_per_iter: 2}}
        strict: {agent: {steps_per_iter: 4}, env: {root_pos_exponent: 2.0}, num_envs: 6, seed: 3}
        broken: {agent: {model: {actor_net: fc_9layers}}}
        """)
    )
    without = textwrap.dedent("x: {agent: {iters_per_evaluation: 0}}")
    (tmp_path / "without.yaml").write_text(without)
    with pytest.raises(SystemExit, match=r"without.yaml: x: 'env.dm.hard_motion_boost' needs"):
        sweep.main([str(tmp_path / "without.yaml"), "--out", str(tmp_path / "out"), "--synthetic", "2"])
    net = {"model": {"actor_net": "fc_1layers_8units", "critic_net": "fc_1layers_8units"}}
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        yaml.safe_dump({"test_episodes": 0, "iters_per_evaluation": 3, "use_tensorboard": False, **net})
    )
    options = ["--samples", "24", "--envs", "4", "--synthetic", "2", "--at-once", "2", "--device", "cpu"]
    with pytest.raises(SystemExit, match="broken failed"):
        sweep.main([str(file), *options, "--agent-config", str(agent), "--out", str(tmp_path / "out")])
    args = (tmp_path / "out" / "strict" / "training" / "train_args.txt").read_text()
    assert "--num_envs 6\n" in args
    assert "--seed 3\n" in args
    env = yaml.safe_load((tmp_path / "out" / "strict" / "training" / "dm_env.yaml").read_text())
    assert env["env"]["root_pos_exponent"] == 2.0
    shown = capsys.readouterr().out
    assert "small" in shown
    assert "strict" in shown


@pytest.mark.parametrize(
    ("file", "rates", "scales"),
    [
        ("gpu_preset", {"relu": 1.5e-4, "envs_16384": 2.1e-4}, {"relu": 0.5, "layer_norm_silu": 0.5}),
        ("gpu_layers", {"preset": 1.5e-4, "rate_2.1e-4": 2.1e-4}, {"preset": 1.0, "scale_half": 0.5}),
        ("gpu_spin", {"preset": 1.5e-4}, {"preset": 1.0, "discount_99": 0.5, "start_noise_discount_98": 0.5}),
    ],
)
def test_the_variants_that_are_kept_are_settings_that_exist(
    file: str, rates: Dict[str, float], scales: Dict[str, float], tmp_path: Path
) -> None:
    variants_file = Path(f"benchmarks/variants/{file}.yaml")
    variants = sweep.read_variants(variants_file)
    args = sweep._parser().parse_args([str(variants_file), "--out", str(tmp_path)])
    for name, variant in variants.items():
        assert "--max_samples" in sweep.command(name, variant, tmp_path / "motions.yaml", args)
    for name, rate in rates.items():
        agent = yaml.safe_load((tmp_path / name / "agent.yaml").read_text())
        assert agent["optimizer"]["learning_rate"] == rate
    for name, scale in scales.items():
        env = yaml.safe_load((tmp_path / name / "env.yaml").read_text())["env"]
        assert env["residual_action_scale"] == scale
