r"""Rates of each sample, and what they say of conditions: samples are the replicates.

Curves, clock and posterior are those of the joint fit. Every gene is fitted again to the sums of each sample, with a
normal prior of precision P around the common curve: one e-fold of rates, times and durations, five of levels and the
scaling, as captures differ. With F the information of these sums, as if cells stood where the posterior has them, and d
the change that is found, ``(F + P) d`` is the slope of the likelihood at the common curve (to second order). But cells
move with the gene: what is left of the information is I = ``F - missing`` (``own_covariance``), so

    d* = C (F + P) d,    C = (I + P)^-1,    E d* = (1 - C P) delta,    Var d* = C - C P C

and a change ``a' delta`` (one parameter, or a sum of two) is told by ``a' d* / r`` with variance ``a' Var d* a / r^2``
and ``r = 1 - a' C a / a' P^-1 a``: these go to a regression over samples. A sample with r below 0.2 hardly tells of a
gene, and is left out of it.

All of this is taken at the common curve, not at that of the sample. Information depends on the parameters (a fast rate
is seen less well than a slow one), so that taken at the estimates it goes with their errors; samples whose cells lie
elsewhere see other parts of the curve, and what is chance then looks like a difference between conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.evidence.moderated import Effects, moderated_effects
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, improve
from velotime.inference.model.rate_prior import NearPrior
from velotime.inference.model.samples.effects import LAST_LEVELS, LEVELS, NOT_SEEN
from velotime.inference.model.samples.genes import SampledGenes
from velotime.inference.results.restored_fit import Restored
from velotime.inference.results.uncertainty import own_covariance
from velotime.inference.states import Layout
from velotime.kinetics import SwitchParameter

STEPS = 15  # Levenberg-Marquardt steps from the common curve
CHANGE_SD = 1.0
LEVEL_SD = 5.0
LEAST_TOLD = 0.2
WHAT = ("alpha", "beta", "gamma", "t_on")
SUMS = {  # what is compared, as a sum of parameters
    "alpha": (SwitchParameter.LOG_LEVEL_1, SwitchParameter.LOG_GAMMA),
    "beta": (SwitchParameter.LOG_BETA,),
    "gamma": (SwitchParameter.LOG_GAMMA,),
    "t_on": (SwitchParameter.T_ON,),
}


@dataclass(frozen=True)
class SampleRates:
    """Changes of each gene in each sample against the common curve, ``(genes, samples)`` each; NaN where not told.

    Attributes
    ----------
    changes
        Of log alpha between the switches (of all genes of a sample less their median, as depth would pass for it), log
        beta, log gamma and t_on.
    variances
        Of these.
    """

    changes: dict[str, FloatArray]
    variances: dict[str, FloatArray]

    def regress(self, what: str, design: FloatArray) -> Effects:
        """Effects of the columns of a design ``(samples, coefficients)`` on one of them."""
        return moderated_effects(self.changes[what], self.variances[what], design)


def change_precision(layout: Layout) -> FloatArray:
    """Of the prior of changes, ``(parameters,)``."""
    sd = np.full(layout.n_parameters, CHANGE_SD)
    sd[[*LEVELS, SwitchParameter.LOG_SCALING]] = LEVEL_SD
    sd[LAST_LEVELS] = LEVEL_SD
    return np.asarray(sd**-2.0)


def rates_of_samples(fit: Restored) -> SampleRates:
    """Fit every gene to each sample."""
    effects = fit.parameters.effects
    assert effects is not None
    changes: dict[str, list[FloatArray]] = {what: [] for what in WHAT}
    variances: dict[str, list[FloatArray]] = {what: [] for what in WHAT}
    for b, (near, shared, n_cells) in enumerate(_near_problems(fit)):
        seen = effects.log_capture[1, :, b] > NOT_SEEN
        moved, covariance = _change(near, shared, n_cells)
        for what, parameters in SUMS.items():
            direction = np.zeros(shared.shape[1])
            direction[list(parameters)] = 1.0
            change, variance = _told(direction, moved, covariance, np.diagonal(near.prior.hessian))
            if what == "alpha":
                change = change + effects.log_capture[1, :, b]
                change = change - np.nanmedian(np.where(seen, change, np.nan))
            changes[what].append(np.where(seen, change, np.nan))
            variances[what].append(np.where(seen, variance, np.nan))
    return SampleRates(
        {what: np.stack(columns, axis=1) for what, columns in changes.items()},
        {what: np.stack(columns, axis=1) for what, columns in variances.items()},
    )


def curves_of_samples(fit: Restored, genes: IntArray, times: FloatArray) -> FloatArray:
    """Means of some genes fitted to each sample, captures taken off, ``(samples, 2, genes, lineages * times)``."""
    states, curves = replace(fit.problem.states, times=times), []
    for near, shared, _ in _near_problems(fit, genes):
        curves.append(np.stack(states.means(improve(near, begin(near, shared), STEPS).theta)))
    return _without_capture(fit, genes, np.stack(curves))


def _without_capture(fit: Restored, genes: IntArray, curves: FloatArray) -> FloatArray:
    effects = fit.parameters.effects
    assert effects is not None
    capture = effects.log_capture[:, genes]
    seen = np.where(capture > NOT_SEEN, np.exp(-capture), np.nan)
    return np.asarray(curves * np.moveaxis(seen, 2, 0)[..., None])


def _near_problems(
    fit: Restored, some: IntArray | slice = slice(None)
) -> Iterator[tuple[GeneProblem, FloatArray, FloatArray]]:
    """Of each sample: its problem near the common curve, that curve with its captures, and cells in each state."""
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    genes = fit.problem.gene_problem(fit.parameters, statistics).genes(some)
    assert isinstance(genes, SampledGenes)
    layout = fit.problem.states.layout
    precision = change_precision(layout)
    by_sample = statistics.by_sample  # type: ignore[attr-defined]  # of several samples
    for (part, shared), sums in zip(genes.parts(fit.parameters.theta[some]), by_sample, strict=True):
        yield replace(part, prior=NearPrior(shared, precision, layout)), shared, sums.weight.sum(axis=0)


def _change(near: GeneProblem, shared: FloatArray, n_cells: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``d*`` of all parameters ``(genes, parameters)``, and C."""
    found = improve(near, begin(near, shared), STEPS).theta
    _, information = near.information(shared)
    slope = np.einsum("gpq,gq->gp", information + near.prior.hessian, found - shared)
    covariance = own_covariance(near, shared, n_cells)
    return np.einsum("gpq,gq->gp", covariance, slope), covariance


def _told(
    direction: FloatArray, moved: FloatArray, covariance: FloatArray, precision: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """What the data alone say of a sum of parameters, and its variance; NaN where they hardly do."""
    along = covariance @ direction
    own = along @ direction
    left = 1 - own / (direction**2 / precision).sum()
    left = np.where(left > LEAST_TOLD, left, np.nan)
    variance = np.maximum(own - along**2 @ precision, 1e-9)
    return moved @ direction / left, variance / left**2


def composition_of_samples(fit: Restored, edges: FloatArray) -> FloatArray:
    """Expected cells of each sample in pieces of the clock, lineage by lineage, ``(lineages * pieces, samples)``."""
    statistics, _ = fit.problem.expect(fit.parameters, 1.0)
    states = fit.problem.states
    piece = np.clip(np.searchsorted(edges, states.time, side="right") - 1, 0, len(edges) - 2)
    at = states.lineage * (len(edges) - 1) + piece
    n = states.layout.n_lineages * (len(edges) - 1)
    by_sample = statistics.by_sample  # type: ignore[attr-defined]  # of several samples
    return np.stack([np.bincount(at, part.weight.sum(axis=0), minlength=n) for part in by_sample], axis=1)
