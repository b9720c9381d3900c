"""Plots of conditions compared with samples as the replicates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from scipy.stats import t as student

from velotime import _keys as keys
from velotime._check import Either, Names, OneOf, Optional, Text, checked
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted, of_these_cells, read_record, restore_soft_fit
from velotime.data.arguments import ADATA, GENE
from velotime.inference import CONDITION_PARAMETERS, curves_of_samples
from velotime.pl._by_sample.samples import GRID, condition_colors, require_samples, sample_densities
from velotime.pl._canvas.arguments import AXES, FIGSIZE, GENE_SYMBOLS, SAVE, SHOW, ListOfAxes
from velotime.pl._canvas.axes import clock_label, find_gene, note_left_out, tidy
from velotime.pl._canvas.panels import finish_panels, open_panels
from velotime.pl._curves import piece_means

LEVEL = 0.05  # of a q-value
MOST_NAMED = 8
PIECES = 10  # of the clock, in which the cells of a sample are averaged
TEXT = {"alpha": "transcription", "beta": "splicing", "gamma": "degradation", "t_on": "first switch"}


@checked(
    {
        "adata": ADATA,
        "gene": Optional(Either((GENE, Names("names of genes")))),
        "parameter": OneOf(CONDITION_PARAMETERS),
        "condition": Optional(Text("a condition")),
        "gene_symbols": GENE_SYMBOLS,
        "figsize": FIGSIZE,
        "ax": Optional(Either((AXES, ListOfAxes()))),
        "show": SHOW,
        "save": SAVE,
    }
)
def conditions(
    adata: AnnData,
    *,
    gene: str | Sequence[str] | None = None,
    parameter: str = "gamma",
    condition: str | None = None,
    gene_symbols: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Conditions compared: where their cells lie along the clock, how fast they run, which genes differ, genes' curves.

    First the density of cells along the clock: a thin line for each sample, a thick one for each condition's mean.
    Then how many times slower each sample runs than those of the reference (rings), and each condition, with a 95 %
    interval. Then the change of a parameter of every gene against its p-value; genes with a q-value below 5 % are
    filled, and the first eight are named. Then, for each gene asked for, unspliced and spliced values along the clock:
    thin lines are the curves fitted to each sample, thick ones their geometric means over the samples of a condition,
    with a 90 % band of that mean, which rests on how much samples differ (pooled over conditions; none where no
    condition has a second sample). Rings are means over the cells of a sample in pieces of the clock, captures taken
    off.

    Parameters
    ----------
    adata
        After :func:`velotime.tl.compare_conditions`.
    gene
        Name of a gene, or several: two panels each; none by default.
    parameter
        "alpha", "beta", "gamma" or "t_on".
    condition
        The condition that is compared with the reference; by default the first of the others.
    gene_symbols
        The var column by which ``gene`` is named, where not by ``var_names``.
    figsize
        Width and height of the figure in inches.
    ax
        Axes: three, and two for each gene.
    show, save
        As in scanpy.

    Returns
    -------
    The axes; None if the figure was shown.

    Raises
    ------
    InputError
        If conditions were not compared, or there is no such gene or condition.
    """
    fitted, record = _compared(adata)
    names = [] if gene is None else [gene] if isinstance(gene, str) else list(gene)
    index = np.array([find_gene(adata, name, gene_symbols) for name in names], dtype=np.int64)
    axes = open_panels(ax, 3 + 2 * len(names), ncols=3 if len(names) < 2 else 4, size=(4.4, 3.4), figsize=figsize)
    of = record["samples"]["condition"].astype(str)
    _draw_densities(axes[0], fitted, record, of)
    _draw_speeds(axes[1], fitted, record)
    _draw_volcano(axes[2], record, parameter, condition)
    if names:
        _draw_genes(axes[3:], fitted, record, of, index)
        for panel, name in zip(axes[3::2], names, strict=True):
            panel.set_title(name, loc="left")
    tidy(axes)
    out = finish_panels(axes, one=False, show=show, save=save, name="conditions")
    return out if isinstance(out, list) else None


def condition_record(adata: AnnData) -> Mapping[str, Any]:
    """What was found of conditions, of this fit and these cells; empty without."""
    name = keys.CONDITION_COMPARISON
    return read_record(adata, name) if of_these_cells(adata, name) else {}


def _compared(adata: AnnData) -> tuple[Fitted, Mapping[str, Any]]:
    fitted, record = require_samples(adata), condition_record(adata)
    if not record:
        raise InputError(
            "conditions of this fit were not compared: call velotime.tl.compare_conditions(adata, condition) first."
        )
    return fitted, record


