"""Figures of several panels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from velotime._status import InputError
from velotime.pl._canvas.axes import finish, resize

Given = Axes | Sequence[Axes] | None


def open_panels(
    ax: Given, n: int, *, ncols: int, size: tuple[float, float], figsize: Sequence[float] | None = None
) -> list[Axes]:
    """``n`` axes: those given, or those of a new figure with ``ncols`` panels of this size in a row.

    ``figsize`` is the size of the whole figure, where one is asked for.

    Raises
    ------
    InputError
        If there is nothing to draw, or axes were given and are not so many.
    """
    if n == 0:
        raise InputError("nothing to draw: the list is empty; name one or more.")
    if ax is not None:
        axes = [ax] if isinstance(ax, Axes) else list(ax)
        if len(axes) != n:
            raise InputError(f"ax={len(axes)} axes for {n} panels; give one for each, or none.")
        resize(axes[0], figsize)
        return axes
    columns = min(n, ncols)
    rows = -(-n // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(columns * size[0], rows * size[1]), layout="constrained", squeeze=False
    )
    axes = list(grid.ravel())
    for idle in axes[n:]:
        figure.delaxes(idle)
    resize(axes[0], figsize)
    return axes[:n]


def open_pairs(
    ax: tuple[Axes, Axes] | None,
    n: int,
    *,
    ncols: int,
    size: tuple[float, float],
    figsize: Sequence[float] | None = None,
) -> list[tuple[Axes, Axes]]:
    """``n`` pairs of axes, one above the other, with one x axis each; ``figsize`` as of :func:`open_panels`.

    Raises
    ------
    InputError
        As :func:`open_panels`.
    """
    if n == 0:
        raise InputError("nothing to draw: the list is empty; name one or more.")
    if ax is not None:
        if n > 1:
            raise InputError(f"ax=2 axes for {n} genes; give none, or draw them one by one.")
        resize(ax[0], figsize)
        return [(ax[0], ax[1])]
    columns = min(n, ncols)
    rows = -(-n // columns)
    figure = plt.figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    parts = figure.subfigures(rows, columns, squeeze=False).ravel()[:n]
    pairs = [tuple(part.subplots(2, 1, sharex=True)) for part in parts]
    resize(pairs[0][0], figsize)
    return pairs


def finish_panels(
    axes: list[Axes], *, one: bool, show: bool | None, save: str | Path | None, name: str
) -> Axes | list[Axes] | None:
    """Save and show as asked; the axes come back unless they were shown."""
    if finish(axes[0], show=show, save=save, name=name) is None:
        return None
    return axes[0] if one else axes
