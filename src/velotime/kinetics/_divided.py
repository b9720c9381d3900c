r"""Divided differences of the exponential: the only home of ``beta = gamma`` and ``tau -> 0``.

With ``exp[x] = e^x`` and ``exp[x, ..., y, z] = (exp[..., y, z] - exp[x, ..., y]) / (z - x)``, extended by continuity
where arguments coincide. They are symmetric in their arguments and positive.

Far apart, the recursion over the farthest pair loses no more than a digit. Close together the Taylor series about the
mean m takes its place: with deviations d_i of the n + 1 arguments from m

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


class _Series(NamedTuple):
    """When the Taylor series is used, and how much of it."""

    spread: float  # of the arguments, below which it is used
    terms: int


EXACT = _Series(0.5, 14)  # (0.5 * 2/3)^14 / 14! is below 1e-16
BRIEF = _Series(0.1, 8)  # for derivatives in float64: 1e-12 from either side, at half the work


def exp1(x: Any, y: Any) -> Any:
    """``exp[x, y] = (e^x - e^y)/(x - y)``, and e^x where they coincide."""
    xp = array_namespace(x, y)
    gap = xp.abs(x - y)
    apart = gap > 0
    ratio = xp.where(apart, -xp.expm1(-gap) / xp.where(apart, gap, xp.ones_like(gap)), xp.ones_like(gap))
    return xp.exp(xp.maximum(x, y)) * ratio


def exp2(x: Any, y: Any, z: Any) -> Any:
    """``exp[x, y, z]``."""
    xp = array_namespace(x, y, z)
    x, y, z = xp.broadcast_arrays(x, y, z)
    low, high = xp.minimum(x, y), xp.maximum(x, y)
    middle = xp.maximum(low, xp.minimum(high, z))
    low, high = xp.minimum(low, z), xp.maximum(high, z)
    spread = high - low
    far = (exp1(middle, high) - exp1(low, middle)) / xp.where(spread > 0, spread, xp.ones_like(spread))
    return _near(EXACT, far, spread, low, middle, high)


def _near(series: _Series, far: Any, spread: Any, *arguments: Any) -> Any:
    """``far`` where the arguments are spread out, the Taylor series where close, its first term at one point."""
    xp = array_namespace(far)
    at_one_point = spread == 0
    value = xp.where(at_one_point, xp.exp(arguments[0]) / factorial(len(arguments) - 1), far)
    close = (spread < series.spread) & ~at_one_point
    if not bool(xp.any(close)):
        return value
    if value.ndim == 0:
        return _series(series.terms, *arguments)
    value[close] = _series(series.terms, *(argument[close] for argument in arguments))
    return value


def _series(terms: int, *arguments: Any) -> Any:
    """Divided difference of exp for arguments close together."""
    xp = array_namespace(*arguments)
    order = len(arguments) - 1
    mean = sum(arguments) / len(arguments)
    e2, e3, e4 = _elementary([argument - mean for argument in arguments])
    h = [xp.ones_like(mean), xp.zeros_like(mean), -e2]
    total = h[0] / factorial(order) + h[2] / factorial(order + 2)
    for k in range(3, terms):
        term = e3 * h[k - 3] - e2 * h[k - 2]
        if order == 3 and k >= 4:
            term = term - e4 * h[k - 4]
        h.append(term)
        total = total + term / factorial(order + k)
    return xp.exp(mean) * total


def _elementary(d: list[Any]) -> tuple[Any, Any, Any]:
    """Elementary symmetric polynomials of degree 2, 3 and 4 of three or four numbers."""
    if len(d) == 3:
        a, b, c = d
        return a * b + (a + b) * c, a * b * c, 0.0
    a, b, c, f = d
    ab, cf = a * b, c * f
    return ab + cf + (a + b) * (c + f), ab * (c + f) + cf * (a + b), ab * cf


class Differences(NamedTuple):
    """Divided differences of exp at 0, p and q, each named by its arguments (0 written o)."""

    p: Any
    q: Any
    op: Any
    pq: Any
    opq: Any
    opp: Any
    ppq: Any
    pqq: Any
    oppq: Any
    opqq: Any


def differences(p: Any, q: Any) -> Differences:
    """Every divided difference that a step of the kinetics and its derivatives need, for ``p, q <= 0``.

    One evaluation shares what the single functions would compute again and again. Far from the series those of
    third order follow from those of second order by the recursion over the farthest pair, 0 and the lesser of p and q.
    """
    xp = array_namespace(p, q)
    p, q = xp.broadcast_arrays(p, q)
    zero, one = xp.zeros_like(p), xp.ones_like(p)
    ep, eq = xp.exp(p), xp.exp(q)
    op, oq, pq = _from_zero(xp, p), _from_zero(xp, q), exp1(p, q)

    series = BRIEF if p.dtype == xp.float64 else EXACT

    def over(numerator: Any, gap: Any) -> Any:
        return numerator / xp.where(gap == 0, one, gap)

    gap, abs_p, abs_q = q - p, -p, -q
    spread = xp.abs(gap)
    opp = _near(series, over(ep - op, p), abs_p, zero, p, p)
    oqq = _near(series, over(eq - oq, q), abs_q, zero, q, q)
    ppq = _near(series, over(pq - ep, gap), spread, p, p, q)
    pqq = _near(series, over(eq - pq, gap), spread, p, q, q)
    q_lower = q < p
    lowest = xp.minimum(p, q)
    opq = _near(series, over(pq - xp.where(q_lower, op, oq), lowest), -lowest, zero, p, q)
    oppq = _near(series, over(ppq - xp.where(q_lower, opp, opq), lowest), -lowest, zero, p, p, q)
    opqq = _near(series, over(pqq - xp.where(q_lower, opq, oqq), lowest), -lowest, zero, p, q, q)
    return Differences(ep, eq, op, pq, opq, opp, ppq, pqq, oppq, opqq)


def _from_zero(xp: Any, p: Any) -> Any:
    """``exp[0, p] = (e^p - 1)/p``."""
    apart = p != 0
    return xp.where(apart, xp.expm1(p) / xp.where(apart, p, xp.ones_like(p)), xp.ones_like(p))
