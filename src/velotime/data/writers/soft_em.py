"""Slots of a fit by ``SoftEM``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._types import FloatArray
from velotime.data.reading import Reading
from velotime.data.writers.slots import Slots, all_genes, gene_columns, slots_of
from velotime.inference import (
    CLEAR_PROBABILITY,
    Arrow,
    GeneGains,
    GeneTable,
    Layout,
    SoftFit,
    SoftParameters,
    natural_rates,
)

LEAST_EXPLAINED = 0.05  # deviance explained from which on a gene counts as a velocity gene
MOST_LABELS = 60  # a column with more sorts nothing


@slots_of.register
def _(fit: SoftFit, adata: AnnData, reading: Reading) -> Slots:
    return Slots(
        layers=_layers(adata, reading, fit),
        obs=_obs(fit),
        var=_var(adata, reading, fit),
        obsm={keys.LINEAGE_POSTERIOR: fit.cells.lineages},
        varm=_varm(adata, reading, fit),
        uns=_uns(reading, fit),
        record=starts_record(adata, fit.starts, fit.seconds_starts),
    )


def _layers(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, FloatArray]:
    """Velocities, and the fitted means as Ms and Mu, the state that goes with them, unless moments were fitted."""
    cells = fit.cells
    means = {} if _fitted_moments(reading) else {keys.MS: cells.spliced, keys.MU: cells.unspliced}
    time = np.repeat(cells.mean.astype(np.float32)[:, None], len(reading.genes), axis=1)
    return {
        name: all_genes(values, reading.genes, adata.n_vars)
        for name, values in (
            means
            | {
                keys.VELOCITY: cells.velocity,
                keys.VELOCITY_U: cells.velocity_u,
                keys.VELOCITY_SD: cells.velocity_sd,
                keys.FIT_T: time,
            }
        ).items()
    }


def _fitted_moments(reading: Reading) -> bool:
    """Whether Ms or Mu were read: then they are the data, and stay."""
    return not {keys.MS, keys.MU}.isdisjoint(reading.layers)


def _var(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, Any]:
    errors = fit.genes.standard_errors
    columns = {
        **curve_columns(fit.parameters, fit.genes, n_cells=fit.cells.mean.shape[0]),
        keys.FIT_LINEAGE_RATIO: fit.genes.lineage_ratio,
        keys.FIT_ARROW_EVIDENCE: fit.arrow.gene_evidence,
        f"{keys.FIT_BETA}_se": errors[:, 0],
        f"{keys.FIT_GAMMA}_se": errors[:, 1],
        f"{keys.FIT_T_ON}_se": errors[:, 2],
        f"{keys.FIT_T_OFF}se": fit.genes.last_switch_errors[:, 0],
    }
    return with_velocity_genes(gene_columns(columns, reading.genes, adata.n_vars))


def curve_columns(parameters: SoftParameters, genes: GeneGains | GeneTable, *, n_cells: int) -> dict[str, FloatArray]:
    """What the curves of the switch model are, and what they explain, ``(fitted genes,)`` each."""
    theta = parameters.theta
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
        keys.FIT_DISPERSION_U: parameters.unspliced_scatter,
        keys.FIT_DISPERSION_S: parameters.spliced_scatter,
        keys.FIT_LIKELIHOOD: np.exp(genes.log_likelihood / (2 * n_cells)),
        keys.FIT_GAIN: genes.gain,
        keys.FIT_DEVIANCE_EXPLAINED: genes.deviance_explained,
    }


def with_velocity_genes(var: dict[str, Any]) -> dict[str, Any]:
    """Mark the genes whose curve explains something."""
    explained = np.nan_to_num(var[keys.FIT_DEVIANCE_EXPLAINED], nan=-np.inf)
    return var | {keys.VELOCITY_GENES: explained > LEAST_EXPLAINED}


def _varm(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, FloatArray]:
    return lineage_columns(fit.parameters.theta, fit.states.layout, adata, reading)


def lineage_columns(theta: FloatArray, layout: Layout, adata: AnnData, reading: Reading) -> dict[str, FloatArray]:
    """Last switch and transcription after it, of each gene in each lineage, ``(all genes, lineages)``."""
    t_off = theta[:, [2]] + np.exp(theta[:, layout.durations])
    alpha = np.exp(theta[:, layout.last_levels] + theta[:, [1]])
    return {
        name: np.ascontiguousarray(all_genes(values.T, reading.genes, adata.n_vars).T)
        for name, values in ((keys.LINEAGE_T_OFF, t_off), (keys.LINEAGE_ALPHA, alpha))
    }


def _obs(fit: SoftFit) -> dict[str, Any]:
    cells = fit.cells
    names: Any = list(fit.lineage_names)
    return {
        keys.LINEAGE: pd.Categorical.from_codes(cells.lineages.argmax(axis=1), names),
        keys.LATENT_TIME: cells.mean,
        keys.LATENT_TIME_SD: cells.sd,
        keys.LATENT_TIME_CLOCK_SD: cells.clock_sd,
        keys.LATENT_TIME_Q05: cells.q05,
        keys.LATENT_TIME_Q95: cells.q95,
        keys.LATENT_TIME_ENTROPY: cells.entropy,
    }


def starts_record(adata: AnnData, starts: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """What the record of a run says of its starts: the table, where each root lies, and the next best root's lag."""
    starts = starts.copy()
    cell = starts["root_cell"].to_numpy()
    for column in _label_columns(adata):
        starts[f"root_{column}"] = np.asarray(adata.obs[column].iloc[cell].astype(str))
    starts["root_cell"] = np.asarray(adata.obs_names)[cell].astype(str)
    starts.index = starts.index.astype(str)
    return {"seconds_starts": seconds, "starts": starts, "root_margin": _root_margin(starts)}


