"""How cells look, in scanpy's words: what colours them, between which limits, how large they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like

from velotime._check import Either, Flag, Names, NotAllowedError, Number, Optional, Rule, Text, Whole
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.compute import as_array
from velotime.data import other_names
from velotime.data.arguments import BASIS, LAYER
from velotime.data.layers.names import layer_names
from velotime.pl._canvas.arguments import AXES, FIGSIZE, GENE_SYMBOLS, LEGEND, PANEL, PLOT, ColorMap, ListOfAxes, Title
from velotime.pl._canvas.axes import MADE_BY_FIT, call_for, entitle, gene_names, near_genes, own_column, require_column
from velotime.pl._canvas.colors import CellStyle, color_cells, figure_size, point_size
from velotime.pl._canvas.panels import open_pairs, open_panels

Limit = float | str | None
Palette = Sequence[str] | Mapping[str, str] | None
Source = tuple[AnnData, str]


@dataclass(frozen=True)
class LimitRule(Rule):
    """A limit of a colour scale."""

    @property
    def allowed(self) -> str:
        """A number or a quantile."""
        return "a number, or a quantile such as 'p99'"

    def accept(self, value: Any) -> float | str:
        """Quantiles as scanpy writes them, in per cent."""
        if not isinstance(value, str):
            return Number().accept(value)
        try:
            share = float(value.removeprefix("p"))
        except ValueError:
            raise NotAllowedError from None
        if not value.startswith("p") or not 0 <= share <= 100:
            raise NotAllowedError
        return value


@dataclass(frozen=True)
class PaletteRule(Rule):
    """Colours of labels."""

    @property
    def allowed(self) -> str:
        """In order or by label."""
        return "a list of colours, or a dict of them by label"

    def accept(self, value: Any) -> list[str] | dict[str, str]:
        """Whatever matplotlib takes for a colour."""
        if isinstance(value, str) or not isinstance(value, Iterable):
            raise NotAllowedError
        kept: Any = {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else list(value)
        colors = list(kept.values()) if isinstance(kept, dict) else kept
        if not colors or not all(is_color_like(color) for color in colors):
            raise NotAllowedError
        return kept


PALETTE = Optional(PaletteRule())
COLORED_BY = Text("the name of an obs column or a gene")
#: Rules of what all plots of cells on an embedding take.
ON_CELLS: dict[str, Rule] = PLOT | {
    "color": Either((COLORED_BY, Names("them"))),
    "basis": BASIS,
    "layer": LAYER,
    "gene_symbols": GENE_SYMBOLS,
    "cmap": ColorMap(),
    "vmin": Optional(LimitRule()),
    "vmax": Optional(LimitRule()),
    "palette": PALETTE,
    "size": Optional(Number(0, open_least=True)),
    "title": Optional(Either((Title(), Names("titles, one for each panel")))),
    "figsize": FIGSIZE,
    "frameon": Optional(Flag()),
    "ncols": Whole(1),
    "legend_loc": LEGEND,
    "ax": Optional(Either((AXES, ListOfAxes()))),
}
#: Those of one panel of other coordinates, with or without a colour.
ONE_COLOR = {name: rule for name, rule in ON_CELLS.items() if name not in ("basis", "ncols")} | PANEL
ONE_COLOR |= {"color": Optional(COLORED_BY)}


@dataclass(frozen=True)
class Look:
    """What colours cells, and how; the arguments of the plots under the same names."""

    color: str | Sequence[str] | None
    layer: str | None = None
    gene_symbols: str | None = None
    cmap: str = "viridis"
    vmin: Limit = None
    vmax: Limit = None
    palette: Palette = None
    size: float | None = None
    title: str | Sequence[str] | None = None
    figsize: Sequence[float] | None = None
    frameon: bool | None = None
    ncols: int = 4
    legend_loc: str | None = "right margin"

    @property
    def names(self) -> list[str]:
        """What colours each panel; none where nothing does."""
        return [self.color] if isinstance(self.color, str) else list(self.color or [])

    def sources(self, adata: AnnData) -> list[Source]:
        """For each colour an object whose ``obs`` has its column, and the column's name.

        Raises
        ------
        InputError
            If there is no such column or gene.
        """
        return [self._source(adata, name) for name in self.names]

    def source(self, adata: AnnData) -> Source | None:
        """Of the one colour of all panels; None where nothing colours cells.

        Raises
        ------
        InputError
            As :meth:`sources`.
        """
        return next(iter(self.sources(adata)), None)

    def _source(self, adata: AnnData, name: str) -> Source:
        name = own_column(adata, name)
        if name in adata.obs:
            return adata, name
        values = gene_values(adata, name, self.layer, self.gene_symbols)
        if values is None:
            _require_known(adata, name)
        return AnnData(obs=pd.DataFrame({name: values}, index=adata.obs_names)), name

    def room(self, sources: Sequence[Source]) -> tuple[float, float]:
        """Width and height of a panel in inches that leave every legend its place."""
        sizes = [figure_size(source, column, self.legend_loc) for source, column in sources] or [(4.0, 3.4)]
        return max(width for width, _ in sizes), sizes[0][1]

    def panels(self, ax: Axes | Sequence[Axes] | None, n: int, sources: Sequence[Source]) -> list[Axes]:
        """So many axes.

        Raises
        ------
        InputError
            If axes or titles are given and are not so many.
        """
        if self.title is not None:
            self._titles(n)
        return open_panels(ax, n, ncols=self.ncols, size=self.room(sources), figsize=self.figsize)

    def pairs(self, ax: tuple[Axes, Axes] | None, n: int, source: Source | None) -> list[tuple[Axes, Axes]]:
        """So many pairs of axes, one above the other.

        Raises
        ------
        InputError
            If titles are given and are not so many.
        """
        if self.title is not None:
            self._titles(n)
        width = 4.4 if source is None else self.room([source])[0]
        return open_pairs(ax, n, ncols=self.ncols, size=(width, 4.2), figsize=self.figsize)

    def draw(
        self, ax: Axes, points: FloatArray, source: Source | None, *, alpha: float = 1.0, plain: str = "0.75"
    ) -> None:
        """The cells of one panel; in one plain colour where nothing colours them."""
        if source is None:
            size = point_size(len(points)) if self.size is None else self.size
            ax.scatter(points[:, 0], points[:, 1], s=size, color=plain, linewidths=0, rasterized=True)
            return
        adata, column = source
        style = CellStyle(self.cmap, self.vmin, self.vmax, self.palette, self.size, alpha, self.legend_loc)
        if adata.n_vars == 0:  # the values of a gene, under its name as it stands
            style = replace(style, label=column)
        color_cells(ax, points, adata, column, style)

    def finish(self, axes: Sequence[Axes], otherwise: Sequence[str], *, loc: str | None = None) -> None:
        """Titles of the panels, those given or others, and their frames."""
        titles = otherwise if self.title is None else self._titles(len(axes))
        for panel, title in zip(axes, titles, strict=True):
            entitle(panel, title, loc=loc)
        self.frame(axes)

    def frame(self, axes: Sequence[Axes]) -> None:
        """No axes where no frame is wanted."""
        for panel in axes if self.frameon is False else ():
            panel.set_axis_off()

    def _titles(self, n: int) -> list[str]:
        titles = [self.title] if isinstance(self.title, str) else list(self.title or [])
        if len(titles) != n:
            raise InputError(f"title: {len(titles)} for {n} panels; give one for each.")
        return titles


def panel_titles(sources: Sequence[Source]) -> list[str]:
    """What colours each panel, where there are several."""
    return [column if len(sources) > 1 else "" for _, column in sources]


def _require_known(adata: AnnData, name: str) -> None:
    """Raise an error that says what colours cells: neither an obs column nor a gene with values has this name."""
    if name in adata.var_names:
        raise InputError(f"gene {name!r} has no values: adata.X is empty. Pass layer=, one of {layer_names(adata)}.")
    if name in MADE_BY_FIT or call_for(name):
        require_column(adata, name)
    raise InputError(
        f"color={name!r} is neither a column of adata.obs nor a gene; columns: {list(adata.obs.columns)}; "
        f"genes: {adata.n_vars}, {near_genes(adata.var_names, name)}.{other_names(adata, [name])}"
    )


def gene_values(adata: AnnData, name: str, layer: str | None, symbols: str | None) -> FloatArray | None:
    """Values of a gene, ``(cells,)``: of a layer, or of ``X`` (of ``raw`` where only that has the gene); None if none.

    Raises
    ------
    InputError
        If there is no such layer or column.
    """
    if layer is not None and layer not in adata.layers:
        raise InputError(f"layer {layer!r} not found in adata.layers; available: {layer_names(adata)}.")
    found = np.flatnonzero(gene_names(adata, symbols) == name)
    if len(found):
        values = adata.X if layer is None else adata.layers[layer]
        return None if values is None else as_array(values[:, found[:1]], float).ravel()
    if layer is None and adata.raw is not None and name in adata.raw.var_names:
        return as_array(adata.raw[:, name].X, float).ravel()
    return None
