"""PARC's config files, written out from the format's description: keys, values and their order."""

ENV_YAML = """
env_name: "ig_parkour"
env:
  char_file: "data/assets/humanoid.xml"
  contact_bodies: []
  contact_detection_eps: 1e-5
  contact_weights: [5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0]
  control_freq: 30
  control_mode: "pd"
  dm:
    fail_rate_quantiles: [.25, .5, .75, .9, .95, .99]
    heightmap:
      horizontal_scale: 0.4
      padding: 0.4
    min_motion_weight: 0.01
    has_motion_classes: false
    motion_classes: []
    terrain_build_mode: square
    terrains_per_motion: 1
  enable_early_termination: true
  env_spacing: 2.0
  env_style: square
  episode_length: 10.0
  fraction_dm_envs: 1.0
  global_obs: false
  global_root_height_obs: false
  init_pose: [0, 0, 0.882416, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
              0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
  joint_err_w:
    - 1.0 # torso
    - 0.6 # head
    - 0.6 # right upper arm
    - 0.4 # right lower arm
    - 0.0 # right hand
    - 0.6 # left upper arm
    - 0.4 # left lower arm
    - 0.0 # left hand
    - 1.0 # right thigh
    - 0.6 # right shin
    - 0.4 # right foot
    - 1.0 # left thigh
    - 0.6 # left shin
    - 0.4 # left foot
  key_bodies: ["right_hand", "left_hand", "right_foot", "left_foot"]
  max_obs_h: 3.0
  min_obs_h: -3.0
  plane: {dynamic_friction: 1.0, static_friction: 1.0, restitution: 0.0}
  pose_termination: true
  pose_termination_dist: [0.7, 1.0, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 1.0, 1.2, 10.0, 1.0, 1.2, 10.0]
  rand_reset: true
  rand_root_pos_offset_scale: 0.075
  ray_angle: 0.26179938779
  ray_dx: 0.05
  ray_num_left: 3
  ray_num_right: 3
  ray_points_ahead: 60
  ray_points_behind: 2
  ref_char_offset: [0.0, 0.0, 0.0]
  root_height_obs: false
  root_pos_termination_dist: 0.6
  root_rot_termination_angle: 1.309
  pose_w: 0.5
  vel_w: 0.1
  root_pos_w: 0.15
  root_vel_w: 0.1
  key_pos_w: 0.15
  sim_freq: 60
  tar_obs_steps: [1, 2, 3, 10, 20, 30]
  termination_height: 0.15
  track_root: true
  track_root_h: true
  use_contact_info: true
sim:
  physx:
    bounce_threshold_velocity: 0.2
    contact_offset: 0.02
    default_buffer_size_multiplier: 10.0
    max_depenetration_velocity: 10.0
    num_position_iterations: 4
    num_threads: 4
    num_velocity_iterations: 0
    rest_offset: 0.0
    solver_type: 1
  substeps: 2
"""

AGENT_YAML = """
agent_name: "DM_PPO"
model:
  actor_net: "fc_3layers_2048units"
  critic_net: "fc_3layers_2048units"
  actor_init_output_scale: 0.01
  actor_std_type: "FIXED"
  action_std: 0.05
discount: 0.99
td_lambda: 0.95
steps_per_iter: 32
batch_size: 4
update_epochs: 5
ppo_clip_ratio: 0.2
norm_adv_clip: 4.0
norm_obs_clip: 10.0
action_bound_weight: 10.0
action_entropy_weight: 0.0
action_reg_weight: 0.0
critic_loss_weight: 10.0
critic_loss_type: "L2"
clip_grad_norm: true
max_grad_norm: 1000.0
optimizer:
  type: "SGD"
  learning_rate: 5e-5
  momentum: 0.9
  weight_decay: 0.0
normalizer_samples: 3e8
iters_per_output: 100
iters_per_checkpoint: 200
test_episodes: 16
"""
