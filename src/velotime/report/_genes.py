"""Genes for the page: a table of rates, and for the explorer their counts, curves and means along the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.colors import to_hex
from scipy import sparse

from velotime import _keys as keys
from velotime._numbers import number
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted, layer_blocks, rate_table
from velotime.pl._curves import PIECES, WIDTH, Curve, PieceSums, curves_of, lineage_colors, with_misfit
from velotime.report._pack import deflate, planes, round_bits, script_json, to_whole
from velotime.report.sections.fates import titles_of

POINTS = 101  # of a curve; its switches are added, so that corners stay sharp
MOST_NUMBERS = 1_200_000  # in the table of genes: some 4 MB of the page
MOST_LEFT_OUT = 200_000  # genes whose reason is told
MOST_DRAWN = 5_000  # genes that are packed for the explorer, however small they are
BITS, COARSE_BITS = 11, 6  # of mantissa: for what is a line, and for the width of a band


@dataclass(frozen=True)
class Column:
    """A column of the gene table: its key, its title, and what it says."""

    key: str
    title: str
    text: str

    def text_in(self, hours: float | None) -> str:
        """The text where the clock takes so many hours; None where they are not known."""
        if not hours:
            return self.text
        text = self.text.replace("above 1:", f"above {number(hours)}:").replace("Phase at", "Hours in the cycle at")
        for unit in ("unit of the clock", "turn of the cycle", "turn"):
            text = text.replace(f"per {unit}", "per hour")
        return text.replace("When ", "When, in hours, ")


COLUMNS = (
    Column(
        keys.FIT_DEVIANCE_EXPLAINED,
        "Explained",
        "How much of what the clock can say of this gene its curve says; 1: all of it, 0 or less: nothing.",
    ),
    Column(
        keys.FIT_GAIN, "Gain (nats)", "How much the gene says about time: its log-likelihood over that of a constant."
    ),
    Column(
        keys.FIT_VARIATION_EXPLAINED,
        "Of variation",
        "Share of what its spliced counts vary between cells beyond chance that the clock explains; 1: all of it.",
    ),
    Column(
        keys.FIT_CHECK_MEANS,
        "Means off (z)",
        "Are counts along the clock as the curve says? Below 2: as in draws from the fit; above 3: they are not.",
    ),
    Column(
        keys.FIT_CHECK_ZEROS,
        "Zeros off (z)",
        "Do as many cells have no count as the fit says? Below 2: as in draws from the fit; above 3: they do not.",
    ),
    Column(
        keys.FIT_UNIQUE,
        "One shape",
        "Is no other shape of its curve nearly as likely? no: one with a switch elsewhere is, within 5 nats.",
    ),
    Column("beta", "Splicing β", "Splicing rate per unit of the clock, with a 90\u00a0% interval."),
    Column("gamma", "Degradation γ", "Degradation rate per unit of the clock, with a 90\u00a0% interval."),
    Column("alpha", "Transcription α", "Transcription rate between the switches: counts per unit of the clock."),
    Column(
        "t_on",
        "First switch",
        "When transcription changes first, with a 90\u00a0% interval; below 0: before the cells.",
    ),
    Column(
        "t_off", "Last switch", "When transcription changes last, with a 90\u00a0% interval; above 1: after the cells."
    ),
    Column(keys.FIT_LIKELIHOOD, "Likelihood", "Geometric mean likelihood of a cell's two values."),
    Column(keys.FIT_ARROW_EVIDENCE, "Arrow (nats)", "How strongly the gene prefers the direction of time reported."),
    Column(
        keys.FIT_LINEAGE_RATIO, "Lineages differ", "Likelihood-ratio statistic: is the gene's curve another by lineage?"
    ),
)
#: Where the clock goes round.
IN_TURNS = {
    column.key: column
    for column in (
        Column("beta", "Splicing β", "Splicing rate per turn of the cycle, with a 90\u00a0% interval."),
        Column("gamma", "Degradation γ", "Degradation rate per turn of the cycle, with a 90\u00a0% interval."),
        Column("alpha", "Transcription α", "Transcription rate between the switches, or the highest: counts per turn."),
        Column(
            "t_on",
            "First switch",
            "Phase at which transcription changes first or, if smooth, passes its middle, with a 90\u00a0% interval.",
        ),
        Column(
            "t_off",
            "Last switch",
            "Phase at which transcription changes or comes back, with a 90\u00a0% interval; above 1: in the next turn.",
        ),
    )
}
EXTRA = (
    "scaling",
    "alpha_0",
    "smooth",
    keys.FIT_DISPERSION_U,
    keys.FIT_DISPERSION_S,
    keys.FIT_BACKGROUND_U,
    keys.FIT_BACKGROUND_S,
)


@dataclass(frozen=True)
class GeneFacts:
    """The genes of the page.

    Attributes
    ----------
    columns
        Of the table: those that the fit has.
    table
        One row per gene with a curve, by name, the most informative about time first; intervals in ``_low``, ``_high``.
    n_fitted
        Genes with curves: as many as the table has, or more where it would grow too large.
    left_out
        Genes that were not fitted or are left out of the clock, by reason.
    last_switch, last_alpha
        In each lineage, ``(genes, lineages)``; None where the method has no switches.
    lineages
        Name and colour of each that has a curve; none where the method has no curves on a shared clock.
    pieces
        Mean time in each piece of the clock: lineages x layers x pieces.
    values
        What the values of the explorer are, in words.
    packed
        For the first so many genes of the table what the explorer draws, as :func:`pack_gene` leaves it; none yet.
    """

    columns: tuple[Column, ...]
    table: pd.DataFrame
    n_fitted: int
    left_out: dict[str, tuple[str, ...]]
    last_switch: FloatArray | None
    last_alpha: FloatArray | None
    lineages: dict[str, str]
    pieces: FloatArray
    values: str
    packed: tuple[dict[str, Any], ...]


def collect_genes(adata: AnnData, drawn: IntArray) -> tuple[GeneFacts, Explorer]:
    """The table, and what packs the genes of the explorer; ``drawn`` are the indices of the cells that are drawn."""
    fitted = Fitted.of(adata)
    table, titles = _table(fitted), titles_of(adata)
    n_fitted = len(table)
    last = {name: adata.varm[name].shape[1] for name in (keys.LINEAGE_T_OFF, keys.LINEAGE_ALPHA) if name in adata.varm}
    table = table.iloc[: MOST_NUMBERS // (table.shape[1] + sum(last.values()) or 1)]
    order = adata.var_names.get_indexer(table.index)
    status = adata.var[keys.FIT_STATUS].astype(str)
    status = status[status != keys.FITTED].iloc[:MOST_LEFT_OUT]
    explorer = Explorer.of(fitted, order[:MOST_DRAWN], drawn)
    facts = GeneFacts(
        columns=tuple(column for column in _shown(fitted) if column.key in table),
        table=table,
        n_fitted=n_fitted,
        left_out={str(why): tuple(map(str, names)) for why, names in status.groupby(status).groups.items()},
        last_switch=_by_lineage(adata, keys.LINEAGE_T_OFF, order),
        last_alpha=_by_lineage(adata, keys.LINEAGE_ALPHA, order),
        lineages={titles.get(name, name): color for name, color in explorer.colors.items()},
        pieces=explorer.at,
        values=_values(fitted),
        packed=(),
    )
    return facts, explorer


def _shown(fitted: Fitted) -> tuple[Column, ...]:
    """Informative columns: lineages differ only where there are several; gains are better than likelihoods."""
    idle = set() if len(fitted.lineage_names) > 1 else {keys.FIT_LINEAGE_RATIO}
    if "gains" in fitted.capabilities:
        idle.add(keys.FIT_LIKELIHOOD)
    found = (IN_TURNS.get(column.key, column) if fitted.goes_round else column for column in COLUMNS)
    return tuple(column for column in found if column.key not in idle)


def _table(fitted: Fitted) -> pd.DataFrame:
    var = fitted.adata.var
    table = rate_table(fitted) if "rates" in fitted.capabilities else pd.DataFrame(index=fitted.adata.var_names)
    for name in (*(column.key for column in COLUMNS), *EXTRA):
        if name in var and name not in table:
            table[name] = var[name].to_numpy()
    if keys.FIT_ALPHA_0 in var:
        table["alpha_0"] = var[keys.FIT_ALPHA_0].to_numpy()
    if "shape" in table:
        table["smooth"] = (table["shape"].astype(str) == keys.SMOOTH).astype(float)
    table = table.iloc[fitted.with_curves]
    by = next((name for name in (keys.FIT_GAIN, keys.FIT_LIKELIHOOD) if name in table), None)
    return table if by is None else table.sort_values(by, ascending=False, kind="stable", na_position="last")


def _by_lineage(adata: AnnData, slot: str, order: IntArray) -> FloatArray | None:
    return np.asarray(adata.varm[slot], dtype=float)[order] if slot in adata.varm else None


def _values(fitted: Fitted) -> str:
    if fitted.noise.counts:
        return "counts at size factor 1"
    unspliced, spliced = fitted.layers
    return f"layers {spliced} and {unspliced}"


@dataclass(frozen=True)
class Explorer:
    """What all genes of the explorer share.

    ``u`` and ``s`` are the counts of the drawn cells and the table's genes, gene by gene (CSC); ``at``, ``mean`` and
    ``error`` are those of pieces of the clock, by lineage and layer: ``(lineages, 2, pieces[, genes])``.
    """

    fitted: Fitted
    order: IntArray
    drawn: IntArray
    u: Any
    s: Any
    colors: dict[str, str]
    at: FloatArray
    mean: FloatArray
    error: FloatArray

    @classmethod
    def of(cls, fitted: Fitted, order: IntArray, drawn: IntArray) -> Explorer:
        found = lineage_colors(fitted) if "curves" in fitted.capabilities else {}
        colors = {name: to_hex(color) for name, color in found.items()}
        shape = len(colors), 2, PIECES
        at, mean, error = np.empty(shape), np.empty((*shape, len(order))), np.empty((*shape, len(order)))
        read = [_read(fitted, layer, order, drawn, list(colors)) for layer in (0, 1)]
        for layer, (_, sums) in enumerate(read):
            for k, one in enumerate(sums):
                at[k, layer], mean[k, layer], error[k, layer] = one.means()
        return cls(fitted, order, drawn, read[0][0], read[1][0], colors, at, mean, error)

    def pack(self, budget: int) -> tuple[dict[str, Any], ...]:
        """The first genes of the table, as many as fit into so many characters of the page."""
        packed = []
        for gene in self.genes():
            budget -= len(script_json(gene)) + 1
            if budget < 0:
                break
            packed.append(gene)
        return tuple(packed)

    def genes(self) -> Iterator[dict[str, Any]]:
        """What the page needs to draw each gene, in the table's order."""
        all_curves = curves_of(self.fitted, self.order, points=POINTS) if self.colors else repeat([])
        for k, curves in zip(range(len(self.order)), all_curves, strict=False):
            means, errors = self.mean[..., k], self.error[..., k]
            lines = [part for curve, mean in zip(curves, means, strict=True) for part in (_line(curve), mean.ravel())]
            whole = [with_misfit(*one) for one in zip(curves, self.at, means, errors, strict=True)]
            widths = [
                part for curve, error in zip(whole, errors, strict=True) for part in (_band(curve), error.ravel())
            ]
            counts = [_column(layer, k) for layer in (self.u, self.s)]
            yield pack_gene(np.concatenate([*lines, []]), np.concatenate([*widths, []]), counts)


