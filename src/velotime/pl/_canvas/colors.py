"""Colours of cells: numbers by a perceptually uniform map, labels by the palette in ``uns``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.patheffects as effects
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like, to_rgba_array
from matplotlib.lines import Line2D
from scanpy import pl as scanpy_plots

from velotime import _keys as keys
from velotime._check import label_text
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.pl._canvas.axes import is_categorical, name_column, name_scale, own_column, require_column
from velotime.pl._phase_colors import PHASE_MAP

MISSING, DEFAULT_MAP = "lightgray", "viridis"
# Both told apart by the colour-blind: strong ones (Okabe and Ito), for lines as well, and pale ones (Tol, "light").
LINEAGE_PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
PALE_PALETTE = ["#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#44bb99", "#99ddff", "#bbcc33", "#aaaa00", "#dddddd"]
LEGEND_ROWS = 14  # labels per column of the legend


def default_palette(n: int) -> list[str]:
    """Colours of ``n`` labels: pale ones for few, which the strong ones of lineages stand out from; else scanpy's."""
    palettes = scanpy_plots.palettes  # the module that it is of moves with scanpy's next release
    for palette in (PALE_PALETTE, palettes.default_20, palettes.default_28, palettes.default_102):
        if n <= len(palette):
            return list(palette[:n])
    return [palettes.default_102[k % len(palettes.default_102)] for k in range(n)]


def palette_of(
    adata: AnnData, column: str, labels: list[str], palette: Sequence[str] | Mapping[str, str] | None = None
) -> dict[str, str]:
    """Colour of each label: as given, or ``uns["<column>_colors"]`` where it has enough; else ours.

    Raises
    ------
    InputError
        If a palette is given that is too short, or lacks a label.
    """
    if palette is not None:
        return _given_palette(palette, labels)
    given = list(adata.uns.get(f"{column}_colors", []))
    if len(given) < len(labels) or not all(is_color_like(color) for color in given):
        own = column == keys.LINEAGE and len(labels) <= len(LINEAGE_PALETTE)
        given = LINEAGE_PALETTE if own else default_palette(len(labels))
    return dict(zip(labels, given, strict=False))


def _keep_palette(adata: AnnData, column: str, colors: list[str], *, given: bool) -> None:
    """As scanpy, so that other plots of the same labels, scanpy's too, have the same colours."""
    slot = f"{column}_colors"
    if not adata.is_view and column != keys.LINEAGE and (given or len(adata.uns.get(slot, [])) < len(colors)):
        adata.uns[slot] = colors


def _given_palette(palette: Sequence[str] | Mapping[str, str], labels: list[str]) -> dict[str, str]:
    if isinstance(palette, Mapping):
        missing = [label for label in labels if label not in palette]
        if missing:
            raise InputError(f"palette: no colour for {missing}; give one for each of {labels}.")
        return {label: palette[label] for label in labels}
    if len(palette) < len(labels):
        raise InputError(f"palette: {len(palette)} colours for {len(labels)} labels; give one for each.")
    return dict(zip(labels, palette, strict=False))


def labels_of(adata: AnnData, column: str) -> tuple[list[str], Any]:
    """Labels of an obs column in order, and the number of each cell's label (-1: missing), ``(cells,)``."""
    values = adata.obs[column]
    codes = values if isinstance(values.dtype, pd.CategoricalDtype) else values.astype("category")
    return [label_text(label) for label in codes.cat.categories], np.asarray(codes.cat.codes)


def figure_size(adata: AnnData, column: str, legend_loc: str | None = "right margin") -> tuple[float, float]:
    """Width and height in inches that leave a legend its place."""
    if legend_loc != "right margin":
        return 4.0, 3.4
    return (5.4 if is_categorical(adata, column) else 4.5), 3.4


def point_size(n: int) -> float:
    """Area of a point in points^2: smaller the more there are."""
    return float(np.clip(20_000 / max(n, 1), 0.5, 18.0))


@dataclass(frozen=True)
class CellStyle:
    """How cells are coloured: the arguments of plots under the same names, and the colour bar's label."""

    cmap: str = DEFAULT_MAP
    vmin: float | str | None = None
    vmax: float | str | None = None
    palette: Sequence[str] | Mapping[str, str] | None = None
    size: float | None = None
    alpha: float = 1.0
    legend_loc: str | None = "right margin"
    label: str | None = None


