"""Simulations stepped one by one, for MuJoCo without `mujoco.batch` (MuJoCo 3.2 is the last on Python 3.8).

The part of `mujoco.batch.Batch` that engine `mujoco` uses, on one core.
"""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from parc_core.engines.packages import import_package

# What mj_step reads: copied in before it. All bound fields are copied out after it.
_INPUTS = ("time", "qpos", "qvel", "ctrl", "mocap_pos", "qacc_warmstart", "xfrc_applied")


class SteppedBatch:
    """N simulations of one model.

    Args:
        model: mujoco.MjModel.
        nsim: N.
        nthread: not used; here for the like signature.
    """

    def __init__(self, model: Any, nsim: int, nthread: int = 1) -> None:
        mujoco = import_package("mujoco")
        self._model, self._step = model, mujoco.mj_step
        self._datas = [mujoco.MjData(model) for _ in range(nsim)]
        self._fields: Dict[str, np.ndarray] = {}

    def bind(self, field: str) -> np.ndarray:
        """The field of all simulations, (N, …) float64: `step` reads it and writes into it."""
        if field not in self._fields:
            self._fields[field] = np.stack(
                [np.array(getattr(data, field), np.float64) for data in self._datas]
            )
        return self._fields[field]

    def step(self, nstep: int = 1) -> None:
        """Advances each simulation by nstep physics steps."""
        inputs = [(name, values) for name, values in self._fields.items() if name in _INPUTS]
        for k, data in enumerate(self._datas):
            for name, values in inputs:
                if name == "time":
                    data.time = float(values[k])
                else:
                    getattr(data, name)[:] = values[k]
            self._step(self._model, data, nstep)
            for name, values in self._fields.items():
                values[k] = getattr(data, name)


def make_batch(model: Any, num_envs: int, num_threads: int) -> Any:
    """MuJoCo's own batch on num_threads cores where it has one, a `SteppedBatch` otherwise."""
    try:
        batch = import_package("mujoco.batch")
    except ModuleNotFoundError as error:
        if error.name != "mujoco.batch":
            raise
        return SteppedBatch(model, num_envs, num_threads)
    return batch.Batch(model, nsim=num_envs, nthread=num_threads)
