"""Whether a latent time puts cells in the order that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import mannwhitneyu, spearmanr

from velotime import _keys as keys
from velotime._check import checked
from velotime._status import InputError
from velotime.data.arguments import ADATA, COLUMN
from velotime.metrics._shared.arguments import Edges, Stages
from velotime.metrics._shared.inputs import read_labels, read_time


@checked({"adata": ADATA, "edges": Edges(), "column": COLUMN, "time": COLUMN})
def time_order(
    adata: AnnData, edges: Sequence[tuple[str, str]], *, column: str, time: str = keys.LATENT_TIME
) -> pd.Series:
    """Probability that a cell of the target group is later than one of the source group, of each edge.

    ``P(t_target > t_source) + P(t_target = t_source)/2`` over all pairs of cells: the area under the ROC curve (AUC),
    the Mann-Whitney U statistic over the number of pairs (Hanley and McNeil 1982). 0.5: no order; 1: all later.
    VeloVAE's ``time_score`` is the same with ties counted as right.

    Parameters
    ----------
    adata
        Cells x genes.
    edges
        Pairs (source, target) of labels.
    column
        The obs column of the labels.
    time
        The obs column of the time.

    Returns
    -------
    One value per edge, NaN where a group has no time; ``.attrs["n_cells_left_out"]`` counts the cells whose time is
    NaN.

    Raises
    ------
    InputError
        If a column or a label is not there.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> import velotime as vt
    >>> obs = pd.DataFrame({"day": ["a", "a", "b", "b"], "latent_time": [0.1, 0.4, 0.3, 0.9]}, index=list("wxyz"))
    >>> vt.metrics.time_order(anndata.AnnData(obs=obs), [("a", "b")], column="day").tolist()
    [0.75]
    """
    labels = read_labels(adata, column, {label for edge in edges for label in edge})
    value = read_time(adata, time)
    known = np.isfinite(value)
    scores = {
        f"{source} -> {target}": _later(value[known & (labels == target)], value[known & (labels == source)])
        for source, target in edges
    }
    out = pd.Series(scores, name="time_order", dtype=float)
    out.attrs = {"n_cells_left_out": int((~known).sum())}
    return out


def _later(target: np.ndarray, source: np.ndarray) -> float:
    if len(target) == 0 or len(source) == 0:
        return float("nan")
    return float(mannwhitneyu(target, source, method="asymptotic").statistic / (len(target) * len(source)))


@dataclass(frozen=True)
class RankCorrelation:
    """A rank correlation and what it rests on.

    Attributes
    ----------
    correlation
        Spearman's, from -1 to 1; NaN where time or stage is the same in all cells.
    n_cells
        Cells that it was taken over.
    n_cells_left_out
        Cells whose time is NaN, or whose label has no stage.
    """

    correlation: float
    n_cells: int
    n_cells_left_out: int


@checked({"adata": ADATA, "stages": Stages(), "column": COLUMN, "time": COLUMN})
def time_correlation(
    adata: AnnData, stages: Mapping[str, float], *, column: str, time: str = keys.LATENT_TIME
) -> RankCorrelation:
    """Spearman correlation of time with the stages of ordered labels.

    The Pearson correlation of the ranks, ties at their mean rank (Spearman 1904).

    Parameters
    ----------
    adata
        Cells x genes.
    stages
        Stage of each label, e.g. ``{"Ductal": 0, "Ngn3 low EP": 1, "Alpha": 2, "Beta": 2}``; labels of the same stage
        are not compared, and those without one are left out.
    column
        The obs column of the labels.
    time
        The obs column of the time.

    Raises
    ------
    InputError
        If a column or a label is not there, or fewer than two cells are left.

    Examples
    --------
    >>> import anndata, pandas as pd
    >>> import velotime as vt
    >>> obs = pd.DataFrame({"day": ["a", "b", "c", "c"], "latent_time": [0.1, 0.2, 0.8, 0.9]}, index=list("wxyz"))
    >>> found = vt.metrics.time_correlation(anndata.AnnData(obs=obs), {"a": 0, "b": 1, "c": 2}, column="day")
    >>> round(found.correlation, 3), found.n_cells
    (0.949, 4)
    """
    labels = read_labels(adata, column, stages)
    value = read_time(adata, time)
    stage = np.array([stages.get(label, np.nan) for label in labels], dtype=float)
    use = np.isfinite(value) & np.isfinite(stage)
    if use.sum() < 2:
        raise InputError(f"only {int(use.sum())} cells have a stage and a time: a correlation needs two or more.")
    tied = np.ptp(value[use]) == 0 or np.ptp(stage[use]) == 0
    correlation = float("nan") if tied else float(spearmanr(value[use], stage[use]).statistic)
    return RankCorrelation(correlation, int(use.sum()), int((~use).sum()))
