r"""How fast each sample runs: one number by which all of its rates are divided.

In sample b rates of splicing and degradation are ``beta / rho_b`` and ``gamma / rho_b``, at the same levels and
switches, ``sum_b w_b log rho_b = 0``: counts follow the switches more slowly, in all genes at once. Cells that lag
behind look earlier, so the clock of a joint fit takes up much of it, and so do its curves. Hence rho is learned with
the curves, the captures, the densities and the posteriors of the times, and nothing of the fit is held fixed but
dispersions. Backgrounds are learned too where the fit has any: slower samples rise and fall less, which a fit at one
speed takes for a background of theirs.

For ``x = log rho_b`` a Newton step on the likelihood of the cells of the sample, their times and its captures a taken
out. With v the derivative of a gene's parameters by x, c that by its captures, F the information of its curve as if
times were known, ``A_d = sum w mu' (J d)`` of a direction d in each state, M the information of the times (as in
``uncertainty``) and ``N = c^T F c + tau^-2``,

    s = N^-1 c^T F v,    u = v - c s                   (captures follow)
    M' = M - sum_g A_c^T N^-1 A_c,    A_u = sum_g A_u
    I = sum_g v^T F u - A_u^T M'^-1 A_u,    step = sum_g u^T gradient / I

which is what the cells of one sample say at given curves: 1 / I is the variance of x. Curves then follow by the M-step.
What is left of the way shrinks by about a fifth a round, so every few rounds it is gone at once (Aitken).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.evidence.moderated import Effects, moderated_effects
from velotime.inference.model.background.learning import learn_background
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, improve
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.effects import LAST_LEVELS, LEVELS, NOT_SEEN, SampleEffects
from velotime.inference.model.samples.genes import SampledGenes
from velotime.inference.model.samples.problem import SampledProblem
from velotime.inference.results.restored_fit import Restored
from velotime.inference.results.uncertainty import sums_along
from velotime.inference.states import Layout
from velotime.kinetics import SwitchParameter

RATES = [SwitchParameter.LOG_BETA, SwitchParameter.LOG_GAMMA]
ROUNDS = 24
SHARE_OF_STEP = 0.7  # of a step, which is somewhat too long, as information is taken at the resolution of the times
LONGEST = 0.3  # step of log rho or a log capture
EXTRAPOLATE = 4  # rounds
MOST_KEPT = 0.9  # of the way in the next round, when extrapolated
STILL = 0.02  # change in a round, in standard errors, that counts as none
STEPS = 3  # of the curves in a round


@dataclass(frozen=True)
class SampleSpeeds:
    """How fast samples run.

    Attributes
    ----------
    log_slowing
        Log rho of each sample, its mean over the cells zero, ``(samples,)``; NaN where a sample has no cells.
    variance
        Of these, by the counts of the cells, ``(samples,)``.
    """

    log_slowing: FloatArray
    variance: FloatArray

    def regress(self, design: FloatArray) -> Effects:
        """Effects of the columns of a design ``(samples, coefficients)``, as of one gene."""
        return moderated_effects(self.log_slowing[None], self.variance[None], design)


def speeds_of_samples(fit: Restored) -> SampleSpeeds:
    """Learn rho of every sample, together with all else."""
    effects = fit.parameters.effects
    assert effects is not None
    state = _Paced(fit.parameters, np.zeros(len(effects.names)), np.full(len(effects.names), np.nan))
    path = [state.slowing]
    for k in range(1, ROUNDS + 1):
        state = _follow(fit.problem, _advance(fit.problem, state))
        path.append(state.slowing)
        if np.nanmax(np.abs(path[-1] - path[-2]) / np.sqrt(state.variance)) < STILL:
            break
        if k % EXTRAPOLATE == 0 and k < ROUNDS:
            state = replace(state, slowing=_extrapolated(*path[-3:]))
            path = [state.slowing]
    return SampleSpeeds(np.where(np.isfinite(state.variance), state.slowing, np.nan), state.variance)


def _extrapolated(first: FloatArray, second: FloatArray, third: FloatArray) -> FloatArray:
    """Where a way ends whose steps shrink by the same factor each."""
    before, last = second - first, third - second
    kept = float(np.clip(last @ before / max(float(before @ before), 1e-30), 0.0, MOST_KEPT))
    return np.asarray(third + last * kept / (1 - kept))


@dataclass(frozen=True)
class PacedGenes(SampledGenes):
    """Curves of several samples, each at a speed of its own: ``slowing`` is log rho, ``(samples,)``."""

    slowing: FloatArray = field(kw_only=True)

    @classmethod
    def of(cls, genes: SampledGenes, slowing: FloatArray) -> PacedGenes:
        """The same problem at these speeds."""
        scatter = genes.unspliced_scatter, genes.spliced_scatter
        own = genes.states, genes.noise, genes.prior, genes.unspliced, genes.spliced, *scatter
        return cls(*own, samples=genes.samples, spread=genes.spread, slowing=slowing)

    def parts(self, theta: FloatArray) -> Iterator[tuple[GeneProblem, FloatArray]]:
        """The problem of each sample, and the parameters of its curves."""
        for (part, own), slowing in zip(super().parts(theta), self.slowing, strict=True):
            yield part, _slowed(own, slowing)

    def information(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient and Fisher information, sums over samples, whose curves are not one times what each captures."""
        pairs = [part.information(at) for part, at in self.parts(theta)]
        return sum(g for g, _ in pairs), sum(f for _, f in pairs)  # type: ignore[return-value]  # never empty

    def loss(self, theta: FloatArray) -> FloatArray:
        """Minus the log posterior density of each gene up to a constant, ``(genes,)``."""
        total = self.prior.penalty(theta)
        for part, own in self.parts(theta):
            total = total - part.log_likelihood(part.states.means(own))
        return np.asarray(total)


