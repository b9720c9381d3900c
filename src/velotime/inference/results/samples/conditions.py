"""Rates of each sample, and what they say of conditions: samples are the replicates.

Curves, clock and posterior are those of the joint fit. Every gene is fitted again to the sums of each sample, with a
weak normal prior around the common curve (sd one e-fold), which gives a change d with variance v, missing information
included. For a normal prior of variance p the data alone say ``d / (1 - v/p)`` with variance ``v / (1 - v/p)``: these
go to a regression over samples. A sample that says hardly anything of a gene (v/p above 0.9) is left out of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import BoolArray, FloatArray
from velotime.inference.evidence.moderated import Effects, moderated_effects
from velotime.inference.model.mstep import begin, improve
from velotime.inference.model.rate_prior import NearPrior
from velotime.inference.model.samples.effects import NOT_SEEN
from velotime.inference.model.samples.genes import SampledGenes
from velotime.inference.results.restored_fit import Restored
from velotime.inference.results.uncertainty import uncertainty
from velotime.kinetics import SwitchParameter

STEPS = 15  # Levenberg-Marquardt steps from the common curve
CHANGE_SD = 1.0
MOST_OF_THE_PRIOR = 0.9
WHAT = ("alpha", "beta", "gamma", "t_on")


@dataclass(frozen=True)
class SampleRates:
    """Changes of each gene in each sample against the common curve, ``(genes, samples)`` each; NaN where not told.

    Attributes
    ----------
    changes
        Of log alpha between the switches, log beta, log gamma and t_on.
    variances
        Of these.
    """

    changes: dict[str, FloatArray]
    variances: dict[str, FloatArray]

    def regress(self, what: str, design: FloatArray) -> Effects:
        """Effects of the columns of a design ``(samples, coefficients)`` on one of them."""
        return moderated_effects(self.changes[what], self.variances[what], design)


def rates_of_samples(fit: Restored) -> SampleRates:
    """Fit every gene to each sample."""
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    genes, effects = fit.problem.gene_problem(fit.parameters, statistics), fit.parameters.effects
    assert isinstance(genes, SampledGenes)
    assert effects is not None
    layout, p = fit.problem.states.layout, SwitchParameter
    columns: dict[str, list[tuple[FloatArray, FloatArray]]] = {what: [] for what in WHAT}
    for b, (part, shared) in enumerate(genes.parts(fit.parameters.theta)):
        near = replace(part, prior=NearPrior(shared, np.full(layout.n_parameters, CHANGE_SD**-2), layout))
        found = improve(near, begin(near, shared), STEPS).theta
        n_cells = statistics.by_sample[b].weight.sum(axis=0)  # type: ignore[attr-defined]  # of several samples
        covariance = uncertainty(near, found, n_cells).covariance
        seen = effects.log_capture[1, :, b] > NOT_SEEN
        change, own = found - shared, np.einsum("gpp->gp", covariance)
        for what, column in (("beta", p.LOG_BETA), ("gamma", p.LOG_GAMMA), ("t_on", p.T_ON)):
            columns[what].append(_by_the_data(change[:, column], own[:, column], 1.0, seen))
        level, gamma = p.LOG_LEVEL_1, p.LOG_GAMMA
        variance = own[:, level] + own[:, gamma] + 2 * covariance[:, level, gamma]
        alpha, variance = _by_the_data(change[:, level] + change[:, gamma], variance, 2.0, seen)
        columns["alpha"].append((alpha + effects.log_capture[1, :, b], variance))
    stacked = {
        what: [np.stack(values, axis=1) for values in zip(*pairs, strict=True)] for what, pairs in columns.items()
    }
    return SampleRates({w: pair[0] for w, pair in stacked.items()}, {w: pair[1] for w, pair in stacked.items()})


def _by_the_data(
    change: FloatArray, variance: FloatArray, prior: float, seen: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """What the data alone say, without the prior of variance ``prior``; NaN where they hardly do."""
    share = variance / (prior * CHANGE_SD**2)
    told = seen & (share < MOST_OF_THE_PRIOR) & (share > 0)
    left = np.where(told, 1 - share, np.nan)
    return change / left, variance / left


def composition_of_samples(fit: Restored, edges: FloatArray) -> FloatArray:
    """Expected cells of each sample in pieces of the clock, lineage by lineage, ``(lineages * pieces, samples)``."""
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    states = fit.problem.states
    piece = np.clip(np.searchsorted(edges, states.time, side="right") - 1, 0, len(edges) - 2)
    at = states.lineage * (len(edges) - 1) + piece
    n = states.layout.n_lineages * (len(edges) - 1)
    by_sample = statistics.by_sample  # type: ignore[attr-defined]  # of several samples
    return np.stack([np.bincount(at, part.weight.sum(axis=0), minlength=n) for part in by_sample], axis=1)
