r"""Divided differences of the exponential, where the limits ``beta = gamma`` and ``tau -> 0`` are handled.

With ``exp[x] = e^x`` and ``exp[x, ..., y, z] = (exp[..., y, z] - exp[x, ..., y]) / (z - x)``, extended by continuity
where arguments coincide. They are symmetric in their arguments and positive.

Far apart, the recursion over the farthest pair loses no more than one digit per order. Close together the Taylor series
about the mean m takes its place: with deviations d_i of the n + 1 arguments from m

    exp[x_0, ..., x_n] = e^m sum_k h_k(d) / (k + n)!

where h_k is the complete homogeneous symmetric polynomial. As the d_i sum to zero, Newton's identities between h
and the elementary symmetric polynomials e_i leave ``h_k = -e_2 h_{k-2} + e_3 h_{k-3} - e_4 h_{k-4}``.
(de Boor, Divided differences, Surveys in Approximation Theory 1, 2005; McCurdy, Ng and Parlett, Accurate computation
of divided differences of the exponential function, Mathematics of Computation 43, 1984.)
"""

from __future__ import annotations

from math import factorial
from typing import Any, NamedTuple

from array_api_compat import array_namespace

TERMS = 8  # of the series: what is left out is below half a rounding error for either spread
SPREAD = 0.1  # of the arguments, below which the series is used; the recursion then loses a factor of 1/0.1 per order
SPREAD_FLOAT32 = 0.5  # there a digit lost weighs more, and as many terms reach further


def exp1(x: Any, y: Any) -> Any:
    """``exp[x, y] = (e^x - e^y)/(x - y)``, and e^x where they coincide; arguments broadcast.

    Examples
    --------
    >>> import numpy as np
    >>> from velotime.kinetics import exp1
    >>> float(exp1(np.array(1.0), np.array(1.0))) == float(np.exp(1.0))
    True
    """
    xp = array_namespace(x, y)
    return xp.exp(xp.maximum(x, y)) * _from_zero(xp, -xp.abs(x - y))


def exp2(x: Any, y: Any, z: Any) -> Any:
    """``exp[x, y, z]``, and e^x/2 where all coincide; arguments broadcast."""
    xp = array_namespace(x, y, z)
    x, y, z = xp.broadcast_arrays(x, y, z)
    low, high = xp.minimum(x, y), xp.maximum(x, y)
    middle = xp.maximum(low, xp.minimum(high, z))
    return _ordered2(xp, xp.minimum(low, z), middle, xp.maximum(high, z))


def exp3(w: Any, x: Any, y: Any, z: Any) -> Any:
    """``exp[w, x, y, z]``, and e^x/6 where all coincide; arguments broadcast."""
    xp = array_namespace(w, x, y, z)
    w, x, y, z = xp.broadcast_arrays(w, x, y, z)
    low_wx, high_wx = xp.minimum(w, x), xp.maximum(w, x)
    low_yz, high_yz = xp.minimum(y, z), xp.maximum(y, z)
    inner, outer = xp.maximum(low_wx, low_yz), xp.minimum(high_wx, high_yz)
    a, b = xp.minimum(low_wx, low_yz), xp.minimum(inner, outer)
    c, d = xp.maximum(inner, outer), xp.maximum(high_wx, high_yz)
    far = _ratio(xp, _ordered2(xp, b, c, d) - _ordered2(xp, a, b, c), d - a)
    return _near(far, xp.exp(a) / 6, d - a, a, b, c, d)


def _ordered2(xp: Any, low: Any, middle: Any, high: Any) -> Any:
    """``exp[low, middle, high]`` for arguments in this order."""
    spread = high - low
    far = _ratio(xp, exp1(middle, high) - exp1(low, middle), spread)
    return _near(far, xp.exp(low) / 2, spread, low, middle, high)


def _from_zero(xp: Any, p: Any) -> Any:
    """``exp[0, p] = (e^p - 1)/p``."""
    return xp.where(p == 0, xp.ones_like(p), _ratio(xp, xp.expm1(p), p))


def _ratio(xp: Any, numerator: Any, gap: Any) -> Any:
    """``numerator / gap``, and the numerator where the gap is 0: something finite, to be replaced."""
    return numerator / (gap + xp.astype(gap == 0, gap.dtype))


