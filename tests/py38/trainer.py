"""What the trainer needs, under Python 3.8 and the oldest PyTorch: `make test-py38` gives this file to that Python.

Not collected by `make test`.
"""

from __future__ import annotations

import pickle
import sys
import zipfile

import pytest
import torch

from parc_core.engines.mujoco.stepped_batch import SteppedBatch
from parc_core.errors import DataError
from parc_core.learning.model_file import load_tensors


def test_this_is_the_old_python():
    assert sys.version_info[:2] == (3, 8)
    assert torch.__version__.startswith("1.13")


class Trap:
    def __reduce__(self):
        return exec, ("raise SystemExit('code ran')",)


def test_code_in_a_file_is_refused(tmp_path):
    torch.save({"w": Trap()}, tmp_path / "new.pt")
    torch.save({"w": Trap()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert zipfile.is_zipfile(tmp_path / "new.pt")
    for name in ("new.pt", "old.pt"):
        with pytest.raises(DataError, match="other objects than tensors"):
            load_tensors(tmp_path / name)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Trap()))  # one pickle; PyTorch's old format has five
    with pytest.raises(DataError, match=r"bare\.pt: not readable as a PyTorch file of tensors"):
        load_tensors(tmp_path / "bare.pt")


@pytest.mark.parametrize(("value", "name"), [(2.5, "Python float"), (torch.bfloat16, "torch.bfloat16")])
def test_what_only_newer_pytorch_reads_is_named(tmp_path, value, name):
    torch.save({"a": [value]}, tmp_path / "a.pt")
    with pytest.raises(DataError, match=rf"PyTorch 1\.13\S* reads no {name} beside tensors, PyTorch 2 does"):
        load_tensors(tmp_path / "a.pt")


def test_environments_stepped_one_by_one_are_those_of_mujoco():
    mujoco = pytest.importorskip("mujoco")
    xml = '<mujoco><worldbody><body pos="0 0 1"><freejoint/><geom size=".1"/></body></worldbody></mujoco>'
    model = mujoco.MjModel.from_xml_string(xml)
    batch, alone = SteppedBatch(model, 2), mujoco.MjData(model)
    qpos, qvel = batch.bind("qpos"), batch.bind("qvel")
    qvel[1, 0] = alone.qvel[0] = 2.0
    batch.step(5)
    mujoco.mj_step(model, alone, 5)
    assert qpos[1].tolist() == alone.qpos.tolist()
    assert qpos[0, 0] == 0.0
