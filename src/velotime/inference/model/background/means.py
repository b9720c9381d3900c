"""Means with a background, where there is none, and which share of the counts it is."""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray

Pair = tuple[FloatArray, FloatArray]


def with_background(curves: Pair, background: FloatArray | None) -> Pair:
    """Means of both layers, ``(genes, states)`` each, with a background ``(2, genes)``; None is nothing."""
    if background is None:
        return curves
    return curves[0] + background[0][:, None], curves[1] + background[1][:, None]


def shares(background: FloatArray, profile: FloatArray) -> FloatArray:
    """Share of all counts that is background, a number for each row of genes."""
    return np.asarray(background.sum(axis=1) / np.maximum(profile.sum(axis=1), 1e-12))
