"""Which genes can be fitted, and why others cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from velotime import _keys as keys
from velotime._types import BoolArray


def gene_status(u: Any, s: Any) -> Any:
    """For every gene "fitted", or why it cannot be, ``(genes,)``."""
    status = np.full(u.shape[1], keys.FITTED, dtype=object)
    for layer, kind in ((s, "spliced"), (u, "unspliced")):
        status[_is_constant(layer)] = f"constant {kind}"
        status[_is_zero(layer)] = f"no {kind} counts"
    return status


def _is_zero(layer: Any) -> BoolArray:
    total: BoolArray = np.asarray(abs(layer).sum(axis=0)).ravel() == 0
    return total


def _is_constant(layer: Any) -> BoolArray:
    high, low = layer.max(axis=0), layer.min(axis=0)
    if sparse.issparse(high):
        high, low = high.toarray(), low.toarray()
    return np.asarray(np.ravel(high) == np.ravel(low))


def tally(status: Any) -> dict[str, int]:
    """How many genes were left out, by reason."""
    reasons, n = np.unique(status[status != keys.FITTED].astype(str), return_counts=True)
    return {str(reason): int(k) for reason, k in zip(reasons, n, strict=True)}


def _tally(status: Any) -> str:
    return ", ".join(f"{n} genes with {reason}" for reason, n in tally(status).items())
