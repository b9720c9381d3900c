"""Labels of the cells and marker genes, as arrays."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime._check import label_text
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.compute import as_array
from velotime.data.layers.names import find_layers
from velotime.data.layers.sizes import fresh_sizes
from velotime.data.layers.values import read_block
from velotime.inference import CellLabels


def read_labels(
    adata: AnnData,
    columns: Iterable[str],
    genes: Iterable[str] = (),
    layers: tuple[str | None, str | None] = (None, None),
) -> CellLabels:
    """Cell names, some obs columns, and normalised values of some genes.

    Parameters
    ----------
    adata
        The cells.
    columns, genes
        What is asked for.
    layers
        Names of the unspliced and the spliced layer; found by themselves by default.

    Raises
    ------
    InputError
        If a column or gene is not there, or a column has no value at all. A few may be missing.
    """
    found = {}
    orders: dict[str, tuple[str, ...]] = {}
    for column in columns:
        if column not in adata.obs:
            raise InputError(f"column {column!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
        if adata.obs[column].isna().all():
            raise InputError(f"column {column!r} of adata.obs has no labels: all its values are missing.")
        found[column] = np.asarray(adata.obs[column])
        orders.update(_order(adata.obs[column]))
    return CellLabels(np.asarray(adata.obs_names), found, read_markers(adata, genes, layers), orders)


def _order(values: pd.Series) -> dict[str, tuple[str, ...]]:
    """Labels in their order, if they have one of their own and some cell has them; under the column's name."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        if not values.cat.ordered:
            return {}
        here = set(values)
        return {str(values.name): tuple(label_text(label) for label in values.cat.categories if label in here)}
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        return {}
    return {str(values.name): tuple(label_text(label) for label in np.unique(np.asarray(values.dropna())))}


def read_markers(
    adata: AnnData, genes: Iterable[str], layers: tuple[str | None, str | None] = (None, None)
) -> dict[str, FloatArray]:
    """Spliced values of some genes over the cells' size factors, ``(cells,)`` each.

    Raises
    ------
    InputError
        If a gene is not there; the message names those with similar names.
    """
    genes = list(genes)
    if not genes:
        return {}
    check_genes(adata, genes)
    name = find_layers(adata, *layers)[1]
    size = fresh_sizes(adata, name)
    dense = as_array(read_block(adata.layers[name], adata.var_names.get_indexer(pd.Index(genes))))
    return {gene: np.asarray(dense[:, k] / size, dtype=np.float64) for k, gene in enumerate(genes)}


def check_genes(adata: AnnData, genes: Iterable[str]) -> None:
    """Check that genes exist.

    Raises
    ------
    InputError
        If one does not; the message names those with similar names.
    """
    missing = [gene for gene in genes if gene not in adata.var_names]
    if not missing:
        return
    names = {str(name).lower(): str(name) for name in adata.var_names}
    close = {
        gene: [names[name] for name in difflib.get_close_matches(gene.lower(), list(names), n=5)] for gene in missing
    }
    hints = "; ".join(
        f"{gene!r} (similar: {', '.join(found)})" if found else f"{gene!r} (nothing similar)"
        for gene, found in close.items()
    )
    raise InputError(
        f"genes not found among the {adata.n_vars:,} of adata.var_names: {hints}. Names look like "
        f"{list(adata.var_names[:3])}. Genes that velotime.pp.filter_genes leaves out can be kept: keep=[...]."
        f"{other_names(adata, missing)}"
    )


def other_names(adata: AnnData, genes: Iterable[str]) -> str:
    """A sentence where a column of ``var`` has genes that ``var_names`` does not, else nothing."""
    for column in adata.var:
        values = adata.var[column]
        if not pd.api.types.is_numeric_dtype(values) and values.isin(list(genes)).any():
            return (
                f" adata.var[{column!r}] has such a name: name genes by it, velotime.read.auto(path, "
                f"gene_names={column!r}) or --gene-names {column} on the command line."
            )
    return ""
