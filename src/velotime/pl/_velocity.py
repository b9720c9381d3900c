"""Velocity on an embedding: streams, a grid of arrows, an arrow per cell."""

from __future__ import annotations

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
from velotime.data.arguments import BASIS, COLUMN
from velotime.pl._canvas.arguments import LEGEND, PLOT, ColorMap
from velotime.pl._canvas.axes import find_basis, finish, name_axes, note_left_out, open_axes, require_column
from velotime.pl._canvas.colors import color_cells, figure_size
from velotime.pl._grid import Field, velocity_field
from velotime.tl import velocity_embedding, velocity_graph

STREAM_GRID = 50  # grid points per axis; scVelo's
LONGEST = 95  # percentile of the lengths that is drawn as one spacing: a few long arrows must not shrink the others
ROOM = 0.06  # of the range of the cells, left around them
ARROW_LENGTH = 0.05  # of the embedding's width, for the same percentile of single cells

ON_CELLS = PLOT | {"color": COLUMN, "basis": BASIS, "cmap": ColorMap(), "legend_loc": LEGEND}
SMOOTH = Number(0, open_least=True)
MIN_DENSITY = Number(0, 1, open_most=True)


@checked(ON_CELLS | {"density": Number(0, open_least=True), "smooth": SMOOTH, "min_density": MIN_DENSITY})
@leaves_as_it_was
def velocity_stream(
    adata: AnnData,
    *,
    basis: str = "umap",
    color: str = keys.LATENT_TIME,
    density: float = 1.2,
    smooth: float = 1.0,
    min_density: float = 0.05,
    cmap: str = "viridis",
    legend_loc: str | None = "right margin",
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Streamlines of velocity over the cells of an embedding; lines are wider where velocity is larger.

    Streamlines run through the mean of the velocities around each place, and suggest a certainty which single cells
    do not have: see :func:`velocity_arrows` for these.

    Parameters
    ----------
    adata
        Fitted. The velocity graph and its projection on this basis are computed, and stored, where they are missing or
        of another fit.
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    color
        An obs column that colours the cells.
    density
        How close streamlines are; matplotlib's.
    smooth
        Standard deviation of the kernel that averages velocities, in fiftieths of the embedding's width.
    min_density
        Where cells are fewer than this share of the densest places, nothing is drawn.
    cmap, legend_loc
        As in :func:`embedding`.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If there is no such basis or column, or nothing is fitted.
    """
    moving = _Moving.of(adata, basis)
    field = moving.field(n_grid=STREAM_GRID, smooth=smooth, min_density=min_density)
    ax = _draw_cells(adata, moving, color, ax=ax, cmap=cmap, legend_loc=legend_loc)
    speed = np.nan_to_num(field.speed)
    width = 0.4 + 1.2 * np.minimum(speed / max(_typical(speed[field.crowded]), 1e-300), 1)
    u, v = np.ma.masked_invalid(field.velocity[..., 0]), np.ma.masked_invalid(field.velocity[..., 1])
    ax.streamplot(field.x, field.y, u, v, density=density, color="black", linewidth=width, arrowsize=0.9, zorder=4)
    return _close(ax, moving, basis, show=show, save=save)


@checked(ON_CELLS | {"n_grid": Whole(2), "smooth": SMOOTH, "min_density": MIN_DENSITY})
@leaves_as_it_was
def velocity_grid(
    adata: AnnData,
    *,
    basis: str = "umap",
    color: str = keys.LATENT_TIME,
    n_grid: int = 28,
    smooth: float = 0.6,
    min_density: float = 0.15,
    cmap: str = "viridis",
    legend_loc: str | None = "right margin",
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Mean velocity on a regular grid over the cells of an embedding.

    Parameters
    ----------
    adata
        Fitted. The velocity graph and its projection on this basis are computed, and stored, where they are missing or
        of another fit.
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    color
        An obs column that colours the cells.
    n_grid
        Grid points along each axis.
    smooth
        Standard deviation of the kernel that averages velocities, in spacings of the grid.
    min_density
        Where cells are fewer than this share of the densest places, nothing is drawn.
    cmap, legend_loc
        As in :func:`embedding`.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If there is no such basis or column, or nothing is fitted.
    """
    if n_grid < 2:
        raise InputError(f"velocity_grid(n_grid={n_grid}): must be 2 or more.")
    moving = _Moving.of(adata, basis)
    field = moving.field(n_grid=n_grid, smooth=smooth, min_density=min_density)
    ax = _draw_cells(adata, moving, color, ax=ax, cmap=cmap, legend_loc=legend_loc)
    rows, columns = np.nonzero(field.crowded)
    at = np.c_[field.x[columns], field.y[rows]]
    spacing = min(field.x[1] - field.x[0], field.y[1] - field.y[0])
    _draw_arrows(ax, at, field.velocity[rows, columns], length=1.3 * spacing, width=0.004)
    return _close(ax, moving, basis, show=show, save=save)


@checked(ON_CELLS | {"max_arrows": Whole(1)})
@leaves_as_it_was
def velocity_arrows(
    adata: AnnData,
    *,
    basis: str = "umap",
    color: str = keys.LATENT_TIME,
    max_arrows: int = 800,
    cmap: str = "viridis",
    legend_loc: str | None = "right margin",
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Velocity of single cells on an embedding.

    Parameters
    ----------
    adata
        Fitted. The velocity graph and its projection on this basis are computed, and stored, where they are missing or
        of another fit.
    basis
        Which ``obsm["X_<basis>"]``, or ``obsm["<basis>"]`` as of "spatial"; its first two columns.
    color
        An obs column that colours the cells.
    max_arrows
        Of more cells than this, evenly chosen ones get an arrow: more cannot be told apart.
    cmap, legend_loc
        As in :func:`embedding`.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If there is no such basis or column, or nothing is fitted.
    """
    if max_arrows < 1:
        raise InputError(f"velocity_arrows(max_arrows={max_arrows}): must be 1 or more.")
    moving = _Moving.of(adata, basis)
    ax = _draw_cells(adata, moving, color, ax=ax, cmap=cmap, legend_loc=legend_loc)
    cells = np.flatnonzero(moving.whole)
    cells = cells[np.linspace(0, len(cells) - 1, min(max_arrows, len(cells))).astype(int)]
    length = ARROW_LENGTH * float(np.ptp(moving.points[moving.whole], axis=0).min())
    _draw_arrows(ax, moving.points[cells], moving.velocity[cells], length=length, width=0.0022)
    return _close(ax, moving, basis, show=show, save=save)


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


def _draw_cells(
    adata: AnnData, moving: _Moving, color: str, *, ax: Axes | None, cmap: str, legend_loc: str | None
) -> Axes:
    """The cells, pale under what is drawn over them."""
    require_column(adata, color)
    ax = open_axes(ax, size=figure_size(adata, color, legend_loc))
    color_cells(ax, moving.points, adata, color, cmap=cmap, alpha=0.5, legend_loc=legend_loc)
    return ax


def _typical(lengths: FloatArray) -> float:
    return float(np.percentile(lengths, LONGEST)) if len(lengths) else 0.0


def _draw_arrows(ax: Axes, at: FloatArray, velocity: FloatArray, *, length: float, width: float) -> None:
    """Arrows in the direction of the data, the longest but a few of them ``length`` long, all others in proportion."""
    typical = _typical(np.linalg.norm(velocity, axis=1))
    if typical == 0:
        return
    ax.quiver(*at.T, *velocity.T, angles="xy", scale_units="xy", scale=typical / length, width=width, zorder=4)


def _close(ax: Axes, moving: _Moving, basis: str, *, show: bool | None, save: str | Path | None) -> Axes | None:
    name_axes(ax, basis)
    placed = np.isfinite(moving.points).all(axis=1)
    low, high = moving.points[placed].min(axis=0), moving.points[placed].max(axis=0)
    room = ROOM * (high - low)
    ax.set(xlim=(low[0] - room[0], high[0] + room[0]), ylim=(low[1] - room[1], high[1] + room[1]))
    what = "velocity" if placed.all() else "coordinates or velocity"
    note_left_out(ax, ~moving.whole, f"without {what} left out")
    return finish(ax, show=show, save=save)
