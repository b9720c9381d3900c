"""Plots of single genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.patheffects as effects
import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as Outline

from velotime import _keys as keys
from velotime._check import Flag, Optional, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.data.arguments import COLUMN, GENE
from velotime.pl._canvas.arguments import PLOT, TwoAxes
from velotime.pl._canvas.axes import (
    JITTER,
    TIME_LABEL,
    find_gene,
    finish,
    limit_counts,
    open_axes,
    require_column,
    tidy,
)
from velotime.pl._canvas.colors import color_cells, figure_size, point_size
from velotime.pl._curves import WIDTH, Curve, gene_curves, piece_means

HALO = [effects.withStroke(linewidth=3.2, foreground="white")]


@checked(PLOT | {"gene": GENE, "color": COLUMN, "band": Flag()})
def phase_portrait(
    adata: AnnData,
    gene: str,
    *,
    color: str = keys.LATENT_TIME,
    band: bool = True,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Unspliced against spliced counts of a gene at size factor 1, with the fitted curve and its switches.

    With lineages there is one curve each; they run together until the first switch that tells them apart.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    gene
        Name of the gene.
    color
        An obs column: numbers get a colour bar, labels the palette in ``uns["<color>_colors"]``.
    band
        Draw where the curve lies with a posterior probability of 90 % at each time, across its direction: the errors
        of all rates, switches and levels together, given the clock.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or there is no such gene or column.
    """
    fitted = Fitted.of(adata).require("curves")
    require_column(adata, color)
    g = find_gene(adata, gene)
    u, s = (values[:, 0] for values in fitted.values([g]))
    curves = gene_curves(fitted, g)
    ax = open_axes(ax, size=figure_size(adata, color))
    jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, (adata.n_obs, 2))
    color_cells(ax, np.c_[s, u] + jitter, adata, color, alpha=0.6)
    for curve in curves:
        if band and curve.covariance is not None:
            _draw_band(ax, curve, curve.covariance)
        ax.plot(curve.means[1], curve.means[0], color=curve.color, lw=1.8, path_effects=HALO, zorder=4)
        _draw_switches(ax, curve.at_switches[1], curve.at_switches[0], curve)
    _name_curves(ax, curves, band=band, means=False)
    limit_counts(ax, {"x": s, "y": u}, {"x": _ends(curves, 1), "y": _ends(curves, 0)})
    ax.set(xlabel="spliced", ylabel="unspliced")
    ax.set_title(gene, loc="left")
    tidy([ax])
    return finish(ax, show=show, save=save)


def _ends(curves: list[Curve], layer: int) -> FloatArray:
    """The largest mean of each curve."""
    return np.array([curve.means[layer].max() for curve in curves])


def _draw_switches(ax: Axes, x: FloatArray, y: FloatArray, curve: Curve) -> None:
    ax.scatter(x, y, color=curve.color, s=34, marker="D", edgecolors="white", linewidths=0.8, zorder=5)


def _draw_band(ax: Axes, curve: Curve, covariance: FloatArray) -> None:
    """A strip as wide as 90 % of the posterior across the curve, one quadrilateral per piece of time."""
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
        lines.append(Patch(facecolor="black", alpha=0.25, lw=0, label="90 % of the posterior"))
    if means:
        lines.append(Line2D([], [], marker="o", ls="", color="white", mec="black", ms=4, label="mean count"))
    labels = [str(line.get_label()) for line in lines]
    ax.add_artist(Legend(ax, lines, labels, fontsize=7, frameon=True, framealpha=0.7, edgecolor="none", loc="best"))


@checked(PLOT | {"gene": GENE, "color": Optional(COLUMN), "ax": Optional(TwoAxes())})
def along_time(
    adata: AnnData,
    gene: str,
    *,
    color: str | None = None,
    ax: tuple[Axes, Axes] | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> tuple[Axes, Axes] | None:
    """Counts and fit of a gene along latent time: unspliced above, spliced below, a curve per lineage.

    Dots are cells, at size factor 1; rings are means with standard errors over pieces of the clock (each lineage's
    cells by themselves), which the fitted curve should meet; bands are where the curve lies with a posterior
    probability of 90 %.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    gene
        Name of the gene.
    color
        An obs column by which cells are coloured; grey by default.
    ax
        Two axes, for unspliced and spliced counts.
    show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or there is no such gene or column.
    """
    fitted = Fitted.of(adata).require("curves")
    if color is not None:
        require_column(adata, color)
    g = find_gene(adata, gene)
    if ax is None:
        width = 4.4 if color is None else figure_size(adata, color)[0]
        axes = tuple(plt.subplots(2, 1, figsize=(width, 4.2), layout="constrained", sharex=True)[1])
    elif isinstance(ax, Sequence | np.ndarray) and len(ax) == 2:
        axes = (ax[0], ax[1])
    else:
        raise InputError(f"along_time(ax={ax!r}): needs two axes, for the unspliced and the spliced counts.")
    curves = gene_curves(fitted, g)
    for k, (panel, values) in enumerate(zip(axes, fitted.values([g]), strict=True)):
        counts = values[:, 0]
        _draw_counts(panel, adata, counts, color, legend=k == 0)
        for curve in curves:
            _draw_along(panel, fitted, curve, k, counts)
        limit_counts(panel, {"y": counts}, {"y": _ends(curves, k)})
        panel.set(ylabel=("unspliced", "spliced")[k], xlim=(-0.02, 1.02))
    _name_curves(axes[0], curves, band=True, means=True)
    axes[0].set_title(gene, loc="left")
    axes[1].set_xlabel(TIME_LABEL)
    tidy(axes)
    done = finish(axes[1], show=show, save=save)
    return None if done is None else (axes[0], axes[1])


def _draw_counts(ax: Axes, adata: AnnData, counts: FloatArray, color: str | None, *, legend: bool) -> None:
    jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, len(counts))
    points = np.c_[Fitted.of(adata).latent_time, counts + jitter]
    if color is None:
        ax.scatter(points[:, 0], points[:, 1], s=point_size(len(points)), color="0.75", linewidths=0, rasterized=True)
    else:
        color_cells(ax, points, adata, color, alpha=0.6, legend_loc="right margin" if legend else None)


def _draw_along(ax: Axes, fitted: Fitted, curve: Curve, layer: int, counts: FloatArray) -> None:
    """The fit of one lineage in one layer, its band, its switches, and the means of its cells."""
    mean = curve.means[layer]
    ax.plot(curve.times, mean, color=curve.color, lw=1.8, path_effects=HALO, zorder=4)
    if curve.covariance is not None:
        half = WIDTH * np.sqrt(curve.covariance[:, layer, layer])
        low, high = np.maximum(mean - half, 0), mean + half
        ax.fill_between(curve.times, low, high, color=curve.color, alpha=0.25, lw=0, zorder=3)
    _draw_switches(ax, curve.switches, curve.at_switches[layer], curve)
    own = fitted.lineage == curve.lineage
    time, size = fitted.latent_time, fitted.sizes[layer]
    at, height, error = piece_means(time[own], (counts * size)[own, None], size[own])
    enough = np.isfinite(at)
    style: dict[str, Any] = {"fmt": "o", "ms": 3.5, "mfc": "white", "mew": 0.9, "elinewidth": 0.9, "zorder": 4.5}
    ax.errorbar(at[enough], height[enough, 0], yerr=error[enough, 0], color=curve.color, **style)
