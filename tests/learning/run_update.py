"""One process's part of an update on a rollout that is given: `python -m tests.learning.run_update OUT [OPTIMIZER]`."""

from __future__ import annotations

import sys

import torch

from parc_core.config.agent_config import AgentConfig, ModelConfig, OptimizerConfig
from parc_core.envs.sampling import MotionSampler
from parc_core.learning.plain_values import with_marked_floats
from parc_core.learning.ppo import PPO
from parc_core.system.world import World, end_process
from tests.learning.fake_env import FakeEnv

STEPS, ENVS, MOTIONS = 8, 12, 5


class Library:
    def __init__(self):
        self.weights = torch.ones(MOTIONS)


def main(out, kind="SGD"):
    torch.manual_seed(0)
    world = World.join(torch.device("cpu"))
    share = ENVS // world.size
    mine = slice(world.rank * share, (world.rank + 1) * share)
    config = AgentConfig(
        model=ModelConfig(actor_net="fc_2layers_32units", critic_net="fc_2layers_32units", action_std=0.2),
        optimizer=OptimizerConfig(
            type=kind, learning_rate=1e-2 if kind == "SGD" else 1e-3, schedule="adaptive"
        ),
        steps_per_iter=STEPS,
        batch_size=STEPS / 2,
        update_epochs=3,
        policy_average_samples=200,
    )
    ppo = PPO(FakeEnv(num_envs=share), config, seed=world.rank, max_samples=10_000, world=world)
    # A minibatch is half of the steps of all environments, whoever has them.
    ppo._shuffled = lambda: torch.arange(STEPS * share).split(STEPS * share // 2)

    given = torch.Generator().manual_seed(1)
    rollout = ppo.rollout

    def part(*shape):
        return torch.randn(STEPS, ENVS, *shape, generator=given)[:, mine]

    for name in ("norm_obs", "norm_actions", "norm_means", "log_probs", "rewards", "end_values"):
        tensor = getattr(rollout, name)
        tensor.copy_(part(*tensor.shape[2:]))
    rollout.log_probs.sub_(8.0)
    rollout.explored.copy_(part() > -0.5)  # not as many in every process
    rollout.dones.copy_((part() > 1.0).long())
    observations, episodes = part(8) * 3 + 5, torch.randint(MOTIONS, (ENVS,), generator=given)[mine]
    failed, finished = (part()[0] > 0.0), (part()[0] > -1.0)

    ppo.agent.obs_norm.record(observations)
    ppo.agent.obs_norm.update(world)
    sampler = MotionSampler(Library(), 0.01, torch.Generator(), adaptive=True)
    sampler.record(episodes, failed, finished)
    sampler.apply(world)
    ppo._timer.start()
    ppo._timer.lap()
    ppo.update()
    ppo._timer.start()
    ppo._timer.lap()
    info = ppo.update()  # a second one: the average is not the weights
    info = {name: value for name, value in info.items() if not name.endswith("seconds")}
    content = with_marked_floats(
        {
            "weights": dict(ppo.agent.state_dict()),
            "average": dict(ppo.policy.state_dict()),
            "gradients": [p.grad.clone() for p in ppo.agent.model.parameters() if p.grad is not None],
            "moments": ppo.agent.obs_norm.moments(),
            "rates": sampler.fail_rates,
            "rate": float(ppo.rate.now),
            "info": info,
        }
    )
    torch.save(content, f"{out}/{world.size}_{world.rank}.pt")
    world.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
    end_process(0)
