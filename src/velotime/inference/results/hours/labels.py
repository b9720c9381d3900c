r"""Hours from labelled counts.

Of the N counts of gene g in a group of cells, L carry the label. With H hours in one unit of the clock the share f_g
that is new follows from the fitted curve and the rates of the gene (``windows``), and a share e of what is new is seen
as such, one number per sample:

    L ~ Binomial(N, e f_g(tau/H; beta_g, gamma_g)).

Of the rates the fit says little: log beta_g and log gamma_g are off by variances V_g, and by more than these say. They
are integrated out, gene by gene,

    L(H, e, b, s) = sum_g log int prod L  t_4(log beta_g; fit + b a_g, V_g + s^2)  t_4(log gamma_g; fit, V_g + s^2),

with Student's t of four degrees of freedom, as for half-lives, and s learned. Splicing rates of a fit are too fast
together, by the more the less the counts say of them: by ``b a_g`` with ``a_g = V_g/(1 + V_g)``, ``b ~ N(0, 1.5^2)``
(on simulated genes known to 0.27, 0.47 and 0.75 they are so by 0.10, 0.27 and 0.45). The labels tell b; hours are
measured by degradation, and by when genes are switched. Unspliced counts tell e beta/H and spliced ones, over these,
gamma/H, even where windows are too short for any gene to be new through and through.

Degradation rates of a fit are off together by some per cent (the study of calibration), and so are hours. A shift of
all of them among the nuisance parameters would be told apart from H by where fitted curves have their switches, as if
these were known, and intervals came out too narrow: so it is not in the likelihood, and widens the interval instead.

The interval of H is that of the profile, with Student's quantile of as many genes, and wider where genes pull H more
against each other than the likelihood says, as curves have errors that no formula has. Labels of a gene weigh as a
hundred at most, which tell its share to a tenth: no curve is righter than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq, minimize
from scipy.special import expit, softmax
from scipy.stats import t as student

from velotime._types import BoolArray, FloatArray
from velotime.inference.results.hours.agreement import RankAgreement, rank_agreement
from velotime.inference.results.hours.scale import COVERAGE, DEGREES, Scale
from velotime.inference.results.hours.windows import NODES, TINY, LabelledCounts, Windows
from velotime.inference.states import States

FINE = np.linspace(NODES[0], NODES[-1], 25)  # on which rates are integrated out
REFINE = CubicSpline(NODES, np.eye(len(NODES)))(FINE)  # (fine nodes, nodes)
MOST_LABELLED = 100.0  # labelled counts of a gene that count, of one layer, sample and length of labelling
SCATTER = 0.3  # median of s a priori
PRIOR_MEAN, PRIOR_SD = np.array([0.0, np.log(SCATTER)]), np.array([1.5, 1.0])  # of b and log s
SHARED = len(PRIOR_MEAN)  # nuisance parameters before the conversions
SHORTEST, LONGEST = 0.003, 4.0  # windows on the clock that are looked at
COARSE = 0.6  # of log hours, between the first places that are looked at
LEAST_STEP, MOST_STEPS = 0.01, 12  # of the profile to either side
FIRST_STEPS, MOST_STEPS_OF_NUISANCE = 8, 100  # of L-BFGS at the first places, and near the maximum
BOUNDS = {"b": (-5.0, 5.0), "s": (np.log(0.05), np.log(1.0)), "e": (-6.0, 6.0)}
SHARE_SD = 0.3  # of what a fit says of the log share of a gene
FAR = 2.5  # standard deviations by which the labels move the rates of a gene that disagrees


@dataclass(frozen=True)
class _Prior:
    """Of one log rate on the fine nodes: probabilities, and derivatives of their logs by shift and log scatter."""

    log: FloatArray
    by_shift: FloatArray
    by_scatter: FloatArray

    @classmethod
    def of(cls, variance: FloatArray, shift: FloatArray, log_scatter: float) -> _Prior:
        """Student's t of variance ``variance + s^2`` around each gene's shift, ``(genes, fine nodes)``."""
        squared = np.exp(2 * log_scatter)
        whole = (variance + squared)[:, None]
        scale = np.sqrt(whole * (DEGREES - 2) / DEGREES)
        z = (FINE - shift[:, None]) / scale
        log = -0.5 * (DEGREES + 1) * np.log1p(z**2 / DEGREES)
        slope = -(DEGREES + 1) * z / (DEGREES + z**2)
        by_shift, by_scatter = -slope / scale, -slope * z * squared / whole
        p = softmax(log, axis=1)
        log = log - np.log(np.exp(log).sum(axis=1, keepdims=True))
        return cls(log, *(by - (p * by).sum(axis=1, keepdims=True) for by in (by_shift, by_scatter)))


@dataclass(frozen=True)
class _Table:
    """Counts, with the shares that are expected at one H."""

    sample: int
    share: FloatArray
    labelled: FloatArray
    rest: FloatArray

    @classmethod
    def of(cls, counts: LabelledCounts, share: FloatArray) -> _Table:
        """Genes with many labels weigh less by count."""
        weight = np.minimum(1.0, MOST_LABELLED / np.maximum(counts.labelled.sum(axis=1, keepdims=True), 1.0))
        labelled, total = counts.labelled * weight, counts.total * weight
        return cls(counts.sample, share, labelled[:, None, None], np.maximum(total - labelled, 0.0)[:, None, None])

    def log_likelihood(self, logits: FloatArray) -> tuple[FloatArray, FloatArray]:
        """At each node, and its derivative by the logit of the conversion, ``(genes, nodes, nodes)`` each."""
        e = float(expit(logits[self.sample]))
        p = e * self.share
        seen, log_share = self._of_labelled
        value = log_share + seen * np.log(e) + (self.rest * np.log1p(-p)).sum(axis=-1)
        return value, (1 - e) * (seen - (self.rest * p / (1 - p)).sum(axis=-1))

    @cached_property
    def _of_labelled(self) -> tuple[FloatArray, FloatArray]:
        """Labelled counts, and the sum of their log shares, which no conversion changes."""
        return self.labelled.sum(axis=-1), (self.labelled * np.log(self.share)).sum(axis=-1)


@dataclass(frozen=True)
class _Place:
    """The likelihood at one H, of nuisance parameters b, log s and the logits of the conversions."""

    variance: FloatArray
    tables: tuple[_Table, ...]

    @property
    def leaning(self) -> FloatArray:
        """By how much each gene's splicing rate follows what all of them are off by: a, ``(genes,)``."""
        return np.asarray(self.variance[0] / (1.0 + self.variance[0]))

    def shift(self, x: FloatArray) -> FloatArray:
        """Of each gene's log splicing rate from the fitted one, ``(genes,)``."""
        return np.asarray(x[0] * self.leaning)

    def minus(self, x: FloatArray) -> tuple[float, FloatArray]:
        """Minus the log-likelihood with the priors of b and s, and its gradient."""
        found = self.genes(x)
        at_nodes = REFINE.T @ found.posterior @ REFINE
        slope = np.zeros(len(x))
        slope[0] = self.leaning @ (found.of_beta * found.beta.by_shift).sum(axis=1)
        slope[1] = (found.of_beta * found.beta.by_scatter + found.of_gamma * found.gamma.by_scatter).sum()
        for table, by in zip(self.tables, found.by_conversion, strict=True):
            over = at_nodes if by.shape[2] > 1 else at_nodes.sum(axis=2, keepdims=True)
            slope[SHARED + table.sample] += (over * by).sum()
        z = (x[:SHARED] - PRIOR_MEAN) / PRIOR_SD
        slope[:SHARED] -= z / PRIOR_SD
        return float(0.5 * z @ z - found.value.sum()), -slope

    def genes(self, x: FloatArray) -> _Genes:
        """What each gene says."""
        nodes, by = zip(*(table.log_likelihood(x[SHARED:]) for table in self.tables), strict=True)
        whole = np.zeros((self.variance.shape[1], len(NODES), len(NODES)))
        for one in nodes:
            whole += one
        beta = _Prior.of(self.variance[0], self.shift(x), float(x[1]))
        gamma = _Prior.of(self.variance[1], np.zeros(self.variance.shape[1]), float(x[1]))
        log = REFINE @ whole @ REFINE.T + beta.log[:, :, None] + gamma.log[:, None, :]
        top = log.max(axis=(1, 2), keepdims=True)
        density = np.exp(log - top)
        total = density.sum(axis=(1, 2), keepdims=True)
        return _Genes((np.log(total) + top)[:, 0, 0], density / total, beta, gamma, by)


