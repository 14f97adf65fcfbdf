"""PARC's own files are read with PARC's values; the defaults and the shipped configs are those values."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from parc_core.config.agent_config import AgentConfig, load_agent_config
from parc_core.config.dataset_config import DatasetConfig, load_dataset_config
from parc_core.config.env_config import EnvFileConfig, load_env_config
from parc_core.config.schema import from_mapping, no_effect_warnings, to_mapping
from parc_core.config.tracker_config import load_tracker_config
from parc_core.errors import ConfigError
from parc_core.training.checkpoint import check_fingerprint
from tests.config.parc_values import AGENT_YAML, ENV_YAML

PARC_ENV = yaml.safe_load(ENV_YAML)
PARC_AGENT = yaml.safe_load(AGENT_YAML)


def flat(cfg, prefix=""):
    """{dotted key: value} of a nested config or mapping."""
    data = to_mapping(cfg) if dataclasses.is_dataclass(cfg) else cfg
    result = {}
    for key, value in data.items():
        result.update(
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return result


def as_numbers(value):
    """PyYAML reads 5e-5 as a text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


@pytest.mark.parametrize(
    ("cls", "parc"), [(EnvFileConfig, PARC_ENV), (AgentConfig, PARC_AGENT)], ids=["env", "agent"]
)
def test_defaults_are_parcs_values(cls, parc):
    ours = flat(cls())
    for key, value in flat(parc).items():
        assert ours[key] == as_numbers(value), key
    assert from_mapping(cls, parc, "parc") == cls()


def test_shipped_defaults_are_parcs_values():
    assert load_env_config("data/configs/parc_3_tracker/dm_env_default.yaml") == EnvFileConfig()
    assert load_agent_config("data/configs/parc_3_tracker/agent_default.yaml") == AgentConfig()


def test_keys_that_parc_lacks_are_parcs_behaviour_by_default():
    env, agent = EnvFileConfig().env, AgentConfig()
    assert set(flat(EnvFileConfig())) - set(flat(PARC_ENV)) == {
        "env.action_mode", "env.residual_action_scale", "env.terrain_window_size", "env.solver_iterations",
        "env.all_touches", "env.max_contacts_per_env",
        "env.max_constraints_per_env", "env.demo_mode", "env.debug_visuals",
        "env.start_paused", "env.write_agent_states", "env.enable_replan_timer_obs", "env.dm.ignore_fail_rates",
        "env.pose_exponent", "env.vel_exponent", "env.root_pos_exponent", "env.root_vel_exponent",
        "env.dm.sampling_bin_seconds", "env.dm.sampling_uniform_share", "env.dm.hard_motion_boost",
        "env.termination_scale_start", "env.termination_scale_end", "env.critic_obs",
        "env.start_noise.root_rot", "env.start_noise.root_vel", "env.start_noise.root_ang_vel",
        "env.start_noise.dof_pos", "env.start_noise.dof_vel",
        "env.key_pos_exponent", "sim.physx.max_gpu_contact_pairs", "sim.physx.contact_collection",
        "sim.physx.drive_efforts",
        # PARC's program reads these where they are there; its default config lacks them.
        "env.camera_mode", "env.view_targets", "env.has_target_xy_obs", "env.enable_tar_obs", "env.never_done",
        "env.gravity_z", "env.dm.random_reset_pos", "env.dm.record_motion_frame_hist", "sim.physx.num_subscenes",
    }  # fmt: skip
    assert env.action_mode == "absolute"
    assert env.pose_exponent == env.vel_exponent == env.key_pos_exponent == 1.0
    assert env.root_pos_exponent == env.root_vel_exponent == 1.0
    assert agent.optimizer.schedule == "constant"
    assert (agent.exp_anneal_samples, agent.exp_prob_beg, agent.exp_prob_end) == (None, 1.0, 1.0)


def test_physics_runs_at_120_hz():
    assert EnvFileConfig().physics_steps_per_control_step == 4


def test_a_users_old_env_file_with_every_optional_key():
    old = yaml.safe_load(ENV_YAML)
    old["env"].update(
        demo_mode=True, debug_visuals=True, start_paused=False, camera_mode="still", write_agent_states=False,
        enable_replan_timer_obs=False, report_tracking_error=True, mgdm={"mdm_path": "x", "nested": [1]},
    )  # fmt: skip
    old["env"]["dm"].update(
        motion_file="m.yaml", terrain_save_path="t.pkl", fail_rates_path="f.pt", ignore_fail_rates=True,
        has_motion_classes=True, motion_classes=["run", "climb"],
    )  # fmt: skip
    old["env"]["plane"]["restitution"] = 0.5
    old["sim"]["physx"]["num_threads"] = 8
    cfg = from_mapping(EnvFileConfig, old, "old.yaml")
    assert cfg.env.dm.motion_file == "m.yaml"
    assert cfg.env.report_tracking_error is True
    said = [line.split("'")[1] for line in no_effect_warnings(cfg)]
    assert said == [
        "env.dm.has_motion_classes", "env.dm.motion_classes", "env.plane.restitution",
        "env.report_tracking_error", "env.demo_mode", "env.debug_visuals",
        "env.camera_mode", "env.mgdm", "sim.physx.num_threads",
    ]  # fmt: skip


