"""Pickles that a few bytes make huge are refused before they take the memory."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from parc_core.errors import DataError
from parc_core.motion.formats import safe_pickle
from tests.motion.small_files import container

CLEAR = r"^x: corrupt (pickle|tensor) \(.*\); replace the file$"


def refused(data: bytes, peak_mb: int = 300) -> None:
    """One clear line, and never much memory."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=CLEAR):
            safe_pickle.loads(data, "x", allow_torch=True)
        assert tracemalloc.get_traced_memory()[1] < peak_mb << 20
    finally:
        tracemalloc.stop()


class ManyArrays:
    """One block of bytes as the content of many arrays."""

    def __init__(self, block: bytes, dtype: str = "u1") -> None:
        self.block, self.dtype = block, np.dtype(dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        count = len(self.block) // self.dtype.itemsize
        return np.ndarray, ((0,),), (1, (count,), self.dtype, False, self.block)


def test_one_block_in_many_arrays() -> None:
    block = bytes(4 << 20)
    refused(pickle.dumps([ManyArrays(block) for _ in range(40)]))


def test_few_arrays_of_one_block_are_read() -> None:
    found = safe_pickle.loads(pickle.dumps([ManyArrays(bytes(1 << 20)) for _ in range(8)]), "x")
    assert [len(array) for array in found] == [1 << 20] * 8


@pytest.mark.parametrize("place", [b"r\xff\xff\xff\x3f", b"p1073741823\n", b"p 1_073_741_823\n"])
def test_memo_places_beyond_the_file(place: bytes) -> None:
    refused(b"\x80\x02N" + place + b".", peak_mb=1)


def test_memo_places_of_old_protocols_are_read() -> None:
    value = [[str(number)] for number in range(400)]
    for protocol in (0, 1, 2):
        assert safe_pickle.loads(pickle.dumps(value, protocol=protocol), "x") == value


def test_tensor_of_stride_zero() -> None:
    refused(pickle.dumps(torch.zeros(1).expand(1 << 15, 1 << 15)))


def test_compressed_storage() -> None:
    plain, packed = io.BytesIO(), io.BytesIO()
    torch.save(torch.zeros(1 << 27, dtype=torch.uint8), plain)
    with zipfile.ZipFile(plain) as parts, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as smaller:
        for name in parts.namelist():
            smaller.writestr(name, parts.read(name))

    class Nested:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch.storage._load_from_bytes, (packed.getvalue(),)

    assert len(packed.getvalue()) < 1 << 20
    refused(pickle.dumps({"t": Nested()}))


@pytest.mark.parametrize(
    "inner",
    [
        b"\x80\x04}(K\x01" + b"2\x86" * 60 + b"K\x02u.",  # a key that takes for ever to hash
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nK\x01"
        + b"2\x86" * 60
        + b"X\x03\x00\x00\x00cpuK\x01tQ.",
        b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + b"\x8a\x05\x00\x00\x00\x00\x10NtQ.",  # 2^36 elements
    ],
    ids=["key", "id", "size"],
)
@pytest.mark.parametrize("older", [True, False])
def test_nested_storages_that_take_for_ever(inner: bytes, older: bool) -> None:
    buffer = io.BytesIO()
    if older:
        zeros = torch.zeros(2)
        storage = getattr(zeros, "untyped_storage", zeros.storage)()  # PyTorch 1.13 has the other name
        torch.save(storage, buffer, _use_new_zipfile_serialization=False)
        parts = io.BytesIO(buffer.getvalue())
        for _ in range(3):
            pickle.load(parts)  # noqa: S301 - made above
        data = parts.getvalue()[: parts.tell()] + inner
    else:
        torch.save(torch.zeros(2), buffer)
        made = io.BytesIO()
        with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(made, "w") as new:
            for name in old.namelist():
                new.writestr(name, inner if name.endswith("data.pkl") else old.read(name))
        data = made.getvalue()

    class Nested:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch.storage._load_from_bytes, (data,)

    refused(pickle.dumps({"t": Nested()}))


def test_shared_and_looped_containers_end() -> None:
    shared: Any = [1]
    for _ in range(200):
        shared = (shared, shared)
    loop: list[Any] = [np.arange(2)]
    loop.append(loop)
    found = safe_pickle.loads(pickle.dumps([shared, loop]), "x")
    assert found[1][1] is found[1] and found[1][0].tolist() == [0, 1]


def test_a_growing_file_is_one_clear_error_of_data(tmp_path: Path) -> None:
    from parc_core.motion.formats.container import read_motion_terrain

    outer = pickle.loads(container())  # noqa: S301 - made above
    outer["terrain_data"] = b"\x80\x02Nr\xff\xff\xff\x3f."
    path = tmp_path / "clip.pkl"
    path.write_bytes(pickle.dumps(outer))
    with pytest.raises(DataError, match=r"clip\.pkl: terrain_data: corrupt pickle \(memo place") as caught:
        read_motion_terrain(path)
    assert caught.value.exit_code == 65