def _colors(fitted: Fitted, record: Mapping[str, Any]) -> dict[str, str]:
    of = record["samples"]["condition"].astype(str)
    reference = str(record["reference"])
    rest = [name for name in pd.unique(of) if name != reference]
    return condition_colors(fitted.adata, str(record["condition"]), [reference, *rest])


def _draw_densities(ax: Axes, fitted: Fitted, record: Mapping[str, Any], of: pd.Series[str]) -> None:
    densities = sample_densities(fitted)
    for name, color in _colors(fitted, record).items():
        own = densities[(of == name).to_numpy()]
        for one in own:
            ax.plot(GRID, one, color=color, lw=0.7, alpha=0.6)
        n = len(own)
        ax.plot(GRID, own.mean(axis=0), color=color, lw=2, label=f"{name} ({n} {'sample' if n == 1 else 'samples'})")
    ax.set(xlabel=clock_label(fitted), ylabel="density of cells", xlim=(0, 1))
    ax.set_ylim(bottom=0)
    ax.set_title("where cells are", loc="left", fontsize=9)
    ax.legend(fontsize=7, frameon=False, title=str(record["condition"]), title_fontsize=7)


def _draw_speeds(ax: Axes, fitted: Fitted, record: Mapping[str, Any]) -> None:
    """A row for each condition: rings for its samples, a point with its interval against the reference."""
    samples, speed = record["samples"], record["speed"].set_index("condition")
    of, colors = samples["condition"].astype(str), _colors(fitted, record)
    log = np.log2(samples["times_slower"].to_numpy(dtype=np.float64))
    middle = np.nanmean(log[(of == str(record["reference"])).to_numpy()])
    for row, (name, color) in enumerate(colors.items()):
        own = log[(of == name).to_numpy()] - middle
        ax.plot(own, np.full(len(own), row + 0.2), "o", ms=5, mfc="white", mec=color, mew=1)
        if name in speed.index:
            low, at, high = np.log2(speed.loc[name, ["low", "times_slower", "high"]].to_numpy(dtype=np.float64))
            ax.plot([low, high], [row, row], color=color, lw=1.5, solid_capstyle="butt")
            ax.plot(at, row, "o", ms=6, color=color)
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    ax.set(xlabel=f"rates lower than in {record['reference']}: times slower", yticks=range(len(colors)))
    ax.set(yticklabels=list(colors), ylim=(len(colors) - 0.5, -0.5))
    ax.xaxis.set_major_formatter(lambda value, _: f"{2**value:.3g}")
    ax.set_title("speed of all genes together", loc="left", fontsize=9)


def _draw_volcano(ax: Axes, record: Mapping[str, Any], parameter: str, condition: str | None) -> None:
    """Change against p-value; against nothing where there are none."""
    genes = record["genes"]
    found = list(pd.unique(genes["condition"].astype(str)))
    condition = found[0] if condition is None else condition
    own = genes[(genes["parameter"] == parameter) & (genes["condition"].astype(str) == condition)]
    if not len(own):
        raise InputError(
            f"nothing to draw of parameter {parameter!r} in condition {condition!r}: conditions with a comparison are "
            f"{found}, parameters {list(pd.unique(genes['parameter']))}."
        )
    change, p_value = own["log2_fold"].to_numpy(), own["p_value"].to_numpy()
    unit = "difference on the clock" if parameter == "t_on" else "log2 fold"
    ax.set(xlabel=f"{TEXT[parameter]} ({parameter}): {unit}, {condition} over {record['reference']}")
    ax.axvline(0, color="0.7", lw=0.8, zorder=0)
    if np.isnan(p_value).all():
        ax.scatter(change, own["standard_error"].fillna(0.0), s=10, color="0.5")
        ax.set(ylabel="", yticks=[])
        ax.set_title("no second sample: no p-values", loc="left", fontsize=9)
        return
    height = -np.log10(np.maximum(p_value, 1e-300))
    most = 1.2 * max(float(np.quantile(np.abs(change), 0.98)), np.abs(change[own["q_value"] < LEVEL]).max(initial=0.0))
    ax.set_xlim(-most, most)
    note_left_out(ax, np.abs(change) > most, "beyond the axes", "gene")
    found_too = own["q_value"].to_numpy() < LEVEL
    ax.scatter(change[~found_too], height[~found_too], s=10, facecolors="none", edgecolors="0.6", linewidths=0.7)
    ax.scatter(change[found_too], height[found_too], s=14, color="#d55e00", linewidths=0)
    _name_points(ax, own["gene"].astype(str).to_numpy()[found_too], change[found_too], height[found_too])
    ax.set(ylabel="-log10 p-value")
    ax.set_title(f"{int(found_too.sum())} of {len(own)} genes with q < 5 %", loc="left", fontsize=9)


