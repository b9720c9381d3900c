r"""Linear models of many genes with few samples: weighted least squares with variances moderated over genes.

Gene g has an estimate y_gb in sample b with a known error variance V_gb, and samples differ besides, by a variance v:

    y_g = X beta_g + e_g,    Var(e_gb) = f_g (V_gb + v)

v is common to all genes and such that the mean squared residual is one; f_g, of mean one, is what is left of each gene,
drawn towards that of all: with s_g^2 the mean weighted squared residual on d degrees of freedom, and
``s^2 ~ s_0^2 F(d, d_0)`` over genes,

    f_g = (d_0 s_0^2 + d s_g^2) / (d_0 + d),    t = beta / sqrt(f (X' W X)^-1)  on  d + d_0  degrees of freedom

(limma: Smyth 2004, Statistical Applications in Genetics and Molecular Biology 3). With fewer than three genes nothing
says what is usual, and samples that agree by chance would make an error of next to nothing: there f_g is s_g^2 and at
least 1, so that no error is smaller than that of the samples' own (Knapp and Hartung 2003, Statistics in Medicine 22).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma
from scipy.stats import t as student

from velotime._types import BoolArray, FloatArray
from velotime.inference.evidence.excess import excess_variance

LEAST_VARIANCE = 1e-9
LEAST_GENES = 3  # for variances to be moderated
MOST_SPREAD = 100.0  # variance between samples
EVERYTHING = 1e6  # degrees of freedom that stand for a variance that is known


@dataclass(frozen=True)
class Effects:
    """Estimates of each gene and coefficient, ``(genes, coefficients)`` unless said.

    Attributes
    ----------
    estimate, error
        And its standard error.
    degrees
        Of freedom, ``(genes,)``.
    p_value
        Two-sided; NaN where no degree of freedom is left.
    n_samples
        Samples that tell of the gene, ``(genes,)``.
    """

    estimate: FloatArray
    error: FloatArray
    degrees: FloatArray
    p_value: FloatArray
    n_samples: FloatArray

    @property
    def shrunken(self) -> FloatArray:
        """Estimates drawn towards zero as the genes as a whole say: by a normal prior of variance s.

        s is such that ``sum estimate^2 / (s + error^2)`` is the number of genes (see :func:`excess_variance`): genes
        that say little weigh little.
        """
        spread = np.array([_spread(y, v) for y, v in zip(self.estimate.T, self.error.T**2, strict=True)])
        return np.asarray(self.estimate * spread / np.maximum(spread + self.error**2, 1e-12))


def _spread(estimate: FloatArray, variance: FloatArray) -> float:
    known = np.isfinite(estimate) & np.isfinite(variance)
    square, own = estimate[known] ** 2, np.maximum(variance[known], LEAST_VARIANCE)
    return excess_variance(square, own, 1.0, float(square.sum()))  # where each term is below 1/n of itself


def moderated_effects(values: FloatArray, variance: FloatArray, design: FloatArray) -> Effects:
    """Fit every gene.

    Parameters
    ----------
    values, variance
        Estimate of each gene in each sample and its error variance, ``(genes, samples)``; NaN where a sample does not
        tell of the gene.
    design
        ``(samples, coefficients)``, of full rank.
    """
    known = np.isfinite(values) & np.isfinite(variance)
    y, own = np.where(known, values, 0.0), np.where(known, np.maximum(variance, LEAST_VARIANCE), 1.0)
    degrees = (known.sum(axis=1) - design.shape[1]).astype(float)
    told = _full_rank(known, design)
    enough = (degrees >= 1) & told
    between = _between(y, own, known, design, enough)
    estimate, inverse, square = _least_squares(y, known / (own + between), design)
    estimate = np.where(told[:, None], estimate, np.nan)
    factor, more = moderate(square[enough] / degrees[enough], degrees[enough])
    scale, total = np.full(len(y), np.nan), np.full(len(y), np.nan)
    scale[enough], total[enough] = factor, np.minimum(degrees[enough] + more, degrees[enough].sum())
    error = np.sqrt(scale[:, None] * np.einsum("gcc->gc", inverse))
    p_value = 2 * student.sf(np.abs(estimate) / error, total[:, None])
    return Effects(estimate, error, total, p_value, known.sum(axis=1).astype(float))


def _full_rank(known: BoolArray, design: FloatArray) -> BoolArray:
    normal = np.einsum("gb,bc,bd->gcd", known.astype(float), design, design)
    return np.asarray(np.linalg.matrix_rank(normal) == design.shape[1])


def _between(y: FloatArray, own: FloatArray, known: BoolArray, design: FloatArray, enough: BoolArray) -> float:
    """Variance between samples at which weighted squared residuals are what degrees of freedom allow."""
    if not enough.any():
        return 0.0
    y, own, known = y[enough], own[enough], known[enough]
    degrees = float((known.sum(axis=1) - design.shape[1]).sum())

    def excess(v: float) -> float:
        square = _least_squares(y, known / (own + v), design)[2]
        return float(square.sum()) - degrees

    if excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, MOST_SPREAD)) if excess(MOST_SPREAD) < 0 else MOST_SPREAD


def _least_squares(y: FloatArray, weight: FloatArray, design: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimates, their covariance up to a factor, and the weighted sum of squares of each gene."""
    normal = np.einsum("gb,bc,bd->gcd", weight, design, design)
    inverse = np.linalg.pinv(normal, hermitian=True)
    estimate = np.einsum("gcd,gb,bd,gb->gc", inverse, weight, design, y)
    return estimate, inverse, (weight * (y - estimate @ design.T) ** 2).sum(axis=1)


def moderate(square: FloatArray, degrees: FloatArray) -> tuple[FloatArray, float]:
    """Variances drawn towards each other, ``(genes,)``, and the degrees of freedom that they gain by it.

    Parameters
    ----------
    square
        Variance of each gene over the one that is expected, ``(genes,)``.
    degrees
        Degrees of freedom that it was estimated on, ``(genes,)``.
    """
    if len(square) < LEAST_GENES:
        return np.maximum(square, 1.0), 0.0
    half = degrees / 2
    log = np.log(np.maximum(square, 1e-12)) - digamma(half) + np.log(half)
    spread = float(log.var(ddof=1) - polygamma(1, half).mean())
    if spread <= 0:
        return np.full(len(square), np.exp(log.mean())), EVERYTHING
    more = 2 * _inverse_trigamma(spread)
    usual = np.exp(log.mean() + digamma(more / 2) - np.log(more / 2))
    return (more * usual + degrees * square) / (more + degrees), more


def _inverse_trigamma(value: float) -> float:
    """By Newton steps on the reciprocal, which is nearly linear."""
    if value > 1e6:
        return float(1 / np.sqrt(value))
    at = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, at))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, at))
        at += step
        if abs(step) < 1e-9 * at:
            break
    return float(at)