def test_a_users_old_agent_file_with_every_optional_key():
    old = {
        **PARC_AGENT, "use_wandb": True, "project_name": "parc", "exp_name": "iter_1", "debug_log": True,
        "exp_anneal_samples": "1e7", "exp_prob_beg": 1.0, "exp_prob_end": 0.5,
    }  # fmt: skip
    cfg = from_mapping(AgentConfig, old, "old.yaml")
    assert cfg.exp_anneal_samples == 1e7
    said = [line.split("'")[1] for line in no_effect_warnings(cfg)]
    assert said == ["debug_log"]
    assert (cfg.use_wandb, cfg.project_name, cfg.exp_name) == (True, "parc", "iter_1")


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"control_freq": 50}, "'env.control_freq' (50 Hz) must divide the physics rate"),
        ({"action_mode": "relative"}, "'env.action_mode' must be one of absolute, residual"),
        ({"control_mode": "torque"}, "'env.control_mode' must be one of pd"),
        ({"dm": {"terrain_build_mode": "round"}}, "must be one of square, wide, file"),
        ({"dm": {"heightmap": {"horizontal_scale": 0}}}, "must be greater than 0"),
        ({"episode_length": -1}, "must be greater than 0"),
        ({"min_obs_h": 4}, "must be above 'env.min_obs_h' (4)"),
        ({"critic_obs": ["forces", "forces"]}, "'env.critic_obs' names something twice"),
        ({"tar_obs_steps": []}, "'env.tar_obs_steps' is empty"),
        ({"ref_char_offset": [1, 2]}, "must be 3 numbers"),
        (dict.fromkeys(["pose_w", "vel_w", "root_pos_w", "root_vel_w", "key_pos_w"], 0), "are all 0"),
        (
            {
                **dict.fromkeys(["pose_w", "vel_w", "root_pos_w", "root_vel_w", "key_pos_w"], 0),
                "rel_task_w": 1.0,
            },
            "key_pos_w' are all 0",  # the weights of PARC's other parts make up no reward
        ),
        ({"joint_error_w": []}, "the nearest known key is 'joint_err_w'"),
    ],
)
def test_impossible_environments(env, words):
    with pytest.raises(ConfigError) as caught:
        from_mapping(EnvFileConfig, {"env": env}, "env.yaml")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ({"discount": 1.0}, "'discount' is 1, but must be less than 1"),
        ({"optimizer": {"type": "LBFGS"}}, "must be one of SGD, Adam, AdamW, Muon"),
        ({"learning_rate": 1e-4}, "unknown key 'learning_rate'"),
        ({"model": {"action_std": 0}}, "'model.action_std' is 0"),
        ({"batch_size": 0.5}, "'batch_size' must be a whole number"),
    ],
)
def test_impossible_agents(agent, words):
    with pytest.raises(ConfigError) as caught:
        from_mapping(AgentConfig, agent, "agent.yaml")
    assert words in str(caught.value)


def test_per_body_settings_by_name():
    cfg = from_mapping(EnvFileConfig, {"env": {"joint_err_w": {"torso": 1, "head": "0.5"}}}, "env.yaml")
    assert cfg.env.joint_err_w == {"torso": 1.0, "head": 0.5}


def test_a_parc_dataset_file(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", "/data")
    (tmp_path / "d.yaml").write_text(
        "folder_paths: [$DATA_DIR/a, $DATA_DIR/b]\nsave_path: out.yaml\nchar_filepath: data/assets/humanoid.xml\n"
        "compute_preprocessing_data: false\noverride_old_hf_mask_inds: false\ncut_some_classes_in_half: true\n"
        "motion_classes_to_cut_in_half: [running]\nmax_terrain_dim_x: 64\nmax_terrain_dim_y: 45\nmin_num_frames: 15\n"
    )
    cfg = load_dataset_config(tmp_path / "d.yaml")
    assert cfg.folder_paths == ["/data/a", "/data/b"]
    assert (cfg.max_terrain_dim_x, cfg.max_terrain_dim_y, cfg.min_num_frames) == (64, 45, 15)
    with pytest.raises(ConfigError, match="'folder_paths' is empty"):
        from_mapping(DatasetConfig, {"folder_paths": []}, "d.yaml")


@pytest.mark.parametrize("text", ["null", '"None"', "none", '""', "None"])
def test_no_model_in_parcs_spellings(tmp_path, text):
    (tmp_path / "t.yaml").write_text(f"dataset_file: a.yaml\nin_model_file: {text}\n")
    assert load_tracker_config(tmp_path / "t.yaml").in_model_file is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("num_envs: 4\n", "neither 'dataset_file' nor 'create_dataset_config' is set"),
        ("dataset_file: none\n", "neither 'dataset_file' nor 'create_dataset_config' is set"),
        ("dataset_file: a\ndevice: gpu\n", "'device' is 'gpu', but must be cpu, cuda or cuda:<number>"),
        ("dataset_file: a\ndevice: 'cuda:'\n", "'device' is 'cuda:'"),
        (
            "dataset_file: a\nnum_envs: 10\ngpus: 4\n",
            "'num_envs' is 10, which 'gpus' (4) does not divide; it counts the environments of all GPUs: set it "
            "to 8 or 12",
        ),
        ("dataset_file: a\nnum_envs: 3\ngpus: 4\n", "set it to 4"),
        ("dataset_file: a\ngpus: 0\n", "'gpus' is 0"),
        ("dataset_file: a\ngpus: [0, 1]\n", "'gpus' must be a whole number"),
        ("dataset_file: a\nmodel_name: a/b\n", "'model_name' is 'a/b'"),
        ("dataset_file: a\nnum_env: 3\n", "the nearest known key is 'num_envs'"),
    ],
)
def test_impossible_trackers(tmp_path, text, words):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_tracker_config(tmp_path / "t.yaml")
    assert words in str(caught.value)
    assert "t.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_rewards_exponents_are_read_under_their_earlier_names():
    """Of configs that trainings wrote before; what is written has the new names."""
    old = {f"{term}_strictness": 2.0 for term in ("pose", "vel", "root_pos", "root_vel", "key_pos")}
    cfg = from_mapping(EnvFileConfig, {"env": old}, "dm_env.yaml")
    assert cfg.env.pose_exponent == cfg.env.vel_exponent == cfg.env.root_pos_exponent == 2.0
    assert cfg.env.root_vel_exponent == cfg.env.key_pos_exponent == 2.0
    written = to_mapping(cfg)["env"]
    assert written["pose_exponent"] == 2.0 and not set(old) & set(written)


