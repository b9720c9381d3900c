r"""Shapes that a gene's curve can have, fitted without iteration: where a restart begins.

At given rates and switch times the means are linear in the levels: with h the response of spliced to a unit step of
its steady state,

    s(t) = level_0 (1 - h(t - t_on)) + level_1 (h(t - t_on) - h(t - t_off)) + level_2,k h(t - t_off),k

(k the lineage), and likewise for unspliced up to ``c gamma / beta``. So for each of some dozens of shapes (onset,
duration, fast or slow) the levels of all genes follow from one small weighted least-squares problem that the genes
share, and the shapes are ranked by likelihood. Induction, repression, pulse, dip, and one lineage apart from the others
are all among them, as the levels are free.
"""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray
from velotime.inference.curves.protocol import Shape
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.states import States
from velotime.kinetics import SwitchParameter

LEAST_LEVEL = 0.03  # of the gene's mean: no level is zero, as its log is optimised
RIDGE = 0.02  # share of the cells that speak for a flat curve


def best_shapes(problem: GeneProblem, n_best: int) -> FloatArray:
    """The ``n_best`` likeliest shapes of each gene, ``(n_best, genes, parameters)``."""
    fitted = [_fit_levels(problem, shape) for shape in problem.states.curve.shapes]
    loss = np.stack([loss for _, loss in fitted])
    order = np.argsort(loss, axis=0)[:n_best]
    return np.stack([theta for theta, _ in fitted])[order, np.arange(loss.shape[1])]


def _fit_levels(problem: GeneProblem, shape: Shape) -> tuple[FloatArray, FloatArray]:
    """One shape with the best levels for each gene: parameters ``(genes, parameters)`` and loss ``(genes,)``."""
    basis_u, basis_s = _bases(problem.states, shape)
    sums, (u_value, s_value) = problem.spliced, problem.values_of_curves
    flat = sums.value.sum(axis=1) / sums.size.sum() + 1e-9
    ridge = RIDGE * sums.size.sum() / len(basis_s)
    normal = (basis_s * sums.size) @ basis_s.T + ridge * np.eye(len(basis_s))
    levels = np.linalg.solve(normal, basis_s @ s_value.T + ridge * flat).T
    levels = np.maximum(levels, LEAST_LEVEL * flat[:, None])
    unscaled = levels @ basis_u
    scaling = (np.maximum(u_value.sum(axis=1), 0.0) + 1e-9) / (unscaled @ problem.unspliced.size)
    theta = _parameters(problem, levels, scaling, shape)
    return theta, problem.prior.penalty(theta) - problem.log_likelihood((scaling[:, None] * unscaled, levels @ basis_s))


def _bases(states: States, shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Means of both layers for each level set to one and the others to zero, ``(levels, states)``."""
    own = np.eye(states.layout.n_lineages)[states.lineage].T
    out = []
    for curve in states.curve.unit_curves(states.times, shape):
        tiled = np.tile(curve, (1, states.layout.n_lineages))
        out.append(np.concatenate([tiled[:2], *(own * last for last in tiled[2:])]))
    return out[0], out[1]


def _parameters(problem: GeneProblem, levels: FloatArray, scaling: FloatArray, shape: Shape) -> FloatArray:
    p = SwitchParameter
    layout = problem.states.layout
    theta = np.empty((levels.shape[0], layout.n_parameters))
    theta[:, p.LOG_BETA], theta[:, p.LOG_GAMMA] = np.log(shape.rates[0]), np.log(shape.rates[1])
    theta[:, p.T_ON], theta[:, p.LOG_SCALING] = shape.onset, np.log(scaling)
    theta[:, [p.LOG_LEVEL_0, p.LOG_LEVEL_1]] = np.log(levels[:, :2])
    theta[:, layout.durations] = np.log(shape.duration)
    theta[:, layout.last_levels] = np.log(levels[:, 2:])
    return np.clip(theta, problem.prior.lower, problem.prior.upper)
