"""One process does nothing; several really talk to each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError
from parc_core.system.world import ONE_PROCESS, World
from tests import processes

MEMBER = """
import sys
import torch
from parc_core.system.world import World, end_process

world = World.join(torch.device("cpu"))
r, n = world.rank, world.size
counts = torch.tensor([[1, r], [0, 10 * r]], dtype=torch.int32)
out = world.sum_(counts)
assert out is counts
totals = world.sum_(torch.tensor([0.5 + r], dtype=torch.float64))
mean = world.mean_(torch.tensor([1.0 + r, -2.0 * r]))
kept = world.broadcast_(torch.tensor([7.0 + r]))
flags = [world.any(False), world.any(r == n - 1), world.any(True)]
highest = world.highest(3 - r)
same = [world.agrees(torch.ones(3)), world.agrees(torch.tensor([1.0, 1.0 + 1e-12 * r], dtype=torch.float64))]
told = world.gather(b"x" * 1000 * r + b"end")
given = world.scatter([b"for %d" % other * (other + 1) for other in range(n)] if r == 0 else [])
empty = [world.gather(b""), world.scatter([b""] * n if r == 0 else [])]
lengths, ends = [len(each) for each in told], [each[-3:].decode() for each in told]
talk = [highest, same, lengths, ends, given.decode(), len(empty[1])]
torch.save([n, world.is_writer, counts, totals, mean, kept, flags, talk], f"{sys.argv[1]}/{r}.pt")
world.leave()
end_process(0)
"""


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_processes_talk_to_each_other(size: int, tmp_path: Path) -> None:
    common = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(processes.free_port())}
    env = {**os.environ, **common, "PYTHONPATH": str(PROJECT_ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEMBER, str(tmp_path)]
    members = [subprocess.Popen(command, env={**env, "RANK": str(rank)}) for rank in range(size)]
    try:
        assert [member.wait(timeout=120) for member in members] == [0] * size
    finally:
        for member in members:
            member.kill()
    ranks = sum(range(size))
    for rank in range(size):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        known, is_writer, counts, totals, mean, kept, flags, talk = found
        assert (known, is_writer) == (size, rank == 0)
        assert counts.tolist() == [[size, ranks], [0, 10 * ranks]]
        assert counts.dtype == torch.int32
        assert totals.tolist() == [0.5 * size + ranks]
        assert mean.tolist() == [1.0 + ranks / size, -2.0 * ranks / size]
        assert kept.tolist() == [7.0]
        assert flags == [False, True, True]
        highest, same, lengths, ends, given, empty = talk
        assert (highest, same, empty) == (3, [True, False], 0)
        assert lengths == ([1000 * other + 3 for other in range(size)] if rank == 0 else [])
        assert ends == ["end"] * len(lengths)
        assert given == f"for {rank}" * (rank + 1)


@pytest.mark.parametrize("world", [World(), ONE_PROCESS, World.join(torch.device("cpu"))])
def test_one_process_needs_no_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", None)  # importing it is an error
    assert (world.rank, world.size, world.is_writer) == (0, 1, True)
    tensor = torch.tensor([3.0, 4.0])
    for same in (world.sum_(tensor), world.mean_(tensor), world.broadcast_(tensor)):
        assert same is tensor
    assert tensor.tolist() == [3.0, 4.0]
    assert (world.any(True), world.any(False), world.highest(-3)) == (True, False, -3)
    assert world.agrees(tensor) and world.gather(b"ab") == [b"ab"] and world.scatter([b"ab"]) == b"ab"
    world.leave()


@pytest.mark.parametrize(("rank", "size"), [(1, 1), (-1, 2), (0, 0)])
def test_a_rank_beyond_the_size_is_an_error(rank: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"rank {rank} is not one of {size} processes"):
        World(rank, size)


@pytest.mark.parametrize("missing", ["MASTER_ADDR", "MASTER_PORT"])
def test_processes_that_nothing_brings_together_are_refused(missing, monkeypatch):
    for name, value in {
        "RANK": "0",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(missing)
    with pytest.raises(
        ConfigError, match=f"WORLD_SIZE is 2, but {missing} is not set: start all processes with"
    ):
        World.join(torch.device("cpu"))
