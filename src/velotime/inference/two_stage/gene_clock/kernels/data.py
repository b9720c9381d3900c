"""What the kernels read: values of the cells, and names of the parameters of each gene.

The six parameters of a gene are log amplitudes U and S of unspliced and spliced, log r = log gamma/beta, log x_ (time
on in units of 1/beta), log sigma and the log ratio of the sigmas of the two layers, relative to their spreads over
cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from velotime._types import FloatArray
from velotime.compute import Matrix, as_array
from velotime.inference.observations import Observations
from velotime.inference.two_stage.gene_clock.kernels.points import CellPoints

LOG_U, LOG_S, LOG_R, LOG_X, LOG_SIGMA, LOG_SIGMA_RATIO = range(6)
BLOCK_OF_GENES = 64


@dataclass(frozen=True)
class CurveData:
    """What the kernels read.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``, dense or CSC.
    spread
        Standard deviation of both layers over cells, ``(genes, 2)``.
    n_averaged
        Cells that each value is a mean of.
    """

    unspliced: Matrix
    spliced: Matrix
    spread: FloatArray
    n_averaged: float

    @classmethod
    def of(cls, observations: Observations) -> CurveData:
        """Dense values are not copied."""
        u, s = (
            sparse.csc_array(values) if sparse.issparse(values) else values
            for values in (observations.unspliced, observations.spliced)
        )
        data = cls(u, s, np.empty((observations.n_genes, 2)), observations.n_averaged)
        for genes, *blocks in data.blocks():
            for k, block in enumerate(blocks):
                data.spread[genes, k] = block.std(axis=0, dtype=np.float64)
        return data

    @property
    def cells(self) -> CellPoints:
        """Every cell, for the kernels."""
        return CellPoints(self.unspliced, self.spliced)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return int(self.unspliced.shape[0])

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return int(self.unspliced.shape[1])

    def blocks(self) -> Iterator[tuple[slice, FloatArray, FloatArray]]:
        """Blocks of genes: their indices, and dense values of both layers."""
        for first in range(0, self.n_genes, BLOCK_OF_GENES):
            genes = slice(first, min(first + BLOCK_OF_GENES, self.n_genes))
            yield genes, as_array(self.unspliced[:, genes]), as_array(self.spliced[:, genes])
