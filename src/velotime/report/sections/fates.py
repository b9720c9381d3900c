"""The fates of the cells: where each lineage ends, in the names of clusters, and which genes lead there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import percent
from velotime._types import BoolArray, FloatArray
from velotime.data import Fitted, Records
from velotime.inference import Clock
from velotime.pl._canvas.colors import labels_of

LATE = 0.8  # quantile of the times of a lineage's cells from which on they count as its end
MOST_GENES = 8  # named of each fate
CANDIDATES = 400  # genes that tell lineages apart most, of which drivers are taken
MOST = 0.5  # of the latest cells of a lineage that must have one label for it to be named so
LEAST_RATIO = 6.0  # of the likelihood-ratio statistic: 5 % on one or two degrees of freedom
#: Columns that hold clusters under the names that people give them, best first.
USUAL = ("clusters", "cell_type", "celltype", "cell_types", "cluster", "annotation", "leiden", "louvain", "stage")
#: Columns that tell where cells are from, not what they are.
OF_SAMPLES = (keys.SAMPLE, "sample_id", "batch", "condition", "donor", "patient", "replicate", "library", "orig.ident")


@dataclass(frozen=True)
class Fate:
    """Where a lineage goes.

    Attributes
    ----------
    lineage, title
        Its name in the object, and what it is called for readers: by the cluster that it ends in.
    share
        Of the cells, 0 to 1.
    end
        The most common label of its latest cells, and the share of these that have it; empty without labels.
    drivers
        Genes that the lineages differ in most and that are highest at this one's end.
    """

    lineage: str
    title: str
    share: float
    end: str
    drivers: tuple[str, ...]


def cluster_column(adata: AnnData) -> str | None:
    """The obs column that most likely holds clusters: a usual name, else the first of 2 to 60 labels; None without.

    Columns that tell samples apart are none: no fate ends in a sample.
    """

    def fits(column: str) -> bool:
        values = adata.obs[column]
        labels = isinstance(values.dtype, pd.CategoricalDtype) or values.dtype == object
        return labels and column != keys.LINEAGE and not _tells_samples(adata, column) and 2 <= values.nunique() <= 60

    there = [str(column) for column in adata.obs.columns if fits(column)]
    return next((name for name in (*USUAL, *there) if name in there), None)


def _tells_samples(adata: AnnData, column: str) -> bool:
    """Whether a column says where cells are from: by its name, or as all cells of a sample have the same label."""
    if column in USUAL:
        return False
    if column.lower() in OF_SAMPLES:
        return True
    samples = Records(adata.uns).samples
    return samples in adata.obs and bool((adata.obs.groupby(samples, observed=True)[column].nunique() <= 1).all())


def fates_of(adata: AnnData) -> list[Fate]:
    """A fate for each lineage; none if there is but one, or the method knows none."""
    fitted = Fitted.of(adata)
    names = fitted.lineage_names
    if len(names) < 2 or "curves" not in fitted.capabilities:
        return []
    column = cluster_column(adata)
    late = [_late(fitted, name) for name in names]
    drivers = _drivers(fitted, late)
    shares, titles = fitted.lineage_posterior.mean(axis=0), titles_of(adata)
    return [
        Fate(name, titles[name], float(share), _end(adata, column, cells), genes)
        for name, share, cells, genes in zip(names, shares, late, drivers, strict=True)
    ]


def titles_of(adata: AnnData) -> dict[str, str]:
    """What each lineage is called for readers, by its name: "Beta (lineage 1)" where most of its end are Beta cells.

    A lineage that the user named keeps that name.
    """
    fitted, column = Fitted.of(adata), cluster_column(adata)
    several = len(fitted.lineage_names) > 1 and "curves" in fitted.capabilities
    titles = {}
    for name in fitted.lineage_names:
        asked = several and name.isdigit()
        label, share = _label_of(adata, column, _late(fitted, name)) if asked else ("", 0.0)
        plain = f"lineage {name}" if name.isdigit() else name
        titles[name] = f"{label} ({plain})" if share >= MOST else plain
    return titles


def _late(fitted: Fitted, lineage: str) -> BoolArray:
    """The latest cells of a lineage, ``(cells,)``."""
    own = fitted.lineage == lineage
    if not own.any():
        return np.asarray(own)
    time = fitted.latent_time
    return np.asarray(own & (time >= np.quantile(time[own], LATE)))


def _end(adata: AnnData, column: str | None, cells: BoolArray) -> str:
    label, share = _label_of(adata, column, cells)
    return f"{label} ({percent(share)} of its latest cells)" if label else ""


def _label_of(adata: AnnData, column: str | None, cells: BoolArray) -> tuple[str, float]:
    """The most common label of some cells, and the share of them that have it; none without labels."""
    if column is None or not cells.any():
        return "", 0.0
    labels, codes = labels_of(adata, column)
    counts = np.bincount(codes[cells & (codes >= 0)], minlength=len(labels))
    return (str(labels[int(counts.argmax())]), float(counts.max() / cells.sum())) if counts.any() else ("", 0.0)


def _drivers(fitted: Fitted, late: list[BoolArray]) -> list[tuple[str, ...]]:
    """Of each lineage, the genes that tell lineages apart and whose fitted mean is highest at its end."""
    var = fitted.adata.var
    if keys.FIT_LINEAGE_RATIO not in var or not all(cells.any() for cells in late):
        return [() for _ in late]
    ratio = fitted.column(keys.FIT_LINEAGE_RATIO)
    order = np.argsort(-np.nan_to_num(ratio), kind="stable")[:CANDIDATES]
    order = order[np.nan_to_num(ratio)[order] >= LEAST_RATIO]
    genes = fitted.genes[order]
    ends = np.array([fitted.means(np.flatnonzero(cells), genes)[1].mean(axis=0) for cells in late])
    highest = ends.argmax(axis=0)
    names = fitted.adata.var_names
    return [tuple(str(names[g]) for g in genes[highest == k][:MOST_GENES]) for k in range(len(late))]


def cluster_table(adata: AnnData) -> pd.DataFrame:
    """Of each cluster: cells, quartiles and median of latent time or phase, and the mean probability of each lineage.

    Empty where there are no labels or no times.
    """
    fitted, column = Fitted.of(adata), cluster_column(adata)
    if column is None or "time" not in fitted.capabilities:
        return pd.DataFrame()
    labels, codes = labels_of(adata, column)
    by = pd.Series(np.array([*labels, np.nan], dtype=object)[codes], index=adata.obs_names, name=column)
    time, slot = pd.Series(fitted.latent_time, index=adata.obs_names), fitted.time_slot
    grouped = time.groupby(by, sort=False)
    table = pd.DataFrame({"cells": grouped.size()})
    quartiles = grouped.apply(lambda own: pd.Series(_quartiles(own.to_numpy(), fitted.curve.clock))).unstack()
    table[[f"{slot}_q25", slot, f"{slot}_q75"]] = quartiles.loc[table.index].to_numpy()
    if len(fitted.lineage_names) > 1 and "curves" in fitted.capabilities:
        for k, name in enumerate(fitted.lineage_names):
            table[f"lineage_{name}"] = (
                pd.Series(fitted.lineage_posterior[:, k], index=adata.obs_names).groupby(by).mean()
            )
    return table.sort_values(slot).rename_axis(column)


def _quartiles(time: FloatArray, clock: Clock) -> FloatArray:
    """Quartiles of times ``(cells,)``; on a clock that goes round, of the times unrolled around their mean."""
    mean = clock.mean(np.full((1, len(time)), 1.0 / len(time)), time)
    return clock.rolled(np.quantile(clock.unrolled(time, mean)[0], [0.25, 0.5, 0.75]), mean)
