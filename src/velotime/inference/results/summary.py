"""What a fit says of each cell and each gene."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import interp1d

from velotime._types import FloatArray
from velotime.inference.model.layer import StateSums
from velotime.inference.model.mstep import GeneProblem, improve, restart
from velotime.inference.model.posterior import blocks, gene_log_likelihood
from velotime.inference.model.problem import SoftParameters, SoftProblem, SoftStatistics
from velotime.inference.results.uncertainty import Uncertainty, uncertainty
from velotime.inference.states import Layout, States
from velotime.kinetics import SwitchParameter

FINER = 4  # times of the last posterior for each of the fit's: its quantiles are finer than the grid
FREE_BINS = 20  # pieces of the clock with a mean of their own in the saturated model


@dataclass(frozen=True)
class CellTable:
    """Posterior of each cell's time and what follows from it; all in the caller's order of cells.

    Attributes
    ----------
    mean
        ``sum_j q_j t_j``, ``(cells,)``.
    sd
        Square root of ``sum_j q_j (t_j - mean)^2``, times what uncertain curves add, plus the variance of the clock,
        ``(cells,)``; see ``_uncertainty``.
    clock_sd
        The clock's part of it, shared by cells of one time, ``(cells,)``.
    q05, q95
        Quantiles of the posterior, linear between grid times, widened about the mean as the sd is, ``(cells,)``.
    entropy
        ``-sum_j q_j log q_j``, nats, ``(cells,)``.
    lineages
        Posterior over lineages, ``(cells, lineages)``.
    unspliced, spliced
        Fitted means ``sum_j q_j mu_j`` at size factor 1, ``(cells, genes)``, float32.
    velocity_u, velocity
        Posterior means of du/dt and ds/dt, ``(cells, genes)``, float32, relative units.
    velocity_sd
        Standard deviation of ds/dt, from uncertain time and an uncertain curve, ``(cells, genes)``, float32.
    """

    mean: FloatArray
    sd: FloatArray
    clock_sd: FloatArray
    q05: FloatArray
    q95: FloatArray
    entropy: FloatArray
    lineages: FloatArray
    unspliced: FloatArray
    spliced: FloatArray
    velocity_u: FloatArray
    velocity: FloatArray
    velocity_sd: FloatArray


@dataclass(frozen=True)
class GeneGains:
    """What the curve of each gene explains.

    Attributes
    ----------
    log_likelihood, gain, deviance_explained
        As in :class:`GeneTable`, ``(genes,)``.
    """

    log_likelihood: FloatArray
    gain: FloatArray
    deviance_explained: FloatArray


@dataclass(frozen=True)
class GeneTable:
    """What the fit says of each gene.

    Attributes
    ----------
    log_likelihood
        Expected log-likelihood of the gene's counts given the posterior, nats, ``(genes,)``.
    gain
        Log-likelihood over that of a constant mean, nats, ``(genes,)``: how much the gene tells of time.
    deviance_explained
        ``(kinetics - constant)/(free - constant)`` in log-likelihood, where "free" has a mean of its own in each of
        20 pieces of the clock, ``(genes,)``. 1: the curve says all that the clock can say of this gene. NaN where a
        free mean says nothing either.
    standard_errors
        Of the parameters, ``(genes, parameters)``: from the Fisher information (with the prior's), less what is missing
        as times are uncertain; origin and unit of the clock aligned. See ``_uncertainty``.
    last_switch_errors
        Of the last switch of each lineage, ``(genes, lineages)``, from the same covariance.
    lineage_ratio
        Likelihood-ratio statistic of "the last switches of this gene's lineages differ", ``(genes,)``: twice the gain
        over the best curve that is one for all lineages, at the same posterior; it ranks fate genes. 0 with one
        lineage.
    """

    log_likelihood: FloatArray
    gain: FloatArray
    deviance_explained: FloatArray
    standard_errors: FloatArray
    last_switch_errors: FloatArray
    lineage_ratio: FloatArray


def doubts(problem: SoftProblem, parameters: SoftParameters, statistics: SoftStatistics) -> Uncertainty:
    """How uncertain curves and clock of a fit are, from its sums over cells."""
    genes, n_cells = problem.gene_problem(parameters, statistics), statistics.weight.sum(axis=0)
    return uncertainty(genes, parameters.theta, n_cells, problem.cells.n_averaged)


def cell_table(problem: SoftProblem, parameters: SoftParameters, doubt: Uncertainty) -> CellTable:
    """Posterior summaries and expectations of every cell, on a finer grid than that of the fit."""
    fine, parameters = refine(problem, parameters)
    n_cells, n_genes = problem.cells.n_cells, parameters.theta.shape[0]
    curves = [
        np.ascontiguousarray(curve.T, dtype=np.float32)
        for curve in (*fine.states.means(parameters.theta), *fine.states.velocities(parameters.theta))
    ]
    middle = curves[3].mean(axis=0, dtype=np.float64)  # off before squaring, so that little cancels
    square = (curves[3] - middle) ** 2 + between(doubt.velocity_variance, problem.states, fine.states).T
    widening, clock = (
        between(values, problem.states, fine.states) for values in (doubt.widening, doubt.clock_variance)
    )
    layers = [np.empty((n_cells, n_genes), dtype=np.float32) for _ in range(5)]
    columns = [np.empty(n_cells) for _ in range(6)]
    lineages = np.empty((n_cells, problem.states.layout.n_lineages))
    for cells, q in blocks(fine, parameters):
        into = problem.cells.order[cells]
        for layer, curve in zip(layers, curves, strict=False):
            layer[into] = q @ curve
        lineages[into] = q.reshape(len(q), lineages.shape[1], -1).sum(axis=2)
        layers[4][into] = np.sqrt(np.maximum(q.astype(np.float64) @ square - (layers[3][into] - middle) ** 2, 0.0))
        for column, values in zip(columns, summarise(q.astype(np.float64), fine, widening, clock), strict=True):
            column[into] = values
    mean, sd, clock_sd, low, high, entropy = columns
    return CellTable(mean, sd, clock_sd, low, high, entropy, lineages, *layers)


def summarise(
    q: FloatArray, problem: SoftProblem, widening: FloatArray, clock_variance: FloatArray
) -> tuple[FloatArray, ...]:
    """Mean, sd, clock's sd, 5 % and 95 % quantile and entropy of a posterior ``(cells, states)``."""
    time = problem.states.time
    mean = q @ time
    own = (q * (time - mean[:, None]) ** 2).sum(axis=1)
    shared = q @ clock_variance
    sd = np.sqrt(own * (q @ widening) + shared)
    entropy = -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1) - np.log(FINER)
    by_time = q.reshape(len(q), problem.states.layout.n_lineages, -1).sum(axis=1)
    stretch = sd / np.sqrt(np.maximum(own, 1e-12))
    low, high = (mean + (quantile(by_time, problem.states.times, level) - mean) * stretch for level in (0.05, 0.95))
    return mean, sd, np.sqrt(shared), low, high, np.maximum(entropy, 0.0)


