"""How well each state explains the counts of each cell, one layer at a time."""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray
from velotime.inference.model.layer import LayerData
from velotime.inference.model.noise import Noise


def state_scores(noise: Noise, data: LayerData, means: FloatArray, scatter: FloatArray) -> FloatArray:
    """Log-likelihood of a layer's counts in each state, up to terms without a state, ``(cells, states)``.

    Parameters
    ----------
    noise
        How counts scatter.
    data
        The layer.
    means, scatter
        Of its genes, ``(genes, states)`` and ``(genes,)``.
    """
    tables = noise.tables(means, scatter, data.levels)
    total: FloatArray = np.zeros((data.n_cells, means.shape[1]))
    for k in range(len(data.levels)):
        rows = np.flatnonzero(data.level == k)
        total[rows] = data.values[rows] @ tables.slope[k].astype(np.float64) - tables.offset[k]
    return total
