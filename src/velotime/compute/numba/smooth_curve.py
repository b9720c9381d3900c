"""Smooth transcription on a clock that goes round, compiled: means and derivatives at one time.

Compiled versions of ``kinetics.smooth_means`` and ``kinetics.smooth_jacobian``; see there for the mathematics.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from velotime.compute.jit import CONTRACT, jit

TURN = 2 * np.pi


@jit(CONTRACT)
def _response(b: float, g: float) -> Any:
    """A and B, what a wave of transcription leaves in unspliced and spliced, complex."""
    u = 1.0 / (b + 1j * TURN)
    return u, b * u / (g + 1j * TURN)


@jit(CONTRACT)
def _smooth_means(x: float, low: float, high: float, b: float, g: float, response: Any) -> Any:
    """Means of both layers at x after the middle of the rise, without the scaling."""
    turned = np.cos(TURN * x) + 1j * np.sin(TURN * x)
    middle, height = 0.5 * (high + low), 0.5 * (high - low)
    return middle / b + height * (turned * response[0]).imag, middle / g + height * (turned * response[1]).imag


@jit(CONTRACT)
def _smooth_derivatives(x: float, low: float, high: float, b: float, g: float, response: Any, slopes: Any) -> Any:
    """The same and, into ``slopes``, ``(2, 7)``, their derivatives; there is no duration."""
    turned = np.cos(TURN * x) + 1j * np.sin(TURN * x)
    u_wave, s_wave = turned * response[0], turned * response[1]
    middle, height = 0.5 * (high + low), 0.5 * (high - low)
    u, s = middle / b + height * u_wave.imag, middle / g + height * s_wave.imag
    slopes[0, 0] = -middle / b - height * b * (u_wave * response[0]).imag
    slopes[1, 0] = height * (s_wave * (1.0 - b * response[0])).imag
    slopes[0, 1] = u
    slopes[1, 1] = s - middle / g - height * g * (s_wave / (g + 1j * TURN)).imag
    slopes[0, 2], slopes[1, 2] = -TURN * height * u_wave.real, -TURN * height * s_wave.real
    slopes[0, 3], slopes[1, 3] = 0.5 * low * (1.0 / b - u_wave.imag), 0.5 * low * (1.0 / g - s_wave.imag)
    slopes[0, 4], slopes[1, 4] = 0.5 * high * (1.0 / b + u_wave.imag), 0.5 * high * (1.0 / g + s_wave.imag)
    slopes[0, 5], slopes[1, 5] = u, 0.0
    slopes[0, 6], slopes[1, 6] = 0.0, 0.0
    return u, s
