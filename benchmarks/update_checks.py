"""Whether the update on a GPU is the plain one: graph against step by step, towers against float64, waits."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from benchmarks.synthetic_rollout import IdleEnv, make_case
from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.learning.optimizers import trainable
from parc_core.learning.precision import matmul_precision
from parc_core.learning.towers import PARCS_LAYERS, LayerKind, make_tower, tower_forward

LARGEST_DIFFERENCE = (
    0.02  # of the step, between the two ways of making it; a product may be summed in another order
)


def small_config(
    precision: str, layers: LayerKind, kind: str, schedule: str = "constant", std: str = "FIXED"
) -> AgentConfig:
    """For checks: a minibatch that does not divide the samples, so that the last one is smaller."""
    net = "fc_2layers_256units"
    return AgentConfig(
        model=ModelConfig(net, net, actor_std_type=std, **layers._asdict()),
        optimizer=OptimizerConfig(type=kind, learning_rate=1e-3, schedule=schedule),
        batch_size=3,
        steps_per_iter=8,
        exp_prob_beg=0.9,
        update_epochs=2,
        matmul_precision=precision,
    )


def check_graph(config: AgentConfig, device: torch.device, num_envs: int = 128) -> Dict[str, Any]:
    """Two updates by graph and step by step, with the optimizer's state saved and loaded in between.

    Returns:
        difference: ‖graph − step by step‖ / ‖step‖ of all parameters; used: whether there was a graph at all; info: the
        largest relative difference of the log entries.
    """
    ends, infos, starts, used = [], [], [], False
    for use_graph in (True, False):
        env = IdleEnv(num_envs, 64, 8, device)
        ppo = make_case(config, env, use_graph)
        starts.append(flat_weights(ppo.agent))
        ppo.update()
        ppo.load_state(ppo.state(), "its own")
        info = ppo.update()
        used = used or ppo.uses_graph
        ends.append(flat_weights(ppo.agent))
        infos.append({name: value for name, value in info.items() if not name.endswith("_seconds")})
    step = float((ends[1] - starts[1]).norm())
    return {
        "optimizer": config.optimizer.type,
        "schedule": config.optimizer.schedule,
        "std": config.model.actor_std_type,
        "used": used,
        "difference": float((ends[0] - ends[1]).norm()) / step,
        "info": max(abs(infos[0][k] - infos[1][k]) / (abs(infos[1][k]) + 1e-6) for k in infos[1]),
    }


def check_graphs(precision: str, layers: LayerKind, device: torch.device) -> List[Dict[str, Any]]:
    """`check_graph` for all optimizers, the adaptive rate and a learned standard deviation."""
    cases = [("SGD", "constant", "FIXED"), ("Adam", "constant", "FIXED"), ("AdamW", "constant", "FIXED")]
    cases += [("Muon", "adaptive", "FIXED")]
    cases += [("SGD", "adaptive", "FIXED"), ("Adam", "adaptive", "VARIABLE")]
    return [check_graph(small_config(precision, layers, *case), device) for case in cases]


def check_tower(layers: LayerKind, dtype: torch.dtype, device: torch.device, seed: int = 0) -> float:
    """Largest relative error of a tower's output and gradients against float64, in the norm of each tensor."""
    torch.manual_seed(seed)
    sizes, rows = (1312, 512, 256), 4096
    tower = make_tower(sizes[0], sizes[1:], layers)
    with torch.no_grad():
        for vector in (p for p in tower.parameters() if p.ndim == 1):
            vector.add_(0.1 * torch.randn(vector.shape))
    tower.to(device)
    x, upstream = torch.randn(rows, sizes[0]).to(device), 1.0 + torch.randn(rows, sizes[-1]).to(device)
    exact = copy.deepcopy(tower).double()
    got, want = tower_forward(tower, x, dtype), exact(x.double())
    pairs = [(got.detach(), want.detach())]
    pairs += zip(
        torch.autograd.grad(got, list(tower.parameters()), upstream),
        torch.autograd.grad(want, list(exact.parameters()), upstream.double()),
    )
    return max(float((a.double() - b).norm() / b.norm()) for a, b in pairs)


def count_waits(config: AgentConfig, device: torch.device, num_envs: int = 128) -> Optional[Dict[str, int]]:
    """How often the host waits for the GPU in one rollout and in one update (which needs once); None on the CPU."""
    if device.type != "cuda":
        return None
    env = IdleEnv(num_envs, 64, 8, device)
    ppo = make_case(config, env)
    ppo.update()  # records the graph
    stages = {"collect": lambda: ppo.collect(env.reset(), 0, record_obs=True), "update": ppo.update}
    return {name: waits_of(stage) for name, stage in stages.items()}


def passed(checks: Dict[str, Any]) -> bool:
    """Whether the results of all checks are as they have to be; see update_step.py for their names."""
    waits = checks["waits"]
    on_gpu = waits is not None
    graphs = all(
        row["difference"] < LARGEST_DIFFERENCE and row["info"] < 0.01 and row["used"] == on_gpu
        for row in checks["graphs"]
    )
    towers = checks["tower_float32"] < 1e-5 and checks["tower_bf16"] < 0.1
    return graphs and towers and (not on_gpu or (waits["collect"] == 0 and waits["update"] <= 1))


def run_checks(precision: str, device: torch.device, layers: LayerKind = PARCS_LAYERS) -> Dict[str, Any]:
    """All of them, of networks with such layers."""
    with matmul_precision("float32"):
        towers = [check_tower(layers, dtype, device) for dtype in (torch.float32, torch.bfloat16)]
    config = dataclasses.replace(small_config(precision, layers, "SGD"), batch_size=4)
    return {
        "graphs": check_graphs(precision, layers, device),
        "tower_float32": towers[0],
        "tower_bf16": towers[1],
        "waits": count_waits(config, device),
    }


def waits_of(stage: Any) -> int:
    """How often the host waits for the GPU in a call."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            stage()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in caught)


def flat_weights(agent: Any) -> Tensor:
    """(P,) float64: all that is learned."""
    return torch.cat([p.detach().double().flatten() for p in trainable(agent.model)])
