"""Bounds by counting: floating point operations and bytes that one sample of training needs."""

from __future__ import annotations

from typing import Dict, List, Sequence


def layer_sizes(in_dim: int, hidden: Sequence[int], out_dim: int) -> List[int]:
    """Multiply-adds of each layer of a network for one sample (biases and activations left out)."""
    widths = [in_dim, *hidden, out_dim]
    return [a * b for a, b in zip(widths, widths[1:])]


def training_flops(
    obs_dim: int, action_dim: int, actor: Sequence[int], critic: Sequence[int], epochs: int
) -> Dict[str, float]:
    """Floating point operations per sample; a multiply-add counts as two.

    A pass of the update is forward (1), gradients of the weights (1) and of the layers' inputs (1, but none
    for the first layer). Beside its `epochs` passes each sample needs the actor once in the rollout and the
    critic once for the training targets. What the critic sees beside the observation, and the optimizer's own
    products (Muon's), are left out.

    Args:
        obs_dim, action_dim: O, D.
        actor, critic: hidden widths of the two networks.
        epochs: passes over the samples.

    Returns:
        `rollout`, `targets`, `pass` (one pass of the update), `update` (all passes and the targets), `total`.
    """
    actor_sizes = layer_sizes(obs_dim, actor, action_dim)
    critic_sizes = layer_sizes(obs_dim, critic, 1)
    forward = sum(actor_sizes) + sum(critic_sizes)
    one_pass = 2.0 * (3 * forward - actor_sizes[0] - critic_sizes[0])
    rollout, targets = 2.0 * sum(actor_sizes), 2.0 * sum(critic_sizes)
    update = epochs * one_pass + targets
    return {
        "rollout": rollout,
        "targets": targets,
        "pass": one_pass,
        "update": update,
        "total": rollout + update,
    }


def observation_bytes(obs_dim: int, stored_bytes: int, epochs: int) -> Dict[str, float]:
    """Bytes that an observation moves through the device's memory, per sample.

    Args:
        obs_dim: O.
        stored_bytes: of one stored number of the rollout: 4 (float32) or 2 (bf16).
        epochs: passes over the samples.

    Returns:
        `rollout`: written by the environment (float32), read by the running moments, read to be normalized,
        written into the rollout and read by the policy. `update`: read for the targets, and per pass gathered
        (read and written), read by two networks forward and by two backward. `total`.
    """
    raw, stored = 4.0 * obs_dim, float(stored_bytes * obs_dim)
    rollout = 3 * raw + 2 * stored
    update = stored + epochs * 6 * stored
    return {"rollout": rollout, "update": update, "total": rollout + update}
