"""What a fit says of each gene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.curves.line import SWITCH
from velotime.inference.evidence.gains import GeneGains, gene_gains
from velotime.inference.evidence.predictive import PredictiveChecks
from velotime.inference.evidence.variation import explained_variation
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, best_single_curve, better, finish
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.results.switches import SwitchIntervals, switch_intervals
from velotime.inference.results.uncertainty import Uncertainty
from velotime.inference.states import Layout
from velotime.kinetics import SwitchParameter

RATIO_STEPS = 15  # Levenberg-Marquardt steps of each fit that a lineage ratio compares


@dataclass(frozen=True)
class GeneTable(GeneGains):
    """What the fit says of each gene.

    Attributes
    ----------
    log_likelihood, gain, deviance_explained
        As of :class:`GeneGains`, ``(genes,)``.
    standard_errors
        Of the parameters, ``(genes, parameters)``: from the Fisher information (with the prior's), less what is missing
        as times are uncertain; origin and unit of the clock aligned. See ``uncertainty``.
    last_switch_errors
        Of the last switch of each lineage, ``(genes, lineages)``, from the same covariance.
    switches
        90 % intervals of the switches, which need not be symmetric. See ``switches``.
    lineage_ratio
        Likelihood-ratio statistic of "the last switches of this gene's lineages differ", ``(genes,)``: twice the gain
        over the best curve that is one for all lineages, at the same posterior; it ranks fate genes. 0 with one
        lineage.
    check_means, check_zeros
        As of :class:`PredictiveChecks`, ``(genes,)``.
    variation_explained
        Share of what the gene varies between cells beyond chance that the clock explains, ``(genes,)``; see
        ``variation``.
    velocity_variance
        Of ds/dt given the state, from an uncertain curve, ``(genes, states)``.
    """

    standard_errors: FloatArray
    last_switch_errors: FloatArray
    switches: SwitchIntervals
    lineage_ratio: FloatArray
    velocity_variance: FloatArray
    check_means: FloatArray
    check_zeros: FloatArray
    variation_explained: FloatArray


def gene_table(
    problem: SoftProblem,
    parameters: SoftParameters,
    statistics: Sums,
    doubt: Uncertainty,
    checks: PredictiveChecks,
) -> GeneTable:
    """Fit and standard errors of every gene, with checks of its counts."""
    genes = problem.gene_problem(parameters, statistics)
    errors = np.sqrt(np.maximum(np.einsum("gpp->gp", doubt.covariance), 0.0))
    gains = gene_gains(problem, parameters, statistics)
    last = last_switch_errors(doubt.covariance, parameters.theta, problem.states.layout)
    curve = problem.states.curve
    if curve is SWITCH:
        switches = switch_intervals(genes, parameters.theta, doubt, problem.cells.n_averaged)
    else:
        switches = normal_intervals(curve.as_switch(parameters.theta), errors[:, SwitchParameter.T_ON], last[:, 0])
    return GeneTable(
        gains.log_likelihood,
        gains.gain,
        gains.deviance_explained,
        errors,
        last,
        switches,
        lineage_ratio(genes, parameters.theta),
        doubt.velocity_variance,
        checks.means,
        checks.zeros,
        explained_variation(problem, parameters, statistics, doubt.covariance),
    )


def normal_intervals(theta: FloatArray, on_error: FloatArray, off_error: FloatArray) -> SwitchIntervals:
    """The fit and 1.64 standard errors either side of both switches, for curves with no profile of their own.

    ``theta`` are the curves as switches.
    """
    p = SwitchParameter
    sides = norm.ppf([0.05, 0.95])
    t_on = theta[:, p.T_ON] % 1.0
    t_off = t_on + np.exp(theta[:, p.LOG_DURATION])
    ends = [at[:, None] + error[:, None] * sides for at, error in ((t_on, on_error), (t_off, off_error))]
    return SwitchIntervals(ends[0], ends[1], np.ones(len(theta), dtype=bool))


def last_switch_errors(covariance: FloatArray, theta: FloatArray, layout: Layout) -> FloatArray:
    """Standard error of each lineage's last switch ``t_off = t_on + D``, ``(genes, lineages)``.

    The two move against each other, so their covariance counts; with D given by its logarithm,
    ``Var(t_off) = Var(t_on) + 2 D Cov(t_on, log D) + D^2 Var(log D)``; without the terms of D where it is known.
    """
    t_on = SwitchParameter.T_ON
    duration = np.exp(theta[:, layout.durations]) * (1.0 - layout.curve.idle(theta)[:, layout.durations])
    own = np.einsum("gpp->gp", covariance)
    variance = own[:, [t_on]] + 2 * duration * covariance[:, t_on, layout.durations]
    variance = variance + duration**2 * own[:, layout.durations]
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def lineage_ratio(genes: GeneProblem, theta: FloatArray) -> FloatArray:
    """Twice the gain of curves by lineage over the best curve that is one for all, ``(genes,)``; zero with one lineage.

    Both are optimised from each other as well as from their own best start, so that neither is held back by an optimum
    that the other has left, and both are scored on the same sums.
    """
    layout = genes.states.layout
    if layout.n_lineages == 1:
        return np.zeros(genes.n_genes)
    together = genes.one_curve()
    single = better(
        best_single_curve(genes, RATIO_STEPS),
        finish(together, begin(together, layout.average(theta)), RATIO_STEPS),
    )
    own = better(
        finish(genes, begin(genes, theta), RATIO_STEPS),
        finish(genes, begin(genes, layout.repeat(single.theta)), RATIO_STEPS),
    )
    gain = genes.log_likelihood(genes.states.means(own.theta))
    gain -= together.log_likelihood(together.states.means(single.theta))
    return 2 * np.maximum(gain, 0.0)
