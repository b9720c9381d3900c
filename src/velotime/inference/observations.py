"""What a method is given: counts of two layers and the depth of each cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from velotime._types import FloatArray, IntArray
from velotime.compute import Matrix


@dataclass(frozen=True)
class Observations:
    """Unspliced and spliced values of the genes to fit, with size factors.

    Attributes
    ----------
    unspliced, spliced
        Counts (or normalised values, for Gaussian noise), ``(cells, genes)``, CSR or dense.
    size_unspliced, size_spliced
        Size factors, ``(cells,)``, relative: their mean is 1. All ones for normalised values.
    n_averaged
        Cells that each value is a mean of: 1, or for moments a cell and its neighbours. So many cells say the same.
    """

    unspliced: Matrix
    spliced: Matrix
    size_unspliced: FloatArray
    size_spliced: FloatArray
    n_averaged: float = 1.0

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.unspliced.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced.shape[1])

    def select_cells(self, cells: IntArray) -> Observations:
        """Keep these cells, in this order; size factors are kept as they are."""
        return replace(
            self,
            unspliced=self.unspliced[cells],
            spliced=self.spliced[cells],
            size_unspliced=self.size_unspliced[cells],
            size_spliced=self.size_spliced[cells],
        )

    def select_genes(self, genes: IntArray) -> Observations:
        """Keep these genes, in this order."""
        return replace(self, unspliced=self.unspliced[:, genes], spliced=self.spliced[:, genes])
