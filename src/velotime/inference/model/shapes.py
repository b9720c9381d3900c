r"""Shapes that a gene's curve can have, fitted without iteration: where a restart begins.

At given rates and switch times the means are linear in the levels: with h the response of spliced to a unit step of
its steady state,

    s(t) = level_0 (1 - h(t - t_on)) + level_1 (h(t - t_on) - h(t - t_off)) + level_2,k h(t - t_off),k

(k the lineage), and likewise for unspliced up to ``c gamma / beta``. So for each of some dozens of shapes (onset,
duration, fast or slow) the levels of all genes follow from one small weighted least-squares problem that the genes
share, and the shapes are ranked by likelihood. Induction, repression, pulse, dip, and one lineage apart from the others
are all among them, as the levels are free. On a circle waves are as well: smooth transcription is as linear in its
lowest and its highest level.
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
ROWS = 4096  # shapes of genes whose likelihood is taken at once


def best_shapes(problem: GeneProblem, shapes: tuple[Shape, ...], n_best: int) -> FloatArray:
    """The ``n_best`` likeliest of some shapes for each gene, ``(n_best, genes, parameters)``; all if they are fewer."""
    at_once = max(1, ROWS // problem.n_genes)  # one by one, most of the time would go into calls
    fitted = [_fit_levels(problem, shapes[k : k + at_once]) for k in range(0, len(shapes), at_once)]
    loss = np.concatenate([loss for _, loss in fitted])
    order = np.argsort(loss, axis=0)[:n_best]
    return np.concatenate([theta for theta, _ in fitted])[order, np.arange(loss.shape[1])]


def _fit_levels(problem: GeneProblem, shapes: tuple[Shape, ...]) -> tuple[FloatArray, FloatArray]:
    """Parameters with the best levels for each gene, ``(shapes, genes, parameters)``, and loss, ``(shapes, genes)``."""
    basis_u, basis_s = _bases(problem.states, shapes)
    sums, (u_value, s_value) = problem.spliced, problem.values_of_curves
    flat = sums.value.sum(axis=1) / sums.size.sum() + 1e-9
    ridge = RIDGE * sums.size.sum() / basis_s.shape[1]
    normal = (basis_s * sums.size) @ basis_s.transpose(0, 2, 1) + ridge * np.eye(basis_s.shape[1])
    levels = np.linalg.solve(normal, basis_s @ s_value.T + ridge * flat).transpose(0, 2, 1)
    levels = np.maximum(levels, LEAST_LEVEL * flat[:, None])
    unscaled = levels @ basis_u
    scaling = (np.maximum(u_value.sum(axis=1), 0.0) + 1e-9) / (unscaled @ problem.unspliced.size)
    theta = _parameters(problem, levels, scaling, shapes)
    means = (scaling[..., None] * unscaled, levels @ basis_s)
    return theta, _losses(problem, theta, means)


def _losses(problem: GeneProblem, theta: FloatArray, means: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Loss of ``(shapes, genes, parameters)`` with these means, ``(shapes, genes)``."""
    n_shapes, n_genes, n_parameters = theta.shape
    repeated = problem.repeated(n_shapes)
    u, s = (values.reshape(n_shapes * n_genes, -1) for values in means)
    loss = repeated.prior.penalty(theta.reshape(-1, n_parameters)) - repeated.log_likelihood((u, s))
    return np.asarray(loss.reshape(n_shapes, n_genes))


def _bases(states: States, shapes: tuple[Shape, ...]) -> tuple[FloatArray, FloatArray]:
    """Means of both layers for each level set to one and the others to zero, ``(shapes, levels, states)``."""
    own = np.eye(states.layout.n_lineages)[states.lineage].T
    out: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for shape in shapes:
        for curve, layer in zip(states.curve.unit_curves(states.times, shape), out, strict=True):
            tiled = np.tile(curve, (1, states.layout.n_lineages))
            layer.append(np.concatenate([tiled[:2], *(own * last for last in tiled[2:])]))
    return np.stack(out[0]), np.stack(out[1])


def _parameters(problem: GeneProblem, levels: FloatArray, scaling: FloatArray, shapes: tuple[Shape, ...]) -> FloatArray:
    p = SwitchParameter
    layout = problem.states.layout
    rates, onset, duration = (
        np.array([getattr(shape, of) for shape in shapes]) for of in ("rates", "onset", "duration")
    )
    theta = np.empty((*levels.shape[:2], layout.n_parameters))
    theta[..., [p.LOG_BETA, p.LOG_GAMMA]] = np.log(rates)[:, None]
    theta[..., p.T_ON], theta[..., p.LOG_SCALING] = onset[:, None], np.log(scaling)
    theta[..., [p.LOG_LEVEL_0, p.LOG_LEVEL_1]] = np.log(levels[..., :2])
    theta[..., layout.durations] = np.log(duration)[:, None, None]
    theta[..., layout.last_levels] = np.log(levels[..., 2:])
    starts = theta.reshape(-1, layout.n_parameters)
    return problem.within(starts, starts).reshape(theta.shape)
