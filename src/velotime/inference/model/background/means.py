"""Means with a background, and where there is none."""

from __future__ import annotations

from velotime._types import FloatArray

Pair = tuple[FloatArray, FloatArray]


def with_background(curves: Pair, background: FloatArray | None) -> Pair:
    """Means of both layers, ``(genes, states)`` each, with a background ``(2, genes)``; None is nothing."""
    if background is None:
        return curves
    return curves[0] + background[0][:, None], curves[1] + background[1][:, None]
