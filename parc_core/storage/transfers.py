"""Many files at once, each whole or absent and checked."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, Callable, List, Optional, Sequence, TypeVar

from parc_core.errors import DataError
from parc_core.storage.backend import Failed, Fetched, Files, Progress, Wanted, damaged, not_there
from parc_core.storage.retry import persist_async
from parc_core.system.files import sha256_file, unwritable

THREADS = 16
AT_ONCE = 48
"""Requests under way to an S3 server."""
BLOCK = 1 << 20

T = TypeVar("T")


class Counter:
    """Counts in any thread what the caller's thread reports."""

    def __init__(self, total: int, progress: Optional[Progress]) -> None:
        self.total = total
        self._done = 0
        self._shown = -1
        self._progress = progress
        self._lock = threading.Lock()

    def one_more(self) -> None:
        """From any thread."""
        with self._lock:
            self._done += 1

    def show(self) -> None:
        """From the caller's thread."""
        if self._progress is not None and self._done != self._shown:
            self._shown = self._done
            self._progress(self._done, self.total)


def fetch_all(
    files: Files,
    uri: Callable[[str], str],
    wanted: Sequence[Wanted],
    progress: Optional[Progress],
    failed: Optional[Failed],
) -> Fetched:
    """`Store.get_many`."""
    from parc_core.storage.fsspec_backend import RemoteFiles

    found: Fetched = {}
    counter = Counter(len(wanted), progress)

    def settle(item: Wanted, get: Callable[[], str]) -> None:
        try:
            found[item[0]] = get()
        except DataError as error:
            if failed is None:
                raise
            failed[item[0]] = error
        counter.one_more()

    if isinstance(files, RemoteFiles) and hasattr(files, "request"):
        _fetch_async(files, uri, wanted, settle, counter)
    else:
        in_threads(lambda item: settle(item, lambda: _fetch_one(files, uri, item)), wanted, counter)
    counter.show()
    return found


def in_threads(call: Callable[[T], Any], items: Sequence[T], counter: Counter) -> None:
    """`call` of every item in a few threads; the first error ends it."""
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            _watch(futures, counter)
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _watch(futures: List[Future[Any]], counter: Counter) -> None:
    left = set(futures)
    while left:
        done, left = wait(left, timeout=0.2, return_when="FIRST_EXCEPTION")
        counter.show()
        for future in done:
            future.result()


def _fetch_one(files: Files, uri: Callable[[str], str], item: Wanted) -> str:
    key, target, sha256 = item
    temp = _beside(Path(target))
    try:
        files.download(key, temp)
        return _accept(temp, Path(target), uri(key), sha256, sha256_file(temp))
    except FileNotFoundError:
        raise not_there(uri(key)) from None
    finally:
        if temp.exists():
            temp.unlink()


def _beside(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(target, error) from error
    return target.parent / f".{target.name[:100]}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"


def _accept(temp: Path, target: Path, uri: str, wanted: Optional[str], found: str) -> str:
    if wanted is not None and found != wanted:
        raise damaged(uri, wanted, found)
    os.replace(temp, target)
    return found


def _fetch_async(
    files: Any,
    uri: Callable[[str], str],
    wanted: Sequence[Wanted],
    settle: Callable[..., None],
    counter: Counter,
) -> None:
    """On the event loop of s3fs, without a thread for each file."""

    async def one(item: Wanted, gate: asyncio.Semaphore) -> None:
        async with gate:
            result: Any = None
            try:
                result = await persist_async(lambda _: _stream(files, uri(item[0]), item), uri(item[0]))
            except FileNotFoundError:
                result = not_there(uri(item[0]))
            except DataError as error:
                result = error
        settle(item, lambda: _or_raise(result))

    async def everything() -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        tasks = [asyncio.ensure_future(one(item, gate)) for item in wanted]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    future = asyncio.run_coroutine_threadsafe(everything(), files.loop)
    try:
        _watch([future], counter)
    except BaseException:
        future.cancel()
        raise


def _or_raise(result: Any) -> str:
    if isinstance(result, DataError):
        raise result
    return str(result)


async def _stream(files: Any, uri: str, item: Wanted) -> str:
    key, target, sha256 = item
    answer = await files.request("get_object", **files.place(key))
    temp = _beside(Path(target))
    digest = hashlib.sha256()
    try:
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
        expected = sha256 or (answer.get("Metadata") or {}).get("sha256")
        return _accept(temp, Path(target), uri, expected, digest.hexdigest())
    finally:
        answer["Body"].close()
        if temp.exists():
            temp.unlink()
