"""Velocities of cells averaged on a regular grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import BoolArray, FloatArray

MARGIN = 0.02  # of the range of the cells, added on each side
BLOCK = 2**16  # cells that are weighed at a time
CROWDED = 99  # percentile of the density that stands for where cells are many


@dataclass(frozen=True)
class Field:
    """A velocity field.

    Attributes
    ----------
    x, y
        Places of the columns and the rows, ``(columns,)`` and ``(rows,)``.
    velocity
        Mean velocity there, ``(rows, columns, 2)``; NaN where cells are few.
    mass
        Sum of the weights of the cells, ``(rows, columns)``.
    """

    x: FloatArray
    y: FloatArray
    velocity: FloatArray
    mass: FloatArray

    @property
    def speed(self) -> FloatArray:
        """Length of the velocity, ``(rows, columns)``."""
        return np.asarray(np.linalg.norm(self.velocity, axis=2))

    @property
    def crowded(self) -> BoolArray:
        """Where cells are many enough for a mean, ``(rows, columns)``."""
        return np.isfinite(self.velocity[..., 0])


def velocity_field(
    points: FloatArray, velocity: FloatArray, *, n_grid: int, smooth: float, min_density: float
) -> Field:
    """Gaussian-kernel average of the velocities of cells on a regular grid.

    At the grid point p, with ``w_i = exp(-|(p - x_i)/h|^2 / 2)`` and ``h`` the bandwidth of each axis,

        v(p) = sum_i w_i v_i / sum_i w_i

    as in scVelo (there over the nearest neighbours only). The kernel is a product of one for x and one for y, so
    both sums are products of matrices, (columns, cells) by (cells, rows), and need no search for neighbours. Where the
    mass ``sum_i w_i`` is below ``min_density`` of that where cells are many (its 99th percentile), v is NaN.

    Parameters
    ----------
    points, velocity
        Of the cells, finite, each ``(cells, 2)``.
    n_grid
        Grid points along each axis.
    smooth
        Standard deviation of the kernel, in spacings of the grid.
    min_density
        Least share of the density, 0 to 1.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    axes = [np.linspace(low[k] - MARGIN * span[k], high[k] + MARGIN * span[k], n_grid) for k in (0, 1)]
    mass, total = np.zeros((n_grid, n_grid)), np.zeros((n_grid, n_grid, 2))
    for first in range(0, len(points), BLOCK):
        some = slice(first, first + BLOCK)
        across, up = (_kernel(axes[k], points[some, k], smooth) for k in (0, 1))
        mass += up @ across.T
        total += np.stack([(up * velocity[some, k]) @ across.T for k in (0, 1)], axis=2)
    crowded = mass > max(min_density * float(np.percentile(mass, CROWDED)), 1e-12)
    mean = total / np.where(crowded, mass, 1.0)[..., None]
    return Field(axes[0], axes[1], np.where(crowded[..., None], mean, np.nan), mass)


def _kernel(axis: FloatArray, at: FloatArray, smooth: float) -> FloatArray:
    """Weights of some cells at each point of an axis, ``(points, cells)``."""
    return np.asarray(np.exp(-0.5 * ((axis[:, None] - at) / (smooth * (axis[1] - axis[0]))) ** 2))
