"""Damped Newton steps of many genes at once, compiled: one small system of equations a gene, by Cholesky's factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import FloatArray
from velotime.compute.jit import CONTRACT, jit
from velotime.compute.threads import over_slices

GENES = 512  # genes per task at most


@jit(CONTRACT)
def _factorise(hessian: Any, damping: float, lower: Any, inverse: Any) -> None:
    """``lower lower^T = hessian``, with its diagonal times ``1 + damping``; and one over the diagonal of ``lower``.

    NaN where the hessian is not positive definite.
    """
    for a in range(hessian.shape[0]):
        for c in range(a):
            total = hessian[a, c]
            for k in range(c):
                total -= lower[a, k] * lower[c, k]
            lower[a, c] = total * inverse[c]
        total = hessian[a, a] * (1.0 + damping)
        for k in range(a):
            total -= lower[a, k] * lower[a, k]
        inverse[a] = 1.0 / np.sqrt(total)


@jit(CONTRACT)
def _fill_steps(gradient: Any, hessian: Any, damping: Any, lower: Any, inverse: Any, step: Any) -> None:
    """``(hessian + damping diagonal)^-1 gradient`` of each gene."""
    n = gradient.shape[1]
    for i in range(gradient.shape[0]):
        _factorise(hessian[i], damping[i], lower, inverse)
        for a in range(n):
            total = gradient[i, a]
            for k in range(a):
                total -= lower[a, k] * step[i, k]
            step[i, a] = total * inverse[a]
        for a in range(n - 1, -1, -1):
            found = step[i, a] * inverse[a]
            step[i, a] = found
            for k in range(a):
                step[i, k] -= lower[a, k] * found


def damped_steps(gradient: FloatArray, hessian: FloatArray, damping: FloatArray) -> FloatArray:
    """Steps of Levenberg and Marquardt, ``(genes, parameters)``.

    Parameters
    ----------
    gradient
        Of what is to be large, ``(genes, parameters)``.
    hessian
        Minus its second derivative, ``(genes, parameters, parameters)``.
    damping
        Share of the hessian's diagonal that is added to it, ``(genes,)``.
    """
    gradient, hessian, damping = (np.ascontiguousarray(a, dtype=np.float64) for a in (gradient, hessian, damping))
    step, n = np.empty_like(gradient), gradient.shape[1]

    def one(at: slice) -> None:
        _fill_steps(gradient[at], hessian[at], damping[at], np.empty((n, n)), np.empty(n), step[at])

    over_slices(len(gradient), GENES, one)
    return step
