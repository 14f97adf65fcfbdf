"""Muon: steps of the hidden layers' matrices are orthogonalized momentum (Jordan et al. 2024); AdamW does the rest."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Optional, Tuple

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x³ and x⁵ of the iteration, which lifts small singular values fast (Jordan et al. 2024)."""
NEWTON_SCHULZ_STEPS = 5
ADAM_RMS = 0.2
"""Root mean square of a step by Adam at rate 1, which those of the matrices get, too (Liu et al. 2025)."""


class Muon(torch.optim.Optimizer):
    """Muon on some matrices and AdamW on all else, both with one learning rate and decoupled weight decay.

    The matrices' steps are as large as Adam's, so that Adam's learning rates do for both. Nothing waits for a GPU.
    """

    def __init__(
        self,
        matrices: List[Tensor],
        adam: torch.optim.Optimizer,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        """Args:
        matrices: (rows, columns) each.
        adam: over the other parameters, in one group; its rate becomes that of both.
        momentum: of the matrices' gradients.
        weight_decay: of the matrices.
        """
        (others,) = adam.param_groups
        own: Dict[str, Any] = {"lr": others["lr"], "momentum": momentum, "weight_decay": weight_decay}
        self._adam = adam
        super().__init__([{"params": matrices, **own}, others], {})

    @torch.no_grad()
    def step(self, closure: Optional[Callable[[], float]] = None) -> None:  # type: ignore[override]
        """One step on the parameters' gradients; `closure` is not used."""
        group = self.param_groups[0]
        rate = group["lr"]
        for matrices in _of_one_shape(group["params"]):
            directions = torch.stack([self._direction(matrix, group["momentum"]) for matrix in matrices])
            for matrix, direction in zip(matrices, orthogonalized(directions)):
                if group["weight_decay"] != 0:
                    matrix.mul_(1.0 - rate * group["weight_decay"])
                matrix.sub_(direction * (rate * ADAM_RMS * math.sqrt(max(matrix.shape))))
        # Loading a state makes new groups and a new state: Adam works on this optimizer's own.
        self._adam.param_groups, self._adam.state = self.param_groups[1:], self.state
        self._adam.step()

    def _direction(self, matrix: Tensor, momentum: float) -> Tensor:
        """(R, C), of Nesterov's momentum, which takes in the gradient."""
        grad, state = matrix.grad, self.state[matrix]
        assert grad is not None  # of those alone, see _of_one_shape
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        average: Tensor = state["momentum_buffer"].lerp_(grad, 1.0 - momentum)
        return grad.lerp(average, momentum)


def _of_one_shape(matrices: List[Tensor]) -> List[List[Tensor]]:
    """Those with gradients, together where their shapes are the same: few large products instead of many small ones."""
    groups: Dict[Tuple[int, ...], List[Tensor]] = {}
    for matrix in matrices:
        if matrix.grad is not None:
            groups.setdefault(tuple(matrix.shape), []).append(matrix)
    return list(groups.values())


def orthogonalized(matrices: Tensor) -> Tensor:
    """(K, R, C) → (K, R, C) of the same singular vectors, with singular values of about 1; 0 stays 0.

    Newton–Schulz iterations, in bfloat16 on GPUs that have it.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices.transpose(1, 2) if matrices.shape[1] > matrices.shape[2] else matrices
    x: Tensor = (wide / wide.norm(dim=(1, 2), keepdim=True).clamp_min(1e-20)).to(_dtype_on(matrices))
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.transpose(1, 2)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    lifted = x.transpose(1, 2) if wide is not matrices else x
    return lifted.to(matrices.dtype)


def _dtype_on(matrices: Tensor) -> torch.dtype:
    return torch.bfloat16 if matrices.is_cuda and torch.cuda.is_bf16_supported() else matrices.dtype
