"""Whether collection and update do beside each other what they do alone, for `benchmarks.overlap`."""

from __future__ import annotations

import copy
from typing import Any, Dict

import torch

from benchmarks.training_scene import Training
from benchmarks.update_checks import LARGEST_DIFFERENCE, flat_weights, waits_of
from parc_core.learning.cuda_graph import Snapshot
from parc_core.learning.pipeline import PipelinedPPO
from parc_core.learning.precision import matmul_precision
from parc_core.learning.streams import TwoStreams


def run_checks(on: Training, streams: TwoStreams) -> Dict[str, Any]:
    """See `passed`; `waits` (of the host, in an iteration) is None on a CPU."""
    switch(on, streams)
    device = on.env.device
    waits = waits_of(on.iterate) if device.type == "cuda" else None
    return {"update": same_update(on, device), "collection": same_collection(on, device), "waits": waits}


def passed(checks: Dict[str, Any]) -> bool:
    """Whether the stages do beside each other what they do alone, and the host waits once an iteration."""
    same = all(checks["update"][name] < LARGEST_DIFFERENCE for name in ("alone", "beside"))
    collection = checks["collection"]
    undisturbed = collection["means"] < LARGEST_DIFFERENCE and collection["handed_over"]
    return bool(same and undisturbed and (checks["waits"] is None or checks["waits"] <= 1))


def same_update(on: Training, device: torch.device) -> Dict[str, float]:
    """The same pending update made three times: alone, alone again, and beside a collection.

    Returns:
        alone, beside: ‖weights − weights of the first time‖ / ‖its step‖ of the second and of the third; the second is
        what the order of sums on a GPU alone does.
    """
    learner = learner_of(on)
    on.iterate()
    wait_for(device)
    start, undo = flat_weights(learner.agent), Snapshot(learner._optimizer, learner._sums)
    random_numbers, saved, ends = learner._generator.get_state(), copy.deepcopy(learner._training_rollout), []
    for make in (learner.catch_up, learner.catch_up, on.iterate):
        undo.restore()
        learner._training_rollout.copy_(saved)
        learner._generator.set_state(random_numbers)
        learner._behind = True
        make()
        wait_for(device)
        ends.append(flat_weights(learner.agent))
    step = float((ends[0] - start).norm())
    return {name: float((end - ends[0]).norm()) / step for name, end in zip(("alone", "beside"), ends[1:])}


def same_collection(on: Training, device: torch.device) -> Dict[str, Any]:
    """A rollout that was collected beside an update.

    Returns:
        means: largest difference of a step's action means from what the policy that acted makes of its observations,
        relative to their norm; handed_over: whether rollout and weights arrived at the other side, to the last bit.
    """
    learner = learner_of(on)
    on.iterate()
    wait_for(device)
    acted = copy.deepcopy(learner._acting.model)
    on.iterate()
    wait_for(device)
    rollout, differences = learner.rollout, []
    with torch.no_grad(), matmul_precision(learner._precision):
        for t in range(rollout.steps):
            means = acted.actor(rollout.norm_obs[t, :, : on.env.obs_dim]).mean
            differences.append(float((means - rollout.norm_means[t]).norm() / means.norm()))
    weights = zip(learner._acting.model.parameters(), learner.agent.model.parameters())
    arrived = all(torch.equal(a, b) for a, b in weights)
    parts = (
        torch.equal(a, b) for a, b in zip(rollout.all_samples(), learner._training_rollout.all_samples())
    )
    return {"means": max(differences), "handed_over": arrived and all(list(parts)[:5])}


def switch(on: Training, streams: TwoStreams) -> None:
    """Nothing is pending, and the update is recorded anew in its own stream."""
    learner = learner_of(on)
    learner.catch_up()
    learner.streams = streams
    learner._step.invalidate()
    for _ in range(2):
        on.iterate()


def wait_for(device: torch.device) -> None:
    """Until a GPU has done all that was ordered."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def learner_of(training: Training) -> PipelinedPPO:
    """That of a pipelined training."""
    assert isinstance(training.learner, PipelinedPPO)
    return training.learner
