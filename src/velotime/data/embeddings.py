"""Embeddings of the cells in ``obsm``: found by their name with or without ``X_``, or made where there is none."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._log import scanpy_aside
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data.neighbors.table import find_neighbors

FIRST = ("umap", "tsne", "draw_graph_fa", "phate", "spatial", "diffmap")  # in the order of preference
PCA = "pca"
OWN = (keys.TIME_POSTERIOR, keys.LINEAGE_POSTERIOR, keys.MIXTURE_POSTERIOR)
BEFORE = "X_"  # of names in obsm until scanpy 2


def short_name(basis: str) -> str:
    """A basis without ``X_``: "umap" for "X_umap"."""
    return basis.removeprefix(BEFORE)


def list_embeddings(adata: AnnData, *, least: int = 2) -> list[str]:
    """Names of what has so many columns, best to draw on first, principal components last; without ``X_``."""
    there = [short_name(key) for key, values in adata.obsm.items() if _is_embedding(key, values, least)]
    there = list(dict.fromkeys(there))
    known = [name for name in FIRST if name in there]
    return known + [name for name in there if name not in known and name != PCA] + [PCA] * (PCA in there)


def _is_embedding(key: str, values: Any, least: int) -> bool:
    """Numbers in so many columns that are no result of a fit."""
    if key in OWN or key.startswith(keys.VELOCITY) or sparse.issparse(values):
        return False
    numbers = values.to_numpy() if isinstance(values, pd.DataFrame) else np.asarray(values)
    return numbers.ndim == 2 and numbers.shape[1] >= least and numbers.dtype.kind in "fiu"


def embedding_points(adata: AnnData, basis: str) -> FloatArray:
    """``obsm["X_<basis>"]`` or, where there is none, ``obsm["<basis>"]``, all its columns.

    Raises
    ------
    InputError
        If there is neither.
    """
    short = short_name(basis)
    key = next((key for key in (f"{BEFORE}{short}", short) if key in adata.obsm), None)
    if key is None:
        raise InputError(
            f"basis {basis!r} not found in adata.obsm; available: {list_embeddings(adata, least=1)}. "
            "Pass basis= one of these, or embed first, for example with scanpy.tl.umap(adata)."
        )
    return np.asarray(adata.obsm[key], dtype=np.float64)


def embed(adata: AnnData, *, seed: int = 0) -> None:
    """UMAP on the neighbours that are there, or our own, into ``obsm["X_umap"]``."""
    neighbors = find_neighbors(adata)
    copy = AnnData(obs=adata.obs[[]])
    copy.obsp["distances"], copy.obsp["connectivities"] = neighbors.distances, neighbors.connectivities
    copy.uns["neighbors"] = {
        "connectivities_key": "connectivities",
        "distances_key": "distances",
        "params": {"n_neighbors": neighbors.n_neighbors, "method": "umap"},  # scanpy warns of any other
    }
    with scanpy_aside(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scanpy's and umap's own making, about their dependencies
        sc.tl.umap(copy, random_state=seed)
    (points,) = copy.obsm.values()  # under a name that scanpy's preset decides; 1.10 can be given none
    adata.obsm["X_umap"] = np.asarray(points, dtype=np.float32)
