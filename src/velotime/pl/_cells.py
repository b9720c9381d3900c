"""Plots of cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime import _keys as keys
from velotime._check import checked
from velotime._status import InputError
from velotime.data import Fitted
from velotime.data.arguments import BASIS, COLUMN
from velotime.pl._canvas.arguments import LEGEND, PLOT, ColorMap
from velotime.pl._canvas.axes import (
    TIME_LABEL,
    find_basis,
    finish,
    is_numeric,
    name_axes,
    name_column,
    note_left_out,
    open_axes,
    require_column,
    tidy,
)
from velotime.pl._canvas.colors import color_cells, figure_size, point_size


@checked(PLOT | {"color": COLUMN, "basis": BASIS, "cmap": ColorMap(), "legend_loc": LEGEND})
def embedding(
    adata: AnnData,
    *,
    color: str = keys.LATENT_TIME,
    basis: str = "umap",
    cmap: str = "viridis",
    legend_loc: str | None = "right margin",
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Cells on an embedding, coloured by latent time, by its standard deviation, or by any obs column.

    Parameters
    ----------
    adata
        With an embedding; fitted with :func:`velotime.tl.recover_dynamics` where the colour is a result of the fit.
    color
        An obs column: ``"latent_time"``, ``"latent_time_sd"``, ``"clusters"``, ...
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    cmap
        Colour map of numbers; perceptually uniform by default.
    legend_loc
        Where labels are named: "right margin", "on data" or None.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If there is no such basis or column.
    """
    points = find_basis(adata, basis)
    require_column(adata, color)
    ax = open_axes(ax, size=figure_size(adata, color, legend_loc))
    color_cells(ax, points, adata, color, cmap=cmap, legend_loc=legend_loc)
    name_axes(ax, basis)
    note_left_out(ax, np.asarray(~np.isfinite(points).all(axis=1)), "without coordinates left out")
    return finish(ax, show=show, save=save)


@checked(PLOT | {"column": COLUMN})
def time_against(
    adata: AnnData,
    column: str,
    *,
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
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no time, or there is no such column.
    """
    time = Fitted.of(adata).latent_time
    require_column(adata, column)
    if not is_numeric(adata, column):
        numeric = [name for name in adata.obs.columns if is_numeric(adata, name)]
        raise InputError(f"column {column!r} of adata.obs holds labels, but numbers are wanted; numeric: {numeric}.")
    x = np.asarray(adata.obs[column], dtype=float)
    around = Fitted.of(adata).uncertainty
    ax = open_axes(ax)
    if {"q05", "q95"} <= set(around):
        ax.vlines(x, around["q05"], around["q95"], color="0.8", lw=0.6, rasterized=True)
    size = point_size(len(x)) / 2
    ax.scatter(x, time, s=size, color="tab:blue", linewidths=0, zorder=3, rasterized=True)
    ax.set(xlabel=name_column(column), ylabel=TIME_LABEL, ylim=(-0.02, 1.02))
    note_left_out(ax, ~np.isfinite(x), f"without {name_column(column)} left out")
    tidy([ax])
    return finish(ax, show=show, save=save)
