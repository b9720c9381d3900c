"""A clock that goes round, drawn round: cells, their labels, and genes in the order of their peaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.projections.polar import PolarAxes

from velotime._check import Names, Optional, Whole, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import Fitted, hours_record
from velotime.data.arguments import COLUMN, LAYER
from velotime.pl._canvas.arguments import GENE_SYMBOLS, PANEL, ColorMap
from velotime.pl._canvas.axes import RoundTimes, entitle, finish, gene_names, note_left_out, require_groups, resize
from velotime.pl._canvas.colors import MISSING, color_map
from velotime.pl._canvas.look import PALETTE, Palette
from velotime.pl._heatmap import COLUMNS, commonest_labels, index_of_genes, layer_of, profiles_of
from velotime.pl._phase_colors import PHASE_MAP

TURN = 2 * np.pi
BINS = 36  # of the histogram
HOLE, HIGHEST, LABELS, GENES, RIM = 0.9, 1.9, (1.98, 2.12), (2.2, 3.6), 3.72  # radii
NAMES = 3.95
LAST_HOUR = 0.95  # of a turn, up to which round hours are written: the next is too close to 0
LEAST_APART = 0.021  # turns between names, so that they can be read


@checked(
    PANEL
    | {
        "genes": Optional(Names("names of genes")),
        "n_genes": Whole(1),
        "color": Optional(COLUMN),
        "layer": LAYER,
        "gene_symbols": GENE_SYMBOLS,
        "cmap": ColorMap(),
        "palette": PALETTE,
    }
)
def cycle(
    adata: AnnData,
    genes: Sequence[str] | None = None,
    *,
    n_genes: int = 30,
    color: str | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    cmap: str = "viridis",
    palette: Sequence[str] | Mapping[str, str] | None = None,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """The cycle as a wheel: how many cells are where, their labels, and a ring for each gene.

    Phase 0 is at the top and phases run clockwise. From the inside out: a histogram of the cells' phases, in which the
    area of a bar is the share of its cells; the most common label at each phase; genes in the order of their peaks, the
    first outermost, as in :func:`heatmap`, with their names where they peak.

    Parameters
    ----------
    adata
        Fitted with ``method=vt.SoftEM(clock=vt.Cycle())``.
    genes
        Names of genes; by default the most informative about the phase.
    n_genes
        How many of them, where none are given.
    color
        An obs column of labels, such as phases of the cell cycle.
    layer
        The layer to show; that of the spliced counts by default.
    gene_symbols
        The var column by which genes are named, where not by ``var_names``.
    cmap
        Colour map of the genes, perceptually uniform by default.
    palette
        Colours of the labels, in order or by label; by default those of ``uns["<color>_colors"]``.
    title
        Title of the panel.
    figsize
        Width and height of the figure in inches.
    ax
        Polar axes: ``plt.subplots(subplot_kw={"projection": "polar"})[1]``.
    show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, the clock does not go round, the axes are not polar, or there is no such gene, layer or
        column.
    """
    fitted = Fitted.of(adata).require_circle("a plot of the cycle")
    if color is not None:
        require_groups(adata, color)
    index = index_of_genes(adata, genes, n_genes, gene_symbols)
    values = profiles_of(fitted, index, layer_of(fitted, layer))
    order = np.argsort(np.nanargmax(values, axis=1), kind="stable")
    ax = _open_polar(ax)
    resize(ax, figsize)
    entitle(ax, title)
    phase = fitted.latent_time
    _draw_cells(ax, phase[np.isfinite(phase)], _told(fitted))
    note_left_out(ax, ~np.isfinite(phase), "not cycling")
    if color is not None:
        _draw_labels(ax, adata, color, palette)
    _draw_genes(ax, values[order], list(gene_names(adata, gene_symbols)[index[order]]), color_map(cmap))
    return finish(ax, show=show, save=save, name="cycle")


def _open_polar(ax: Axes | None) -> Any:
    if ax is None:
        ax = plt.subplots(figsize=(6.4, 5.8), layout="constrained", subplot_kw={"projection": "polar"})[1]
    if not isinstance(ax, PolarAxes):
        raise InputError(
            'ax: a wheel needs polar axes; pass plt.subplots(subplot_kw={"projection": "polar"})[1], or none.'
        )
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_ylim(0, NAMES)
    ax.set_axis_off()
    return ax


def _told(fitted: Fitted) -> dict[float, str]:
    """What some phases are called: quarters of a turn, or round hours where these are known."""
    record = hours_record(fitted.adata)
    if not record:
        return {at: f"{at:g}" for at in (0.0, 0.25, 0.5, 0.75)}
    length = float(record["hours_per_clock"])
    ticks = RoundTimes(length).tick_values(0.0, 1.0)
    return {float(at): f"{at * length:.3g} h" for at in ticks if 0 <= at < LAST_HOUR}


def _draw_cells(ax: Any, phase: FloatArray, told: dict[float, str]) -> None:
    """Bars whose area is the share of the cells, in the colours that phases have elsewhere; and where phases are."""
    counts, edges = np.histogram(phase, bins=BINS, range=(0, 1))
    middle = 0.5 * (edges[1:] + edges[:-1])
    outer = np.sqrt(HOLE**2 + (HIGHEST**2 - HOLE**2) * counts / max(counts.max(), 1))
    ax.bar(TURN * middle, outer - HOLE, TURN / BINS, bottom=HOLE, color=PHASE_MAP(middle), lw=0.4, edgecolor="white")
    even = np.sqrt(HOLE**2 + (HIGHEST**2 - HOLE**2) * counts.mean() / max(counts.max(), 1))
    ax.plot(np.linspace(0, TURN, 361), np.full(361, even), color="0.4", lw=0.7, ls=":")
    for at, name in told.items():
        ax.plot([TURN * at] * 2, [HOLE - 0.06, HOLE], color="0.3", lw=0.8)
        ax.text(TURN * at, HOLE - 0.2, name, ha="center", va="center", fontsize=7, color="0.3")
    ax.text(0, 0, f"{len(phase):,}\ncells", ha="center", va="center", fontsize=7)


def _draw_labels(ax: Any, adata: AnnData, color: str, given: Palette) -> None:
    """The most common label at each phase, and their legend."""
    commonest, palette = commonest_labels(adata, color, palette=given)
    colors = [*palette.values(), MISSING]
    at = TURN * (np.arange(COLUMNS) + 0.5) / COLUMNS
    low, high = LABELS
    ax.bar(at, high - low, 1.02 * TURN / COLUMNS, bottom=low, color=[to_rgb(colors[k]) for k in commonest])
    shown = [label for k, label in enumerate(palette) if k in commonest]
    patches = [Patch(color=palette[label], label=label) for label in shown]
    ax.legend(
        handles=patches,
        title=color.replace("_", " "),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        fontsize=8,
        title_fontsize=8,
        frameon=False,
        handlelength=1,
        alignment="left",
    )


def _draw_genes(ax: Any, values: FloatArray, names: list[str], cmap: Any) -> None:
    """A ring for each gene, and its name at the rim where it peaks."""
    edges = np.linspace(0, TURN, COLUMNS + 1)
    rings = np.linspace(GENES[1], GENES[0], len(names) + 1)
    image = ax.pcolormesh(edges, rings, np.ma.masked_invalid(values), cmap=cmap, vmin=0, vmax=1, rasterized=True)
    peak = (np.nanargmax(values, axis=1) + 0.5) / COLUMNS
    for name, at, place in zip(names, peak, spread(peak, LEAST_APART), strict=True):
        ax.plot(TURN * np.array([at, place]), [GENES[1] + 0.02, RIM], color="0.5", lw=0.5, clip_on=False)
        right = 0 <= place % 1 < 0.5
        ax.text(
            TURN * place,
            RIM + 0.05,
            name,
            rotation=90 - 360 * place if right else 270 - 360 * place,
            rotation_mode="anchor",
            ha="left" if right else "right",
            va="center",
            fontsize=7,
        )
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.06, 0.0, 0.03, 0.25)))
    bar.set_label("scaled count", fontsize=7)
    bar.ax.tick_params(labelsize=6)
    bar.outline.set_visible(False)


def spread(at: FloatArray, apart: float) -> FloatArray:
    """Places on a circle near ``at``, ascending turns, with as much between neighbours as there is room for.

    Neighbours that are too close are pushed apart by the same way each, over and over.
    """
    n = len(at)
    if n < 2:
        return at
    place, apart = at.astype(float), min(apart, 0.9 / n)
    for _ in range(500):
        missing = np.maximum(apart - (np.append(place[1:], place[0] + 1.0) - place), 0.0)
        if missing.max() < 1e-4:
            break
        place = place - 0.5 * missing + 0.5 * np.roll(missing, 1)
    return place