def _label_columns(adata: AnnData) -> list[str]:
    """Columns of obs that sort the cells into groups, an earlier fit's lineages apart."""
    return [
        name
        for name in adata.obs.columns
        if isinstance(adata.obs[name].dtype, pd.CategoricalDtype)
        and name != keys.LINEAGE
        and 1 < adata.obs[name].nunique() <= MOST_LABELS
    ]


def _root_margin(starts: pd.DataFrame) -> float:
    """Log-likelihood of the best start over the best of those from another root; infinite if there is none."""
    others = starts[(starts["root_cell"] != starts["root_cell"].iloc[0]) & (starts["start"] != "reversed")]
    best = starts["log_likelihood"].iloc[0]
    return float(best - others["log_likelihood"].max()) if len(others) else float("inf")


def _uns(reading: Reading, fit: SoftFit) -> dict[str, Any]:
    moments = {} if _fitted_moments(reading) else {keys.MOMENTS: {"source": keys.FITTED_MEANS}}
    return moments | {
        keys.LINEAGES: _lineages(fit),
        keys.TIME_PRIOR: {
            "times": fit.states.times,
            "weights": fit.parameters.prior,
            "groups": np.array(fit.groups.names, dtype=object),
        },
        keys.KNOWLEDGE: _knowledge(fit),
        keys.TIME_ARROW: arrow_record(fit.arrow),
    }


def arrow_record(arrow: Arrow) -> dict[str, Any]:
    """Evidence for the direction of time."""
    return {
        "direction": "forward",
        "log_likelihood_margin": arrow.log_likelihood_margin,
        "margin_per_cell": arrow.log_likelihood_margin / arrow.n_cells,
        "n_cells": arrow.n_cells,
        "share_of_genes": arrow.share_of_genes,
        "probability": arrow.probability,
        "counts_probability": arrow.counts_probability,
        "knowledge_margin": arrow.knowledge_margin,
        "contested": arrow.contested,
        "least_margin": arrow.least_margin,
        "least_probability": CLEAR_PROBABILITY,
        "verdict": arrow.verdict,
    }


def _knowledge(fit: SoftFit) -> dict[str, Any]:
    """How each piece agrees with the fit, a row a piece, and its log weights."""
    table = pd.DataFrame(
        {
            "piece": [piece.title for piece in fit.knowledge],
            "n_cells": np.array([piece.n_cells for piece in fit.knowledge], dtype=np.int64),
            "nats": np.array([piece.nats for piece in fit.knowledge], dtype=np.float64),
            "correlation": np.array([piece.correlation for piece in fit.knowledge], dtype=np.float64),
            "in_conflict": np.array([piece.in_conflict for piece in fit.knowledge], dtype=bool),
        }
    )
    weights = {str(k): table for k, table in enumerate(fit.parameters.known)}
    return {"table": table.set_axis(table.index.astype(str)), "log_weights": weights}


def _lineages(fit: SoftFit) -> dict[str, Any]:
    """Names and shares of the lineages, and the table by which their number was chosen."""
    out: dict[str, Any] = {
        "names": np.array(fit.lineage_names, dtype=object),
        "shares": fit.cells.lineages.mean(axis=0),
    }
    if fit.lineage_choice is not None:
        out["choice"] = fit.lineage_choice.set_axis(fit.lineage_choice.index.astype(str))
    return out
