"""A training of two torchrun agents, each with an address of its own on loopback: what two machines do."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.processes import free_port
from tests.test_train_processes import NEVER, configs, gone, ranks, start, until
from tests.training.test_trainer import events

__all__ = ["configs"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def static(number: int, port: int) -> list[str]:
    """As the docs have it: the machine with --node-rank 0 writes."""
    return ["--node-rank", str(number), "--master-addr", "127.0.0.2", "--master-port", str(port)]


def meeting(number: int, port: int) -> list[str]:
    """torchrun's rendezvous: whoever comes."""
    where = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.2:{port}", "--rdzv-id", "a training"]
    return [*where, "--local-addr", f"127.0.0.{2 + number}"]


def start_both(how, configs, out, samples):
    port = free_port()
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    return [
        start(configs, out, samples, launcher=(*launcher, *how(number, port), "-m", "parc_core.train"))
        for number in (0, 1)
    ]


def ended(nodes, timeout=60.0):
    """Exit codes of both; what is left is killed."""
    try:
        said = [node.communicate(timeout=timeout) for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    return [node.returncode for node in nodes], said


@pytest.mark.parametrize("how", [static, meeting])
def test_two_nodes_train_stop_and_go_on(how, configs, tmp_path):
    out = tmp_path / "shared"
    nodes = start_both(how, configs, out, NEVER)
    until(out, "checkpoint", nodes[0])
    children = [pid for node in nodes for pid in ranks(node).values()]
    assert len(children) == 2
    nodes[1].send_signal(signal.SIGTERM)  # one machine is told to stop: both do
    codes, said = ended(nodes)
    assert 0 not in codes, said  # torchrun's own codes say no more than that
    assert gone(children, 1.0)
    (stop,) = events(out, "interrupted")
    assert events(out, "checkpoint")[-1]["samples"] == stop["samples"] > 0

    codes, said = ended(start_both(how, configs, out, stop["samples"] + 256), timeout=120)
    assert codes == [0, 0], said
    first, second = events(out, "start")
    assert (first["processes"], second["processes"], second["samples"]) == (2, 2, stop["samples"])
    assert events(out, "done")[-1]["samples"] == stop["samples"] + 256


def test_when_one_node_is_lost_the_other_ends_and_both_go_on(configs, tmp_path):
    out = tmp_path / "shared"
    nodes = start_both(static, configs, out, NEVER)
    until(out, "checkpoint", nodes[0])
    children = {number: next(iter(ranks(node).values())) for number, node in enumerate(nodes)}
    began = time.monotonic()
    nodes[1].kill()
    os.kill(children[1], signal.SIGKILL)
    codes, said = ended(nodes)
    assert time.monotonic() - began < 30.0
    assert codes[0] != 0, said
    assert gone(children.values(), 1.0)
    samples = events(out, "output")[-1]["samples"] + 256
    codes, said = ended(start_both(static, configs, out, samples), timeout=120)
    assert codes == [0, 0], said
    assert events(out, "start")[-1]["resumed_from"] is not None
