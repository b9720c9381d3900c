"""Unspliced against spliced values of genes, with their curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse, PathPatch
from matplotlib.path import Path as Outline

from velotime import _keys as keys
from velotime._check import Flag, checked
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.pl._canvas.axes import JITTER, find_gene, limit_counts, tidy
from velotime.pl._canvas.look import Look, Source
from velotime.pl._canvas.panels import finish_panels
from velotime.pl._curves import WIDTH, Curve, gene_curves
from velotime.pl._genes.drawing import HALO, OF_GENES, draw_switches, ends, least, name_curves

#: Where a mixture keeps means and variances of spliced and unspliced, ``(genes, components)`` each.
COMPONENTS = (keys.MIXTURE_MEAN_S, keys.MIXTURE_MEAN_U, keys.MIXTURE_VARIANCE_S, keys.MIXTURE_VARIANCE_U)


@checked(OF_GENES | {"band": Flag()})
def phase_portrait(
    adata: AnnData,
    gene: str | Sequence[str],
    *,
    color: str | None = None,
    band: bool = True,
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
        An obs column or a gene that colours the cells. By default latent time, or the component where the method gives
        no time.
    band
        Draw a band of 90 % at each time, across the curve's direction: the posterior errors of all rates, switches
        and levels together, given the clock, and how far cells' means lie beside the curve beyond chance.
    layer
        The layer of values of a gene that colours cells.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    cmap, vmin, vmax, palette, size, figsize, frameon, ncols, legend_loc
        As in :func:`embedding`.
    title
        Title of the panel, or of each; by default the name of the gene.
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
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, size, title, figsize, frameon, ncols, legend_loc)
    genes = [gene] if isinstance(gene, str) else list(gene)
    index = [find_gene(adata, one, gene_symbols) for one in genes]
    sources = look.sources(adata)
    axes = look.panels(ax, len(genes), sources)
    for panel, g in zip(axes, index, strict=True):
        _draw_portrait(panel, fitted, g, look, sources[0], band=band)
    tidy(axes)
    look.finish(axes, genes, loc="left")
    return finish_panels(axes, one=isinstance(gene, str), show=show, save=save, name="phase_portrait")


def _own_color(fitted: Fitted) -> str:
    return fitted.time_slot if "time" in fitted.capabilities else keys.MIXTURE_COMPONENT


def _draw_portrait(ax: Axes, fitted: Fitted, g: int, look: Look, source: Source, *, band: bool) -> None:
    u, s = (values[:, 0] for values in fitted.values([g]))
    curves = gene_curves(fitted, g, (u, s))
    jitter = np.random.default_rng(0).uniform(-JITTER, JITTER, (len(u), 2)) * fitted.noise.counts
    look.draw(ax, np.c_[s, u] + jitter, source, alpha=0.6)
    for curve in curves:
        if band and curve.covariance is not None:
            _draw_band(ax, curve, curve.covariance)
        ax.plot(curve.means[1], curve.means[0], color=curve.color, lw=1.8, path_effects=HALO, zorder=4)
        draw_switches(ax, curve.at_switches[1], curve.at_switches[0], curve)
    if "components" in fitted.capabilities:
        _draw_components(ax, fitted, g)
    name_curves(ax, curves, band=band, means=False)
    limit_counts(ax, {"x": s, "y": u}, {"x": ends(curves, 1), "y": ends(curves, 0)}, least=least(fitted))
    ax.set(xlabel="spliced", ylabel="unspliced")


def _draw_components(ax: Axes, fitted: Fitted, g: int) -> None:
    """Mean of each component, with an ellipse of one standard deviation."""
    rows = (np.asarray(fitted.adata.varm[name])[g] for name in COMPONENTS)
    for x, y, width, height in zip(*rows, strict=True):
        spread = {"width": 2 * np.sqrt(width), "height": 2 * np.sqrt(height)}
        ax.add_patch(Ellipse((x, y), **spread, fill=False, edgecolor="black", lw=0.9, zorder=4))
        ax.plot(x, y, "D", color="black", mec="white", ms=5, zorder=5)


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
