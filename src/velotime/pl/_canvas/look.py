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

from velotime._check import Either, Flag, Names, NotAllowedError, Number, Numbers, Optional, Rule, Text, Whole
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.compute import as_array
from velotime.data import other_names
from velotime.data.arguments import BASIS, LAYER
from velotime.data.layers.names import layer_names
from velotime.pl._canvas.arguments import AXES, LEGEND, PLOT, ColorMap, ListOfAxes
from velotime.pl._canvas.axes import MADE_BY_FIT, call_for, near_genes, own_column, require_column
from velotime.pl._canvas.colors import CellStyle, color_cells, figure_size
from velotime.pl._canvas.panels import open_panels

Limit = float | str | None
Palette = Sequence[str] | Mapping[str, str] | None


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


COLORED_BY = Text("the name of an obs column or a gene")
#: Rules of what all plots of cells on an embedding take.
ON_CELLS: dict[str, Rule] = PLOT | {
    "color": Either((COLORED_BY, Names("them"))),
    "basis": BASIS,
    "layer": LAYER,
    "gene_symbols": Optional(Text("the name of a var column")),
    "cmap": ColorMap(),
    "vmin": Optional(LimitRule()),
    "vmax": Optional(LimitRule()),
    "palette": Optional(PaletteRule()),
    "size": Optional(Number(0, open_least=True)),
    "title": Optional(Either((Text("a title"), Names("titles, one for each panel")))),
    "figsize": Optional(Numbers(Number(0, open_least=True), 2, 2)),
    "frameon": Optional(Flag()),
    "ncols": Whole(1),
    "legend_loc": LEGEND,
    "ax": Optional(Either((AXES, ListOfAxes()))),
}


@dataclass(frozen=True)
class Look:
    """What colours cells on an embedding, and how; the arguments of the plots under the same names."""

    color: str | Sequence[str]
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

    def sources(self, adata: AnnData) -> list[tuple[AnnData, str]]:
        """For each panel an object whose ``obs`` has the column of colours, and its name.

        Raises
        ------
        InputError
            If there is no such column or gene.
        """
        return [self._source(adata, name) for name in self.names]

    @property
    def names(self) -> list[str]:
        """What colours each panel."""
        return [self.color] if isinstance(self.color, str) else list(self.color)

    def _source(self, adata: AnnData, name: str) -> tuple[AnnData, str]:
        name = own_column(adata, name)
        if name in adata.obs:
            return adata, name
        values = gene_values(adata, name, self.layer, self.gene_symbols)
        if values is None:
            _require_known(adata, name)
        return AnnData(obs=pd.DataFrame({name: values}, index=adata.obs_names)), name

    def panels(self, ax: Axes | Sequence[Axes] | None, sources: list[tuple[AnnData, str]]) -> list[Axes]:
        """Axes, one for each colour."""
        sizes = [figure_size(source, column, self.legend_loc) for source, column in sources] or [(4.0, 3.4)]
        largest = max(width for width, _ in sizes), sizes[0][1]
        axes = open_panels(ax, len(sources), ncols=self.ncols, size=largest)
        if self.figsize is not None:
            axes[0].figure.figure.set_size_inches(*self.figsize)
        return axes

    def draw(
        self, ax: Axes, points: FloatArray, source: tuple[AnnData, str], *, alpha: float = 1.0, k: int = 0
    ) -> None:
        """The cells of one panel, the ``k``-th."""
        adata, column = source
        style = CellStyle(self.cmap, self.vmin, self.vmax, self.palette, self.size, alpha, self.legend_loc)
        if adata.n_vars == 0:  # the values of a gene, under its name as it stands
            style = replace(style, label=column)
        color_cells(ax, points, adata, column, style)
        titles = [self.title] if isinstance(self.title, str) else self.title
        if titles is not None:
            if len(titles) != len(self.names):
                raise InputError(f"title: {len(titles)} for {len(self.names)} panels; give one for each.")
            ax.set_title(titles[k])
        elif len(self.names) > 1:
            ax.set_title(column)
        if self.frameon is False:
            ax.set_axis_off()


def _require_known(adata: AnnData, name: str) -> None:
    """Raise an error that says what colours cells: neither an obs column nor a gene with values has this name."""
    if name in adata.var_names:
        raise InputError(f"gene {name!r} has no values: adata.X is empty. Pass layer=, one of {layer_names(adata)}.")
    if name in MADE_BY_FIT or call_for(name):
        require_column(adata, name)
    raise InputError(
        f"color={name!r} is neither a column of adata.obs nor a gene; columns: {list(adata.obs.columns)}; "
        f"genes: {adata.n_vars}, {near_genes(adata, name)}.{other_names(adata, [name])}"
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
    if symbols is not None and symbols not in adata.var:
        raise InputError(f"column {symbols!r} not found in adata.var; available: {list(adata.var.columns)}.")
    names = adata.var_names if symbols is None else pd.Index(adata.var[symbols].astype(str))
    found = np.flatnonzero(np.asarray(names == name))
    if len(found):
        values = adata.X if layer is None else adata.layers[layer]
        return None if values is None else as_array(values[:, found[:1]], float).ravel()
    if layer is None and adata.raw is not None and name in adata.raw.var_names:
        return as_array(adata.raw[:, name].X, float).ravel()
    return None
