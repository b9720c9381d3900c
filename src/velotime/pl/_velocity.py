"""Velocity on an embedding: streams, a grid of arrows, an arrow per cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime import _keys as keys
from velotime._check import Number, Whole, checked
from velotime._status import InputError
from velotime._types import BoolArray, FloatArray
from velotime.data import has_arrows, leaves_as_it_was, read_derived, short_name
from velotime.pl._canvas.axes import find_basis, name_axes, note_left_out
from velotime.pl._canvas.look import ON_CELLS, Look, panel_titles
from velotime.pl._canvas.panels import finish_panels
from velotime.pl._grid import Field, velocity_field
from velotime.tl import velocity_embedding, velocity_graph

STREAM_GRID = 50  # grid points per axis; scVelo's
LONGEST = 95  # percentile of the lengths that is drawn as one spacing: a few long arrows must not shrink the others
ROOM = 0.06  # of the range of the cells, left around them
ARROW_LENGTH = 0.05  # of the embedding's width, for the same percentile of single cells

SMOOTH = Number(0, open_least=True)
MIN_DENSITY = Number(0, 1, open_most=True)


@checked(ON_CELLS | {"density": Number(0, open_least=True), "smooth": SMOOTH, "min_density": MIN_DENSITY})
@leaves_as_it_was
def velocity_stream(
    adata: AnnData,
    *,
    basis: str = "umap",
    color: str | Sequence[str] = keys.LATENT_TIME,
    density: float = 1.2,
    smooth: float = 1.0,
    min_density: float = 0.05,
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
    """Streamlines of velocity over the cells of an embedding; lines are wider where velocity is larger.

    Streamlines run through the mean of the velocities around each place, and suggest a certainty which single cells
    do not have: see :func:`velocity_arrows` for these.

    Parameters
    ----------
    adata
        Fitted. The velocity graph and its projection on this basis are computed, and stored, where they are missing or
        of another fit.
    color
        Obs columns or genes that colour the cells: one, or a list with a panel each. Values of genes are those of
        ``layer``, or of ``X`` (of ``raw`` where only that has the gene).
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    layer
        The layer of values of genes.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    density
        How close streamlines are; matplotlib's.
    smooth
        Standard deviation of the kernel that averages velocities, in fiftieths of the embedding's width.
    min_density
        Where cells are fewer than this share of the densest places, nothing is drawn.
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
        If there is no such basis or column, or nothing is fitted.
    """
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, size, title, figsize, frameon, ncols, legend_loc)
    moving = _Moving.of(adata, basis)
    field = moving.field(n_grid=STREAM_GRID, smooth=smooth, min_density=min_density)
    axes = _draw_cells(adata, moving, look, ax)
    speed = np.nan_to_num(field.speed)
    width = 0.4 + 1.2 * np.minimum(speed / max(_typical(speed[field.crowded]), 1e-300), 1)
    u, v = np.ma.masked_invalid(field.velocity[..., 0]), np.ma.masked_invalid(field.velocity[..., 1])
    for panel in axes:
        panel.streamplot(
            field.x, field.y, u, v, density=density, color="black", linewidth=width, arrowsize=0.9, zorder=4
        )
        _close(panel, moving, basis)
    return finish_panels(axes, one=isinstance(color, str), show=show, save=save, name="velocity_stream")


@checked(ON_CELLS | {"n_grid": Whole(2), "smooth": SMOOTH, "min_density": MIN_DENSITY})
@leaves_as_it_was
def velocity_grid(
    adata: AnnData,
    *,
    basis: str = "umap",
    color: str | Sequence[str] = keys.LATENT_TIME,
    n_grid: int = 28,
    smooth: float = 0.6,
    min_density: float = 0.15,
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
    """Mean velocity on a regular grid over the cells of an embedding.

    Parameters
    ----------
    adata
        Fitted. The velocity graph and its projection on this basis are computed, and stored, where they are missing or
        of another fit.
    color
        Obs columns or genes that colour the cells: one, or a list with a panel each. Values of genes are those of
        ``layer``, or of ``X`` (of ``raw`` where only that has the gene).
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    layer
        The layer of values of genes.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    n_grid
        Grid points along each axis.
    smooth
        Standard deviation of the kernel that averages velocities, in spacings of the grid.
    min_density
        Where cells are fewer than this share of the densest places, nothing is drawn.
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
        If there is no such basis or column, or nothing is fitted.
    """
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, size, title, figsize, frameon, ncols, legend_loc)
    moving = _Moving.of(adata, basis)
    field = moving.field(n_grid=n_grid, smooth=smooth, min_density=min_density)
    axes = _draw_cells(adata, moving, look, ax)
    rows, columns = np.nonzero(field.crowded)
    at = np.c_[field.x[columns], field.y[rows]]
    spacing = min(field.x[1] - field.x[0], field.y[1] - field.y[0])
    for panel in axes:
        _draw_arrows(panel, at, field.velocity[rows, columns], length=1.3 * spacing, width=0.004)
        _close(panel, moving, basis)
    return finish_panels(axes, one=isinstance(color, str), show=show, save=save, name="velocity_grid")


@checked(ON_CELLS | {"max_arrows": Whole(1)})
@leaves_as_it_was
def velocity_arrows(
    adata: AnnData,
    *,
    basis: str = "umap",
    color: str | Sequence[str] = keys.LATENT_TIME,
    max_arrows: int = 800,
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
    """Velocity of single cells on an embedding.

    Parameters
    ----------
    adata
        Fitted. The velocity graph and its projection on this basis are computed, and stored, where they are missing or
        of another fit.
    color
        Obs columns or genes that colour the cells: one, or a list with a panel each. Values of genes are those of
        ``layer``, or of ``X`` (of ``raw`` where only that has the gene).
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    layer
        The layer of values of genes.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    max_arrows
        Of more cells than this, evenly chosen ones get an arrow: more cannot be told apart.
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
        If there is no such basis or column, or nothing is fitted.
    """
    look = Look(color, layer, gene_symbols, cmap, vmin, vmax, palette, size, title, figsize, frameon, ncols, legend_loc)
    moving = _Moving.of(adata, basis)
    axes = _draw_cells(adata, moving, look, ax)
    cells = np.flatnonzero(moving.whole)
    cells = cells[np.linspace(0, len(cells) - 1, min(max_arrows, len(cells))).astype(int)]
    length = ARROW_LENGTH * float(np.ptp(moving.points[moving.whole], axis=0).min())
    for panel in axes:
        _draw_arrows(panel, moving.points[cells], moving.velocity[cells], length=length, width=0.0022)
        _close(panel, moving, basis)
    return finish_panels(axes, one=isinstance(color, str), show=show, save=save, name="velocity_arrows")


@dataclass(frozen=True)
class _Moving:
    """Cells, their velocities, and which have both, ``(cells, 2)`` twice and ``(cells,)``."""

    points: FloatArray
    velocity: FloatArray
    whole: BoolArray

    @classmethod
    def of(cls, adata: AnnData, basis: str) -> _Moving:
        points, key = find_basis(adata, basis), f"{keys.VELOCITY}_{short_name(basis)}"
        if not has_arrows(adata, basis):
            _project(adata, basis)
        velocity = np.asarray(adata.obsm[key], dtype=float)[:, :2]
        whole = np.isfinite(points).all(axis=1) & np.isfinite(velocity).all(axis=1)
        if not whole.any():
            raise InputError(f"no cell has a velocity: adata.obsm[{key!r}] is NaN throughout. Compute it again.")
        return cls(points, velocity, whole)

    def field(self, *, n_grid: int, smooth: float, min_density: float) -> Field:
        if not smooth > 0 or not 0 <= min_density < 1:
            raise InputError(
                f"smooth={smooth}, min_density={min_density}: smooth must be positive, min_density from 0 to below 1."
            )
        points, velocity = self.points[self.whole], self.velocity[self.whole]
        return velocity_field(points, velocity, n_grid=n_grid, smooth=smooth, min_density=min_density)


def _project(adata: AnnData, basis: str) -> None:
    """Velocity on a basis, where there is none yet, or one of another fit, graph or embedding."""
    if read_derived(adata, keys.VELOCITY_GRAPH) is None:
        velocity_graph(adata)
    velocity_embedding(adata, basis=basis)


def _draw_cells(adata: AnnData, moving: _Moving, look: Look, ax: Axes | Sequence[Axes] | None) -> list[Axes]:
    """The cells of each panel, pale under what is drawn over them."""
    sources = look.sources(adata)
    axes = look.panels(ax, len(sources), sources)
    for panel, source in zip(axes, sources, strict=True):
        look.draw(panel, moving.points, source, alpha=0.5)
    look.finish(axes, panel_titles(sources))
    return axes


def _typical(lengths: FloatArray) -> float:
    return float(np.percentile(lengths, LONGEST)) if len(lengths) else 0.0


def _draw_arrows(ax: Axes, at: FloatArray, velocity: FloatArray, *, length: float, width: float) -> None:
    """Arrows in the direction of the data, the longest but a few of them ``length`` long, all others in proportion."""
    typical = _typical(np.linalg.norm(velocity, axis=1))
    if typical == 0:
        return
    ax.quiver(*at.T, *velocity.T, angles="xy", scale_units="xy", scale=typical / length, width=width, zorder=4)


def _close(ax: Axes, moving: _Moving, basis: str) -> None:
    """Names, limits, and how many cells are not drawn."""
    name_axes(ax, basis)
    placed = np.isfinite(moving.points).all(axis=1)
    low, high = moving.points[placed].min(axis=0), moving.points[placed].max(axis=0)
    room = ROOM * (high - low)
    ax.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
    what = "velocity" if placed.all() else "coordinates or velocity"
    note_left_out(ax, ~moving.whole, f"without {what} left out")
