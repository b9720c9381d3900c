r"""Variance beyond what is known, as Paule and Mandel have it.

Of squared distances ``r_i^2`` whose variances ``v_i`` are known, more is found than these explain where distances have
a further variance ``s h_i``. Then ``sum_i r_i^2 / (v_i + s h_i)`` is their number on average, which is solved for s
(Paule and Mandel, J. Res. Natl. Bur. Stand. 87:377, 1982).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from velotime._types import FloatArray

TINY = 1e-300  # variance, where none is known: no division by zero


def excess_variance(square: FloatArray, variance: FloatArray, height: FloatArray | float, most: float) -> float:
    """The further variance s; zero where what is known explains all, and ``most`` at the most.

    Parameters
    ----------
    square, variance
        Squared distances and their known variances, ``(values,)``.
    height
        What s is multiplied by, ``(values,)``, or the same for all.
    """

    def excess(s: float) -> float:
        return float((square / np.maximum(variance + s * height, TINY)).sum()) - len(square)

    if not len(square) or excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, most)) if excess(most) < 0 else most
