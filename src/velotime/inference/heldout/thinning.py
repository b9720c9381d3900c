"""Held-out counts: how well a model predicts counts that it has not seen.

Each count is thinned binomially: a share goes to a training part, the rest to a test part. For Poisson counts the
parts are independent given the means, so the score is exact; for the negative binomial each part is negative binomial
with the same dispersion, but the two share the gamma-distributed part of the rate, so the score is approximate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy import sparse

from velotime._types import FloatArray
from velotime.compute import Matrix
from velotime.inference.observations import Observations

TRAIN_SHARE = 0.7  # of the counts; enough to place the cells, and the rest suffices to compare models


@dataclass(frozen=True)
class ThinnedCounts:
    """Training and test part of the same cells."""

    train: Observations
    test: Observations

    @classmethod
    def of(cls, observations: Observations, rng: Generator) -> ThinnedCounts:
        """Thin both layers; size factors are relative, so both parts keep them."""
        u_train, u_test = _thin(observations.unspliced, rng)
        s_train, s_test = _thin(observations.spliced, rng)
        sizes = observations.size_unspliced, observations.size_spliced
        parts = Observations(u_train, s_train, *sizes), Observations(u_test, s_test, *sizes)
        train, test = (
            replace(part, sample=observations.sample, sample_names=observations.sample_names) for part in parts
        )
        return cls(train, test)


def _thin(counts: Matrix, rng: Generator) -> tuple[sparse.csr_array, sparse.csr_array]:
    whole = sparse.csr_array(counts)
    kept = rng.binomial(whole.data.astype(np.int64), TRAIN_SHARE).astype(np.float32)
    parts = []
    for data in (kept, whole.data - kept):
        part = sparse.csr_array((data, whole.indices.copy(), whole.indptr.copy()), shape=whole.shape)
        part.eliminate_zeros()
        parts.append(part)
    return parts[0], parts[1]


def compare(scores: dict[str, FloatArray]) -> pd.DataFrame:
    """Mean score per cell of each model, and its difference from the best with the standard error over cells.

    Parameters
    ----------
    scores
        Held-out log-likelihood of each cell, ``(cells,)``, by model.
    """
    means = {name: float(values.mean()) for name, values in scores.items()}
    best = max(means, key=lambda name: means[name])
    rows = []
    for name, values in scores.items():
        behind = values - scores[best]
        error = float(behind.std(ddof=1) / np.sqrt(len(behind))) if name != best else 0.0
        rows.append(
            {"model": name, "log_likelihood": means[name], "behind": float(behind.mean()), "standard_error": error}
        )
    return pd.DataFrame(rows)
