"""Equations for steps of single genes' curves, solved gene by gene on all cores, compiled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from velotime._types import BoolArray, FloatArray
from velotime.compute.jit import REASSOC, jit
from velotime.compute.threads import over_slices
from velotime.inference.two_stage.gene_clock.kernels.record import CurveSums

GENES = 16  # genes per task at most
TINY = 1e-3  # cells; on the diagonal, as the log weights are free up to a constant
LONGEST_STEP, LONGEST_WEIGHT_STEP = 0.7, 1.5  # of a parameter, and of the log weight of a node


@dataclass(frozen=True)
class CurveEquations:
    """What the steps of some genes solve; see :func:`solve`.

    Attributes
    ----------
    sums
        Of the E-step; gradient and complete information with what a prior of the parameters adds.
    share
        Weights of the nodes, ``(genes, nodes)``.
    pseudo
        Cells that each node is thought to have beside those of the data.
    held
        Parameters that stay where they are, ``(genes, 6)``.
    caution
        Share of the missing information that is not taken off the complete one, ``(genes,)``; more than 1 makes steps
        shorter.
    """

    sums: CurveSums
    share: FloatArray
    pseudo: float
    held: BoolArray
    caution: FloatArray


@dataclass(frozen=True)
class CurveSteps:
    """What came out.

    Attributes
    ----------
    step
        Of the parameters and, where times are a posterior, of the log weights; bounded, ``(genes, unknowns)``.
    promised
        What it gains by these equations, nats, ``(genes,)``.
    left
        What it would gain without bounds, half the Newton decrement, nats, ``(genes,)``.
    caution
        As given, or as much as made the matrix positive definite, ``(genes,)``.
    """

    step: FloatArray
    promised: FloatArray
    left: FloatArray
    caution: FloatArray


def solve(equations: CurveEquations) -> CurveSteps:
    """Solve ``(C - (1 - caution) M) step = gradient`` of every gene, for parameters and log weights together."""
    sums = equations.sums
    n_genes, n_packed = sums.missing.shape
    n = (math.isqrt(8 * n_packed + 1) - 1) // 2
    out = CurveSteps(np.empty((n_genes, n)), np.empty(n_genes), np.empty(n_genes), equations.caution.copy())
    given = sums.gradient, sums.weight, sums.complete, sums.missing, equations.share, equations.held
    found = out.step, out.promised, out.left, out.caution

    def task(at: slice) -> None:
        _solve(tuple(a[at] for a in given), equations.pseudo, tuple(a[at] for a in found))

    over_slices(n_genes, GENES, task)
    return out


@jit(REASSOC)
def _solve(given: Any, pseudo: float, found: Any) -> None:
    gradient, weight, complete, missing, share, held = given
    step, promised, left, caution = found
    n, p = step.shape[1], gradient.shape[1]
    matrix, right = np.empty((n, n)), np.empty(n)
    for g in range(step.shape[0]):
        total = 0.0
        for k in range(n - p):
            total += weight[g, k] + pseudo
        for a in range(p):
            right[a] = 0.0 if held[g, a] else gradient[g, a]
        for k in range(n - p):
            right[p + k] = weight[g, k] + pseudo - total * share[g, k]
        while True:
            _fill(matrix, complete[g], missing[g], share[g], held[g], total, caution[g])
            if _factorise(matrix) or caution[g] > 1e6:
                break
            caution[g] = min(1.0, 4.0 * caution[g] + 0.02) if caution[g] < 1.0 else 4.0 * caution[g]
        _substitute(matrix, right, step[g])
        gain = 0.0
        for a in range(n):
            gain += right[a] * step[g, a]
        left[g] = 0.5 * gain
        for a in range(n):
            longest = LONGEST_STEP if a < p else LONGEST_WEIGHT_STEP
            step[g, a] = min(max(step[g, a], -longest), longest)
        gain = 0.0
        for b in range(n):  # s' L L' s, L lower
            part = 0.0
            for a in range(b, n):
                part += matrix[a, b] * step[g, a]
            gain += right[b] * step[g, b] - 0.5 * part * part
        promised[g] = gain


@jit(REASSOC)
def _fill(matrix: Any, complete: Any, missing: Any, share: Any, held: Any, total: float, caution: float) -> None:
    """Lower half of a gene's matrix."""
    p = complete.shape[0]
    taken, shorter = 1.0 - min(caution, 1.0), max(caution, 1.0)
    at = 0
    for a in range(matrix.shape[0]):
        for b in range(a + 1):
            matrix[a, b] = -taken * missing[at + b]
        at += a + 1
        if a < p:
            for b in range(a + 1):
                matrix[a, b] += shorter * complete[a, b]
        else:
            for b in range(p, a + 1):
                matrix[a, b] -= shorter * total * share[a - p] * share[b - p]
            matrix[a, a] += shorter * total * share[a - p]
        matrix[a, a] += TINY
    for a in range(p):
        if held[a]:
            matrix[a, : a + 1] = 0.0
            matrix[a:, a] = 0.0
            matrix[a, a] = 1.0


@jit(REASSOC)
def _factorise(matrix: Any) -> Any:
    """Cholesky's factor in place of the lower half; whether there is one."""
    for a in range(matrix.shape[0]):
        for b in range(a + 1):
            part = matrix[a, b]
            for k in range(b):
                part -= matrix[a, k] * matrix[b, k]
            if a > b:
                matrix[a, b] = part / matrix[b, b]
            elif part > 0:
                matrix[a, a] = np.sqrt(part)
            else:
                return False
    return True


@jit(REASSOC)
def _substitute(factor: Any, right: Any, out: Any) -> None:
    """Solve ``factor factor' out = right``."""
    n = right.shape[0]
    for a in range(n):
        part = right[a]
        for k in range(a):
            part -= factor[a, k] * out[k]
        out[a] = part / factor[a, a]
    for a in range(n - 1, -1, -1):
        out[a] /= factor[a, a]
        for k in range(a):
            out[k] -= factor[a, k] * out[a]
