"""Plots of single genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.patheffects as effects
import numpy as np
from anndata import AnnData
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse, Patch, PathPatch
from matplotlib.path import Path as Outline

from velotime import _keys as keys
from velotime._check import Either, Flag, Names, Optional, Whole, checked
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.data.arguments import COLUMN, GENE
from velotime.pl._canvas.arguments import AXES, PLOT, ListOfAxes, TwoAxes
from velotime.pl._canvas.axes import (
    JITTER,
    find_gene,
    finish,
    in_hours,
    limit_counts,
    require_column,
    tidy,
)
from velotime.pl._canvas.colors import CellStyle, color_cells, figure_size, point_size
from velotime.pl._canvas.panels import finish_panels, open_pairs, open_panels
from velotime.pl._curves import WIDTH, Curve, gene_curves, gene_times, piece_means

SOME_GENES = Either((GENE, Names("names of genes")))
#: Where a mixture keeps means and variances of spliced and unspliced, ``(genes, components)`` each.
COMPONENTS = (keys.MIXTURE_MEAN_S, keys.MIXTURE_MEAN_U, keys.MIXTURE_VARIANCE_S, keys.MIXTURE_VARIANCE_U)
HALO = [effects.withStroke(linewidth=3.2, foreground="white")]


@checked(
    PLOT
    | {
        "gene": SOME_GENES,
        "color": Optional(COLUMN),
        "band": Flag(),
        "ncols": Whole(1),
        "ax": Optional(Either((AXES, ListOfAxes()))),
    }
)
def phase_portrait(
    adata: AnnData,
    gene: str | Sequence[str],
    *,
    color: str | None = None,
    band: bool = True,
    ncols: int = 4,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | list[Axes] | None:
    """Unspliced against spliced values of genes as the fit read them, with the fitted curve and its switches.

    Counts are shown at size factor 1; methods that read moments are drawn on these. With lineages there is one curve
    each; they run together until the first switch that tells them apart. A gene with a clock of its own has one curve,
    up and down again. A mixture has no curve: its components are drawn, each with an ellipse one standard deviation
    wide.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    gene
        Name of a gene, or several: a panel each.
    color
        An obs column: numbers get a colour bar, labels the palette in ``uns["<color>_colors"]``. By default latent
        time, or the component where the method gives no time.
    band
        Draw a band of 90 % at each time, across the curve's direction: the posterior errors of all rates, switches
        and levels together, given the clock, and how far cells' means lie beside the curve beyond chance.
    ncols
        Panels in a row.
    ax
        Axes of one gene, or a list of them for several.
    show, save
        As in scanpy.

    Returns
    -------
    The axes, a list of them for a list of genes; None if the figure was shown.

    Raises
    ------
    InputError
        If nothing is fitted, or there is no such gene or column.
    """
    fitted = Fitted.of(adata)
    color = _own_color(fitted) if color is None else color
    require_column(adata, color)
    genes = [gene] if isinstance(gene, str) else list(gene)
    index = [find_gene(adata, one) for one in genes]
    axes = open_panels(ax, len(genes), ncols=ncols, size=figure_size(adata, color))
    for panel, name, g in zip(axes, genes, index, strict=True):
        _draw_portrait(panel, fitted, g, color, band=band)
        panel.set_title(name, loc="left")
    tidy(axes)
    return finish_panels(axes, one=isinstance(gene, str), show=show, save=save, name="phase_portrait")


def _own_color(fitted: Fitted) -> str:
    return fitted.time_slot if "time" in fitted.capabilities else keys.MIXTURE_COMPONENT


def _draw_portrait(ax: Axes, fitted: Fitted, g: int, color: str, *, band: bool) -> None:
    u, s = (values[:, 0] for values in fitted.values([g]))
    curves = gene_curves(fitted, g, (u, s))
    jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, (len(u), 2)) * fitted.noise.counts
    color_cells(ax, np.c_[s, u] + jitter, fitted.adata, color, CellStyle(alpha=0.6))
    for curve in curves:
        if band and curve.covariance is not None:
            _draw_band(ax, curve, curve.covariance)
        ax.plot(curve.means[1], curve.means[0], color=curve.color, lw=1.8, path_effects=HALO, zorder=4)
        _draw_switches(ax, curve.at_switches[1], curve.at_switches[0], curve)
    if "components" in fitted.capabilities:
        _draw_components(ax, fitted, g)
    _name_curves(ax, curves, band=band, means=False)
    limit_counts(ax, {"x": s, "y": u}, {"x": _ends(curves, 1), "y": _ends(curves, 0)}, least=_least(fitted))
    ax.set(xlabel="spliced", ylabel="unspliced")


def _least(fitted: Fitted) -> float:
    """What an axis shows at least: one count; of values, as little as there is."""
    return 1.0 if fitted.noise.counts else 0.0


def _draw_components(ax: Axes, fitted: Fitted, g: int) -> None:
    """Mean of each component, with an ellipse of one standard deviation."""
    rows = (np.asarray(fitted.adata.varm[name])[g] for name in COMPONENTS)
    for x, y, width, height in zip(*rows, strict=True):
        spread = {"width": 2 * np.sqrt(width), "height": 2 * np.sqrt(height)}
        ax.add_patch(Ellipse((x, y), **spread, fill=False, edgecolor="black", lw=0.9, zorder=4))
        ax.plot(x, y, "D", color="black", mec="white", ms=5, zorder=5)


def _ends(curves: list[Curve], layer: int) -> FloatArray:
    """The largest mean of each curve."""
    return np.array([curve.means[layer].max() for curve in curves])


def _draw_switches(ax: Axes, x: FloatArray, y: FloatArray, curve: Curve) -> None:
    ax.scatter(x, y, color=curve.color, s=34, marker="D", edgecolors="white", linewidths=0.8, zorder=5)


def _draw_band(ax: Axes, curve: Curve, covariance: FloatArray) -> None:
    """A strip as wide as the band across the curve, one quadrilateral per piece of time."""
    points = curve.means[::-1].T  # (times, (s, u))
    span = np.maximum(np.ptp(points, axis=0), 1e-12)
    along = np.gradient(points / span, axis=0)
    across = np.c_[-along[:, 1], along[:, 0]] / np.maximum(np.linalg.norm(along, axis=1), 1e-12)[:, None]
    covariance = covariance[:, ::-1, ::-1] / np.outer(span, span)
    half = WIDTH * np.sqrt(np.einsum("ta,tab,tb->t", across, covariance, across))[:, None] * across * span
    low, high = points - half, points + half
    strips = np.stack([low[:-1], low[1:], high[1:], high[:-1]], axis=1)
    # One path, all pieces turning the same way: where they overlap, at a switch, they are not darker.
    x, y = strips[..., 0], strips[..., 1]
    turn = (x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1)).sum(axis=1)
    strips[turn < 0] = strips[turn < 0, ::-1]
    path = Outline.make_compound_path_from_polys(strips)
    ax.add_patch(PathPatch(path, facecolor=curve.color, alpha=0.25, lw=0, zorder=3))


def _name_curves(ax: Axes, curves: list[Curve], *, band: bool, means: bool) -> None:
    """A legend of what was fitted, inside the axes; that of the cells is beside them."""
    if not curves:
        return
    lines: list[Artist] = [
        Line2D([], [], color=c.color, lw=1.8, label=f"lineage {c.lineage}") for c in curves if len(curves) > 1
    ]
    lines = lines or [Line2D([], [], color=curves[0].color, lw=1.8, label="fit")]
    if any(len(curve.switches) for curve in curves):
        lines.append(Line2D([], [], marker="D", ls="", color="black", mec="white", ms=6, label="switch"))
    if band and any(curve.covariance is not None for curve in curves):
        lines.append(Patch(facecolor="black", alpha=0.25, lw=0, label="90 % band, misfit included"))
    if means:
        lines.append(Line2D([], [], marker="o", ls="", color="white", mec="black", ms=4, label="mean count"))
    labels = [str(line.get_label()) for line in lines]
    ax.add_artist(Legend(ax, lines, labels, fontsize=7, frameon=True, framealpha=0.7, edgecolor="none", loc="best"))


@checked(PLOT | {"gene": SOME_GENES, "color": Optional(COLUMN), "ncols": Whole(1), "ax": Optional(TwoAxes())})
def along_time(
    adata: AnnData,
    gene: str | Sequence[str],
    *,
    color: str | None = None,
    ncols: int = 4,
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
        An obs column by which cells are coloured; grey by default.
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
    if color is not None:
        require_column(adata, color)
    genes = [gene] if isinstance(gene, str) else list(gene)
    index = [find_gene(adata, one) for one in genes]
    times = [gene_times(fitted, g) for g in index]
    width = 4.4 if color is None else figure_size(adata, color)[0]
    pairs = open_pairs(ax, len(genes), ncols=ncols, size=(width, 4.2))
    for pair, name, g, (time, label) in zip(pairs, genes, index, times, strict=True):
        _draw_pair(pair, fitted, g, time, color)
        pair[0].set_title(name, loc="left")
        pair[1].set_xlabel(label)
        if "curves" in fitted.capabilities:
            for panel in pair:
                in_hours(panel.xaxis, fitted)
        tidy(pair)
    if finish(pairs[0][1], show=show, save=save, name="along_time") is None:
        return None
    return pairs[0] if isinstance(gene, str) else pairs


def _draw_pair(axes: tuple[Axes, Axes], fitted: Fitted, g: int, time: FloatArray, color: str | None) -> None:
    """Unspliced and spliced values of a gene along a time, with its curves."""
    u, s = (values[:, 0] for values in fitted.values([g]))
    curves = gene_curves(fitted, g, (u, s))
    end = 1.0 if "curves" in fitted.capabilities else float(np.nanmax(time, initial=1e-12))
    for k, (panel, counts) in enumerate(zip(axes, (u, s), strict=True)):
        _draw_counts(panel, fitted, time, counts, color, legend=k == 0)
        for curve in curves:
            _draw_along(panel, fitted, curve, k, (time, counts))
        limit_counts(panel, {"y": counts}, {"y": _ends(curves, k)}, least=_least(fitted))
        panel.set(ylabel=("unspliced", "spliced")[k], xlim=(-0.02 * end, 1.02 * end))
    _name_curves(axes[0], curves, band=True, means=True)


def _draw_counts(
    ax: Axes, fitted: Fitted, time: FloatArray, counts: FloatArray, color: str | None, *, legend: bool
) -> None:
    jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, len(counts)) * fitted.noise.counts
    points = np.c_[time, counts + jitter]
    if color is None:
        ax.scatter(points[:, 0], points[:, 1], s=point_size(len(points)), color="0.75", linewidths=0, rasterized=True)
    else:
        style = CellStyle(alpha=0.6, legend_loc="right margin" if legend else None)
        color_cells(ax, points, fitted.adata, color, style)


def _draw_along(ax: Axes, fitted: Fitted, curve: Curve, layer: int, values: tuple[FloatArray, FloatArray]) -> None:
    """The fit of one lineage in one layer, its band, its switches, and the means of its cells' values at times."""
    mean = curve.means[layer]
    ax.plot(curve.times, mean, color=curve.color, lw=1.8, path_effects=HALO, zorder=4)
    if curve.covariance is not None:
        half = WIDTH * np.sqrt(curve.covariance[:, layer, layer])
        low, high = np.maximum(mean - half, 0), mean + half
        ax.fill_between(curve.times, low, high, color=curve.color, alpha=0.25, lw=0, zorder=3)
    _draw_switches(ax, curve.switches, curve.at_switches[layer], curve)
    (time, counts), size, end = values, fitted.sizes[layer], float(curve.times[-1])
    own = np.isfinite(time) & (fitted.lineage == curve.lineage if curve.lineage else True)
    at, height, error = piece_means(time[own] / end, (counts * size)[own, None], size[own])
    enough = np.isfinite(at)
    style: dict[str, Any] = {"fmt": "o", "ms": 3.5, "mfc": "white", "mew": 0.9, "elinewidth": 0.9, "zorder": 4.5}
    ax.errorbar(at[enough] * end, height[enough, 0], yerr=error[enough, 0], color=curve.color, **style)
