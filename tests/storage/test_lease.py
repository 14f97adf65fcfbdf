"""One worker at a time: leases in the store."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import pytest

from parc_core.storage.lease import Lease, LeaseLost, LeaseTimes
from parc_core.storage.store import Store

QUICK = LeaseTimes(renew=0.05, expire=0.5, poll=0.05)
KEY = "runs/1/lease.json"


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "folder":
        return Store(tmp_path)
    return Store(f"memory://{tmp_path.name}")


def holder_elsewhere(store: Store, **changes) -> bytes:
    """A lease that some other machine took."""
    holder = {"name": "other", "machine": "another boot", "pid": 1, "started": "1", **changes}
    data = json.dumps({"holder": holder, "token": "theirs", "renewed": 1}).encode()
    store.put_bytes(data, KEY)
    return data


def test_workers_take_turns(store):
    inside, most, waited = 0, 0, []
    guard = threading.Lock()

    def work():
        nonlocal inside, most
        with Lease(store, KEY, times=QUICK) as lease:
            with guard:
                inside += 1
                most = max(most, inside)
            time.sleep(0.3)
            waited.append(lease.waited)
            with guard:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    if not store.conditional:  # two that look in the same moment may both take it; that is stated
        threads[0].start()
        time.sleep(0.1)
        threads = threads[:1] + threads[1:2]
        threads[1].start()
    else:
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(20)
    assert most == 1
    assert sorted(waited) == [False] + [True] * (len(threads) - 1)


def test_a_lease_is_renewed_while_it_is_held(store):
    with Lease(store, KEY, times=QUICK):
        first = store.read_bytes(KEY)
        time.sleep(0.3)
        assert store.read_bytes(KEY) != first
    assert store.read_json(KEY)["holder"] is None


def test_a_holder_that_is_not_heard_of_is_replaced(store):
    holder_elsewhere(store)
    notes: list[str] = []
    start = time.monotonic()
    with Lease(store, KEY, notes.append, times=QUICK) as lease:
        assert lease.waited
    assert time.monotonic() - start >= QUICK.expire
    assert notes == ["waiting for other, which is at the same work"]


def test_a_process_of_this_machine_that_is_gone_is_not_waited_for(tmp_path):
    program = f"""
import os
from parc_core.storage.lease import Lease
from parc_core.storage.store import Store
Lease(Store({str(tmp_path)!r}), {KEY!r}).__enter__()
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", program], check=False, cwd=sys.path[0] or ".")
    store = Store(tmp_path)
    assert store.read_json(KEY)["holder"] is not None
    start = time.monotonic()
    with Lease(store, KEY) as lease:
        assert not lease.waited
    assert time.monotonic() - start < 2


def test_a_lease_that_somebody_took_over_is_lost_and_left_alone(store):
    with Lease(store, KEY, times=QUICK) as lease:
        lease.still_held()
        theirs = holder_elsewhere(store)
        time.sleep(0.5)
        with pytest.raises(LeaseLost, match="took over"):
            lease.still_held()
    assert store.read_bytes(KEY) == theirs


def test_waiting_can_be_ended(store):
    holder_elsewhere(store)

    def cancelled():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Lease(store, KEY, check=cancelled, times=QUICK):
        pytest.fail("taken though somebody has it")
    assert store.read_json(KEY)["token"] == "theirs"


@pytest.mark.parametrize("data", [b"not JSON", b"[]", b'{"holder": 5}', b'{"holder": {"pid": "x"}}'])
def test_what_is_no_lease_binds_nobody(store, data):
    store.put_bytes(data, KEY)
    with Lease(store, KEY, times=QUICK) as lease:
        assert not lease.waited
