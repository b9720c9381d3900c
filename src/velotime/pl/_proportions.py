"""Shares of unspliced, spliced and ambiguous counts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime import _keys as keys
from velotime._check import Optional, checked
from velotime._types import FloatArray
from velotime.data import cell_sums, find_layers
from velotime.data.arguments import COLUMN, LAYER
from velotime.pl._canvas.arguments import PANEL
from velotime.pl._canvas.axes import entitle, finish, open_axes, require_groups
from velotime.pl._canvas.colors import labels_of

AMBIGUOUS = "ambiguous"
COLORS = {"spliced": "#4477aa", "unspliced": "#ee9944", AMBIGUOUS: "#bbbbbb"}  # told apart by the colour-blind


@checked(PANEL | {"groupby": Optional(COLUMN), "unspliced": LAYER, "spliced": LAYER})
def proportions(
    adata: AnnData,
    groupby: str | None = None,
    *,
    unspliced: str | None = None,
    spliced: str | None = None,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Shares of unspliced, spliced and, where there is such a layer, ambiguous counts, for all cells or each group.

    Counts are pooled over the cells of a group. Without ambiguous counts, totals from before
    :func:`velotime.pp.filter_genes` are used where it left them in ``obs``; otherwise the sums of the layers.

    Parameters
    ----------
    adata
        Cells x genes, fitted or not.
    groupby
        An obs column of labels.
    unspliced, spliced
        Names of the layers; found by themselves by default.
    title
        Title of the panel.
    figsize
        Width and height of the figure in inches.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If there is no such layer or column.
    """
    names = find_layers(adata, unspliced, spliced)
    if groupby is not None:
        require_groups(adata, groupby)
    totals = _totals(adata, names)
    groups = _shares(adata, totals, groupby)
    ax = open_axes(ax, size=(4.8, 1.2 + 0.28 * len(groups)), figsize=figsize)
    left = np.zeros(len(groups))
    table = np.array(list(groups.values()))
    for k, kind in enumerate(totals):
        ax.barh(list(groups), table[:, k], left=left, color=COLORS[kind], label=kind, height=0.75)
        for row in range(len(groups)):
            _write_share(ax, table[row, k], left[row], row)
        left += table[:, k]
    ax.set(xlim=(0, 1), xlabel="share of counts")
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=8, borderaxespad=0.1)
    entitle(ax, title, pad=22)  # above the legend
    return finish(ax, show=show, save=save, name="proportions")


def _totals(adata: AnnData, names: tuple[str, str]) -> dict[str, FloatArray]:
    """Counts of each cell by kind, each ``(cells,)``."""
    layers = {"spliced": names[1], "unspliced": names[0]}
    if AMBIGUOUS in adata.layers:
        layers[AMBIGUOUS] = AMBIGUOUS
    elif {keys.SIZE_UNSPLICED, keys.SIZE_SPLICED} <= set(adata.obs):
        columns = {"spliced": keys.SIZE_SPLICED, "unspliced": keys.SIZE_UNSPLICED}
        return {kind: np.asarray(adata.obs[column], dtype=float) for kind, column in columns.items()}
    return {kind: cell_sums(adata.layers[layer]) for kind, layer in layers.items()}


def _shares(adata: AnnData, totals: dict[str, FloatArray], groupby: str | None) -> dict[str, FloatArray]:
    """Shares of the kinds in each group that has cells."""
    if groupby is None:
        labels, codes = ["all cells"], np.zeros(adata.n_obs, dtype=int)
    else:
        labels, codes = labels_of(adata, groupby)
    shares = {}
    for k, label in enumerate(labels):
        own = np.array([values[codes == k].sum() for values in totals.values()])
        if own.sum() > 0:
            shares[label] = own / own.sum()
    return shares


def _write_share(ax: Axes, share: float, left: float, row: int) -> None:
    if share >= 0.07:  # there is room for it
        ax.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", fontsize=7)