@dataclass(frozen=True)
class _Genes:
    """What genes say at one H and nuisance.

    Attributes
    ----------
    value
        Log-likelihood, ``(genes,)``.
    posterior
        Of log beta and log gamma, ``(genes, fine nodes, fine nodes)``.
    beta, gamma
        Their priors.
    by_conversion
        Derivatives of the log-likelihood at nodes by the logit of its conversion, one per table.
    """

    value: FloatArray
    posterior: FloatArray
    beta: _Prior
    gamma: _Prior
    by_conversion: tuple[FloatArray, ...]

    @property
    def of_beta(self) -> FloatArray:
        """Posterior of log beta, ``(genes, fine nodes)``."""
        return np.asarray(self.posterior.sum(axis=2))

    @property
    def of_gamma(self) -> FloatArray:
        """Posterior of log gamma, ``(genes, fine nodes)``."""
        return np.asarray(self.posterior.sum(axis=1))

    @property
    def moved(self) -> FloatArray:
        """How far labels move the rates of a gene, in prior standard deviations, the larger of both, ``(genes,)``."""
        away = []
        for prior, q in ((self.beta, self.of_beta), (self.gamma, self.of_gamma)):
            p = np.exp(prior.log)
            mean = p @ FINE
            away.append(np.abs(q @ FINE - mean) / np.sqrt(p @ FINE**2 - mean**2))
        return np.asarray(np.max(away, axis=0))


