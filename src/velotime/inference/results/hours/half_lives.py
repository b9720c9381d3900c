r"""Hours from known half-lives.

A spliced mRNA of half-life h hours degrades at ``ln 2 / h`` per hour, and in the fit at gamma per unit of the clock.
With H hours in one unit, gamma = H ln 2 / h, so that each gene says

    log H = log gamma - log(ln 2 / h).

Where cells grow by ``growth`` per hour they dilute what they hold, which the fit sees and a half-life does not have:
``gamma = H (ln 2 / h + growth)``. On a clock that goes round once from division to division, growth is ln 2 per turn
whatever H is, and is taken off gamma instead.

Rates of a fit are off together by some per cent, which no number of genes shows: the interval of H holds that too.

The fitted log gamma has a normal prior; what the data alone say of it is the fit with the prior divided out. Genes
whose rate is hardly more than the prior say nothing of H and are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.results.hours.agreement import RankAgreement, rank_agreement
from velotime.inference.results.hours.scale import Scale, common_scale

MOST_OF_THE_PRIOR = 0.8  # variance of log gamma over the prior's, above which the data hardly tell the rate
MOST_DISAGREE = 0.1  # of the genes, which may be single wrong ones and do not count for agreement


@dataclass(frozen=True)
class DegradationRates:
    """Degradation rates of genes as the data alone tell them, ``(genes,)`` each.

    Attributes
    ----------
    log_gamma, variance
        Per unit of the clock; not finite where the data do not tell.
    """

    log_gamma: FloatArray
    variance: FloatArray

    @classmethod
    def without_prior(cls, log_gamma: FloatArray, sd: FloatArray, prior: tuple[float, float]) -> DegradationRates:
        """From the fit's mode and standard deviation, and mean and standard deviation of the prior."""
        share = sd**2 / prior[1] ** 2
        told = share < MOST_OF_THE_PRIOR
        kept = np.where(told, share, 0.0)
        by_data = (log_gamma - prior[0] * kept) / (1 - kept)
        return cls(np.where(told, by_data, np.nan), np.where(told, sd**2 / (1 - kept), np.nan))

    def without_dilution(self, growth: float) -> DegradationRates:
        """Less a growth rate per unit of the clock; not told where hardly more than it is left."""
        gamma = np.exp(self.log_gamma)
        with np.errstate(invalid="ignore", divide="ignore"):
            left = gamma - growth
            told = left > 0.2 * gamma
            return DegradationRates(
                np.where(told, np.log(left), np.nan), np.where(told, self.variance * (gamma / left) ** 2, np.nan)
            )

    @property
    def told(self) -> BoolArray:
        """Genes whose rate the data tell, ``(genes,)``."""
        return np.isfinite(self.log_gamma)

    def genes(self, index: IntArray) -> DegradationRates:
        """Those of some genes."""
        return DegradationRates(self.log_gamma[index], self.variance[index])


@dataclass(frozen=True)
class HalfLifeHours:
    """Hours by half-lives.

    Attributes
    ----------
    scale
        Of the genes that tell.
    agreement
        Of fitted with known rates.
    """

    scale: Scale
    agreement: RankAgreement


def hours_from_half_lives(rates: DegradationRates, half_lives: FloatArray, growth: float = 0.0) -> HalfLifeHours:
    """The scale on which fitted and known degradation agree.

    Parameters
    ----------
    rates
        Of three genes or more whose half-lives are known, all of which the data tell.
    half_lives
        Hours, ``(genes,)``.
    growth
        Of the cells, per hour.
    """
    known = np.log(np.log(2) / half_lives + growth)
    scale = common_scale(rates.log_gamma - known, rates.variance)
    weight = 1 / (rates.variance + scale.scatter**2)
    if scale.disagrees.mean() <= MOST_DISAGREE:
        weight = np.where(scale.disagrees, 0.0, weight)
    return HalfLifeHours(scale.with_shared_error(), rank_agreement(known, rates.log_gamma, weight))