def _read(
    fitted: Fitted, layer: int, order: IntArray, drawn: IntArray, lineages: list[str]
) -> tuple[Any, list[PieceSums]]:
    """Counts of the drawn cells in a layer, and sums over pieces of the clock by lineage, some cells at a time."""
    name, size = fitted.layers[layer], fitted.sizes[layer]
    time, own = (fitted.latent_time, fitted.lineage) if lineages else (size, size)
    is_drawn = np.zeros(len(size), dtype=bool)
    is_drawn[drawn] = True
    few, sums = [], [PieceSums.of(size[:0], np.zeros((0, len(order))), size[:0]) for _ in lineages]
    for cells, block in layer_blocks(fitted.adata.layers[name], name, counts=False):
        values = block[:, order]
        few.append(values[is_drawn[cells]])
        for k, lineage in enumerate(lineages):
            here = (own[cells] == lineage) & np.isfinite(time[cells])
            sums[k] += PieceSums.of(time[cells][here], values[here], size[cells][here])
    counts = sparse.csc_array(sparse.vstack(few))
    counts.sum_duplicates()
    return counts, sums


def _column(layer: sparse.csc_array, k: int) -> FloatArray:
    """A gene's counts, ``(drawn cells,)``: scipy takes ten times as long to cut one column out."""
    counts = np.zeros(layer.shape[0], dtype=layer.dtype)
    here = slice(layer.indptr[k], layer.indptr[k + 1])
    counts[layer.indices[here]] = layer.data[here]
    return counts


