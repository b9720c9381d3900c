"""Colours of phases: a map that ends as it begins, as a circle does."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import ListedColormap

from velotime._types import FloatArray

N_COLORS = 360
LIGHTNESS, SWING, CHROMA, FIRST_HUE = 0.64, 0.18, 0.11, 300.0  # all of it within sRGB

# Oklab (Ottosson 2020): cubes of these combinations of L, a and b are cone responses, which add up to linear RGB.
TO_CONES = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


def phase_colors(n_colors: int = N_COLORS) -> FloatArray:
    """Colours once round the circle, ``(colors, 3)``: even steps in hue, and one from the last to the first.

    Lightness swings once as well, so that opposite phases differ where hues cannot be told apart; none is so pale that
    it is lost on white, none grey as missing values are. In Oklab, where equal steps look equal.
    """
    turn = 2 * np.pi * np.arange(n_colors) / n_colors
    hue = turn + np.deg2rad(FIRST_HUE)
    lab = np.stack([LIGHTNESS - SWING * np.cos(turn), CHROMA * np.cos(hue), CHROMA * np.sin(hue)])
    linear = np.clip(TO_RGB @ (TO_CONES @ lab) ** 3, 0.0, 1.0)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(coded.T)


PHASE_MAP = ListedColormap(phase_colors(), name="velotime_phase")
