"""PPO: networks, normalizer, rollout, update, checkpoints and the training loop."""
