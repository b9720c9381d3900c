"""Cells for the page: where they are drawn, and what colours them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.colors import to_hex

from velotime import _keys as keys
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted, hours_record, list_embeddings, short_name
from velotime.data.neighbors.components import log_components
from velotime.pl._canvas.axes import find_basis
from velotime.pl._canvas.colors import labels_of, palette_of
from velotime.report.sections.fates import titles_of

MOST_CELLS = 20_000  # drawn at most
MOST_LABELS = 60  # of a column that may colour cells
MOST_COLUMNS = 50  # of labels
SQUARES = 64  # of the map along each axis, in which cells are counted


@dataclass(frozen=True)
class Labels:
    """An obs column of labels.

    Attributes
    ----------
    column
        Its name.
    names, colors
        Of the labels, in order.
    codes
        Number of each drawn cell's label, -1 where it is missing, ``(drawn cells,)``.
    """

    column: str
    names: tuple[str, ...]
    colors: tuple[str, ...]
    codes: IntArray


@dataclass(frozen=True)
class CellFacts:
    """The cells that are drawn.

    Attributes
    ----------
    drawn
        Their indices, ``(drawn cells,)``, ascending.
    names
        Of the drawn cells.
    points
        Where they are drawn, ``(drawn cells, 2)``; NaN where there are no coordinates.
    axes
        Labels of the two axes.
    notes
        What a reader must know about it: cells left out, no embedding.
    time, sd
        Latent time and its standard deviation, ``(drawn cells,)``, relative; None where the method gives none.
    labels
        Columns that may colour the cells, lineages first if there are several.
    goes_round
        Whether times are phases of a clock that has neither beginning nor end.
    hours
        That the clock, or a turn, takes; None where they are not known.
    """

    drawn: IntArray
    names: tuple[str, ...]
    points: FloatArray
    axes: tuple[str, str]
    notes: tuple[str, ...]
    time: FloatArray | None
    sd: FloatArray | None
    labels: tuple[Labels, ...]
    goes_round: bool = False
    hours: float | None = None

    @property
    def time_words(self) -> str:
        """What the time is called on the page."""
        return "phase" if self.goes_round else "latent time"

    @property
    def unit(self) -> str:
        """Of time on the page."""
        return "hours" if self.hours else "turns" if self.goes_round else "relative"


def collect_cells(adata: AnnData, basis: str | None) -> CellFacts:
    """The cells of the page, at most 20,000, always the same ones.

    Raises
    ------
    InputError
        If ``basis`` is given and not there.
    """
    fitted = Fitted.of(adata)
    points, axes, note = _place(adata, basis)
    drawn = _thin(points, MOST_CELLS)
    notes = []
    if len(drawn) < adata.n_obs:
        notes.append(
            f"{len(drawn):,} of {adata.n_obs:,} cells are drawn, a smaller share of them where the map is crowded, so "
            "that rare cells stay in sight; all cells were fitted."
        )
    columns = _columns(adata)
    if len(columns) > MOST_COLUMNS:
        notes.append(f"Cells can be coloured by the first {MOST_COLUMNS} of {len(columns)} columns of labels.")
    points = points[drawn]
    missing = int((~np.isfinite(points).all(axis=1)).sum())
    if missing:
        note = f"{note} {missing:,} {'cell' if missing == 1 else 'cells'} without coordinates left out.".strip()
    return CellFacts(
        drawn=drawn,
        names=tuple(str(name) for name in adata.obs_names[drawn]),
        points=points,
        axes=axes,
        notes=tuple([*notes, note] if note else notes),
        time=_numbers(fitted, "mean", drawn),
        sd=_numbers(fitted, "sd", drawn),
        labels=tuple(_labels(adata, column, drawn) for column in columns[:MOST_COLUMNS]),
        goes_round=fitted.goes_round,
        hours=hours_record(adata).get("hours_per_clock"),
    )


def _thin(points: FloatArray, most: int) -> IntArray:
    """Indices of the cells to draw, ``(drawn cells,)``, ascending.

    A cell in a square of the map with n cells is drawn with a weight of ``1 / sqrt(n)``: dense places lose most, and no
    place becomes empty. Cells without coordinates count as a square of their own. The cells are those with the
    smallest of exponential variates of rate ``weight``, which is drawing without replacement (Efraimidis and Spirakis
    2006).
    """
    if len(points) <= most:
        return np.arange(len(points))
    there = np.isfinite(points).all(axis=1)
    square = np.full(len(points), -1)
    if there.any():
        low, high = points[there].min(axis=0), points[there].max(axis=0)
        span = np.where(high > low, high - low, 1.0)
        row, column = np.minimum((SQUARES * (points[there] - low) / span).astype(int), SQUARES - 1).T
        square[there] = row * SQUARES + column
    n = np.bincount(square + 1)[square + 1]
    late = np.random.default_rng(0).exponential(size=len(points)) * np.sqrt(n)
    return np.sort(np.argpartition(late, most)[:most])


def _numbers(fitted: Fitted, column: str, drawn: IntArray) -> FloatArray | None:
    times = fitted.uncertainty if "time" in fitted.capabilities else pd.DataFrame()
    return times[column].to_numpy(dtype=float)[drawn] if column in times else None


def _place(adata: AnnData, basis: str | None) -> tuple[FloatArray, tuple[str, str], str]:
    """Coordinates of all cells, names of the axes, and a note."""
    found = [basis] if basis is not None else list_embeddings(adata)
    if not found:
        note = (
            "There is no embedding in adata.obsm, so cells are drawn on the first two principal components of their "
            "spliced counts. Embed first, for example with scanpy.tl.umap, for a map of the cells."
        )
        return _components(adata), ("first principal component", "second principal component"), note
    short = short_name(found[0])
    name = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PC"}.get(short, short)
    return find_basis(adata, found[0]), (f"{name} 1", f"{name} 2"), ""


def _components(adata: AnnData) -> FloatArray:
    """First two principal components of log-normalised spliced counts, the fitted genes, ``(cells, 2)``."""
    fitted = Fitted.of(adata)
    if min(adata.n_obs, len(fitted.genes)) < 3:
        return np.zeros((adata.n_obs, 2))
    return log_components(adata[:, fitted.genes], fitted.layers[1], 2, 0).astype(float)


def _columns(adata: AnnData) -> list[str]:
    """Columns of labels that can be told apart by colour; lineages only if there are several."""
    out = []
    for column in adata.obs.columns:
        values = adata.obs[column]
        if isinstance(values.dtype, pd.CategoricalDtype) or values.dtype == bool or values.dtype == object:
            n = values.nunique()
            if 2 <= n <= MOST_LABELS:
                out.append(str(column))
    return sorted(out, key=lambda column: column != keys.LINEAGE)


def _labels(adata: AnnData, column: str, drawn: IntArray) -> Labels:
    names, codes = labels_of(adata, column)
    colors = [to_hex(color) for color in palette_of(adata, column, names).values()]
    titles = titles_of(adata) if column == keys.LINEAGE else {}
    names = [titles.get(str(name), str(name)) for name in names]
    return Labels(column, tuple(names), tuple(colors), codes[drawn].astype(np.int64))