def _slowed(theta: FloatArray, slowing: float) -> FloatArray:
    out = theta.copy()
    out[:, RATES] -= slowing
    return out


@dataclass(frozen=True)
class _Paced:
    """Where it stands: parameters, log rho and its variance, and what the curves go on from."""

    parameters: SoftParameters
    slowing: FloatArray
    variance: FloatArray
    statistics: Sums | None = None
    damping: FloatArray | None = None


class _Step(NamedTuple):
    """Of one sample: change of log rho, its variance, and change of the captures ``(2, genes)``."""

    slowing: float
    variance: float
    log_capture: FloatArray


def _advance(problem: SoftProblem, state: _Paced) -> _Paced:
    """An E-step, and a step of log rho, captures and density of each sample."""
    effects = state.parameters.effects
    assert effects is not None
    slowing, variance = state.slowing.copy(), state.variance.copy()
    capture, parts = effects.log_capture.copy(), []
    assert isinstance(problem, SampledProblem)
    strata = [
        (b, part, replace(own, theta=_slowed(own.theta, slowing[b])))
        for b, (part, own) in zip(problem.seen, problem.strata(state.parameters), strict=True)
    ]
    swept = problem.sweep_each([part.scoring(own) for _, part, own in strata])
    for (b, part, own), one in zip(strata, swept, strict=True):
        statistics = one.sums
        step = _step(part.gene_problem(own, statistics), own.theta, statistics, effects, b)
        slowing[b] += step.slowing
        variance[b] = step.variance
        capture[:, :, b] += step.log_capture
        parts.append(statistics)
    statistics = problem.joined(parts)
    prior = problem.time_prior.update(problem.cells.prior_rows.by_group(statistics.weight), problem.states)
    effects = replace(effects, log_capture=_centred(capture, effects))
    parameters = replace(state.parameters, effects=effects, prior=prior)
    return _Paced(parameters, slowing - slowing @ effects.share, variance, statistics, state.damping)


def _centred(log_capture: FloatArray, effects: SampleEffects) -> FloatArray:
    """With a mean of zero over the cells of the samples that have the gene."""
    weight = effects.share * (log_capture > NOT_SEEN)
    mean = (weight * log_capture).sum(axis=2) / np.maximum(weight.sum(axis=2), 1e-12)
    return np.asarray(np.where(log_capture > NOT_SEEN, log_capture - mean[..., None], NOT_SEEN))


def _follow(problem: SoftProblem, state: _Paced) -> _Paced:
    """Curves at these speeds."""
    assert state.statistics is not None
    genes = problem.gene_problem(state.parameters, state.statistics)
    assert isinstance(genes, SampledGenes)
    paced = PacedGenes.of(genes, state.slowing)
    found, parameters = improve(paced, begin(paced, state.parameters.theta, state.damping), STEPS), state.parameters
    if genes.samples[0].background is not None:
        found, learned = learn_background(paced, found, problem.background_profile)
        parameters = problem.with_background_of(learned, parameters)
    return replace(state, parameters=replace(parameters, theta=found.theta), damping=found.damping)


def directions(layout: Layout) -> FloatArray:
    """Derivative of a gene's parameters by log rho and by the log captures of both layers, ``(3, parameters)``."""
    out = np.zeros((3, layout.n_parameters))
    out[0, RATES] = -1.0
    out[1, SwitchParameter.LOG_SCALING] = 1.0
    out[2, [*LEVELS, SwitchParameter.LOG_SCALING]] = 1.0, 1.0, -1.0
    out[2, LAST_LEVELS] = 1.0
    return out


def _step(genes: GeneProblem, theta: FloatArray, statistics: Sums, effects: SampleEffects, b: int) -> _Step:
    """The step of the module's text, at the parameters of the sample."""
    along = directions(genes.states.layout)
    gradient = genes.information(theta)[0] @ along.T
    within, cross, times = sums_along(genes, theta, statistics.weight.sum(axis=0), along)
    captured = effects.log_capture[:, :, b].T
    seen = captured > NOT_SEEN
    gradient[:, 1:] -= np.where(seen, captured, 0.0) / effects.spread**2
    inverse = np.linalg.inv(within[:, 1:, 1:] + np.diag(effects.spread**-2.0))
    follow = np.einsum("gcd,gd->gc", inverse, within[:, 1:, 0])
    slope = float((gradient[:, 0] - (follow * gradient[:, 1:]).sum(axis=1)).sum())
    kept = float((within[:, 0, 0] - (follow * within[:, 1:, 0]).sum(axis=1)).sum())
    moved = (cross[:, 0] - np.einsum("gc,gcj->gj", follow, cross[:, 1:])).sum(axis=0)
    mixed = np.einsum("gcd,gdj->gcj", inverse, cross[:, 1:])
    left = np.diag(times) - np.tensordot(cross[:, 1:], mixed, axes=((0, 1), (0, 1)))
    information = kept - float(moved @ np.linalg.solve(left, moved))
    step = float(np.clip(SHARE_OF_STEP * slope / information, -LONGEST, LONGEST))
    capture = np.einsum("gcd,gd->gc", inverse, gradient[:, 1:]) - follow * step
    return _Step(step, 1 / information, np.where(seen, np.clip(capture, -LONGEST, LONGEST), 0.0).T)