def _line(curve: Curve) -> FloatArray:
    """Means at all times, unspliced then spliced, and twice (time, unspliced, spliced) of a switch, else NaN."""
    switches = np.full((2, 3), np.nan)
    n = len(curve.switches)
    switches[:n] = np.vstack([curve.switches, curve.at_switches]).T
    return np.concatenate([curve.means.ravel(), switches.ravel()])


def _band(curve: Curve) -> FloatArray:
    """Half the width of the 90 % band at all times, unspliced then spliced; NaN if there is none."""
    if curve.covariance is None:
        return np.full(curve.means.size, np.nan)
    return WIDTH * np.sqrt(np.concatenate([curve.covariance[:, k, k] for k in (0, 1)]))


def pack_gene(lines: FloatArray, widths: FloatArray, counts: list[FloatArray]) -> dict[str, Any]:
    """One deflated block: float32 lines, float32 widths, then the whole numbers of unspliced and spliced counts."""
    whole, scale = [], []
    for values in counts:
        q, low, step = to_whole(values)
        whole.append(q)
        scale.append([q.itemsize, low, step])
    parts = [planes(round_bits(lines, BITS)), planes(round_bits(widths, COARSE_BITS)), *map(planes, whole)]
    return {"data": deflate(b"".join(parts)), "counts": scale}
