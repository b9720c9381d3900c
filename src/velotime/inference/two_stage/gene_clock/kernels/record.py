"""The normal equations of genes' curves, as the E-steps leave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.two_stage.gene_clock.kernels.curve import N_NODES, N_PARAMETERS


@dataclass(frozen=True)
class CurveSums:
    """What an E-step leaves of each gene: the M-step sees nothing else.

    Not a record of :class:`velotime.compute.Sums`: every gene has a posterior over the nodes of its own curve, and so
    normal equations of its own in place of sums per state that genes share.

    Attributes
    ----------
    value
        Log-likelihood, nats, ``(genes,)``.
    gradient
        Its derivatives by the parameters, ``(genes, 6)``.
    weight
        Cells on each node, ``(genes, nodes)``; 0 where every cell has one time.
    complete
        Minus the second derivatives that there would be if times were known, ``(genes, 6, 6)``, semidefinite.
    missing
        What they lose as times are not known, by the n = 6 parameters and log weights of the nodes, or by the
        parameters only where there are no nodes: the lower half row by row, ``(genes, n (n + 1) / 2)``, float32.
    """

    value: FloatArray
    gradient: FloatArray
    weight: FloatArray
    complete: FloatArray
    missing: FloatArray

    @classmethod
    def empty(cls, n_genes: int, *, nodes: bool) -> CurveSums:
        """Zeros; whether for times that are a posterior over nodes."""
        k = N_PARAMETERS
        n = k + nodes * N_NODES
        return cls(
            np.zeros(n_genes),
            np.zeros((n_genes, k)),
            np.zeros((n_genes, N_NODES)),
            np.zeros((n_genes, k, k)),
            np.zeros((n_genes, n * (n + 1) // 2), dtype=np.float32),
        )

    def of(self, genes: IntArray) -> CurveSums:
        """Sums of these genes."""
        return CurveSums(*(array[genes] for array in self.arrays))

    def put(self, genes: IntArray, other: CurveSums) -> CurveSums:
        """The same with the other's in place of these genes'."""
        out = CurveSums(*(array.copy() for array in self.arrays))
        for into, array in zip(out.arrays, other.arrays, strict=True):
            into[genes] = array
        return out

    @property
    def missing_of_parameters(self) -> FloatArray:
        """Of ``missing`` the part of the parameters, ``(genes, 6, 6)``."""
        row, column = np.tril_indices(N_PARAMETERS)
        out = np.empty(self.complete.shape)
        out[:, row, column] = out[:, column, row] = self.missing[:, : len(row)]
        return out

    @property
    def arrays(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """All five."""
        return self.value, self.gradient, self.weight, self.complete, self.missing
