"""Curves of the switch model as columns of ``var`` and ``varm``, and back: the only place that knows both."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference import Layout, NotCycling, natural_rates, with_others

RATE_SLOTS = (keys.FIT_BETA, keys.FIT_GAMMA, keys.FIT_T_ON, keys.FIT_ALPHA_0, keys.FIT_ALPHA, keys.FIT_SCALING)
LINEAGE_SLOTS = (keys.LINEAGE_T_OFF, keys.LINEAGE_ALPHA)


def rate_columns(theta: FloatArray) -> dict[str, FloatArray]:
    """Natural parameters of each gene, those of the first lineage where lineages differ, ``(genes,)`` each."""
    rates = natural_rates(theta)
    return {
        keys.FIT_ALPHA: rates["alpha_1"],
        keys.FIT_ALPHA_0: rates["alpha_0"],
        keys.FIT_ALPHA_2: np.exp(theta[:, 7]) * rates["gamma"],
        keys.FIT_BETA: rates["beta"],
        keys.FIT_GAMMA: rates["gamma"],
        keys.FIT_T_ON: rates["t_on"],
        keys.FIT_T_OFF: rates["t_on"] + np.exp(theta[:, 6]),
        keys.FIT_SCALING: rates["scaling"],
    }


def lineage_columns(theta: FloatArray) -> dict[str, FloatArray]:
    """Last switch and transcription after it, of each gene in each lineage, ``(genes, lineages)`` each."""
    layout = Layout((theta.shape[1] - Layout(0).n_parameters) // 2)
    return {
        keys.LINEAGE_T_OFF: theta[:, [2]] + np.exp(theta[:, layout.durations]),
        keys.LINEAGE_ALPHA: np.exp(theta[:, layout.last_levels] + theta[:, [1]]),
    }


def read_smooth(adata: AnnData, genes: IntArray) -> BoolArray:
    """Whether the transcription of genes is smooth, ``(genes,)``."""
    if keys.FIT_SHAPE not in adata.var:
        return np.zeros(len(genes), dtype=bool)
    return np.asarray(adata.var[keys.FIT_SHAPE].iloc[genes].astype(str) == keys.SMOOTH)


def read_theta(adata: AnnData, genes: IntArray) -> FloatArray:
    """Parameters of genes, ``(genes, 6 + 2 lineages)``, in the order of ``Layout``; NaN where one was not fitted."""
    var = {name: np.asarray(adata.var[name], dtype=np.float64)[genes] for name in RATE_SLOTS}
    gamma, t_on = var[keys.FIT_GAMMA], var[keys.FIT_T_ON]
    t_off, alpha = (np.asarray(adata.varm[name], dtype=np.float64)[genes] for name in LINEAGE_SLOTS)
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite was not fitted
        shared = [
            np.log(var[keys.FIT_BETA]),
            np.log(gamma),
            t_on,
            np.log(var[keys.FIT_ALPHA_0] / gamma),
            np.log(var[keys.FIT_ALPHA] / gamma),
            np.log(var[keys.FIT_SCALING]),
        ]
        own = np.stack([np.log(t_off - t_on[:, None]), np.log(alpha / gamma[:, None])], axis=2)
    return np.hstack([np.stack(shared, axis=1), own.reshape(len(genes), own.shape[1] * own.shape[2])])


def of_any_cells(
    adata: AnnData, cells: slice | IntArray, values: FloatArray, others: FloatArray | float = 0.0
) -> FloatArray:
    """Values of these cells, ``(cells, genes)``, from those that they have if they cycle, and ``others`` if not."""
    if keys.NOT_CYCLING not in adata.obs:
        return values
    return with_others(values, np.asarray(adata.obs[keys.NOT_CYCLING], dtype=np.float64)[cells], others)


def read_not_cycling(adata: AnnData, genes: IntArray) -> NotCycling | None:
    """Means of such cells, NaN for genes left out of the clock, and their share; None for a fit that has none."""
    names = keys.FIT_NOT_CYCLING_U, keys.FIT_NOT_CYCLING_S
    if not set(names) <= set(adata.var.columns):
        return None
    means = np.stack([np.asarray(adata.var[name], dtype=np.float64)[genes] for name in names])
    return NotCycling(means, float(adata.uns[keys.CYCLE][keys.NOT_CYCLING]))