def _near(far: Any, point: Any, spread: Any, *arguments: Any) -> Any:
    """``far`` where the arguments are spread out, ``point`` where all coincide, and the series close to that."""
    xp = array_namespace(far)
    coincide = spread == 0
    value = xp.where(coincide, point, far)
    close = (spread < (SPREAD_FLOAT32 if value.dtype == xp.float32 else SPREAD)) & ~coincide
    if not bool(xp.any(close)):
        return value
    if value.ndim == 0:
        return _series(*arguments)
    value[close] = _series(*(argument[close] for argument in arguments))
    return value


def _series(first: Any, *others: Any) -> Any:
    """Divided difference of exp for arguments close together.

    Deviations are taken from the first argument before they are taken from the mean: those differences are exact,
    while the rounding of a mean m far from 0 would cost e^m a relative |m| rounding errors.
    """
    xp = array_namespace(first)
    order = len(others)
    from_first = [other - first for other in others]
    mean = sum(from_first) / (order + 1)
    e2, e3, e4 = _elementary([-mean, *(deviation - mean for deviation in from_first)])
    h = [xp.ones_like(mean), xp.zeros_like(mean), -e2]
    total = h[0] / factorial(order) + h[2] / factorial(order + 2)
    for k in range(3, TERMS):
        term = e3 * h[k - 3] - e2 * h[k - 2]
        if order == 3 and k >= 4:
            term = term - e4 * h[k - 4]
        h.append(term)
        total = total + term / factorial(order + k)
    return xp.exp(first) * xp.exp(mean) * total


def _elementary(d: list[Any]) -> tuple[Any, Any, Any]:
    """Elementary symmetric polynomials of degree 2, 3 and 4 of three or four numbers."""
    if len(d) == 3:
        a, b, c = d
        return a * b + (a + b) * c, a * b * c, 0.0
    a, b, c, f = d
    ab, cf = a * b, c * f
    return ab + cf + (a + b) * (c + f), ab * (c + f) + cf * (a + b), ab * cf


class Differences(NamedTuple):
    """Divided differences of exp at 0, p and q that a step of the kinetics needs, named by arguments (0 written o)."""

    p: Any
    q: Any
    op: Any
    oq: Any
    pq: Any
    opq: Any


class HigherDifferences(NamedTuple):
    """Those that its derivatives need as well: an argument twice is a derivative by it."""

    opp: Any
    ppq: Any
    pqq: Any
    oppq: Any
    opqq: Any


def differences(p: Any, q: Any) -> Differences:
    """Divided differences at 0, p and q, for ``p, q <= 0``; one evaluation shares what single ones would repeat.

    The farthest pair is 0 and the lesser of p and q; of exp[0, p] and exp[0, q] the greater has the greater argument.
    """
    xp = array_namespace(p, q)
    p, q = xp.broadcast_arrays(p, q)
    op, oq, pq = _from_zero(xp, p), _from_zero(xp, q), exp1(p, q)
    lowest = xp.minimum(p, q)
    half = xp.full_like(p, 0.5)
    opq = _near(_ratio(xp, pq - xp.maximum(op, oq), lowest), half, -lowest, xp.zeros_like(p), p, q)
    return Differences(xp.exp(p), xp.exp(q), op, oq, pq, opq)


def higher_differences(p: Any, q: Any, d: Differences) -> HigherDifferences:
    """The next divided differences from the lower ones ``d = differences(p, q)``, by the same recursion."""
    xp = array_namespace(p, q)
    p, q = xp.broadcast_arrays(p, q)
    zero = xp.zeros_like(p)
    half, sixth = zero + 1 / 2, zero + 1 / 6
    gap = q - p
    spread, q_lower, lowest = xp.abs(gap), gap < 0, xp.minimum(p, q)
    opp = _near(_ratio(xp, d.p - d.op, p), half, -p, zero, p, p)
    oqq = _near(_ratio(xp, d.q - d.oq, q), half, -q, zero, q, q)
    ppq = _near(_ratio(xp, d.pq - d.p, gap), d.p / 2, spread, p, p, q)
    pqq = _near(_ratio(xp, d.q - d.pq, gap), d.p / 2, spread, p, q, q)
    oppq = _near(_ratio(xp, ppq - xp.where(q_lower, opp, d.opq), lowest), sixth, -lowest, zero, p, p, q)
    opqq = _near(_ratio(xp, pqq - xp.where(q_lower, d.opq, oqq), lowest), sixth, -lowest, zero, p, q, q)
    return HigherDifferences(opp, ppq, pqq, oppq, opqq)