def refine(problem: SoftProblem, parameters: SoftParameters) -> tuple[SoftProblem, SoftParameters]:
    """The same model on a finer time grid, with the density of its prior."""
    states = problem.states
    fine = States(np.linspace(0.0, 1.0, FINER * (len(states.times) - 1) + 1), states.layout)
    prior = between(parameters.prior, states, fine)
    known = tuple(between(table, states, fine) for table in parameters.known)
    finer = replace(parameters, prior=prior / prior.sum(axis=1, keepdims=True), known=known)
    return replace(problem, states=fine), finer


def between(values: FloatArray, states: States, fine: States) -> FloatArray:
    """Values of states ``(..., states)`` at those of a finer grid, linear between times."""
    by_lineage = values.reshape(*values.shape[:-1], states.layout.n_lineages, len(states.times))
    filled = interp1d(states.times, by_lineage, axis=-1)(fine.times)
    return np.asarray(filled.reshape(*values.shape[:-1], -1))


def quantile(q: FloatArray, times: FloatArray, level: float) -> FloatArray:
    """Quantile of a posterior on a grid, each grid time standing for the cell around it, ``(cells,)``."""
    edges = np.concatenate([[times[0]], 0.5 * (times[1:] + times[:-1]), [times[-1]]])
    below = np.concatenate([np.zeros((len(q), 1)), np.cumsum(q, axis=1)], axis=1)
    below /= below[:, -1:]
    k = np.clip((below <= level).sum(axis=1) - 1, 0, len(times) - 1)
    row = np.arange(len(q))
    share = (level - below[row, k]) / np.maximum(below[row, k + 1] - below[row, k], 1e-300)
    return np.asarray(edges[k] + np.clip(share, 0, 1) * (edges[k + 1] - edges[k]))


