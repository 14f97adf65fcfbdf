"""Files of torch.save: what hostile ones cost, and what they say."""

from __future__ import annotations

import io
import os
import pickle
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from parc_core.errors import DataError
from parc_core.motion.formats import torch_file

NEWER = not torch.__version__.startswith("1.")


def written(path: Path, value: Any, **options: Any) -> Path:
    torch.save(value, path, **options)
    return path


def archive(path: Path, data: bytes, names: tuple[str, ...] = ("archive/data.pkl",), **options: Any) -> Path:
    """A file of torch.save's outer form around any pickle."""
    with zipfile.ZipFile(path, "w", **options) as parts:
        for name in names:
            parts.writestr(name, data)
        parts.writestr("archive/version", "3\n")
        parts.writestr("archive/byteorder", "little")
    return path


def memo_bomb(levels: int, opcode: bytes) -> bytes:
    """A tuple or list of two times the same tuple or list, so many levels deep."""
    steps = b"".join(
        b"h" + bytes([i]) + b"h" + bytes([i]) + opcode + b"q" + bytes([i + 1]) for i in range(levels)
    )
    return b"\x80\x02)q\x00" + steps + b"."


@pytest.mark.parametrize("old_format", [False, True])
def test_plain_files(tmp_path: Path, old_format: bool) -> None:
    layer = torch.nn.Linear(3, 2)
    shared = torch.arange(6.0)
    value = {
        "state": layer.state_dict(),  # an OrderedDict with a state of its own
        "parameter": layer.weight,
        "views": [shared[:3], shared[3:], shared.reshape(2, 3).T],
        "kinds": (torch.ones(2, dtype=torch.float64), torch.tensor(3), torch.zeros(0), torch.tensor([True])),
        "plain": [1, "ü", None, True, 2**70],
        "size": torch.Size([2, 3]),
    }
    path = written(tmp_path / "a.pt", value, _use_new_zipfile_serialization=not old_format)
    again = torch_file.load(path)
    assert isinstance(again["state"], OrderedDict) and again.keys() == value.keys()
    assert torch.equal(again["state"]["weight"], layer.weight)
    assert torch.equal(again["views"][2], shared.reshape(2, 3).T)
    assert again["plain"] == value["plain"]


@pytest.mark.skipif(not NEWER, reason="PyTorch 1.13 reads no floats beside tensors")
@pytest.mark.parametrize("old_format", [False, True])
def test_floats_beside_tensors(tmp_path: Path, old_format: bool) -> None:
    optimizer = torch.optim.Adam(torch.nn.Linear(3, 2).parameters(), lr=0.1)
    value = {"plain": [2.5, -0.0], "optimizer": optimizer.state_dict()}
    path = written(tmp_path / "a.pt", value, _use_new_zipfile_serialization=not old_format)
    assert torch_file.load(path) == value


def too_large_a_storage(path: Path) -> Path:
    data = torch_bytes({"a": torch.zeros(7)}, _use_new_zipfile_serialization=False)
    path.write_bytes(data.replace(b"K\x07", b"J\xff\xff\xff\x7f"))
    return path


def of_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "expanded": lambda path: written(path, {"a": torch.zeros(1).expand(6_000_000_000)}),
    "underflow": lambda path: archive(path, b"\x80\x02\x85\x86."),
    "memo bomb of tuples": lambda path: archive(path, memo_bomb(60, b"\x86")),
    "memo bomb as a key": lambda path: archive(
        path, b"\x80\x02}" + memo_bomb(60, b"\x86")[2:-1] + b"K\x01s."
    ),
    "holds itself": lambda path: archive(path, b"\x80\x02]q\x00h\x00a."),
    "deep": lambda path: archive(path, b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b"."),
    "storage beyond the file": too_large_a_storage,
    "code": lambda path: archive(path, b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."),
    "two pickles": lambda path: archive(path, b"\x80\x02}.", ("a/data.pkl", "b/data.pkl")),
    "zip bomb": lambda path: archive(
        path, b"\x80\x02}." + bytes(200_000_000), compression=zipfile.ZIP_DEFLATED
    ),
    "bad archive": lambda path: of_bytes(path, b"PK\x03\x04 and no more"),
    "empty": lambda path: of_bytes(path, b""),
    "plain pickle": lambda path: of_bytes(path, pickle.dumps({"a": 1})),
    "folder": folder,
}


