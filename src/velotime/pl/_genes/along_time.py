"""Values of genes along time, with their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime._check import Optional, checked
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.pl._canvas.arguments import TwoAxes
from velotime.pl._canvas.axes import JITTER, find_gene, finish, in_hours, limit_counts, tidy
from velotime.pl._canvas.look import Look, Source
from velotime.pl._curves import WIDTH, Curve, gene_curves, gene_times, piece_means
from velotime.pl._genes.drawing import HALO, OF_GENES, draw_switches, ends, least, name_curves


@checked(OF_GENES | {"ax": Optional(TwoAxes())})
def along_time(
    adata: AnnData,
    gene: str | Sequence[str],
    *,
    color: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    cmap: str = "viridis",
    vmin: float | str | None = None,
    vmax: float | str | None = None,
    palette: Sequence[str] | Mapping[str, str] | None = None,
    size: float | None = None,
    title: str | Sequence[str] | None = None,
    figsize: Sequence[float] | None = None,
    frameon: bool | None = None,
    ncols: int = 4,
    legend_loc: str | None = "right margin",
    ax: tuple[Axes, Axes] | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> tuple[Axes, Axes] | list[tuple[Axes, Axes]] | None:
    """Values and fit of genes along time: unspliced above, spliced below, a curve per lineage.

    Dots are cells, at size factor 1; rings are means with standard errors over pieces of the clock (each lineage's
    cells by themselves), which the fitted curve should meet; bands of 90 % are the posterior of the curve, widened by
    how far it misses these means beyond their errors. Time is latent time, or a gene's own where each gene has a
    clock of its own.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    gene
        Name of a gene, or several: a pair of panels each.
    color
        An obs column or a gene that colours the cells; grey by default.
    layer
        The layer of values of a gene that colours cells.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    cmap, vmin, vmax, palette, size, figsize, frameon, legend_loc
        As in :func:`embedding`.
    title
        Title of the pair, or of each; by default the name of the gene.
    ncols
        Genes in a row.
    ax
        Two axes, for unspliced and spliced values of one gene.
    show, save
        As in scanpy.

    Returns
    -------
    The two axes, a list of pairs for a list of genes; None if the figure was shown.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no time, or there is no such gene or column.
    """
    fitted = Fitted.of(adata).require("time")
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, size, title, figsize, frameon, ncols, legend_loc)
    genes = [gene] if isinstance(gene, str) else list(gene)
    index = [find_gene(adata, one, gene_symbols) for one in genes]
    times = [gene_times(fitted, g) for g in index]
    source = look.source(adata)
    pairs = look.pairs(ax, len(genes), source)
    for pair, g, (time, label) in zip(pairs, index, times, strict=True):
        _draw_pair(pair, fitted, g, time, look, source)
        pair[1].set_xlabel(label)
        if "curves" in fitted.capabilities:
            for panel in pair:
                in_hours(panel.xaxis, fitted)
        tidy(pair)
    look.finish([upper for upper, _ in pairs], genes, loc="left")
    look.frame([lower for _, lower in pairs])
    if finish(pairs[0][1], show=show, save=save, name="along_time") is None:
        return None
    return pairs[0] if isinstance(gene, str) else pairs


def _draw_pair(
    axes: tuple[Axes, Axes], fitted: Fitted, g: int, time: FloatArray, look: Look, source: Source | None
) -> None:
    """Unspliced and spliced values of a gene along a time, with its curves; one legend serves both."""
    u, s = (values[:, 0] for values in fitted.values([g]))
    curves = gene_curves(fitted, g, (u, s))
    end = 1.0 if "curves" in fitted.capabilities else float(np.nanmax(time, initial=1e-12))
    looks = look, replace(look, legend_loc=None)
    for k, (panel, counts) in enumerate(zip(axes, (u, s), strict=True)):
        jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, len(counts)) * fitted.noise.counts
        looks[k].draw(panel, np.c_[time, counts + jitter], source, alpha=0.6)
        for curve in curves:
            _draw_along(panel, fitted, curve, k, (time, counts))
        limit_counts(panel, {"y": counts}, {"y": ends(curves, k)}, least=least(fitted))
        panel.set(ylabel=("unspliced", "spliced")[k], xlim=(-0.02 * end, 1.02 * end))
    name_curves(axes[0], curves, band=True, means=True)


def _draw_along(ax: Axes, fitted: Fitted, curve: Curve, layer: int, values: tuple[FloatArray, FloatArray]) -> None:
    """The fit of one lineage in one layer, its band, its switches, and the means of its cells' values at times."""
    mean = curve.means[layer]
    ax.plot(curve.times, mean, color=curve.color, lw=1.8, path_effects=HALO, zorder=4)
    if curve.covariance is not None:
        half = WIDTH * np.sqrt(curve.covariance[:, layer, layer])
        low, high = np.maximum(mean - half, 0), mean + half
        ax.fill_between(curve.times, low, high, color=curve.color, alpha=0.25, lw=0, zorder=3)
    draw_switches(ax, curve.switches, curve.at_switches[layer], curve)
    (time, counts), size, end = values, fitted.sizes[layer], float(curve.times[-1])
    own = np.isfinite(time) & (fitted.lineage == curve.lineage if curve.lineage else True)
    at, height, error = piece_means(time[own] / end, (counts * size)[own, None], size[own])
    enough = np.isfinite(at)
    style: dict[str, Any] = {"fmt": "o", "ms": 3.5, "mfc": "white", "mew": 0.9, "elinewidth": 0.9, "zorder": 4.5}
    ax.errorbar(at[enough] * end, height[enough, 0], yerr=error[enough, 0], color=curve.color, **style)
