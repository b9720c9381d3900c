"""Genes along latent time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from scipy import sparse

from velotime import _keys as keys
from velotime._check import Names, Optional, Text, Whole, checked
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted, layer_sizes, read_block
from velotime.data.arguments import ADATA, COLUMN, LAYER
from velotime.data.layers.names import layer_names
from velotime.pl._canvas.arguments import GENE_SYMBOLS, PANEL, ColorMap
from velotime.pl._canvas.axes import (
    entitle,
    find_gene,
    finish,
    gene_names,
    in_hours,
    open_axes,
    require_groups,
    time_label,
)
from velotime.pl._canvas.colors import MISSING, color_map, labels_of, palette_of
from velotime.pl._canvas.look import PALETTE, Palette

LINEAGE = Optional(Text("the name of a lineage"))
COLUMNS = 200  # times
BANDWIDTH = 0.02  # of latent time: standard deviation of the kernel that averages cells
LEAST_MASS = 0.9  # cells that a time needs around it: one, nearly
MOST_NAMES = 80  # genes beyond which names would not be read


@checked(
    PANEL
    | {
        "genes": Optional(Names("names of genes")),
        "n_genes": Whole(1),
        "color": Optional(COLUMN),
        "lineage": LINEAGE,
        "layer": LAYER,
        "gene_symbols": GENE_SYMBOLS,
        "cmap": ColorMap(),
        "palette": PALETTE,
    }
)
def heatmap(
    adata: AnnData,
    genes: Sequence[str] | None = None,
    *,
    n_genes: int = 50,
    color: str | None = None,
    lineage: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    cmap: str = "viridis",
    palette: Sequence[str] | Mapping[str, str] | None = None,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Counts of genes along latent time, genes in the order of their peaks, as :func:`heatmap_genes` has it.

    Counts, not the fitted curve: ``sum_i w_i x_i / sum_i w_i l_i`` with x counts, l size factors and w a Gaussian
    kernel of latent time; every gene scaled to run from 0 to 1. Grey where there are no cells. Of a clock that goes
    round, phases stand for latent time, and the right end runs on into the left one.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    genes
        Names of genes; by default the most informative about time.
    n_genes
        How many of them, where none are given.
    color
        An obs column of labels: the most common one at each time is shown above.
    lineage
        Only the cells of this lineage, each as probable as it is in it; all cells by default. The genes are those, and
        in the order, of all cells, so that heatmaps of lineages can be laid side by side.
    layer
        The layer to show; that of the spliced counts by default.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    cmap
        Colour map, perceptually uniform by default.
    palette
        Colours of the labels, in order or by label; by default those of ``uns["<color>_colors"]``.
    title
        Title of the panel; by default the lineage, if one is asked for.
    figsize
        Width and height of the figure in inches.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or there is no such gene, layer or column.
    """
    fitted = Fitted.of(adata).require("time")
    if color is not None:
        require_groups(adata, color)
    index = index_of_genes(adata, genes, n_genes, gene_symbols)
    values = profiles_of(fitted, index, layer_of(fitted, layer))
    order = np.argsort(np.nanargmax(values, axis=1), kind="stable")
    if lineage is not None:
        values = profiles_of(fitted, index, layer_of(fitted, layer), _weights(fitted, lineage))
    names = gene_names(adata, gene_symbols)[index[order]]
    ax = open_axes(ax, size=(5.2, float(np.clip(1.2 + 0.115 * len(index), 2.4, 9.0))), figsize=figsize)
    image = ax.imshow(
        values[order],
        aspect="auto",
        interpolation="nearest",
        cmap=color_map(cmap),
        vmin=0,
        vmax=1,
        extent=(0, 1, len(index) - 0.5, -0.5),
    )
    _name_genes(ax, list(names))
    ax.set_xlabel(time_label(fitted))
    in_hours(ax.xaxis, fitted)
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.02, 0, 0.03, 0.4)))
    bar.set_label("scaled count", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    if color is not None:
        _draw_strip(ax, adata, color, _weights(fitted, lineage), palette)
    entitle(ax, f"lineage {lineage}" if title is None and lineage is not None else title, loc="left")
    return finish(ax, show=show, save=save, name="heatmap")


@checked(
    {
        "adata": ADATA,
        "genes": Optional(Names("names of genes")),
        "n_genes": Whole(1),
        "n_groups": Whole(1),
        "lineage": LINEAGE,
        "layer": LAYER,
        "gene_symbols": GENE_SYMBOLS,
    }
)
def heatmap_genes(
    adata: AnnData,
    genes: Sequence[str] | None = None,
    *,
    n_genes: int = 50,
    n_groups: int = 4,
    lineage: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
) -> pd.DataFrame:
    """The genes of :func:`heatmap` in its order, with the time of their peak and a group.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    genes, n_genes, layer, gene_symbols
        As in :func:`heatmap`.
    n_groups
        Into which the genes are cut by the time of their peak, about as many genes in each: 0 peaks first.
    lineage
        Peaks among the cells of this lineage; of all cells by default, as in :func:`heatmap`.

    Returns
    -------
    A row per gene, by name or symbol, in the order of the peaks: ``peak``, relative time, and ``group``.

    Raises
    ------
    InputError
        As :func:`heatmap`.
    """
    fitted = Fitted.of(adata).require("time")
    index = index_of_genes(adata, genes, n_genes, gene_symbols)
    peak = (
        np.nanargmax(profiles_of(fitted, index, layer_of(fitted, layer), _weights(fitted, lineage)), axis=1) + 0.5
    ) / COLUMNS
    order = np.argsort(peak, kind="stable")
    group = np.arange(len(order)) * min(n_groups, len(order)) // len(order)
    return pd.DataFrame({"peak": peak[order], "group": group}, index=gene_names(adata, gene_symbols)[index[order]])


def index_of_genes(adata: AnnData, genes: Sequence[str] | None, n_genes: int, symbols: str | None) -> IntArray:
    """Indices of the genes that were named, or of the best ones.

    Raises
    ------
    InputError
        If there is no such gene, or none at all.
    """
    if genes is None:
        index = _choose(adata, n_genes)
    else:
        index = np.array([find_gene(adata, gene, symbols) for gene in genes], dtype=int)
    if len(index) == 0:
        raise InputError("no genes to show; give genes=[...] or n_genes of 1 or more.")
    return index


def _choose(adata: AnnData, n_genes: int) -> IntArray:
    """The genes with the largest gain over a constant mean, or else likelihood, among those with a velocity."""
    by = keys.FIT_GAIN if keys.FIT_GAIN in adata.var else keys.FIT_LIKELIHOOD
    gain = adata.var[by].where(adata.var[keys.VELOCITY_GENES].astype(bool)).dropna()
    return np.asarray(adata.var_names.get_indexer(gain.sort_values(ascending=False).index[: max(n_genes, 0)]))


def layer_of(fitted: Fitted, layer: str | None) -> str:
    if layer is None:
        return fitted.layers[1]
    if layer not in fitted.adata.layers:
        raise InputError(f"layer {layer!r} not found in adata.layers; available: {layer_names(fitted.adata)}.")
    return layer


def _kernel(fitted: Fitted) -> FloatArray:
    """Weight of each cell at each time, ``(times, cells)``; on a clock that goes round, past its end as well."""
    times = (np.arange(COLUMNS) + 0.5) / COLUMNS
    apart = fitted.curve.clock.away(times[:, None], fitted.latent_time)
    return np.nan_to_num(np.exp(-0.5 * (apart / BANDWIDTH) ** 2))  # cells that do not cycle are nowhere


def _weights(fitted: Fitted, lineage: str | None) -> FloatArray:
    """How much each cell counts, ``(cells,)``: as probable as it is in a lineage, or 1.

    Raises
    ------
    InputError
        If there is no such lineage.
    """
    if lineage is None:
        return np.ones(fitted.adata.n_obs)
    names = fitted.require("curves").lineage_names
    if lineage not in names:
        raise InputError(f"lineage {lineage!r} not found; available: {names}.")
    return fitted.lineage_posterior[:, names.index(lineage)]


def profiles_of(fitted: Fitted, genes: IntArray, layer: str, cells: FloatArray | float = 1.0) -> FloatArray:
    """Means of the genes along time, scaled to run from 0 to 1, NaN where cells are few, ``(genes, times)``."""
    weight = _kernel(fitted) * cells
    values = sparse.csr_matrix(read_block(fitted.adata.layers[layer], genes))
    values.data = np.nan_to_num(values.data)
    mean = (values.T @ weight.T) / np.maximum(weight @ layer_sizes(fitted.adata, layer), 1e-300)
    mean[:, weight.sum(axis=1) < LEAST_MASS] = np.nan
    low, high = np.nanmin(mean, axis=1, keepdims=True), np.nanmax(mean, axis=1, keepdims=True)
    return np.asarray((mean - low) / np.where(high > low, high - low, 1.0))


def _name_genes(ax: Axes, names: list[str]) -> None:
    if len(names) <= MOST_NAMES:
        ax.set_yticks(range(len(names)), names, fontsize=float(np.clip(320 / len(names), 5.0, 9.0)))
        ax.tick_params(axis="y", length=0, pad=2)
    else:
        ax.set(yticks=[], ylabel=f"{len(names):,} genes")


def commonest_labels(
    adata: AnnData, color: str, cells: FloatArray | float = 1.0, palette: Palette = None
) -> tuple[IntArray, dict[str, str]]:
    """Index of the most common label at each time, one too many where most cells have none, and the labels' colours."""
    labels, codes = labels_of(adata, color)
    weight = _kernel(Fitted.of(adata)) * cells
    shares = np.stack([weight[:, codes == k].sum(axis=1) for k in (*range(len(labels)), -1)])  # no label comes last
    commonest = np.where(weight.sum(axis=1) < LEAST_MASS, len(labels), shares.argmax(axis=0))
    return commonest, palette_of(adata, color, labels, palette)


def _draw_strip(ax: Axes, adata: AnnData, color: str, cells: FloatArray, palette: Palette) -> None:
    """The most common label at each time, in a strip above, with a legend; grey where most cells have none."""
    commonest, colors = commonest_labels(adata, color, cells, palette)
    labels = list(colors)
    pixels = np.array([to_rgb(color) for color in (*colors.values(), MISSING)])[commonest]
    inch = ax.figure.figure.dpi / ax.bbox.height
    strip = ax.inset_axes((0, 1 + 0.04 * inch, 1, 0.12 * inch))
    strip.imshow(pixels[None], aspect="auto", interpolation="nearest", extent=(0, 1, 0, 1))
    strip.set_axis_off()
    shown = [labels[k] for k in dict.fromkeys(commonest[commonest < len(labels)])]
    patches = [Patch(color=colors[label], label=label) for label in shown]
    ax.legend(
        handles=patches,
        title=color.replace("_", " "),
        fontsize=7,
        title_fontsize=7,
        frameon=False,
        loc="upper left",
        bbox_to_anchor=(1.02, 1 + 0.16 * inch),
        alignment="left",
        handlelength=1,
        borderaxespad=0,
    )
