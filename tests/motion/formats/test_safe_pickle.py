"""The restricted unpickler: what it reads, and what it refuses without running it."""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from parc_core.errors import DataError
from parc_core.motion.formats import safe_pickle
from tests.motion.small_files import RunsCode, plain_loads

VALUES = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    np.arange(6)[::2],
    np.arange(3, dtype=">i4"),
    np.array([True, False]),
    np.array(["ab", "c"]),
    np.array([b"ab", b"c"]),
    np.float32(0.4),
    np.int64(7),
    np.zeros((0, 2), np.int64),
    np.array(3.5),
    np.array([1, "x", None], dtype=object),
    np.arange(24, dtype=np.float32).reshape(2, 3, 4).transpose(1, 2, 0),
    np.zeros((2, 0, 3), np.float32),
    np.float64(1.5),
    np.bool_(True),
    np.complex64(1 + 2j),
    np.arange(2, dtype=np.float16),
]


@pytest.mark.parametrize("value", VALUES, ids=[f"{v.dtype}{v.shape}" for v in VALUES])
@pytest.mark.parametrize("protocol", range(6))
def test_reads_what_plain_pickle_reads(value: object, protocol: int) -> None:
    data = pickle.dumps({"a": [value, (value,)], "n": 1, "s": "text"}, protocol=protocol)
    plain, ours = plain_loads(data), safe_pickle.loads(data, "x")
    assert ours["n"] == 1 and ours["s"] == "text"
    for got, want in ((ours["a"][0], plain["a"][0]), (ours["a"][1][0], plain["a"][1][0])):
        assert type(got) is type(want) and got.shape == want.shape
        assert got.dtype == want.dtype.newbyteorder("=")
        assert np.array_equal(got, want)
    if isinstance(value, np.ndarray):
        ours["a"][0][...] = ours["a"][0]  # writable


@pytest.mark.parametrize("core", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_reads_arrays_of_old_and_new_numpy(core: str) -> None:
    # Protocol 0 by hand: array of two uint8 (1, 2) under the given module.
    text = (
        f"c{core}\n_reconstruct\n(cnumpy\nndarray\n(I0\ntVb\ntR(I1\n(I2\nt"
        "cnumpy\ndtype\n(Vu1\nI00\nI01\ntR(I3\nV|\nNNNI-1\nI-1\nI0\ntbI00\n"
    )
    data = b"\x80\x03" + text.encode() + b"C\x02\x01\x02tb."
    assert safe_pickle.loads(data, "x").tolist() == [1, 2]


def test_refuses_code_and_runs_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    data = pickle.dumps({"motion_data": RunsCode(trap)})
    with pytest.raises(DataError, match=r"file\.pkl: refused, its pickle asks for (io|_io)\.open"):
        safe_pickle.loads(data, "file.pkl")
    assert not trap.exists()
    plain_loads(data)["motion_data"].close()
    assert trap.exists()  # the trap works: plain pickle runs it


@pytest.mark.parametrize(
    "text",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n.",
        b"cnumpy.testing._private.utils\nrunstring\n.",
        b"ccollections\nOrderedDict\n.",
        b"ctorch.storage\n_load_from_bytes\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x11ndarray.__class__\x93.",
    ],
)
def test_refuses_other_globals(text: bytes) -> None:
    with pytest.raises(DataError, match="refused, its pickle asks for"):
        safe_pickle.loads(text, "x")


@pytest.mark.parametrize(
    "text",
    [
        b"cnumpy\ndtype\n.",  # a function as a value
        b"cnumpy\ndtype\n}S'_call'\nNsb.",  # state set on a function
        b"cnumpy\ndtype\n)\x81.",  # NEWOBJ of what is not a class
        b"cnumpy\ndtype\n(S'O,i4'\ntR.",
        b"cnumpy\ndtype\n(S'f4,i4'\ntR.",
    ],
)
def test_refuses_misuse_of_the_allowed_globals(text: bytes) -> None:
    with pytest.raises(DataError):
        safe_pickle.loads(text, "x")


