"""Plots of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime import _keys as keys
from velotime._check import checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.data.arguments import COLUMN
from velotime.pl._canvas.axes import (
    find_basis,
    finish,
    in_hours,
    is_numeric,
    name_axes,
    name_column,
    note_left_out,
    open_axes,
    require_column,
    tidy,
    time_label,
)
from velotime.pl._canvas.colors import point_size
from velotime.pl._canvas.look import ON_CELLS, ONE_COLOR, Look, panel_titles
from velotime.pl._canvas.panels import finish_panels


@checked(ON_CELLS)
def embedding(
    adata: AnnData,
    *,
    color: str | Sequence[str] = keys.LATENT_TIME,
    basis: str = "umap",
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
    """Cells on an embedding, coloured by latent time, by its standard deviation, by any obs columns or genes.

    Parameters
    ----------
    adata
        With an embedding; fitted with :func:`velotime.tl.recover_dynamics` where the colour is a result of the fit.
    color
        Obs columns or genes that colour the cells: one, or a list with a panel each. Values of genes are those of
        ``layer``, or of ``X`` (of ``raw`` where only that has the gene).
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    layer
        The layer of values of genes.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    cmap
        Colour map of numbers; perceptually uniform by default.
    vmin, vmax
        Ends of the colour scale: numbers, or quantiles in per cent as scanpy writes them, "p1" and "p99". By default
        all but the extreme half per cents; latent time from 0 to 1.
    palette
        Colours of labels, in order or by label; by default those of ``uns["<color>_colors"]``.
    size
        Area of a point in points squared; smaller by default the more cells there are.
    title
        Title of the panel, or of each.
    figsize
        Width and height of the figure in inches.
    frameon
        False leaves the axes out.
    ncols
        Panels in a row.
    legend_loc
        Where labels are named: "right margin", "on data" or None, which leaves colour bars out too.
    ax
        Axes, one for each panel.
    show, save
        As in scanpy.

    Returns
    -------
    The axes, a list of them for a list of colours; None if the figure was shown.

    Raises
    ------
    InputError
        If there is no such basis or column.
    """
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, size, title, figsize, frameon, ncols, legend_loc)
    points, sources = find_basis(adata, basis), look.sources(adata)
    axes = look.panels(ax, len(sources), sources)
    for panel, source in zip(axes, sources, strict=True):
        look.draw(panel, points, source)
        name_axes(panel, basis)
        note_left_out(panel, np.asarray(~np.isfinite(points).all(axis=1)), "without coordinates left out")
    look.finish(axes, panel_titles(sources))
    return finish_panels(axes, one=isinstance(color, str), show=show, save=save, name="embedding")


@checked(ONE_COLOR | {"column": COLUMN})
def time_against(
    adata: AnnData,
    column: str,
    *,
    color: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    cmap: str = "viridis",
    vmin: float | str | None = None,
    vmax: float | str | None = None,
    palette: Sequence[str] | Mapping[str, str] | None = None,
    size: float | None = None,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    frameon: bool | None = None,
    legend_loc: str | None = "right margin",
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Latent time of every cell, with its 5 to 95 % interval if there is one, against a numeric column.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    column
        A numeric obs column.
    color
        An obs column or a gene that colours the cells; blue by default.
    layer
        The layer of values of a gene that colours cells.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    cmap, vmin, vmax, palette, size, title, figsize, frameon, legend_loc
        As in :func:`embedding`; points are half as large by default.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no time, or there is no such column.
    """
    fitted = Fitted.of(adata)
    time = fitted.latent_time
    require_column(adata, column)
    if not is_numeric(adata, column):
        numeric = [name for name in adata.obs.columns if is_numeric(adata, name)]
        raise InputError(f"column {column!r} of adata.obs holds labels, but numbers are wanted; numeric: {numeric}.")
    x = np.asarray(adata.obs[column], dtype=float)
    around = fitted.uncertainty
    half = point_size(len(x)) / 2 if size is None else size
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, half, title, figsize, frameon, 1, legend_loc)
    source = look.source(adata)
    ax = open_axes(ax, size=(4.0, 3.2) if source is None else look.room([source]), figsize=figsize)
    if {"q05", "q95"} <= set(around):
        for at, low, high in _stretches(x, around["q05"].to_numpy(), around["q95"].to_numpy()):
            ax.vlines(at, low, high, color="0.8", lw=0.6, rasterized=True)
    look.draw(ax, np.c_[x, time], source, plain="tab:blue")
    ax.set(xlabel=name_column(column), ylabel=time_label(fitted), ylim=(-0.02, 1.02))
    in_hours(ax.yaxis, fitted)
    note_left_out(ax, ~np.isfinite(x), f"without {name_column(column)} left out")
    tidy([ax])
    look.finish([ax], [""])
    return finish(ax, show=show, save=save, name="time_against")


def _stretches(x: FloatArray, low: FloatArray, high: FloatArray) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """Intervals as they are drawn: one that passes 0 on a clock that goes round, in two parts."""
    past = high < low
    zero, one = np.zeros(past.sum()), np.ones(past.sum())
    return [(x[~past], low[~past], high[~past]), (x[past], low[past], one), (x[past], zero, high[past])]
