"""A short training on an S3 store behind a proxy, run as users run it: `parc-tracker run --config …`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional, Set

import yaml

from benchmarks.faults.account import newest_samples
from benchmarks.faults.processes import end_all, trainers
from benchmarks.faults.proxy import SlowProxy
from parc_core.character.mjcf import load_character
from parc_core.config.paths import PROJECT_ROOT
from parc_core.motion.formats.container import write_motion_terrain
from parc_core.motion.synthetic import make_motion
from parc_core.storage.store import Store
from parc_tracker.object_server import ObjectServer

NUM_ENVS, STEPS, ITERATIONS_PER_CHECKPOINT = 16, 32, 4
SAMPLES_BETWEEN_CHECKPOINTS = NUM_ENVS * STEPS * ITERATIONS_PER_CHECKPOINT


class Scene:
    """Servers and inputs below `scratch`, which is emptied; `work` is what one machine has for itself."""

    def __init__(self, scratch: Path, work: Path, max_samples: int) -> None:
        self.scratch, self.work, self.max_samples = scratch, work, max_samples
        self.spoiled: Set[str] = set()
        """Keys that we damaged on purpose."""
        self.objects = ObjectServer(scratch / "objects")
        self.proxy = SlowProxy(("127.0.0.1", self.objects.port))
        self.flow: Optional[subprocess.Popen] = None
        self._log: Optional[Path] = None
        self._prefect: Optional[subprocess.Popen] = None
        write_inputs(scratch, max_samples)

    def __enter__(self) -> Scene:
        self.objects.start()
        os.environ.update(self.environment())
        self._start_prefect()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.flow, self._prefect):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                process.kill()
                process.wait()
        end_all(trainers(self.work))
        self.proxy.close()
        self.objects.stop()

    def environment(self) -> Dict[str, str]:
        """What the flow and we ourselves need to know."""
        return {
            **self.objects.environment(f"http://127.0.0.1:{self.proxy.port}"),
            "PARC_STORE": f"s3://{self.objects.bucket}/faults",
            "PARC_WORK": str(self.work),
            "PARC_CACHE": str(self.scratch / "cache"),
            "PARC_INDEX": str(self.scratch / "index.json"),
            "PREFECT_HOME": str(self.scratch / "prefect"),
            "PREFECT_LOGGING_TO_API_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
        }

    def store(self) -> Store:
        """The store, as the flow sees it."""
        return Store(f"s3://{self.objects.bucket}/faults")

    # -- a training ------------------------------------------------------------------------------------

    def start_flow(self, number: int) -> None:
        """Starts the flow of training `number`, or goes on with it."""
        config = self.scratch / f"tracker_{number}.yaml"
        tracker = yaml.safe_load((self.scratch / "tracker.yaml").read_text(encoding="utf-8"))
        config.write_text(yaml.safe_dump({**tracker, "seed": number}), encoding="utf-8")
        command = [sys.executable, "-m", "parc_tracker.main", "run", "--config", str(config)]
        self._log = self.scratch / f"flow_{number}.log"
        with open(self._log, "ab") as log:
            self.flow = subprocess.Popen(
                command, cwd=self.scratch, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )

    def progress_files(self) -> List[Path]:
        """progress.jsonl of all trainings on this machine."""
        return sorted(self.work.glob("runs/*/progress.jsonl"), key=lambda path: path.stat().st_mtime)

    def running(self) -> Optional[str]:
        """Key of the training that is under way; None between trainers, and where the flow has ended."""
        files = self.progress_files()
        if self.flow is None or self.flow.poll() is not None or not files or not trainers(self.work):
            return None
        return files[-1].parent.name

    def wait_for_progress(self, samples: int, timeout: float) -> bool:
        """Until the running training has made `samples` more; False if the flow ended.

        Also False where for `timeout` s neither samples nor lines of its log were added: a loaded machine is slow,
        and not dead.
        """
        begin = seen = (self._newest(), self.log_mark())
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.flow is None or self.flow.poll() is not None:
                return False
            now = (self._newest(), self.log_mark())
            if now[0] - begin[0] >= samples and trainers(self.work):
                return True
            if now != seen:
                seen, deadline = now, time.monotonic() + timeout
            time.sleep(0.1)
        return False

    def log_mark(self) -> int:
        """Where the flow's log ends now."""
        return self._log.stat().st_size if self._log is not None and self._log.exists() else 0

    def says(self, mark: int, *texts: str) -> bool:
        """Whether one of some texts is in the flow's log after a mark."""
        assert self._log is not None
        said = self._log.read_bytes()[mark:].decode("utf-8", "replace")
        return any(text in said for text in texts)

    def _newest(self) -> int:
        return sum(newest_samples(path) for path in self.progress_files())

    # -- servers and files -----------------------------------------------------------------------------

    def _start_prefect(self) -> None:
        from prefect.client.orchestration import SyncPrefectClient

        port = SlowProxy(("127.0.0.1", 0))  # a free port: taken and given back
        number = port.port
        port.close()
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--no-ui"]
        command += ["--port", str(number), "--analytics-off"]
        with open(self.scratch / "server.log", "ab") as log:
            self._prefect = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{number}/api"
        deadline = time.monotonic() + 90
        while True:
            try:
                with SyncPrefectClient(os.environ["PREFECT_API_URL"]) as client:
                    if client.api_healthcheck() is None:
                        return
            except OSError as error:
                print(f"waiting for Prefect's server: {error}", file=sys.stderr)
            if time.monotonic() > deadline or self._prefect.poll() is not None:
                raise TimeoutError(f"Prefect's server did not start: {self.scratch / 'server.log'}")
            time.sleep(0.5)


def write_inputs(scratch: Path, max_samples: int) -> None:
    """Two motions and the configs of a short training, into a folder that is emptied."""
    shutil.rmtree(scratch, ignore_errors=True)
    character = load_character(PROJECT_ROOT / "data/assets/humanoid.xml")
    for kind in ("stand", "walk"):
        path = scratch / "motions" / kind / f"{kind}_0.pkl"
        path.parent.mkdir(parents=True)
        write_motion_terrain(path, make_motion(kind, 0, character))
    agent = {
        "model": {"actor_net": "fc_2layers_64units", "critic_net": "fc_2layers_64units"},
        "optimizer": {"type": "Adam", "learning_rate": 0.0005},
        "steps_per_iter": STEPS,
        "update_epochs": 1,
        "iters_per_output": 1,
        "iters_per_checkpoint": ITERATIONS_PER_CHECKPOINT,
        "test_episodes": 0,
        "use_tensorboard": False,
    }
    dataset = {"folder_paths": [str(scratch / "motions")], "save_path": str(scratch / "data")}
    tracker = {
        "env_config": str(PROJECT_ROOT / "data/configs/demo/env.yaml"),
        "agent_config": str(scratch / "agent.yaml"),
        "create_dataset_config": str(scratch / "dataset.yaml"),
        "num_envs": NUM_ENVS,
        "max_samples": max_samples,
        "device": "cpu",
        "engine": "mujoco",
        "model_name": "faults",
    }
    for name, content in (("agent", agent), ("dataset", dataset), ("tracker", tracker)):
        (scratch / f"{name}.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
