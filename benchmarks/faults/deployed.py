"""A deployment under way: Prefect server, workers as machines of their own, S3 store; runs of short trainings."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Set

import httpx

from benchmarks.faults.account import newest_samples
from benchmarks.faults.processes import end_all, of_hosts
from benchmarks.faults.scene import Scene
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from tests.prefect_processes import Server, free_port

SILENCE = 90  # s, the shortest that deploy allows
START = 180.0  # s until a run is where it shall be harmed


class Deployed(Scene):
    """The scene with `parc-tracker deploy` done and one worker; all that was started ends with it."""

    def __init__(self, scratch: Path, max_samples: int) -> None:
        super().__init__(scratch, scratch / "here", max_samples)
        self.hosts = scratch / "hosts"
        self.server = Server(free_port(), scratch / "prefect", scratch / "server.log")
        self.worker_pid = 0
        self.workers_that_left = 0
        """Workers of this run that ended though nobody had killed them."""
        self.flows_at_once = 0
        """The most processes of this run's flow that were seen at one time."""
        self._machines = 0
        self._known: Set[Path] = set()
        self._worker: Any = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Deployed:
        try:
            super().__enter__()
            self.server.deploy(self.scratch / "tracker.yaml", "--heartbeat-timeout", str(SILENCE))
            self.start_machine()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        end_all(list(of_hosts(self.hosts)))
        self.server.stop()
        super().__exit__(*error)

    def environment(self) -> Dict[str, str]:
        """As for a flow in this process, but runs' logs go to the server."""
        found = {**super().environment(), **self.server.environment()}
        del found["PREFECT_LOGGING_TO_API_ENABLED"]
        return found

    def _start_prefect(self) -> None:
        self.server.start()

    # -- machines --------------------------------------------------------------------------------------

    def start_machine(self) -> None:
        """Another machine: empty folders of its own, and a worker."""
        self._machines += 1
        self.start_worker()

    def start_worker(self) -> None:
        """A worker on the newest machine."""
        folder = self.hosts / f"machine_{self._machines}"
        own = {
            "PARC_WORK": str(folder / "work"),
            "PARC_CACHE": str(folder / "cache"),
            "PARC_INDEX": str(folder / "index.json"),
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._worker = self._stack.enter_context(self.server.worker(folder, **own))
        self.worker_pid = self._worker.pid

    def kill_worker(self) -> None:
        """SIGKILL of the worker alone."""
        self._worker.kill()
        self._worker.wait()

    def kill_machine(self) -> None:
        """SIGKILL of all that runs on the machine; of its folders only what is counted later is kept."""
        for pid in of_hosts(self.hosts):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._worker.wait()
        end_all(list(of_hosts(self.hosts)))
        shutil.rmtree(self.hosts / f"machine_{self._machines}" / "cache", ignore_errors=True)

    def restart_server(self, away: float) -> None:
        """SIGKILL of Prefect's server, which comes back on the same port and database."""
        self.server.kill()
        time.sleep(away)
        self.server.start()

    def flows(self) -> List[int]:
        """Processes that run a flow."""
        return [pid for pid, words in of_hosts(self.hosts).items() if "prefect.engine" in words]

    # -- a run -----------------------------------------------------------------------------------------

    def ask_for_run(self, number: int) -> str:
        """Asks for a run with motions, seed and model name of its own; its id."""
        self._known = set(self._all_progress())
        self.workers_that_left = self.flows_at_once = 0
        folder = self.scratch / f"motions_{number}"
        character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
        for kind in ("stand", "walk"):
            path = folder / kind / f"{kind}_{number}.pkl"
            path.parent.mkdir(parents=True)
            write_motion_terrain(path, make_motion(kind, number, character))
        return self.server.start_run(
            "tracker-iteration",
            motions={"folders": [str(folder)]},
            training={"seed": number},
            registration={"model_name": self.model_name(number)},
        )

    @staticmethod
    def model_name(number: int) -> str:
        """Of a run."""
        return f"faults-{number}"

    def progress(self) -> List[Path]:
        """progress.jsonl of the newest run, on all machines."""
        return [path for path in self._all_progress() if path not in self._known]

    def _all_progress(self) -> List[Path]:
        return sorted(self.hosts.glob("machine_*/work/runs/*/progress.jsonl"))

    def samples(self) -> int:
        """How far the newest run has trained."""
        return max((newest_samples(path) for path in self.progress()), default=0)

    def state(self, id: str) -> Optional[str]:
        """Name of a run's state; None while the server does not answer."""
        run = self._asked(lambda: self.server.run(id))
        return None if run is None else str(run["state"]["name"])

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Waits.

        Raises:
            TimeoutError: not within `START` seconds.
        """
        deadline = time.monotonic() + START
        while not reached():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not reached within {START:.0f} s; see {self.scratch}")
            time.sleep(0.1)

    def wait_for_end(self, id: str, timeout: float) -> Dict[str, Any]:
        """The run when it has ended for good, or after `timeout` s; workers that end by themselves come back."""
        deadline = time.monotonic() + timeout
        while True:
            self.flows_at_once = max(self.flows_at_once, len(self.flows()))
            if self._worker.poll() is not None:
                self.workers_that_left += 1
                self.start_worker()
            run = self._asked(lambda: self.server.run(id))
            if run is not None and (
                run["state"]["name"] in ("Completed", "Failed", "Cancelled") or time.monotonic() > deadline
            ):
                return dict(run)
            time.sleep(0.5)

    def states_since(self, id: str, moment: datetime) -> Dict[str, float]:
        """Seconds from a moment to the first of each state after it."""
        answer = self.server.http.get("/flow_run_states/", params={"flow_run_id": id}).raise_for_status()
        found: Dict[str, float] = {}
        for state in sorted(answer.json(), key=lambda state: state["timestamp"]):
            when = datetime.fromisoformat(state["timestamp"].replace("Z", "+00:00"))
            if when > moment:
                found.setdefault(state["name"], round((when - moment).total_seconds(), 1))
        return found

    def give_up(self, id: str) -> None:
        """Ends a run, whatever it is at."""
        state = {"state": {"type": "CANCELLED", "message": "given up"}, "force": True}
        self.server.http.post(f"/flow_runs/{id}/set_state", json=state).raise_for_status()

    def _asked(self, question: Callable[[], Dict[str, Any]]) -> Optional[Dict[str, Any]]:
        """The answer; None where the server is away or its database is busy."""
        try:
            return question()
        except httpx.HTTPStatusError as error:
            if error.response.status_code < 500:
                raise
        except httpx.TransportError:
            return None
        return None
