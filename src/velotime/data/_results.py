"""Results into an AnnData: the only place that fills its slots."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime._types import FloatArray, IntArray
from velotime.data import _keys as keys
from velotime.data._reading import Reading, tally
from velotime.inference import SoftEM, SoftFit, natural_rates

LEAST_EXPLAINED = 0.05  # deviance explained from which on a gene counts as a velocity gene


def write_soft_fit(adata: AnnData, reading: Reading, method: SoftEM, fit: SoftFit, *, seed: int) -> None:
    """Write a :class:`SoftFit`; everything is computed before the first slot is touched."""
    layers = _layers(adata, reading, fit)
    var = _var(adata, reading, fit)
    obs = _obs(fit)
    uns = _uns(adata, reading, method, fit, seed)
    varm = _varm(adata, reading, fit)
    adata.layers.update(layers)
    for name, column in var.items():
        adata.var[name] = column
    for name, values in obs.items():
        adata.obs[name] = values
    adata.obsm[keys.LINEAGE_POSTERIOR] = fit.cells.lineages
    adata.varm.update(varm)
    adata.uns.update(uns)


def _layers(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, FloatArray]:
    cells = fit.cells
    time = np.repeat(cells.mean.astype(np.float32)[:, None], len(reading.genes), axis=1)
    return {
        name: _all_genes(values, reading.genes, adata.n_vars)
        for name, values in (
            (keys.MS, cells.spliced),
            (keys.MU, cells.unspliced),
            (keys.VELOCITY, cells.velocity),
            (keys.VELOCITY_U, cells.velocity_u),
            (keys.VELOCITY_SD, cells.velocity_sd),
            (keys.FIT_T, time),
        )
    }


def _all_genes(values: FloatArray, genes: IntArray, n_genes: int) -> FloatArray:
    """Columns of the fitted genes among all, NaN elsewhere; not copied if all are there."""
    if len(genes) == n_genes:
        return values
    wide = np.full((values.shape[0], n_genes), np.nan, dtype=values.dtype)
    wide[:, genes] = values
    return wide


def _var(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, Any]:
    theta, errors = fit.parameters.theta, fit.genes.standard_errors
    rates = natural_rates(theta)
    n_counts = 2 * fit.cells.mean.shape[0]
    t_off = rates["t_on"] + np.exp(theta[:, 6])
    columns = {
        keys.FIT_ALPHA: rates["alpha_1"],
        keys.FIT_ALPHA_0: rates["alpha_0"],
        keys.FIT_ALPHA_2: np.exp(theta[:, 7]) * rates["gamma"],
        keys.FIT_BETA: rates["beta"],
        keys.FIT_GAMMA: rates["gamma"],
        keys.FIT_T_ON: rates["t_on"],
        keys.FIT_T_OFF: t_off,
        keys.FIT_SCALING: rates["scaling"],
        keys.FIT_DISPERSION_U: fit.parameters.unspliced_scatter,
        keys.FIT_DISPERSION_S: fit.parameters.spliced_scatter,
        keys.FIT_LIKELIHOOD: np.exp(fit.genes.log_likelihood / n_counts),
        keys.FIT_LINEAGE_RATIO: fit.genes.lineage_ratio,
        keys.FIT_GAIN: fit.genes.gain,
        keys.FIT_ARROW_EVIDENCE: fit.arrow.gene_evidence,
        keys.FIT_DEVIANCE_EXPLAINED: fit.genes.deviance_explained,
        f"{keys.FIT_BETA}_se": errors[:, 0],
        f"{keys.FIT_GAMMA}_se": errors[:, 1],
        f"{keys.FIT_T_ON}_se": errors[:, 2],
        f"{keys.FIT_T_OFF}se": np.hypot(errors[:, 2], errors[:, 6] * np.exp(theta[:, 6])),
    }
    out: dict[str, Any] = {
        name: _all_genes(values[None], reading.genes, adata.n_vars)[0] for name, values in columns.items()
    }
    out[keys.FIT_STATUS] = pd.Categorical(reading.fit_status.astype(str))
    explained = np.nan_to_num(out[keys.FIT_DEVIANCE_EXPLAINED], nan=-np.inf)
    out[keys.VELOCITY_GENES] = explained > LEAST_EXPLAINED
    return out


def _varm(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, FloatArray]:
    """Last switch and transcription after it, of each gene in each lineage."""
    theta, layout = fit.parameters.theta, fit.states.layout
    t_off = theta[:, [2]] + np.exp(theta[:, layout.durations])
    alpha = np.exp(theta[:, layout.last_levels] + theta[:, [1]])
    return {
        name: np.ascontiguousarray(_all_genes(values.T, reading.genes, adata.n_vars).T)
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


def _uns(adata: AnnData, reading: Reading, method: SoftEM, fit: SoftFit, seed: int) -> dict[str, Any]:
    starts = fit.starts.copy()
    starts["root_cell"] = np.asarray(adata.obs_names)[starts["root_cell"]].astype(str)
    starts.index = starts.index.astype(str)
    unspliced, spliced = reading.layers
    arrow = fit.arrow
    return {
        keys.RECOVER_DYNAMICS: {
            "method": type(method).__name__,
            "settings": _plain(method),
            "status": fit.status.value,
            "status_text": fit.status.text,
            "iterations": len(fit.trace.bound),
            "bound": fit.trace.bound,
            "temperature": fit.trace.temperature,
            "log_likelihood": fit.log_likelihood,
            "seconds": fit.seconds,
            "seconds_starts": fit.seconds_starts,
            "n_cells": len(fit.cells.mean),
            "n_genes": len(reading.genes),
            "left_out": tally(reading.fit_status),
            "layers": {"unspliced": unspliced, "spliced": spliced},
            "seed": seed,
            "starts": starts,
            "units": "relative",
            "version": version("velotime"),
        },
        keys.LINEAGES: _lineages(fit),
        keys.TIME_PRIOR: {"times": fit.states.times, "weights": fit.parameters.prior},
        keys.TIME_ARROW: {
            "direction": "forward",
            "log_likelihood_margin": arrow.log_likelihood_margin,
            "margin_per_cell": arrow.log_likelihood_margin / arrow.n_cells,
            "n_cells": arrow.n_cells,
            "share_of_genes": arrow.share_of_genes,
            "probability": arrow.probability,
            "verdict": arrow.verdict,
        },
        keys.VELOCITY_PARAMS: {
            "mode": "dynamical",
            "fit_offset": False,
            "perc": np.array([5, 95]),
        },
    }


def _lineages(fit: SoftFit) -> dict[str, Any]:
    """Names and shares of the lineages, and the table by which their number was chosen."""
    out: dict[str, Any] = {
        "names": np.array(fit.lineage_names, dtype=object),
        "shares": fit.cells.lineages.mean(axis=0),
    }
    if fit.lineage_choice is not None:
        out["choice"] = fit.lineage_choice.set_axis(fit.lineage_choice.index.astype(str))
    return out


def _plain(value: Any) -> Any:
    """Settings as what an .h5ad can hold: nested dicts, numbers, texts; None becomes "none"."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"name": type(value).__name__, **{k: _plain(getattr(value, k)) for k in asdict(value)}}
    if value is None:
        return "none"
    return np.asarray(value) if isinstance(value, tuple) else value
