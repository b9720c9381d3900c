"""AnnData in, arrays out: find the layers, check them, pick the genes that can be fitted."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._check import label_text
from velotime._status import InputError
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference import CellLabels, Observations

LEAST_CELLS = 20
LEAST_UNSPLICED = 0.02  # share of all counts, below which an assay hardly sees introns
SMALLEST_SIZE = 0.05  # size factors are floored here: a nearly empty cell must not count for nothing


@dataclass(frozen=True)
class Reading:
    """What was read of an AnnData.

    Attributes
    ----------
    observations
        Values of the genes that can be fitted, all cells.
    genes
        Their indices in the AnnData, ``(fitted genes,)``.
    fit_status
        For every gene of the AnnData "fitted", or why not, ``(all genes,)``.
    layers
        Names of the unspliced and the spliced layer.
    doubts
        What looks wrong with the layers, one sentence each, to be warned about before a fit.
    """

    observations: Observations
    genes: IntArray
    fit_status: Any
    layers: tuple[str, str]
    doubts: tuple[str, ...] = ()


def find_layers(adata: AnnData, unspliced: str | None = None, spliced: str | None = None) -> tuple[str, str]:
    """Names of the unspliced and the spliced layer: those given, or those that the common quantifiers write.

    Raises
    ------
    InputError
        If a layer is not there; the message lists those that are.
    """
    names = (
        _find_layer(adata, unspliced, keys.UNSPLICED_NAMES, "unspliced"),
        _find_layer(adata, spliced, keys.SPLICED_NAMES, "spliced"),
    )
    if names[0] == names[1]:
        raise InputError(
            f"layer {names[0]!r} is given for both unspliced= and spliced=: they must be two layers. Available: "
            f"{_layer_names(adata)}."
        )
    return names


def _find_layer(adata: AnnData, given: str | None, known: Iterable[str], kind: str) -> str:
    available = _layer_names(adata)
    for name in [given] if given is not None else known:
        if name in available:
            return name
    if given is not None:
        raise InputError(
            f"layer {given!r} not found in adata.layers; available: {available}. Pass {kind}= one of these."
        )
    raise InputError(
        f"no {kind} layer found in adata.layers: looked for {list(known)}; available: {available}. "
        f"Pass {kind}='...' with the name of the layer that holds the {kind} counts "
        f"(--{kind} on the command line)."
    )


def _layer_names(adata: AnnData) -> list[str]:
    """Names of the layers, without X, which AnnData 0.13 keeps among them under None."""
    return [name for name in adata.layers if name is not None]


def read_observations(
    adata: AnnData, *, unspliced: str | None = None, spliced: str | None = None, counts: bool = True
) -> Reading:
    """Read both layers, checked, without changing ``adata``.

    Parameters
    ----------
    adata
        Cells x genes.
    unspliced, spliced
        Layer names; found by themselves by default, see :func:`find_layers`.
    counts
        Whether values must be whole numbers; then size factors are each cell's total over all genes (before filtering,
        where :func:`velotime.pp.filter_genes` or scVelo left it in ``obs``) relative to the mean. Otherwise they are 1.

    Raises
    ------
    InputError
        For anything that cannot be fitted; the message says what to do.
    """
    names = find_layers(adata, unspliced, spliced)
    check_shape(adata)
    u, s = (read_layer(adata, name, counts=counts) for name in names)
    doubts = doubts_about(u, s, names, counts=counts)
    status = gene_status(u, s)
    genes = np.flatnonzero(status == keys.FITTED)
    if len(genes) == 0:
        raise InputError(
            f"no gene can be fitted: {_tally(status)}. Check that the layers {names} hold the right counts."
        )
    sizes = [
        size_factors(adata, layer, column) if counts else np.ones(adata.n_obs)
        for layer, column in ((u, keys.SIZE_UNSPLICED), (s, keys.SIZE_SPLICED))
    ]
    if len(genes) < adata.n_vars:
        u, s = u[:, genes], s[:, genes]
    if counts:
        _check_cells(adata, u, s)
    return Reading(Observations(u, s, sizes[0], sizes[1]), genes, status, names, doubts)


def check_shape(adata: AnnData) -> None:
    """Check that there are enough cells, and that names of cells and of genes are unique."""
    if adata.n_obs < LEAST_CELLS:
        raise InputError(f"only {adata.n_obs} cells: a fit needs at least {LEAST_CELLS}.")
    for axis, names in (("obs", adata.obs_names), ("var", adata.var_names)):
        if not names.is_unique:
            twice = list(pd.unique(names[names.duplicated()])[:3])
            merge = "" if axis == "var" else ", or merge samples with velotime.read.samples([...])"
            raise InputError(
                f"adata.{axis}_names are not unique, e.g. {twice}. Call adata.{axis}_names_make_unique() first{merge}."
            )
    if _share_of_barcodes(adata.var_names) > 0.5 > _share_of_barcodes(adata.obs_names):
        raise InputError(
            f"adata is {adata.shape}, genes x cells: its var_names are barcodes, e.g. {adata.var_names[0]!r}. Cells "
            "belong in rows: adata = adata.T.copy()."
        )


def _share_of_barcodes(names: pd.Index) -> float:
    """How many of the first names hold 12 or more letters of DNA in a row, as barcodes of droplets do."""
    first = pd.Series(names[:100].astype(str))
    return float(first.str.contains("[ACGT]{12}", regex=True).mean()) if len(first) else 0.0


def doubts_about(u: Any, s: Any, names: tuple[str, str], *, counts: bool) -> tuple[str, ...]:
    """What looks wrong with two layers as :func:`read_layer` gives them, a sentence each: a fit of them would run."""
    doubts = []
    if _same(u, s):
        doubts.append(
            f"the layers {names[0]!r} and {names[1]!r} hold the same values: one is a copy of the other, and what a "
            "fit says of direction and velocity means nothing. Put the unspliced counts of the quantifier into the "
            "first."
        )
    total = float(u.sum(dtype=np.float64)), float(s.sum(dtype=np.float64))
    share = total[0] / max(sum(total), 1.0)
    if counts and share < LEAST_UNSPLICED:
        doubts.append(
            f"{share:.2%} of the counts are unspliced, where droplet methods show 10 to 40 %: the assay sees hardly "
            "any introns (probes on exons do not), or introns were not counted. Velocity rests on unspliced counts; "
            "do not trust it here. If reads in introns were made, quantify them again with an index of introns."
        )
    return tuple(doubts)


def _same(u: Any, s: Any) -> bool:
    """Whether all values of two layers are the same, and not all zero."""
    if sparse.issparse(u) and sparse.issparse(s):  # in canonical format, both
        parts = ((u.indptr, s.indptr), (u.indices, s.indices), (u.data, s.data))
        return u.nnz > 0 and all(np.array_equal(one, other) for one, other in parts)
    return type(u) is type(s) and bool(np.any(u)) and np.array_equal(u, s)


def read_layer(adata: AnnData, name: str, *, counts: bool) -> Any:
    """One layer as float32, CSR or dense, its values checked; from memory, a file, or in pieces as of Dask."""
    layer = adata.layers[name]
    for load in ("to_memory", "compute"):  # of AnnData's matrices in files, of Dask's
        if hasattr(layer, load):
            layer = getattr(layer, load)()
    if layer.shape != adata.shape:
        raise InputError(f"layer {name!r} is {layer.shape}, but adata is {adata.shape}: both must have the same shape.")
    values = layer.data if sparse.issparse(layer) else np.asarray(layer)
    _check_values(values, name, counts=counts)
    if not sparse.issparse(layer):
        dense = np.asarray(layer, dtype=np.float32)
        return sparse.csr_array(dense) if counts else dense
    matrix = sparse.csr_array(layer, dtype=np.float32)
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if np.any(matrix.data == 0):
        matrix = matrix.copy()
        matrix.eliminate_zeros()
    return matrix


def read_block(layer: Any, genes: IntArray) -> Any:
    """Some genes of a layer, ``(cells, genes)``, CSC or dense, from memory, a file or Dask."""
    block = layer[:, genes]
    for load in ("to_memory", "compute"):
        block = getattr(block, load)() if hasattr(block, load) else block
    return sparse.csc_array(block) if sparse.issparse(block) else np.asarray(block)


def _check_values(values: Any, name: str, *, counts: bool) -> None:
    if not np.issubdtype(values.dtype, np.number) or np.iscomplexobj(values):
        raise InputError(f"layer {name!r} holds {values.dtype}, not real numbers.")
    if not np.all(np.isfinite(values)):
        n = int((~np.isfinite(values)).sum())
        raise InputError(f"layer {name!r} holds {n} values that are NaN or infinite. Remove those cells or genes.")
    if not counts:
        return
    if values.size and values.min() < 0:
        raise InputError(f"layer {name!r} holds negative values (least {values.min():g}): raw counts are 0 or more.")
    if not np.array_equal(values, np.floor(values)):
        raise InputError(
            f"layer {name!r} holds values that are not whole numbers, which a count noise cannot take. "
            "Pass the raw counts, or fit normalised values with method=vt.SoftEM(noise=vt.Gaussian()) "
            "(--noise gaussian on the command line)."
        )


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


def size_factors(adata: AnnData, layer: Any, column: str) -> FloatArray:
    """Totals of the cells relative to their mean, ``(cells,)``."""
    if column in adata.obs:
        total = np.asarray(adata.obs[column], dtype=np.float64)
        if not (np.all(np.isfinite(total)) and np.all(total >= 0) and total.sum() > 0):
            raise InputError(
                f"adata.obs[{column!r}] must hold each cell's total count: finite, 0 or more. Delete it to use sums."
            )
    else:
        total = np.asarray(layer.sum(axis=1, dtype=np.float64)).ravel()
    return np.asarray(np.maximum(total / total.mean(), SMALLEST_SIZE))


def layer_sizes(adata: AnnData, name: str) -> FloatArray:
    """Size factors of a layer, ``(cells,)``: the one place that says what a layer is to be divided by.

    Those of the fit if it was fitted, else :func:`fresh_sizes`.
    """
    layers = adata.uns.get(keys.RECOVER_DYNAMICS, {}).get("layers", {})
    for kind, column in (("spliced", keys.FIT_SIZE_SPLICED), ("unspliced", keys.FIT_SIZE_UNSPLICED)):
        if layers.get(kind) == name and column in adata.obs:
            return np.asarray(adata.obs[column], dtype=np.float64)
    return fresh_sizes(adata, name)


def fresh_sizes(adata: AnnData, name: str) -> FloatArray:
    """Size factors of a layer as a fit would compute them, ``(cells,)``; 1 where values are normalised already."""
    layer = read_layer(adata, name, counts=False)
    values = layer.data if sparse.issparse(layer) else layer
    if not (np.all(values >= 0) and np.array_equal(values, np.floor(values))):
        return np.ones(adata.n_obs)
    return size_factors(adata, layer, keys.SIZE_UNSPLICED if name in keys.UNSPLICED_NAMES else keys.SIZE_SPLICED)


def _check_cells(adata: AnnData, u: Any, s: Any) -> None:
    empty = np.asarray(u.sum(axis=1) + s.sum(axis=1)).ravel() == 0
    if empty.any():
        raise InputError(
            f"{int(empty.sum())} cells have no counts in the genes to fit, e.g. {list(adata.obs_names[empty][:3])}. "
            "Remove them with velotime.pp.filter_cells(adata), or keep more genes."
        )


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
    layer = read_layer(adata, find_layers(adata, *layers)[1], counts=False)
    size = fresh_sizes(adata, find_layers(adata, *layers)[1])
    columns = layer[:, adata.var_names.get_indexer(pd.Index(genes))]
    dense = columns.toarray() if sparse.issparse(columns) else np.asarray(columns)
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


def tally(status: Any) -> dict[str, int]:
    """How many genes were left out, by reason."""
    reasons, n = np.unique(status[status != keys.FITTED].astype(str), return_counts=True)
    return {str(reason): int(k) for reason, k in zip(reasons, n, strict=True)}


def _tally(status: Any) -> str:
    return ", ".join(f"{n} genes with {reason}" for reason, n in tally(status).items())
