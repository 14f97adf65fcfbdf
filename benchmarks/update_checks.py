"""Whether the update on a GPU is the plain one: graph against step by step, towers against float64, waits."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor

from benchmarks.synthetic_rollout import IdleEnv, make_case
from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.learning.mlp_bf16 import mlp_forward_bf16
from parc_core.learning.optimizers import trainable
from parc_core.learning.precision import matmul_precision

LARGEST_DIFFERENCE = (
    0.02  # of the step, between the two ways of making it; a product may be summed in another order
)


def small_config(precision: str, kind: str, schedule: str = "constant", std: str = "FIXED") -> AgentConfig:
    """For checks: a minibatch that does not divide the samples, so that the last one is smaller."""
    net = "fc_2layers_256units"
    return AgentConfig(
        model=ModelConfig(actor_net=net, critic_net=net, actor_std_type=std),
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


def check_graphs(precision: str, device: torch.device) -> List[Dict[str, Any]]:
    """`check_graph` for all optimizers, the adaptive rate and a learned standard deviation."""
    cases = [("SGD", "constant", "FIXED"), ("Adam", "constant", "FIXED"), ("AdamW", "constant", "FIXED")]
    cases += [("Muon", "adaptive", "FIXED")]
    cases += [("SGD", "adaptive", "FIXED"), ("Adam", "adaptive", "VARIABLE")]
    return [check_graph(small_config(precision, *case), device) for case in cases]


def check_tower(dtype: torch.dtype, device: torch.device, seed: int = 0) -> float:
    """Largest relative error of a tower's output and gradients against float64, in the norm of each tensor."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (1312, 512, 256)
    x = torch.randn(1024, sizes[0], generator=generator).to(device)
    params: List[Tensor] = []
    for inputs, outputs in zip(sizes, sizes[1:]):
        weight = torch.randn(outputs, inputs, generator=generator) * (2.0 / inputs) ** 0.5
        params += [weight.to(device), torch.randn(outputs, generator=generator).to(device) * 0.1]
    upstream = torch.randn(1024, sizes[-1], generator=generator).to(device)
    got = _with_gradients(lambda ps: mlp_forward_bf16(x, ps, dtype), params, upstream.to(dtype))
    exact = [p.double() for p in params]
    want = _with_gradients(lambda ps: _plain_tower(x.double(), ps), exact, upstream.double())
    return max(float((a.double() - b).norm() / b.norm()) for a, b in zip(got, want))


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


def run_checks(precision: str, device: torch.device) -> Dict[str, Any]:
    """All of them."""
    with matmul_precision("float32"):
        towers = [check_tower(dtype, device) for dtype in (torch.float32, torch.bfloat16)]
    config = dataclasses.replace(small_config(precision, "SGD"), batch_size=4)
    return {
        "graphs": check_graphs(precision, device),
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


def _plain_tower(x: Tensor, params: List[Tensor]) -> Tensor:
    for weight, bias in zip(params[0::2], params[1::2]):
        x = torch.relu(torch.nn.functional.linear(x, weight, bias))
    return x


def _with_gradients(tower: Any, params: List[Tensor], upstream: Tensor) -> List[Tensor]:
    params = [p.clone().requires_grad_() for p in params]
    out = tower(params)
    return [out.detach(), *torch.autograd.grad(out, params, upstream)]
