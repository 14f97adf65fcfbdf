"""Files in an S3 bucket: conditional writes, SHA-256 in the metadata, many at once.

Region, endpoint and credentials are AWS's usual ones: AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, or the files in ~/.aws; else what `credential_sources` brings.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import os
import uuid
from pathlib import Path
from typing import Any, Dict, Optional, Sequence, Tuple, Union
from urllib.parse import urlsplit

from parc_core.errors import ConfigError, DataError
from parc_core.storage.backend import changed_meanwhile
from parc_core.storage.fsspec_backend import RemoteFiles
from parc_core.storage.redact import credential_sources, has_credentials, masked
from parc_core.storage.retry import Attempts, PreconditionFailed, failure_kind, with_retries_async
from parc_core.storage.transfers import Fetching, Wanted, accept, file_beside, not_there, watch
from parc_core.system.files import PathLike, sha256_bytes, unwritable

AT_ONCE = 48
"""Requests under way to the server when many files are fetched."""

BLOCK = 1 << 20
"""Bytes read at a time."""

IN_ONE_PUT = 64 << 20
"""Bytes; larger files go up in parts."""

_META = "sha256"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_CONDITIONAL: Dict[Tuple[str, str], bool] = {}
"""Whether conditional writes work, by endpoint and bucket."""


class S3Files(RemoteFiles):
    """`RemoteFiles` through the S3 API itself where fsspec's own calls are too general."""

    def __init__(self, url: str, bucket: str, prefix: str) -> None:
        super().__init__(url, _file_system(), f"{bucket}/{prefix}".rstrip("/"))
        self.bucket = bucket
        self._once: Any = None

    @property
    def conditional(self) -> bool:  # type: ignore[override]
        """Whether this server heeds If-None-Match; tried once with a small object that is removed again."""
        place = (next(filter(None, map(os.environ.get, _ENDPOINTS)), ""), self.bucket)
        if place not in _CONDITIONAL:
            key = f".probe-{uuid.uuid4().hex}"
            self.write(key, b"first")
            try:
                self._put(key, b"second", IfNoneMatch="*")  # other data: equal ones could be ours, see _put
                _CONDITIONAL[place] = False
                logging.getLogger(__name__).warning(
                    "%s: this server ignores conditional writes; do not let two runs register or train the same",
                    self.url,
                )
            except PreconditionFailed:
                _CONDITIONAL[place] = True
            finally:
                self.delete(key)
        return _CONDITIONAL[place]

    def _place(self, key: str) -> Dict[str, str]:
        """Bucket and object name of `key`, as the API wants them."""
        return {"Bucket": self.bucket, "Key": self.path(key)[len(self.bucket) + 1 :]}

    async def _request(self, method: str, **arguments: Any) -> Any:
        """One S3 call, for coroutines on the file system's event loop."""
        return await self._fs._call_s3(method, **arguments)

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._fs.call_s3(method, **arguments)

    def read(self, key: str) -> Tuple[bytes, str]:
        from fsspec.asyn import sync

        async def get() -> Tuple[bytes, str]:
            answer = await self._request("get_object", **self._place(key))
            return await answer["Body"].read(), answer["ETag"]

        return self.attempt(lambda _: sync(self._fs.loop, get), key)

    def download(self, key: str, target: PathLike) -> None:
        self.attempt(lambda _: self._fs.get_file(self.path(key), os.fspath(target)), key)

    def fetch_many(self, wanted: Sequence[Wanted], fetching: Fetching) -> None:
        """On the event loop of s3fs, without a thread for each file."""

        async def one(item: Wanted, gate: asyncio.Semaphore) -> None:
            uri = self.uri(item[0])
            result: Union[str, DataError]
            async with gate:
                try:
                    result = await with_retries_async(lambda _: self._stream(item), uri)
                except FileNotFoundError:
                    result = not_there(uri)
                except DataError as error:
                    result = error
            fetching.settle(item[0], lambda: _or_raise(result))

        async def everything() -> None:
            gate = asyncio.Semaphore(AT_ONCE)
            tasks = [asyncio.ensure_future(one(item, gate)) for item in wanted]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

        future = asyncio.run_coroutine_threadsafe(everything(), self._fs.loop)
        try:
            watch([future], fetching)
        except BaseException:
            future.cancel()
            raise

    async def _stream(self, item: Wanted) -> str:
        key, target, sha256 = item
        answer = await self._request("get_object", **self._place(key))
        digest = hashlib.sha256()
        try:
            with file_beside(Path(target)) as temp:
                try:
                    with open(temp, "xb") as out:
                        block = await answer["Body"].read(BLOCK)
                        while block:
                            digest.update(block)
                            out.write(block)
                            block = await answer["Body"].read(BLOCK)
                except OSError as error:
                    if error.errno is not None and not isinstance(error, (ConnectionError, TimeoutError)):
                        raise unwritable(Path(target), error) from error
                    raise
                # What our own uploads say of their content counts where the caller knows nothing of it.
                expected = sha256 or (answer.get("Metadata") or {}).get(_META)
                return accept(temp, target, self.uri(key), expected, digest.hexdigest())
        finally:
            answer["Body"].close()

    def write(self, key: str, data: bytes) -> None:
        self._put(key, data)

    def _put(self, key: str, data: bytes, **conditions: str) -> None:
        """One put_object.

        A put that was carried out while its answer got lost looks like somebody else's to the next attempt:
        then the content says whose it is.
        """
        metadata = {_META: sha256_bytes(data)}

        def put(attempts: Attempts) -> None:
            try:
                fs = self._single_attempts() if conditions else self._fs
                fs.call_s3("put_object", Body=data, Metadata=metadata, **self._place(key), **conditions)
            except Exception as error:
                if attempts.failed and failure_kind(error) == "precondition" and self.read(key)[0] == data:
                    return
                raise

        self.attempt(put, key)

    def _single_attempts(self) -> Any:
        """Never tries again by itself, so that a conditional write knows whether it was its first attempt."""
        if self._once is None:
            self._once = _file_system(retries={"total_max_attempts": 1})
            self._once.retries = 1
        return self._once

    def _send(self, local: str, key: str, sha256: str) -> None:
        if os.path.getsize(local) > IN_ONE_PUT:
            self._fs.put_file(local, self.path(key), Metadata={_META: sha256})
            return
        with open(local, "rb") as file:
            data = file.read()
        if sha256_bytes(data) != sha256:
            raise changed_meanwhile(local)
        self._call("put_object", Body=data, Metadata={_META: sha256}, **self._place(key))

    def _head(self, key: str) -> Any:
        return self.attempt(lambda _: self._call("head_object", **self._place(key)), key)

    def known_sha256(self, key: str) -> Optional[str]:
        try:
            return self._head(key).get("Metadata", {}).get(_META)
        except FileNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        try:
            self._head(key)
        except FileNotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        return int(self._head(key)["ContentLength"])

    def create(self, key: str, data: bytes) -> bool:
        if not self.conditional:
            return super().create(key, data)
        try:
            self._put(key, data, IfNoneMatch="*")
        except PreconditionFailed:
            return False
        return True

    def replace(self, key: str, data: bytes, version: str) -> bool:
        if not self.conditional:
            return super().replace(key, data, version)
        try:
            self._put(key, data, IfMatch=version)
        except (PreconditionFailed, FileNotFoundError):
            return False
        return True

    def delete(self, key: str) -> None:
        self.attempt(lambda _: self._call("delete_object", **self._place(key)), key)

    def delete_folder(self, prefix: str) -> None:
        names = [self._place(item.key)["Key"] for item in self.list(prefix)]
        for begin in range(0, len(names), 1000):  # the API's limit
            objects = [{"Key": name} for name in names[begin : begin + 1000]]
            call = functools.partial(self._delete_batch, objects)
            self.attempt(lambda _, call=call: call(), prefix)  # type: ignore[misc]

    def _delete_batch(self, objects: Any) -> None:
        answer = self._call("delete_objects", Bucket=self.bucket, Delete={"Objects": objects, "Quiet": True})
        errors = answer.get("Errors") or []
        if errors:
            first = errors[0]
            raise PermissionError(f"{first.get('Key')}: {first.get('Code')} {first.get('Message')}")


