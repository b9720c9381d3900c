"""What looks wrong with the layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

LEAST_UNSPLICED = 0.02  # share of all counts, below which an assay hardly sees introns


def doubts_about(u: Any, s: Any, names: tuple[str, str], *, counts: bool) -> tuple[str, ...]:
    """What looks wrong with two layers as :func:`read_layer` gives them, a sentence each: a fit of them would run."""
    total = float(u.sum(dtype=np.float64)), float(s.sum(dtype=np.float64))
    return doubts_of_sums(same_values(u, s), total, names, counts=counts)


def doubts_of_sums(same: bool, total: tuple[float, float], names: tuple[str, str], *, counts: bool) -> tuple[str, ...]:
    """The same from whether both hold the same values, and the sums of each."""
    doubts = []
    if same:
        doubts.append(
            f"the layers {names[0]!r} and {names[1]!r} hold the same values: one is a copy of the other, and what a "
            "fit says of direction and velocity means nothing. Put the unspliced counts of the quantifier into the "
            "first."
        )
    share = total[0] / max(sum(total), 1.0)
    if counts and share < LEAST_UNSPLICED:
        doubts.append(
            f"{share:.2%} of the counts are unspliced, where droplet methods show 10 to 40 %: the assay sees hardly "
            "any introns (probes on exons do not), or introns were not counted. Velocity rests on unspliced counts; "
            "do not trust it here. If reads in introns were made, quantify them again with an index of introns."
        )
    return tuple(doubts)


def same_values(u: Any, s: Any) -> bool:
    """Whether all values of two layers are the same, and not all zero."""
    if sparse.issparse(u) and sparse.issparse(s):  # in canonical format, both
        parts = ((u.indptr, s.indptr), (u.indices, s.indices), (u.data, s.data))
        return u.nnz > 0 and all(np.array_equal(one, other) for one, other in parts)
    return type(u) is type(s) and bool(np.any(u)) and np.array_equal(u, s)
