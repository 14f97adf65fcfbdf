"""GPUs are handed out run by run: as many as a form asks for, none twice, and nobody is overtaken."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.workers.process import ProcessWorker

from parc_core.errors import ConfigError
from parc_tracker.gpu_worker import GpuWorker, Shares, gpus_of, parse_gpus
from parc_tracker.worker import run_workers


def test_shares():
    shares, (a, b, c) = Shares(["3", "GPU-b", "1"]), (uuid4() for _ in range(3))
    assert shares.take(a, 1) and shares.of(a) == ["3"]
    assert not shares.take(b, 3)
    assert shares.take(b, 2) and shares.of(b) == ["GPU-b", "1"]
    assert shares.take(b, 2) and shares.of(b) == ["GPU-b", "1"]  # asked for again: the same
    assert not shares.take(c, 1)
    shares.give_back(a)
    shares.give_back(a)
    assert shares.take(c, 1) and shares.of(c) == ["3"]
    assert Shares(["0"]).total == 1


@pytest.mark.parametrize(
    ("parameters", "count"),
    [
        ({"training": {"gpus": 4}}, 4),
        ({"training": {}}, 1),
        ({}, 1),
        ({"training": {"gpus": "many"}}, 1),
        ({"training": {"gpus": -3}}, 1),
        ({"training": None}, 1),
    ],
)
def test_what_a_run_asks_for(parameters, count):
    assert gpus_of(parameters) == count


@pytest.mark.parametrize("text", ["", "0,,1", "0,0", " "])
def test_devices_that_are_none(text):
    with pytest.raises(ConfigError, match=r"^--devices '.*': name each GPU once"):
        parse_gpus(text)
    with pytest.raises(ConfigError, match=r"^--devices"):
        run_workers("parc", None, None, text)


def test_names_of_devices():
    assert parse_gpus("0, 2,GPU-8f2a") == ["0", "2", "GPU-8f2a"]
    with pytest.raises(ConfigError, match="give one of them"):
        run_workers("parc", 2, None, "0,1")


class Queue:
    """A worker of three GPUs with Prefect's part replaced: runs start when they are submitted, and end when told."""

    def __init__(self, monkeypatch):
        self.started, self.noted = [], []
        self.ends = {}
        monkeypatch.setattr(GpuWorker, "gpus", ("0", "1", "2"))
        monkeypatch.setattr(ProcessWorker, "_submit_scheduled_flow_runs", self.submit)
        monkeypatch.setattr(ProcessWorker, "run", self.process)
        self.worker = GpuWorker("parc", name="w")
        log = SimpleNamespace(warning=lambda *words: self.noted.append(words[0] % words[1:]))
        monkeypatch.setattr(self.worker, "get_flow_run_logger", lambda run: log)

    async def submit(self, entries):
        for entry in entries:
            asyncio.get_running_loop().create_task(self.worker.run(entry.flow_run, SimpleNamespace(env={})))
        await asyncio.sleep(0)
        return [entry.flow_run for entry in entries]

    async def process(self, run, configuration, task_status=None):
        self.started.append((run.name, configuration.env["CUDA_VISIBLE_DEVICES"]))
        self.ends[run.name] = asyncio.Event()
        await self.ends[run.name].wait()

    async def poll(self, *runs):
        await self.worker._submit_scheduled_flow_runs([SimpleNamespace(flow_run=run) for run in runs])
        found, self.started = self.started, []
        return found

    async def end(self, name):
        self.ends[name].set()
        await asyncio.sleep(0.01)


def run(name, gpus):
    return SimpleNamespace(id=uuid4(), name=name, parameters={"training": {"gpus": gpus}})


def test_runs_start_when_their_gpus_are_free(monkeypatch):
    async def scene():
        queue = Queue(monkeypatch)
        one, two, all_, small, huge = (
            run("one", 1),
            run("two", 2),
            run("all", 3),
            run("small", 1),
            run("huge", 4),
        )
        assert await queue.poll(one, huge, all_, small) == [("one", "0")]  # `small` does not overtake `all`
        assert await queue.poll(one, huge, all_, small) == []
        assert queue.noted == ["asks for 4 GPUs, worker w has 3: left to a worker with more"]
        await queue.end("one")
        assert await queue.poll(huge, all_, small) == [("all", "0,1,2")]
        assert await queue.poll(huge, small) == []
        await queue.end("all")
        assert await queue.poll(small, two) == [("small", "0"), ("two", "1,2")]
        await queue.end("small")
        await queue.end("two")
        assert await queue.poll(all_) == [("all", "0,1,2")]

    asyncio.run(scene())


@pytest.mark.parametrize("raises", [False, True])
def test_a_run_that_another_worker_has_taken_gives_its_gpus_back(monkeypatch, raises):
    async def not_ready(self, flow_run):
        if raises:
            raise ConnectionError("the server is away")

    async def scene():
        queue = Queue(monkeypatch)
        monkeypatch.setattr(ProcessWorker, "_submit_run", not_ready)
        taken = run("taken", 3)
        assert queue.worker._shares.take(taken.id, 3)
        try:
            await queue.worker._submit_run(taken)
        except ConnectionError:
            assert raises
        assert await queue.poll(run("next", 3)) == [("next", "0,1,2")]

    asyncio.run(scene())