READ_BY_PARC = {
    "env": "output_motion_dir never_done enable_tar_obs gravity_z rel_deepmimic_w rel_task_w task1_w task2_w "
    "target_radius target_motion_height_buffer has_target_xy_obs view_targets camera_mode",
    "dm": "random_reset_pos record_motion_frame_hist mdm_model",
}
"""Keys of PARC's program that its default config does not have."""


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        ("env", "gravity_z", -9.81),
        ("env", "never_done", False),
        ("env", "enable_tar_obs", True),
        ("env", "has_target_xy_obs", False),
        ("dm", "random_reset_pos", False),
    ],
)
def test_another_value_that_would_change_the_result_is_refused(place, key, value):
    def with_value(new):
        data = yaml.safe_load(ENV_YAML)
        (data["env"] if place == "env" else data["env"]["dm"])[key] = new
        return from_mapping(EnvFileConfig, data, "old.yaml")

    assert no_effect_warnings(with_value(value)) == []
    with pytest.raises(ConfigError, match=rf"old.yaml: 'env\..*{key}' is .*, but must be {value}"):
        with_value(-1.62 if key == "gravity_z" else not value)


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [
        *(
            ("env", key, 0.5)
            for key in ("rel_deepmimic_w", "rel_task_w", "task1_w", "task2_w", "target_radius")
        ),
        ("env", "target_motion_height_buffer", 0.1),
        ("env", "output_motion_dir", "output/_motions/recorded_motions/"),
        ("env", "view_targets", True),
        ("env", "camera_mode", "still"),
        ("dm", "record_motion_frame_hist", True),
        ("dm", "mdm_model", "data/models/mdm.pkl"),
    ],
)
def test_settings_of_parcs_other_parts_are_said_once_to_have_no_effect(place, key, value):
    data = yaml.safe_load(ENV_YAML)
    (data["env"] if place == "env" else data["env"]["dm"])[key] = value
    (line,) = no_effect_warnings(from_mapping(EnvFileConfig, data, "old.yaml"))
    assert f"{key}' has no effect here" in line


def test_what_is_written_has_what_parcs_program_reads_without_a_default():
    """`env_config["camera_mode"]`, `config["project_name"]`, `config["exp_name"]`; and none that are null."""
    env = to_mapping(EnvFileConfig())["env"]
    assert env["camera_mode"] == "track"
    assert {"debug_visuals", "demo_mode", "fraction_dm_envs", "ref_char_offset"} <= set(env)
    agent = to_mapping(AgentConfig())
    assert agent["project_name"] and agent["exp_name"]
    assert None not in [*env.values(), *env["dm"].values(), *agent.values()]


def test_a_training_of_before_resumes_whatever_has_no_effect(tmp_path):
    """PARC's own config has a camera; earlier versions took it for a setting that shapes the training."""
    now = {"env.env.pose_w": "0.5"}
    check_fingerprint(tmp_path, {**now, "env.env.camera_mode": "'still'"}, now)
    with pytest.raises(ConfigError, match=r"pose_w was 0\.4, now 0\.5"):
        check_fingerprint(tmp_path, {**now, "env.env.pose_w": "0.4"}, now)


def test_an_environment_file_with_a_name_that_no_file_can_have(tmp_path):
    (tmp_path / "env.yaml").write_text(yaml.safe_dump({"env": {"char_file": "9" * 4000}}))
    assert (
        load_env_config(tmp_path / "env.yaml").env.char_file == "9" * 4000
    )  # refused where it is looked for