def _name_points(ax: Axes, names: Any, x: FloatArray, y: FloatArray) -> None:
    """Names beside the highest points, towards the side with more room."""
    for k in np.argsort(-y, kind="stable")[:MOST_NAMED]:
        right = x[k] < 0
        place: dict[str, Any] = {"textcoords": "offset points", "va": "center", "ha": "left" if right else "right"}
        ax.annotate(names[k], (x[k], y[k]), (4 if right else -4, 0), fontsize=6.5, **place)


def _draw_genes(
    axes: list[Axes], fitted: Fitted, record: Mapping[str, Any], of: pd.Series[str], index: IntArray
) -> None:
    genes, fit = restore_soft_fit(fitted.adata)
    at = pd.Index(genes).get_indexer(index)
    if (at < 0).any():
        name = fitted.adata.var_names[index[at < 0][0]]
        raise InputError(f"gene {name!r} was not fitted: var['{keys.FIT_STATUS}'] says why.")
    curves = curves_of_samples(fit, at, GRID)
    values = fitted.values(index)
    for k in range(len(index)):
        for layer, name in enumerate(("unspliced", "spliced")):
            panel = axes[2 * k + layer]
            _draw_layer(panel, fitted, curves[:, layer, k], (of, _colors(fitted, record)), (values[layer][:, k], layer))
            panel.set(xlabel=clock_label(fitted), ylabel=name, xlim=(-0.02, 1.02))
            top = max(float(np.max(line.get_ydata(), initial=0.0)) for line in panel.get_lines())
            panel.set_ylim(0, 1.05 * top or 1.0)  # a band may reach further
        axes[2 * k].legend(fontsize=7, frameon=False)


def _draw_layer(
    ax: Axes,
    fitted: Fitted,
    curves: FloatArray,
    conditions: tuple[pd.Series[str], dict[str, str]],
    values: tuple[FloatArray, int],
) -> None:
    """Curves ``(samples, lineages * times)`` and binned values of one layer of one gene, lineage by lineage."""
    (of, colors), (counts, layer) = conditions, values
    lineage, sample = fitted.lineage, fitted.sample
    for number, name in enumerate(fitted.lineage_names):
        own_curves = curves[:, number * len(GRID) : (number + 1) * len(GRID)]
        spread = _spread(own_curves, of)
        for label, color in colors.items():
            own = (of == label).to_numpy()
            _draw_curves(ax, own_curves[own], spread, color, label if number == 0 else "")
            for b in np.flatnonzero(own):
                cells = (sample == b) & (lineage == name)
                _draw_points(ax, fitted.latent_time[cells], counts[cells], fitted.sizes[layer][cells], color)


def _spread(curves: FloatArray, of: pd.Series[str]) -> tuple[FloatArray, int]:
    """Standard deviation between samples of a condition at each time, of logs, and its degrees of freedom."""
    there = ~np.isnan(curves).any(axis=1)
    logs, labels = np.log(np.maximum(curves[there], 1e-9)), of.to_numpy()[there]
    square = np.zeros(curves.shape[1])
    for label in np.unique(labels):
        own = logs[labels == label]
        square += ((own - own.mean(axis=0)) ** 2).sum(axis=0)
    degrees = len(labels) - len(np.unique(labels))
    return np.sqrt(square / max(degrees, 1)), degrees


def _draw_curves(ax: Axes, curves: FloatArray, spread: tuple[FloatArray, int], color: str, label: str) -> None:
    curves = curves[~np.isnan(curves).any(axis=1)]
    if not len(curves):
        return
    for one in curves:
        ax.plot(GRID, one, color=color, lw=0.6, alpha=0.6)
    mean = np.exp(np.log(np.maximum(curves, 1e-9)).mean(axis=0))
    sd, degrees = spread
    if degrees > 0:
        half = student.ppf(0.95, degrees) * sd / np.sqrt(len(curves))
        ax.fill_between(GRID, mean * np.exp(-half), mean * np.exp(half), color=color, alpha=0.2, lw=0)
    ax.plot(GRID, mean, color=color, lw=2, label=label or None)


def _draw_points(ax: Axes, time: FloatArray, values: FloatArray, size: FloatArray, color: str) -> None:
    """Means over the cells of a sample in pieces of the clock; none of a gene that the sample does not have."""
    if not len(time) or np.isnan(values).any():
        return
    at, height, _ = piece_means(time, (values * size)[:, None], size, PIECES)
    there = np.isfinite(at)
    ax.plot(at[there], height[there, 0], "o", ms=3, mfc="white", mec=color, mew=0.7, alpha=0.8)