class _Profile:
    """The profile of the likelihood over log hours, place by place."""

    def __init__(self, windows: Windows, variance: FloatArray, counts: tuple[LabelledCounts, ...]) -> None:
        self.windows, self.variance, self.counts = windows, variance, counts
        self.n_samples = 1 + max(one.sample for one in counts)
        self.seen: dict[float, tuple[float, FloatArray]] = {}
        hours = [one.hours for one in counts]
        self.least, self.most = np.log(max(hours) / LONGEST), np.log(min(hours) / SHORTEST)

    def place(self, log_hours: float) -> _Place:
        """The likelihood there."""
        tables = (_Table.of(one, self.windows.shares(one, one.hours / float(np.exp(log_hours)))) for one in self.counts)
        return _Place(self.variance, tuple(tables))

    def __call__(self, log_hours: float, start: FloatArray | None = None) -> float:
        """The largest log-likelihood over nuisance parameters."""
        log_hours = round(float(log_hours), 6)
        if log_hours not in self.seen:
            x = np.append(PRIOR_MEAN, np.zeros(self.n_samples)) if start is None else start
            bounds = [BOUNDS["b"], BOUNDS["s"], *[BOUNDS["e"]] * self.n_samples]
            options = {"maxiter": FIRST_STEPS if start is None else MOST_STEPS_OF_NUISANCE}
            minus = self.place(log_hours).minus
            found = minimize(minus, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            self.seen[log_hours] = -float(found.fun), found.x
        return self.seen[log_hours][0]

    @property
    def best(self) -> float:
        """The best place that was seen."""
        return max(self.seen, key=lambda at: self.seen[at][0])

    @property
    def nuisance(self) -> FloatArray:
        """At the best place."""
        return self.seen[self.best][1]

    def climb(self, drop: float) -> float:
        """See places around the maximum, for a spline to have it; how far the profile falls at the interval's ends.

        That is ``drop``, and more where genes pull more against each other than the likelihood says.
        """
        for at in np.arange(self.least, self.most + COARSE, COARSE):
            self(at)
        step = self._close_in(drop)
        self._walk(step, drop)
        drop *= max(1.0, self._excess)
        self._walk(step, drop)
        return drop

    def _close_in(self, drop: float) -> float:
        """Find the maximum; a distance over which the profile falls by ``drop`` or less."""
        step = COARSE / 2
        while step > LEAST_STEP:
            middle = self.best
            if not self.least <= middle - step <= middle + step <= self.most:
                break
            fallen = self(middle) - np.array([self(middle + way * step, self.nuisance) for way in (-1, 1)])
            if fallen.min() >= 0 and fallen.mean() < drop:
                break
            step /= 1 if fallen.min() < 0 else 2
        return step

    def _walk(self, step: float, drop: float) -> None:
        """Go both ways until the profile has fallen by ``drop``."""
        for way in (-1, 1):
            at = self.best
            for _ in range(MOST_STEPS):
                at += way * step
                if self(self.best) - self(at, self.nuisance) > drop or not self.least <= at <= self.most:
                    break

    @property
    def _excess(self) -> float:
        """Variance of what single genes pull at the maximum over what the curvature says: 1 if the model is right.

        The pull of a gene is the slope of its log-likelihood along the profile. (Godambe 1960; Royall, International
        Statistical Review 54, 1986.)
        """
        at = sorted(self.seen)
        k = at.index(self.best)
        if not 0 < k < len(at) - 1:
            return 1.0
        low, middle, high = at[k - 1 : k + 2]
        value = [self.place(x).genes(self.seen[x][1]).value for x in (low, high)]
        pull = (value[1] - value[0]) / (high - low)
        rise, fall = (self(middle) - self(low)) / (middle - low), (self(high) - self(middle)) / (high - middle)
        return float(np.sum((pull - pull.mean()) ** 2) / max(2 * (rise - fall) / (high - low), 1e-12))

    def scale(self, drop: float, disagrees: BoolArray) -> Scale:
        """The maximum, and the ends where the profile has fallen by ``drop``; infinite where it has not."""
        at = np.array(sorted(self.seen))
        value = np.array([self.seen[place][0] for place in at])
        spline = CubicSpline(at, value)
        k = int(value.argmax())
        fine = np.linspace(at[max(k - 1, 0)], at[min(k + 1, len(at) - 1)], 2001)
        best = float(fine[spline(fine).argmax()])
        least = float(spline(best)) - drop
        ends = []
        for way in (-1, 1):
            beyond = at[((at - best) * way > 0) & (value < least)]
            if len(beyond) == 0:
                ends.append(way * np.inf)
            else:
                nearest = beyond[np.abs(beyond - best).argmin()]
                ends.append(float(brentq(lambda x: float(spline(x)) - least, *sorted((best, nearest)))))
        return Scale(best, ends[0], ends[1], float(np.exp(self.nuisance[1])), disagrees)


@dataclass(frozen=True)
class LabelledHours:
    """Hours by labelled counts.

    Attributes
    ----------
    scale
        Of the genes; those disagree whose rates the labels move far.
    agreement
        Of the labelled shares of genes with what the fit says of them at this scale.
    conversion
        Share of what is new that is seen as such, ``(samples,)``.
    splicing
        Factor by which fitted splicing rates are too slow, of the gene in the middle.
    seen, expected
        Labelled share of the counts of each gene, and by the fit, ``(genes,)`` each.
    """

    scale: Scale
    agreement: RankAgreement
    conversion: FloatArray
    splicing: float
    seen: FloatArray
    expected: FloatArray


def hours_from_labels(
    states: States, theta: FloatArray, variance: FloatArray, counts: tuple[LabelledCounts, ...]
) -> LabelledHours:
    """The scale on which the shares of labelled counts are those that the curves have.

    Parameters
    ----------
    states, theta
        States of the counts, and parameters of the genes, ``(genes, parameters)``.
    variance
        Of log beta and log gamma of the fit, ``(2, genes)``.
    counts
        By layer, length of labelling and sample.
    """
    windows = Windows(states, theta)
    profile = _Profile(windows, variance, counts)
    drop = 0.5 * float(student.ppf(0.5 + COVERAGE / 2, max(len(theta) - 1, 1))) ** 2
    drop = profile.climb(drop)
    x, place = profile.nuisance, profile.place(profile.best)
    scale = profile.scale(drop, place.genes(x).moved > FAR).with_shared_error()
    splicing = float(np.exp(np.median(place.shift(x))))
    return LabelledHours(scale, _agreement(place, x), expit(x[SHARED:]), splicing, *_shares(place, x))


def _expected(place: _Place, table: _Table, x: FloatArray) -> FloatArray:
    """Labelled counts of each gene and group that the fit says, with what splicing rates share, ``(genes, groups)``."""
    middle = table.share.shape[2] // 2
    shift = np.clip(place.shift(x), NODES[0], NODES[-1])
    at_shift = np.einsum("gn,gnk->gk", CubicSpline(NODES, np.eye(len(NODES)))(shift), table.share[:, :, middle])
    return np.asarray(expit(x[SHARED + table.sample]) * at_shift * (table.labelled + table.rest)[:, 0, 0])


def _shares(place: _Place, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Labelled shares that are seen and expected, over all counts of a gene."""
    tables = place.tables
    total = np.sum([(one.labelled + one.rest).sum(axis=(1, 2, 3)) for one in tables], axis=0)
    seen = np.sum([one.labelled.sum(axis=(1, 2, 3)) for one in tables], axis=0)
    expected = np.sum([_expected(place, one, x).sum(axis=1) for one in tables], axis=0)
    return seen / total, expected / total


def _agreement(place: _Place, x: FloatArray) -> RankAgreement:
    """Ranks of seen and expected shares, where these differ most between genes, for how well they are seen."""
    known = []
    for table in place.tables:
        seen, total = (part.sum(axis=(1, 2, 3)) for part in (table.labelled, table.labelled + table.rest))
        use = total > 0
        expected = np.maximum(_expected(place, table, x).sum(axis=1)[use], TINY)
        weight = 1 / (1 / expected + SHARE_SD**2)
        known.append((np.log((seen[use] + 0.5) / total[use]), np.log(expected / total[use]), weight))
    return rank_agreement(*max(known, key=lambda one: float(np.cov(one[1], aweights=one[2]) * one[2].sum())))