def torch_bytes(value: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("expanded", "not readable"),
        ("underflow", "not readable"),
        ("memo bomb of tuples", "grows beyond all measure"),
        ("memo bomb as a key", "not readable"),
        ("holds itself", "too deep"),
        ("deep", "too deep"),
        ("storage beyond the file", "not readable"),
        ("code", "other objects than tensors"),
        ("two pickles", "2 pickles in its archive"),
        ("zip bomb", "not readable"),
        ("bad archive", "not readable"),
        ("empty", "not readable"),
        ("plain pickle", "not readable"),
        ("folder", "is a folder; name a file in it"),
    ],
)
def test_hostile_files(tmp_path: Path, kind: str, message: str) -> None:
    path = HOSTILE[kind](tmp_path / "a.pt")
    start = time.monotonic()
    with pytest.raises(DataError, match=message) as caught:
        torch_file.load(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert time.monotonic() - start < 5.0


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pt")
    with pytest.raises(DataError, match="a named pipe"):
        torch_file.load(tmp_path / "a.pt")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torch", "FloatTensor"),
        ("torch", "DoubleTensor"),
        ("torch", "FloatStorage"),
        ("torch", "Tensor"),
        ("torch", "BoolTensor"),
        ("torch.storage", "UntypedStorage"),
        ("torch.storage", "TypedStorage"),
        ("torch.sparse", "FloatTensor"),
        ("torch", "float32"),
        ("torch._utils", "_rebuild_meta_tensor_no_storage"),
        ("builtins", "bytearray"),
        ("collections", "Counter"),
        ("collections", "OrderedDict"),
    ],
)
@pytest.mark.parametrize("build", [b"R", b"\x81"])
def test_no_call_reserves_what_a_file_says(
    tmp_path: Path, module: str, name: str, build: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = b"c" + module.encode() + b"\n" + name.encode() + b"\nJ\x00\x00\x00\x40\x85"  # of 2**30
    path = archive(tmp_path / "a.pt", b"\x80\x02" + call + build + b".")
    monkeypatch.setattr(torch, "load", lambda *_args, **_options: pytest.fail("given to torch"))
    with pytest.raises(DataError, match="not readable"):
        torch_file.load(path)


@pytest.mark.parametrize("old_format", [False, True])
def test_every_kind_of_numbers(tmp_path: Path, old_format: bool) -> None:
    kinds = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128]
    kinds += [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool]
    alone = kinds if NEWER else [torch.float64, torch.float32, torch.complex64, torch.int64]
    value = {"kinds": alone, "tensors": [torch.ones(5).to(kind) for kind in kinds]}
    path = written(tmp_path / "a.pt", value, _use_new_zipfile_serialization=not old_format)
    again = torch_file.load(path)
    assert again["kinds"] == alone
    assert [tensor.dtype for tensor in again["tensors"]] == kinds
    assert all(torch.equal(*pair) for pair in zip(again["tensors"], value["tensors"]))


def test_other_tensors_than_dense_ones(tmp_path: Path) -> None:
    path = written(tmp_path / "a.pt", {"a": torch.eye(3).to_sparse()})
    with pytest.raises(DataError, match="other objects than tensors"):
        torch_file.load(path)


def test_a_torchscript_program(tmp_path: Path) -> None:
    """As `torch.jit.save` writes it: beside its data a folder of code, and its constants."""
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as parts:
        for name in ("a/data.pkl", "a/constants.pkl", "a/code/__torch__.py", "a/version"):
            parts.writestr(name, b"\x80\x02}.")
    with pytest.raises(DataError) as caught:
        torch_file.load(tmp_path / "a.pt")
    assert "a TorchScript program" in str(caught.value) and "weights_only" not in str(caught.value)


def test_a_real_torchscript_program(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), str(tmp_path / "a.pt"))
    with pytest.raises(DataError, match="a TorchScript program") as caught:
        torch_file.load(tmp_path / "a.pt")
    assert "weights_only" not in str(caught.value)