def _or_raise(result: Union[str, DataError]) -> str:
    if isinstance(result, DataError):
        raise result
    return result


def open_s3(url: str) -> S3Files:
    """The files below `s3://bucket/prefix`; nothing is sent yet.

    Raises:
        ConfigError: no bucket in the URL, credentials in that of the endpoint or no address there, s3fs is missing, or
            the block that `PARC_STORE_BLOCK` names is not as it should be.
        StoreUnreachable: the Prefect server that has the block does not answer.
    """
    bucket, _, prefix = url.split("://", 1)[1].strip("/").partition("/")
    if not bucket:
        raise ConfigError(f"store '{masked(url)}': an S3 address is written s3://bucket/prefix")
    for load in credential_sources:
        load()
    for name in _ENDPOINTS:
        # S3 knows signatures, no user parts: they would be of no use, and in every message of its client.
        if has_credentials(os.environ.get(name, "")):
            raise ConfigError(
                f"{name} ({masked(os.environ[name])}): credentials do not belong into the address; set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        if os.environ.get(name) and not _is_endpoint(os.environ[name]):
            raise ConfigError(f"{name} is '{os.environ[name]}': write it like https://s3.lab.example:9000")
    try:
        return S3Files(url, bucket, prefix)
    except ImportError as error:
        raise ConfigError(f"store '{masked(url)}': needs s3fs; install parc-tracker[pipeline]") from error


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number
        return False


_FILE_SYSTEMS: Dict[Any, Any] = {}
"""By process, environment and settings: making a client costs a tenth of a second and more."""


def _file_system(**settings: Any) -> Any:
    import s3fs

    # Few attempts here: `with_retries` counts and spaces them.
    config = {
        "connect_timeout": 10,
        "read_timeout": 60,
        "max_pool_connections": 64,
        "retries": {"total_max_attempts": 2},
        **settings,
    }
    environment = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    key = (os.getpid(), str(environment), str(settings))
    if key not in _FILE_SYSTEMS:
        # Listings that others may have changed meanwhile must not come from memory, nor an instance made for
        # another environment.
        _FILE_SYSTEMS[key] = s3fs.S3FileSystem(
            use_listings_cache=False, skip_instance_cache=True, config_kwargs=config
        )
    return _FILE_SYSTEMS[key]