def color_cells(ax: Axes, points: FloatArray, adata: AnnData, column: str, style: CellStyle) -> None:
    """Scatter the cells, coloured by an obs column, with a legend or a colour bar; a row of NaN is not drawn."""
    column = own_column(adata, column)
    require_column(adata, column)
    drawn: dict[str, Any] = {
        "s": point_size(len(points)) if style.size is None else style.size,
        "alpha": style.alpha,
        "linewidths": 0,
        "rasterized": True,
        "plotnonfinite": True,
    }
    if not is_categorical(adata, column):
        _color_numbers(ax, points, adata, column, style, drawn)
        return
    labels, codes = labels_of(adata, column)
    palette = palette_of(adata, column, labels, style.palette)
    _keep_palette(adata, column, list(palette.values()), given=style.palette is not None)
    lookup = to_rgba_array([*palette.values(), MISSING])
    ax.scatter(points[:, 0], points[:, 1], c=lookup[codes], **drawn)
    present = [label for k, label in enumerate(labels) if np.any(codes == k)]
    if style.legend_loc == "on data":
        _label_groups(ax, points, labels, codes)
    elif style.legend_loc is not None:
        _legend(ax, {label: palette[label] for label in present}, name_column(column))


def _color_numbers(
    ax: Axes, points: FloatArray, adata: AnnData, column: str, style: CellStyle, drawn: dict[str, Any]
) -> None:
    """Latent time runs from 0 to 1; of other columns the colours span all but the extreme half per cents.

    Phases are coloured by a map that closes, unless another than the default is named.
    """
    values = np.asarray(adata.obs[column], dtype=float)
    there = values[np.isfinite(values)]
    low, high = _limits(there, column, style)
    cmap = PHASE_MAP if (column, style.cmap) == (keys.CYCLE_PHASE, DEFAULT_MAP) else color_map(style.cmap)
    dots = ax.scatter(
        points[:, 0], points[:, 1], c=values, cmap=cmap.with_extremes(bad=MISSING), vmin=low, vmax=high, **drawn
    )
    if style.legend_loc is None:
        return
    beyond = bool(np.any(there < low)), bool(np.any(there > high))
    extend = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}[beyond]
    beside = ax.inset_axes((1.03, 0, 0.04, 1))  # axes of the figure would stand away from panels narrower than others
    scale = ax.figure.colorbar(dots, cax=beside, extend=extend, extendfrac=0.03)
    if style.label:
        scale.set_label(style.label)
    else:
        name_scale(scale.ax, adata, column)
    if scale.solids is not None:
        scale.solids.set_alpha(1)  # the map as it is, though points are paler
    scale.outline.set_visible(False)


def _limits(values: FloatArray, column: str, style: CellStyle) -> tuple[float, float]:
    """Ends of the colour scale: those given, numbers or quantiles "p99"; else usual ones."""
    low, high = np.quantile(values, [0.005, 0.995]) if len(values) else (0.0, 1.0)
    whole, spread = dict.fromkeys((keys.LATENT_TIME, keys.CYCLE_PHASE), (0.0, 1.0)), (0.0, high)
    usual = (whole | dict.fromkeys((keys.LATENT_TIME_SD, keys.CYCLE_PHASE_SD), spread)).get(column, (low, high))
    ends = []
    for given, otherwise in zip((style.vmin, style.vmax), usual, strict=True):
        if isinstance(given, str):
            given = np.quantile(values, float(given[1:]) / 100) if len(values) else None
        ends.append(float(otherwise if given is None else given))
    return ends[0], max(ends)


def color_map(name: str) -> Any:
    """A colour map in which missing values are grey."""
    if name not in mpl.colormaps:
        raise InputError(f"cmap={name!r} is no colour map of matplotlib; the default is 'viridis'.")
    return mpl.colormaps[name].with_extremes(bad=MISSING)


def _legend(ax: Axes, palette: dict[str, str], title: str) -> None:
    dots = [Line2D([], [], marker="o", ls="", color=color, label=label, ms=5) for label, color in palette.items()]
    ax.legend(
        handles=dots,
        title=title,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize=8,
        title_fontsize=8,
        ncols=-(-len(dots) // LEGEND_ROWS),
        handletextpad=0.2,
        borderaxespad=0.2,
        alignment="left",
    )


def _label_groups(ax: Axes, points: FloatArray, labels: list[str], codes: Any) -> None:
    """The name of each group at its median."""
    for k, label in enumerate(labels):
        own = points[(codes == k) & np.isfinite(points).all(axis=1)]
        if len(own):
            halo = [effects.withStroke(linewidth=2.5, foreground="white")]
            x, y = np.median(own, axis=0)
            ax.text(
                x,
                y,
                label,
                ha="center",
                va="center",
                fontsize=8,
                weight="bold",
                path_effects=halo,
                zorder=6,
            )
