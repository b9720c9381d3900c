r"""Steps of single genes' curves and of the weights of their nodes, somewhere between an EM step and a Newton step.

With what the E-step leaves, the complete information C of an M-step (times known) and what is missing of it, M (Louis
1982), a gene's step solves

    (C - (1 - caution) M) step = gradient.

With caution 1 it is an EM step (of a single Gauss-Newton round), which is safe and slow, as time can be stretched in
ways that hardly change the likelihood; with caution 0 a Newton step, which accounts for these ways. Above 1 EM steps
become shorter. The log weights of the nodes belong to the parameters, pulled as by ``PSEUDO`` cells on each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray
from velotime.inference.two_stage.gene_clock.curves import Curves
from velotime.inference.two_stage.gene_clock.kernels import LONGEST_STEP, N_PARAMETERS, CurveEquations, CurveSums, solve
from velotime.inference.two_stage.gene_clock.kernels.data import LOG_R, LOG_S, LOG_U, LOG_X
from velotime.inference.two_stage.gene_clock.population import GenePopulation
from velotime.kinetics import spliced, unspliced

LOWER = np.array([-np.inf, -np.inf, np.log(0.02), np.log(0.05), np.log(0.01), -1.5])
UPPER = np.array([np.inf, np.inf, np.log(50.0), np.log(30.0), np.log(2.0), 1.5])
PSEUDO = 2.0  # cells that each node is thought to have beside those of the data
SMALL = 1e-4  # of a step, along which the curve's height is differentiated


@dataclass(frozen=True)
class Steps:
    """A step of some genes.

    Attributes
    ----------
    curves
        Where it leads.
    promised
        By how much the objective should rise, nats, ``(genes,)``.
    left
        By how much it would rise if steps had no bounds: half the Newton decrement, nats, ``(genes,)``.
    caution
        With how much caution the step was taken: as much as was asked for, or as there is a maximum to step to.
    """

    curves: Curves
    promised: FloatArray
    left: FloatArray
    caution: FloatArray


def take_steps(curves: Curves, sums: CurveSums, population: GenePopulation, caution: FloatArray) -> Steps:
    """Steps from these curves, with the sums there and so much caution, ``(genes,)``."""
    gradient = sums.gradient + population.gradient(curves.theta)
    held = ((curves.theta <= LOWER) & (gradient < 0)) | ((curves.theta >= UPPER) & (gradient > 0))
    with_prior = replace(sums, gradient=gradient, complete=sums.complete + population.precision)
    found = solve(CurveEquations(with_prior, np.exp(curves.log_prior), PSEUDO, held, caution))
    step, log_prior = found.step[:, :N_PARAMETERS], curves.log_prior
    if step.shape[1] < found.step.shape[1]:
        log_prior = log_prior + found.step[:, N_PARAMETERS:]
        log_prior = log_prior - np.log(np.exp(log_prior).sum(axis=1, keepdims=True))
    return Steps(Curves(_along(curves.theta, step), log_prior), found.promised, found.left, found.caution)


def information(sums: CurveSums) -> FloatArray:
    """Observed information of the parameters given the weights of the nodes, ``(genes, 6, 6)``, made positive."""
    value, vector = np.linalg.eigh(sums.complete - sums.missing_of_parameters)
    return np.asarray((vector * np.maximum(value, 1.0)[:, None, :]) @ vector.swapaxes(1, 2))


def _along(theta: FloatArray, step: FloatArray) -> FloatArray:
    """Where a step leads if the curve's heights at the switch change as it means them to.

    A curve that is switched off early fixes its heights ``U u(x_)`` and ``S s(x_)`` and little else: amplitudes, r and
    x_ may go far together as long as these stay, along a line that is bent in the parameters.
    """
    there = np.clip(theta + step, LOWER, UPPER)
    heights = _log_heights(theta)
    rise = (_log_heights(theta + SMALL * (there - theta)) - heights) / SMALL
    both = [LOG_U, LOG_S]
    meant = np.clip(step[:, both] + rise, -LONGEST_STEP, LONGEST_STEP)
    there[:, both] = theta[:, both] + heights + meant - _log_heights(there)
    return there


def _log_heights(theta: FloatArray) -> FloatArray:
    """Logs of u and s at the switch off, relative to their steady states, ``(genes, 2)``."""
    r, x_ = np.exp(theta[:, LOG_R]), np.exp(theta[:, LOG_X])
    u, s = unspliced(x_, 0.0, 1.0, 1.0), r * spliced(x_, 0.0, 0.0, 1.0, 1.0, r)
    return np.asarray(np.log(np.stack([u, s], axis=1)))