def test_forged_dtype_flags_are_not_believed() -> None:
    # An object dtype that claims to be plain memory makes numpy's own code take file bytes for pointers.
    class ForgedDtype:
        def __reduce__(self) -> tuple:
            return np.dtype, ("O8", False, True), (3, "|", None, None, None, 8, 8, 0)

    class ForgedArray:
        def __reduce__(self) -> tuple:
            return np.ndarray, ((0,),), (1, (2,), ForgedDtype(), False, b"A" * 16)

    with pytest.raises(DataError, match="corrupt"):
        safe_pickle.loads(pickle.dumps(ForgedArray()), "x")


def test_wrong_sizes_are_corrupt() -> None:
    data = bytearray(pickle.dumps(np.arange(4, dtype=np.int32), protocol=4))
    where = bytes(data).index(b"K\x04\x85")  # the shape (4,)
    data[where + 1] = 200
    with pytest.raises(DataError, match="corrupt"):
        safe_pickle.loads(bytes(data), "x")


@pytest.mark.parametrize("data", [b"", b"not a pickle", b"\x80\x04", b"\x80\x63.", b"(" * 10, b"0."])
def test_no_pickle_is_corrupt(data: bytes) -> None:
    with pytest.raises(DataError, match=r"^clip\.pkl: corrupt pickle"):
        safe_pickle.loads(data, "clip.pkl")


def test_every_truncation_is_one_clear_error() -> None:
    data = pickle.dumps({"a": np.arange(5), "b": [1, 2.0, "x"]})
    for end in range(len(data)):
        with pytest.raises(DataError) as caught:
            safe_pickle.loads(data[:end], "x")
        assert "\n" not in str(caught.value)


def test_torch_tensors_only_when_asked() -> None:
    tensor = torch.arange(6).reshape(2, 3).t()
    data = pickle.dumps(OrderedDict(inds=[tensor, torch.tensor([1.5])]))
    with pytest.raises(DataError, match=r"collections\.OrderedDict.*allow_torch"):
        safe_pickle.loads(data, "x")
    found = safe_pickle.loads(data, "x", allow_torch=True)
    assert np.array_equal(found["inds"][0], tensor.numpy())
    assert found["inds"][1].tolist() == [1.5]
    safe_pickle.check(data, "x")


def test_nested_torch_storage_runs_nothing(tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    inner = io.BytesIO()
    torch.save(RunsCode(trap), inner)

    class Nested:
        def __reduce__(self) -> tuple:
            return torch.storage._load_from_bytes, (inner.getvalue(),)

    with pytest.raises(DataError):
        safe_pickle.loads(pickle.dumps({"t": Nested()}), "x", allow_torch=True)
    assert not trap.exists()


def test_written_globals_exist_in_every_numpy() -> None:
    data = safe_pickle.dumps({"a": np.zeros((2, 3), np.float32), "f": 1, "s": "CLAMP", "n": None})
    texts = safe_pickle.strings(data)
    assert not any("multiarray" in text for text in texts)
    used, names = set(), []
    for opcode, argument, _ in pickletools.genops(data):
        if "UNICODE" in opcode.name:
            names.append(argument)
        if opcode.name == "STACK_GLOBAL":
            used.add(names[-1])
    assert used == {"ndarray", "dtype"}
    plain = plain_loads(data)["a"]
    assert plain.flags.writeable and plain.dtype == np.float32 and plain.shape == (2, 3)
    assert safe_pickle.loads(data, "x")["a"].shape == (2, 3)


def test_messages_of_forged_names_stay_one_short_line() -> None:
    name = "a\nb\x1b[31m" + "c" * 500
    data = b"\x80\x04\x8c\x02os" + b"X" + len(name).to_bytes(4, "little") + name.encode() + b"\x93."
    with pytest.raises(DataError, match=r"asks for os\.a\?b\?\[31mc+…") as caught:
        safe_pickle.loads(data, "x")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            np.array(["2020-01-01"], dtype="datetime64[D]"),
            r"holds an array of dates \(M8\), which is not read",
        ),
        (np.zeros(2, "m8[s]"), "holds an array of time spans"),
        (np.zeros(2, [("a", "f4"), ("b", "i8")]), "holds an array of structures"),
    ],
)
def test_sound_arrays_that_are_not_read_are_not_called_corrupt(value: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=f"^a.pkl: {words}"):
        safe_pickle.loads(pickle.dumps({"a": value}), "a.pkl")