def gene_table(
    problem: SoftProblem, parameters: SoftParameters, statistics: SoftStatistics, doubt: Uncertainty
) -> GeneTable:
    """Fit and standard errors of every gene."""
    genes = problem.gene_problem(parameters, statistics)
    errors = np.sqrt(np.maximum(np.einsum("gpp->gp", doubt.covariance), 0.0))
    gains = gene_gains(problem, parameters, statistics)
    return GeneTable(
        gains.log_likelihood,
        gains.gain,
        gains.deviance_explained,
        errors,
        last_switch_errors(doubt.covariance, parameters.theta, problem.states.layout),
        _lineage_ratio(genes, genes.log_likelihood(problem.states.means(parameters.theta))),
    )


def last_switch_errors(covariance: FloatArray, theta: FloatArray, layout: Layout) -> FloatArray:
    """Standard error of each lineage's last switch ``t_off = t_on + D``, ``(genes, lineages)``.

    The two move against each other, so their covariance counts; with D given by its logarithm,
    ``Var(t_off) = Var(t_on) + 2 D Cov(t_on, log D) + D^2 Var(log D)``.
    """
    t_on = SwitchParameter.T_ON
    duration = np.exp(theta[:, layout.durations])
    own = np.einsum("gpp->gp", covariance)
    variance = own[:, [t_on]] + 2 * duration * covariance[:, t_on, layout.durations]
    variance = variance + duration**2 * own[:, layout.durations]
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def gene_gains(problem: SoftProblem, parameters: SoftParameters, statistics: SoftStatistics) -> GeneGains:
    """What the curves explain, given sums over cells."""
    genes = problem.gene_problem(parameters, statistics)
    n_times = len(problem.states.times)
    kinetics = free = constant = np.zeros(genes.n_genes)
    means = problem.states.means(parameters.theta)
    for sums, curve, scatter in (
        (genes.unspliced, means[0], genes.unspliced_scatter),
        (genes.spliced, means[1], genes.spliced_scatter),
    ):
        kinetics = kinetics + problem.noise.log_likelihood(sums, curve, scatter)
        binned = sums.merge(n_times, max(1, n_times // FREE_BINS))
        free = free + problem.noise.log_likelihood(sums, _spread(binned.means(), n_times, sums), scatter)
        flat = sums.value.sum(axis=1, keepdims=True) / sums.size.sum()
        constant = constant + problem.noise.log_likelihood(sums, np.repeat(flat, curve.shape[1], axis=1), scatter)
    gap = free - constant
    explained = np.where(gap > 1e-9, (kinetics - constant) / np.where(gap > 1e-9, gap, 1.0), np.nan)
    return GeneGains(gene_log_likelihood(problem, parameters, statistics), kinetics - constant, explained)


def _lineage_ratio(genes: GeneProblem, log_likelihood: FloatArray) -> FloatArray:
    if genes.states.layout.n_lineages == 1:
        return np.zeros(genes.n_genes)
    alike = genes.without_lineages()
    theta = improve(alike, restart(alike, None), 8).theta
    gain = log_likelihood - alike.log_likelihood(alike.states.means(theta))
    return 2 * np.maximum(gain, 0.0)


def _spread(binned: FloatArray, n_times: int, sums: StateSums) -> FloatArray:
    """Give each state the mean of its piece of the clock."""
    n_lineages = sums.size.shape[0] // n_times
    pieces = binned.reshape(binned.shape[0], n_lineages, -1)
    factor = max(1, n_times // FREE_BINS)
    return np.repeat(pieces, factor, axis=2)[:, :, :n_times].reshape(binned.shape[0], -1)
