"""An order of the cells in which neighbours stand near each other: what is read of them is then at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee

from velotime._types import FloatArray, IntArray


@dataclass(frozen=True)
class Walk:
    """Cells in an order of their own.

    Attributes
    ----------
    order
        ``order[k]`` is the k-th cell, ``(cells,)``.
    """

    order: IntArray

    @classmethod
    def along(cls, near: sparse.csr_matrix) -> Walk:
        """Level by level from one end of the graph to the other (reverse Cuthill-McKee)."""
        return cls(reverse_cuthill_mckee(near, symmetric_mode=True))

    def renumbered(self, matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        """A matrix of cells by cells in this order; entries of a row stand as they stood, so that sums are the same."""
        place = np.empty(len(self.order), dtype=matrix.indices.dtype)
        place[self.order] = np.arange(len(self.order))
        rows = matrix[self.order]
        return sparse.csr_matrix((rows.data, place[rows.indices], rows.indptr), shape=matrix.shape)


def in_order(values: FloatArray, walk: Walk | None) -> FloatArray:
    """Values of cells, ``(cells, ...)``, in the order of a walk; as they are without one."""
    return values if walk is None else values[walk.order]
