"""Where a model comes from, from files that a training wrote."""

from __future__ import annotations

import dataclasses

from parc_core.config.agent_config import AgentConfig
from parc_core.config.env_config import EnvFileConfig
from parc_core.evaluation.lineage import differing_settings, lineage
from parc_core.evaluation.page import without_places
from parc_core.evaluation.result import EvalResult, summarize
from tests.evaluation.sample_data import clip


def test_parent_course_and_throughput_are_read_from_the_training(tmp_path):
    (tmp_path / "train_args.txt").write_text(
        "--env_config e.yaml\n--agent_config a.yaml\n--output_dir out\n--num_envs 64\n--max_samples 100\n"
        "--in_model_file parent/model.pt\n--engine mujoco\n--device cpu\n--seed 7\n"
    )
    (tmp_path / "log.txt").write_text(
        "Samples Wall_Time Samples_Per_Second\n1000 0.5 900\n2000 1.0 1100\n3000 1.5 1000\n"
    )
    result = EvalResult([clip("a", 1.0, 0.1, 1.0)], summarize([clip("a", 1.0, 0.1, 1.0)], "c0ffee" * 10), {})
    found = lineage(result, EnvFileConfig(), tmp_path)
    assert found["parent"].endswith("parent/model.pt")
    assert found["training"] == "64 environments, mujoco on cpu, seed 7"
    assert found["trained for"] == "3,000 samples in 1.50 hours"
    assert found["throughput"] == "1,000 samples/s, median"
    assert "1 clips, set c0ffeec0ffee" in found["dataset"]
    assert "parent" not in lineage(result, EnvFileConfig())


def test_settings_that_differ_from_the_preset():
    assert differing_settings(EnvFileConfig(), AgentConfig()) == {}
    env = EnvFileConfig()
    changed = dataclasses.replace(
        env,
        env=dataclasses.replace(
            env.env,
            root_pos_termination_dist=0.3,
            dm=dataclasses.replace(env.env.dm, motion_file="/somewhere/motions.yaml"),
        ),
    )
    found = differing_settings(changed, AgentConfig())
    assert found == {"env.root_pos_termination_dist": f"0.3 ({env.env.root_pos_termination_dist})"}


def test_paths_of_a_machine_are_cut_and_addresses_stay():
    assert without_places("model: /home/somebody/lab/run/model.pt") == "model: …/run/model.pt"
    assert without_places("file:///mnt/x/y/z.yaml, s3://bucket/a/b/c") == "…/y/z.yaml, s3://bucket/a/b/c"
    assert without_places("data/assets/humanoid.xml and 1/2/3") == "data/assets/humanoid.xml and 1/2/3"
