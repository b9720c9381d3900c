"""Exponentials of many numbers, compiled: simple enough for the compiler to take several at once.

That of the C library takes one number at a time. With k the nearest whole number to ``x / log 2`` and r what is left,
``exp x = 2^k exp r``: k is added to the bits of the exponent, and exp r is taken from its series.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute.jit import CONTRACT, jit

_LOG2_E = 1.44269504088896338700e00
_LN2, _LN2_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_TO_INTEGER = 6755399441055744.0  # 1.5 * 2^52: a number that is added to it is rounded, and stands in its last bits
_E2, _E3, _E4, _E5, _E6, _E7 = 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040
_E8, _E9, _E10, _E11, _E12 = 1 / 40320, 1 / 362880, 1 / 3628800, 1 / 39916800, 1 / 479001600


_F32_LOG2_E, _F32_TO_INTEGER = np.float32(_LOG2_E), np.float32(12582912.0)  # 1.5 * 2^23
_F32_LN2, _F32_LN2_REST = np.float32(0.693359375), np.float32(-2.12194440e-4)
_F1, _F2, _F3, _F4, _F5, _F6 = (np.float32(1 / n) for n in (1, 2, 6, 24, 120, 720))


@jit(CONTRACT)
def take_weights(out: Any, out_bits: Any, best: Any, least: Any, room: Any) -> None:
    """``exp(x - best)`` in place of single-precision x, and 0 where ``x - best`` is ``least`` or less, of -80 or more.

    ``out_bits`` is the same memory as whole numbers; see :func:`room_for_weights`.
    """
    rest, rounded, rounded_bits = room
    for j in range(out.shape[0]):
        rest[j] = out[j] - best
        rounded[j] = max(rest[j], least) * _F32_LOG2_E + _F32_TO_INTEGER
    for j in range(out.shape[0]):
        k = rounded[j] - _F32_TO_INTEGER
        r = (rest[j] - k * _F32_LN2) - k * _F32_LN2_REST
        series = _F1 + r * (_F1 + r * (_F2 + r * (_F3 + r * (_F4 + r * (_F5 + r * _F6)))))
        out[j] = series if rest[j] > least else np.float32(0.0)
    for j in range(out.shape[0]):
        out_bits[j] += (rounded_bits[j] << 23) if rest[j] > least else 0


@jit(CONTRACT)
def take_exps(room: Any) -> None:
    """``exp x`` of numbers between -700 and 700; see :func:`room_for_exps`."""
    x, rounded, rounded_bits, out, out_bits = room
    for j in range(x.shape[0]):
        rounded[j] = x[j] * _LOG2_E + _TO_INTEGER
    for j in range(x.shape[0]):
        k = rounded[j] - _TO_INTEGER
        r = (x[j] - k * _LN2) - k * _LN2_REST
        high = _E8 + r * (_E9 + r * (_E10 + r * (_E11 + r * _E12)))
        out[j] = 1.0 + (r + r * r * (_E2 + r * (_E3 + r * (_E4 + r * (_E5 + r * (_E6 + r * (_E7 + r * high)))))))
    for j in range(x.shape[0]):
        out_bits[j] += rounded_bits[j] << 52


def room_for_exps(out: FloatArray) -> tuple[Any, ...]:
    """Arrays for as many numbers as ``out`` holds: x, which the caller fills, then work, then ``out``.

    Views as whole numbers are made here, as a kernel takes longer for one than for the exponentials of few numbers.
    """
    rounded = np.empty(len(out))
    return np.empty(len(out)), rounded, rounded.view(np.int64), out, out.view(np.int64)


def room_for_weights(n: int) -> tuple[FloatArray, FloatArray, IntArray]:
    """What :func:`take_weights` works in, for n numbers."""
    rounded = np.empty(n, dtype=np.float32)
    return np.empty(n, dtype=np.float32), rounded, rounded.view(np.int32)
