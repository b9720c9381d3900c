r"""How far means of cells lie beside a fitted curve, beyond chance.

The clock is cut into pieces. With ``m_p`` the mean of the cells in one of them, ``mu_p`` the curve there and ``v_p``
the variance of their difference if the curve is true, a curve that is off by a share d of its height everywhere has,
on average over P pieces,

    sum_p (m_p - mu_p)^2 / (v_p + d^2 h_p^2) = P,

with the height h_p = mu_p, or a hundredth of the curve's maximum where it is lower, which is solved for d (Paule and
Mandel, J. Res. Natl. Bur. Stand. 87:377, 1982). Where the left side at d = 0 is not above P, means are as close to
the curve as chance has them, and d is zero.
"""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray
from velotime.inference.evidence.excess import excess_variance

LEAST_HEIGHT = 0.01  # of the curve's maximum: below that a share of the height says nothing
LARGEST = 10.0  # share of the height that is looked for


def relative_misfit(found: FloatArray, expected: FloatArray, error: FloatArray, of_curve: FloatArray) -> FloatArray:
    """Share of its height by which each curve is off, ``(genes,)``; at most 10, zero where chance explains all.

    Parameters
    ----------
    found
        Means of the cells in the pieces, ``(pieces, genes)``; NaN where a piece has too few cells.
    expected
        The curve there, ``(pieces, genes)``.
    error
        Standard errors of the means by their cells, ``(pieces, genes)``; :func:`error_under` is used.
    of_curve
        Variance of the curve there, ``(pieces, genes)``.
    """
    known = np.isfinite(found)
    squared = np.where(known, found - expected, 0.0) ** 2
    variance = np.where(known, error_under(found, expected, error), 0.0) ** 2 + of_curve
    height = height_of(expected) ** 2
    columns = zip(known.T, squared.T, variance.T, height.T, strict=True)
    return np.sqrt([excess_variance(r[use], v[use], h[use], LARGEST**2) for use, r, v, h in columns])


def error_under(found: FloatArray, expected: FloatArray, error: FloatArray) -> FloatArray:
    """Standard errors of means if the curve is true, ``(pieces, genes)``.

    By its own cells a piece with less than is expected seems too sure, one without a count wholly so: it gets at least
    the error of its gene's other pieces, in proportion to the square root of what is expected.
    """
    least = np.where(found < expected, _per_mean(found, error) * expected, 0.0)
    return np.asarray(np.maximum(error, np.sqrt(least)))


def height_of(mean: FloatArray) -> FloatArray:
    """A curve's height as misfit is measured by it, ``(times, genes)``: at least a hundredth of its maximum."""
    return np.asarray(np.maximum(mean, LEAST_HEIGHT * mean.max(axis=0, initial=0.0)))


def _per_mean(found: FloatArray, error: FloatArray) -> FloatArray:
    """Squared standard error over mean, the median over each gene's pieces that have counts, ``(genes,)``."""
    counted = np.nan_to_num(found) > 0
    ratio = np.full(found.shape, np.inf)
    np.divide(error**2, found, out=ratio, where=counted)
    ratio.sort(axis=0)  # pieces without counts come last
    n, genes = counted.sum(axis=0), np.arange(found.shape[1])
    middle = (ratio[np.maximum(n - 1, 0) // 2, genes] + ratio[n // 2, genes]) / 2
    return np.where(n > 0, middle, 0.0)
