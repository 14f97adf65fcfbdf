"""The update of K processes is that of one process with all their environments."""

from __future__ import annotations

import pytest
from torch.testing import assert_close

from parc_core.learning.model_file import load_tensors
from tests import processes


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    assert processes.codes(processes.start("tests.learning.run_update", [folder], 1)) == [0]
    return load_tensors(folder / "1_0.pt")


@pytest.mark.parametrize("size", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_processes_take_the_update_of_one(size, alone, tmp_path):
    assert processes.codes(processes.start("tests.learning.run_update", [tmp_path], size)) == [0] * size
    ranks = [load_tensors(tmp_path / f"{size}_{rank}.pt") for rank in range(size)]
    for found in ranks:
        assert found["info"].keys() == alone["info"].keys()
        assert_close(found, alone, rtol=2e-5, atol=1e-6)
    assert alone["info"]["grad_norm"] > 0.1 and alone["info"]["clip_frac"] > 0.0
    assert_same_bits(ranks)


def assert_same_bits(ranks):
    first = {name: ranks[0][name] for name in ("weights", "average", "gradients", "moments", "rates", "rate")}
    for other in ranks[1:]:
        assert_close({name: other[name] for name in first}, first, rtol=0, atol=0)


@pytest.mark.slow
def test_muon_takes_the_same_steps_in_all_processes(tmp_path):
    for size in (1, 2):
        assert (
            processes.codes(processes.start("tests.learning.run_update", [tmp_path, "Muon"], size))
            == [0] * size
        )
    alone, *ranks = (load_tensors(tmp_path / f"{name}.pt") for name in ("1_0", "2_0", "2_1"))
    assert_same_bits(ranks)
    assert_close(ranks[0]["weights"], alone["weights"], rtol=1e-3, atol=1e-4)
