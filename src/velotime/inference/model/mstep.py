"""The M-step: every gene's parameters given sums over cells, by Levenberg-Marquardt in batches.

For one gene with curve mu(theta), sums Y_j, n_j and variance function V the gradient of the expected log-likelihood is
``sum_j (Y_j - n_j mu_j)/V_j dmu_j`` and its expected second derivative (Fisher's) ``-sum_j n_j/V_j dmu_j dmu_j^T``;
the damped Newton step with these two, both layers added and the prior on top, is taken where it helps the gene.
All genes are one batch; the sums over states are compiled and run on all cores (``backends._switch_curve``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import CurveTargets, curve_information
from velotime.inference.model.layer import StateSums
from velotime.inference.model.noise import Noise
from velotime.inference.model.rate_prior import CurvePrior, RatePrior
from velotime.inference.model.shapes import best_shapes
from velotime.inference.states import Layout, States

LONGEST_STEP = 1.0  # largest move of a log-parameter in one step
COARSE = 16  # times a lineage on which shapes are screened
FINALISTS = 3  # shapes a gene that go on
POLISH_STEPS = 5  # steps these are given


@dataclass(frozen=True)
class GeneProblem:
    """What is fitted in the M-step: curves on states to sums of both layers.

    Attributes
    ----------
    states
        The states of the cells.
    noise
        The noise model.
    prior
        Prior of the parameters.
    unspliced, spliced
        Sums over cells.
    unspliced_scatter, spliced_scatter
        The noise model's parameter, ``(genes,)``.
    """

    states: States
    noise: Noise
    prior: CurvePrior
    unspliced: StateSums
    spliced: StateSums
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced_scatter.shape[0])

    def genes(self, index: IntArray | slice) -> GeneProblem:
        """The problem of these genes."""
        return GeneProblem(
            self.states,
            self.noise,
            self.prior.genes(index),
            self.unspliced.genes(index),
            self.spliced.genes(index),
            self.unspliced_scatter[index],
            self.spliced_scatter[index],
        )

    def coarse(self) -> GeneProblem:
        """The same on about ``COARSE`` times a lineage, each the middle of those it stands for."""
        n_times = len(self.states.times)
        factor = max(1, n_times // COARSE)
        starts = np.arange(0, n_times, factor)
        width = np.diff(np.append(starts, n_times))
        times = np.add.reduceat(self.states.times, starts) / width
        return GeneProblem(
            States(times, self.states.layout),
            self.noise,
            self.prior,
            self.unspliced.merge(n_times, factor),
            self.spliced.merge(n_times, factor),
            self.unspliced_scatter,
            self.spliced_scatter,
        )

    def without_lineages(self) -> GeneProblem:
        """The same cells on one lineage."""
        states = States(self.states.times, Layout(1))
        k = self.states.layout.n_lineages
        return GeneProblem(
            states,
            self.noise,
            RatePrior(states.layout),
            self.unspliced.over_lineages(k),
            self.spliced.over_lineages(k),
            self.unspliced_scatter,
            self.spliced_scatter,
        )

    def log_likelihood(self, means: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Expected log-likelihood of each gene without its constant, ``(genes,)``."""
        return self.noise.log_likelihood(self.unspliced, means[0], self.unspliced_scatter) + self.noise.log_likelihood(
            self.spliced, means[1], self.spliced_scatter
        )

    def loss(self, theta: FloatArray) -> FloatArray:
        """Minus the log posterior density of each gene up to a constant, ``(genes,)``."""
        return self.prior.penalty(theta) - self.log_likelihood(self.states.means(theta))

    def information(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood ``(genes, parameters)`` and Fisher information of all parameters."""
        layers = (
            CurveTargets(sums.value, sums.size, sums.mean_size, self.noise.variance_terms(scatter))
            for sums, scatter in (
                (self.unspliced, self.unspliced_scatter),
                (self.spliced, self.spliced_scatter),
            )
        )
        return curve_information(theta, self.states.times, self.states.columns, *layers)


@dataclass(frozen=True)
class GeneFit:
    """Where the optimiser stands: parameters, their loss, and the damping to go on with."""

    theta: FloatArray
    loss: FloatArray
    damping: FloatArray


def begin(problem: GeneProblem, theta: FloatArray) -> GeneFit:
    """Stand at ``theta``."""
    return GeneFit(theta, problem.loss(theta), np.full(theta.shape[0], 1e-2))


def improve(problem: GeneProblem, fit: GeneFit, steps: int) -> GeneFit:
    """Take ``steps`` Levenberg-Marquardt steps in every gene; no gene's loss rises."""
    for _ in range(steps):
        gradient, fisher = problem.information(fit.theta)
        gradient -= problem.prior.gradient(fit.theta)
        hessian = fisher + problem.prior.hessian
        diagonal = np.einsum("gpp->gp", hessian)
        diagonal += diagonal * fit.damping[:, None]  # a view: this writes to the hessian
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        theta = np.clip(
            fit.theta + np.clip(step, -LONGEST_STEP, LONGEST_STEP), problem.prior.lower, problem.prior.upper
        )
        loss = problem.loss(theta)
        good = loss < fit.loss
        fit = GeneFit(
            np.where(good[:, None], theta, fit.theta),
            np.where(good, loss, fit.loss),
            np.clip(np.where(good, fit.damping * 0.3, fit.damping * 4.0), 1e-6, 1e4),
        )
    return fit


def restart(problem: GeneProblem, theta: FloatArray | None) -> GeneFit:
    """Try every shape a gene can have from scratch, and keep it where it beats ``theta``.

    Shapes are screened on a coarse time grid; the best few of each gene go on, the best one is polished on the full
    grid. The loss has many local optima (a pulse is no small change of a dip), and no step finds its way between them.
    """
    fresh = _best_shape(problem)
    return fresh if theta is None else _better(fresh, improve(problem, begin(problem, theta), 1))


def _better(one: GeneFit, other: GeneFit) -> GeneFit:
    wins = one.loss < other.loss
    return GeneFit(
        np.where(wins[:, None], one.theta, other.theta),
        np.where(wins, one.loss, other.loss),
        np.where(wins, one.damping, other.damping),
    )


def _best_shape(problem: GeneProblem) -> GeneFit:
    """Best of all shapes for each gene."""
    coarse = problem.coarse()
    chosen = best_shapes(coarse, FINALISTS)
    polished = _improve_stack(coarse, chosen, POLISH_STEPS)
    n_genes = chosen.shape[1]
    best = polished.loss.reshape(-1, n_genes).argmin(axis=0)
    theta = polished.theta.reshape(chosen.shape)[best, np.arange(n_genes)]
    return improve(problem, begin(problem, theta), 2)


def _improve_stack(problem: GeneProblem, thetas: FloatArray, steps: int) -> GeneFit:
    """Improve ``(starts, genes, parameters)`` as one batch; rows come back start by start."""
    n_starts, n_genes, n_parameters = thetas.shape
    repeated = problem.genes(np.tile(np.arange(n_genes), n_starts))
    return improve(repeated, begin(repeated, thetas.reshape(-1, n_parameters)), steps)
