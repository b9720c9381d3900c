"""What the metrics read of an AnnData, or errors that list what is there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from anndata import AnnData
from pandas.api.types import is_bool_dtype, is_numeric_dtype
from scipy import sparse

from velotime import _keys as keys
from velotime import data
from velotime._check import Settings
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import (
    Fitted,
    Neighbors,
    current_fit,
    has_arrows,
    neighborhood_means,
    read_velocity,
    require_velocity,
)
from velotime.data.arguments import LAYER, VAR_COLUMN
from velotime.inference import NO_LABEL, label_texts


@dataclass(frozen=True)
class GeneSpace(Settings):
    """Where directions are measured: among genes, not on an embedding.

    Cells lie at their spliced counts at size factor 1, averaged over each cell and its neighbours, as in
    :func:`velotime.tl.velocity_graph`. (The fitted means in ``layers["Ms"]`` are not used: they lie on the fitted
    curve, where every displacement is along it.)

    Parameters
    ----------
    genes
        A boolean var column: genes to use.
    spliced
        Name of the spliced layer; that of the fit by default.
    """

    genes: str = keys.VELOCITY_GENES
    spliced: str | None = None

    rules: ClassVar = {"genes": VAR_COLUMN, "spliced": LAYER}


@dataclass(frozen=True)
class Vectors:
    """Positions and velocities of the cells in some space.

    Attributes
    ----------
    points, velocity
        ``(cells, dimensions)``.
    whole
        Cells without NaN among them, ``(cells,)``; the others are left out.
    n_genes_left_out
        Genes of ``points`` that were left out as they have no velocity in any cell; 0 on an embedding.
    """

    points: FloatArray
    velocity: FloatArray
    whole: np.ndarray
    n_genes_left_out: int = 0

    @property
    def left_out(self) -> dict[str, int]:
        """How much was left out for its NaN velocity."""
        return {"n_cells_left_out": int((~self.whole).sum()), "n_genes_left_out": self.n_genes_left_out}


def read_vectors(adata: AnnData, space: str | GeneSpace) -> Vectors:
    """Positions and velocities on an embedding, or among genes."""
    if isinstance(space, GeneSpace):
        velocity, genes, n_left_out = gene_velocity(adata, space.genes)
        neighbors = _neighbors(adata)
        points = np.asarray(neighborhood_means(adata, neighbors, genes, spliced=space.spliced), dtype=np.float64)
    else:
        points, slot = data.embedding_points(adata, space), f"velocity_{data.short_name(space)}"
        if slot not in adata.obsm:
            raise InputError(
                f"no velocity on basis {space!r}: call velotime.tl.velocity_embedding(adata, basis={space!r})."
            )
        if current_fit(adata) and not has_arrows(adata, space):
            raise InputError(
                f"the velocity on basis {space!r} is not that of the fit, the graph and the coordinates that are here: "
                f"call velotime.tl.velocity_embedding(adata, basis={space!r}) again."
            )
        n_left_out = 0
        velocity = np.asarray(adata.obsm[slot], dtype=np.float64)
    whole = np.asarray(np.isfinite(np.hstack([points, velocity])).all(axis=1))
    return Vectors(points, velocity, whole, n_left_out)


def gene_velocity(adata: AnnData, column: str) -> tuple[FloatArray, np.ndarray, int]:
    """Velocities ``(cells, genes)`` of the genes marked in a var column, their indices, and how many had none.

    Genes that are NaN in every cell were not fitted and go; cells that are NaN in some are left out by the caller.
    """
    require_velocity(adata)
    if column not in adata.var:
        raise InputError(f"column {column!r} not found in adata.var; available: {list(adata.var.columns)}.")
    asked = np.flatnonzero(np.asarray(adata.var[column], dtype=bool))
    velocity = np.asarray(read_velocity(adata, asked).values, dtype=np.float64)
    none = np.isnan(velocity).all(axis=0)
    if none.all():
        raise InputError(f"no gene of var[{column!r}] has a velocity: mark other genes, or fit them.")
    return velocity[:, ~none], asked[~none], int(none.sum())


def read_neighbors(adata: AnnData) -> sparse.csr_matrix:
    """Neighbours of each cell as a matrix of ones, ``(cells, cells)``, without the cell itself."""
    if "distances" in adata.obsp:
        neighbors = sparse.csr_matrix(adata.obsp["distances"], dtype=np.float64, copy=True)
    else:
        neighbors = sparse.csr_matrix(_neighbors(adata).distances, dtype=np.float64, copy=True)
    neighbors.setdiag(0)
    neighbors.eliminate_zeros()
    neighbors.data[:] = 1.0
    return neighbors


def _neighbors(adata: AnnData) -> Neighbors:
    found = data.read_neighbors(adata)
    if found is None:
        raise InputError(
            "no neighbours in obsp['distances'] and obsp['connectivities']: call velotime.tl.velocity_graph(adata) or "
            "scanpy.pp.neighbors(adata) first."
        )
    return found


def read_labels(adata: AnnData, column: str, wanted: Iterable[str] = ()) -> np.ndarray:
    """Labels of the cells as text; all of ``wanted`` must occur."""
    if column not in adata.obs:
        raise InputError(f"column {column!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    labels = label_texts(adata.obs[column])
    present = set(labels.tolist()) - {NO_LABEL}
    wrong = sorted(set(wanted) - present)
    if wrong:
        raise InputError(f"labels {wrong} not found in obs[{column!r}]; available: {sorted(present)}.")
    return labels


def read_time(adata: AnnData, column: str) -> FloatArray:
    """A numeric obs column."""
    if column not in adata.obs:
        if column == keys.LATENT_TIME:
            Fitted.of(adata).require("time").require_line("an order of times")
        if column == keys.CYCLE_PHASE:
            Fitted.of(adata).require_circle("a phase")
        raise InputError(f"column {column!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    if not is_numeric_dtype(adata.obs[column]) or is_bool_dtype(adata.obs[column]):
        raise InputError(f"column {column!r} of adata.obs holds {adata.obs[column].dtype}, not numbers.")
    return np.asarray(adata.obs[column], dtype=np.float64)


def unit(vectors: FloatArray) -> FloatArray:
    """Rows at length 1; those of length 0 stay 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))
