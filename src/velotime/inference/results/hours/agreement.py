"""Does what is known of the genes agree with the fit? Before any hours are given, their ranks must."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import f as fisher
from scipy.stats import rankdata
from scipy.stats import t as student

from velotime._types import FloatArray

LEAST_CORRELATION = 0.3
MOST_CHANCE = 0.02  # of a correlation as large among genes that have nothing to do with each other


@dataclass(frozen=True)
class RankAgreement:
    """How what is known of genes goes with what the fit says of them.

    Attributes
    ----------
    correlation
        Of the ranks, each gene weighed by how well it is known.
    chance
        One-sided p-value: how often genes in random order correlate as much.
    slope, slope_low, slope_high
        Of the standardised major axis of the logs, fitted over known, and its 90 % interval: 1 where both have the same
        spread. Unlike a regression it is not flattened by errors of either (Warton et al., Biol. Reviews 81, 2006).
    """

    correlation: float
    chance: float
    slope: float
    slope_low: float
    slope_high: float

    @property
    def agrees(self) -> bool:
        """Whether the ranks agree by more than chance."""
        return self.correlation >= LEAST_CORRELATION and self.chance <= MOST_CHANCE


def rank_agreement(known: FloatArray, fitted: FloatArray, weight: FloatArray | None = None) -> RankAgreement:
    """Of the logs of what is known and what was fitted, ``(genes,)`` each; genes weigh the same by default."""
    if np.ptp(known) == 0 or np.ptp(fitted) == 0:
        return RankAgreement(0.0, 1.0, np.nan, np.nan, np.nan)
    weight = np.ones(len(known)) if weight is None else weight
    covariance = np.cov(rankdata(known), rankdata(fitted), aweights=weight)
    r = float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    freedom = max(weight.sum() ** 2 / np.sum(weight**2) - 2, 1.0)  # as many genes of equal weight, less two
    chance = float(student.sf(r * np.sqrt(freedom / max(1 - r**2, 1e-12)), freedom))
    slope, width = _major_axis(known[weight > 0], fitted[weight > 0])
    return RankAgreement(r, chance, slope, slope / width, slope * width)


def _major_axis(known: FloatArray, fitted: FloatArray) -> tuple[float, float]:
    """Slope of the standardised major axis, and the factor by which its 90 % interval reaches either way."""
    n = len(known)
    slope = float(np.std(fitted) / np.std(known))
    r = float(np.corrcoef(known, fitted)[0, 1])
    b = (1 - r**2) / (n - 2) * float(fisher.ppf(0.9, 1, n - 2))
    return slope, float(np.sqrt(b + 1) + np.sqrt(b))
