"""Slots of a fit by ``SoftEM``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime._types import FloatArray
from velotime.data.reading import Reading
from velotime.data.slots import Slots, gene_columns, gene_rows, slots_of
from velotime.data.stored.effects import capture_columns, samples_record
from velotime.data.stored.gene_columns import lineage_columns, rate_columns
from velotime.inference import (
    Arrow,
    GeneGains,
    GeneTable,
    OverStates,
    SoftFit,
    SoftParameters,
    rivals_table,
    with_others,
)
from velotime.kinetics import is_smooth

LEAST_EXPLAINED = 0.5  # of what the clock can say of a gene: from then on it counts as a velocity gene
MOST_LABELS = 60  # a column with more labels makes no groups


@slots_of.register
def _(fit: SoftFit, adata: AnnData, reading: Reading) -> Slots:
    return Slots(
        layers=_layers(reading, fit),
        obs=_obs(fit),
        var=_var(adata, reading, fit),
        obsm={
            keys.LINEAGE_POSTERIOR: fit.cells.lineages,
            keys.TIME_POSTERIOR: sparse.csr_matrix(fit.cells.posterior),
        },
        varm=gene_rows(_joined(_matrices, fit), reading.with_curves, adata.n_vars),
        uns=_uns(adata, reading, fit),
        record=starts_record(adata, fit.starts, fit.seconds_starts) | {keys.STATE_TIMES: fit.cells.states.times},
    )


def _layers(reading: Reading, fit: SoftFit) -> dict[str, Callable[[], FloatArray]]:
    """Velocities, and the fitted means as Ms and Mu, the state that goes with them, unless moments were fitted."""
    cells, variance = fit.cells, _joined(_matrices, fit)[keys.VELOCITY_VARIANCE]
    over = OverStates(cells.states, np.concatenate([p.theta for p, _ in _parts(fit)]), cells.posterior)
    off = None if fit.not_cycling is None else fit.not_cycling.probability
    u, s = _joined(_others, fit).values()
    means = {
        keys.MS: lambda: with_others(over.spliced(), off, s),
        keys.MU: lambda: with_others(over.unspliced(), off, u),
    }
    return ({} if _fitted_moments(reading) else means) | {
        keys.VELOCITY: lambda: with_others(over.velocity(), off),
        keys.VELOCITY_U: lambda: with_others(over.velocity_u(), off),
        keys.VELOCITY_SD: lambda: over.velocity_sd(variance, fit.states),
        keys.FIT_T: lambda: same_for_all(cells.mean, len(reading.with_curves)),
    }


def same_for_all(time: FloatArray, n_genes: int) -> FloatArray:
    """The cells' times for each gene, ``(cells, genes)``, float32."""
    return np.repeat(time.astype(np.float32)[:, None], n_genes, axis=1)


def _fitted_moments(reading: Reading) -> bool:
    """Whether Ms or Mu were read: then they are the data, and stay."""
    return not {keys.MS, keys.MU}.isdisjoint(reading.layers)


def _parts(fit: SoftFit) -> list[tuple[SoftParameters, GeneTable]]:
    """Genes of the clock, and those left out of it."""
    others = [] if fit.left_out is None else [(fit.left_out.parameters, fit.left_out.genes)]
    return [(fit.parameters, fit.genes), *others]


def _joined(
    columns: Callable[[SoftFit, SoftParameters, GeneTable], dict[str, FloatArray]], fit: SoftFit
) -> dict[str, FloatArray]:
    """Columns of all genes with curves, those of the clock first."""
    parts = [columns(fit, *part) for part in _parts(fit)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _matrices(fit: SoftFit, parameters: SoftParameters, genes: GeneTable) -> dict[str, FloatArray]:
    """What each gene has of each sample, lineage or state."""
    return (
        capture_columns(parameters)
        | lineage_columns(_as_switch(fit, parameters))
        | {keys.VELOCITY_VARIANCE: genes.velocity_variance.astype(np.float32)}
    )


def _var(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, Any]:
    evidence = np.append(fit.arrow.gene_evidence, np.full(len(reading.other_genes), np.nan))
    columns = _joined(_columns, fit) | {keys.FIT_ARROW_EVIDENCE: evidence}
    var = with_velocity_genes(gene_columns(columns, reading.with_curves, adata.n_vars))
    var[keys.VELOCITY_GENES][reading.other_genes] = False
    return _with_shapes(var)


def _columns(fit: SoftFit, parameters: SoftParameters, genes: GeneTable) -> dict[str, FloatArray]:
    errors, switches = genes.standard_errors, genes.switches
    as_switch = replace(parameters, theta=_as_switch(fit, parameters))
    return {
        **curve_columns(as_switch, genes, n_cells=int(np.isfinite(fit.cells.mean).sum())),
        **_on_a_circle(fit, parameters),
        **background_columns(parameters),
        **(_others(fit, parameters, genes) if fit.not_cycling is not None and fit.not_cycling.state else {}),
        keys.FIT_CHECK_MEANS: genes.check_means,
        keys.FIT_CHECK_ZEROS: genes.check_zeros,
        keys.FIT_VARIATION_EXPLAINED: genes.variation_explained,
        keys.FIT_LINEAGE_RATIO: genes.lineage_ratio,
        f"{keys.FIT_BETA}_se": errors[:, 0],
        f"{keys.FIT_GAMMA}_se": errors[:, 1],
        f"{keys.FIT_T_ON}_se": errors[:, 2],
        f"{keys.FIT_T_OFF}se": genes.last_switch_errors[:, 0],
        keys.FIT_T_ON_Q05: switches.t_on[:, 0],
        keys.FIT_T_ON_Q95: switches.t_on[:, 1],
        keys.FIT_T_OFF_Q05: switches.t_off[:, 0],
        keys.FIT_T_OFF_Q95: switches.t_off[:, 1],
        keys.FIT_UNIQUE: switches.unique.astype(np.float64),
    }


def _others(fit: SoftFit, parameters: SoftParameters, genes: GeneTable) -> dict[str, FloatArray]:
    """Means of cells that do not cycle, at size factor 1; NaN where there are none, and of genes left out."""
    state = None if fit.not_cycling is None else fit.not_cycling.state
    known = state is not None and parameters is fit.parameters
    u, s = state.means if state is not None and known else np.full((2, len(genes.gain)), np.nan)
    return {keys.FIT_NOT_CYCLING_U: u, keys.FIT_NOT_CYCLING_S: s}


def _as_switch(fit: SoftFit, parameters: SoftParameters) -> FloatArray:
    """Curves in the parameters of the switch model."""
    return fit.states.curve.as_switch(parameters.theta)


def _on_a_circle(fit: SoftFit, parameters: SoftParameters) -> dict[str, FloatArray]:
    """Rates less those at which cells that double once a turn dilute what they hold, and shapes; nothing on a line."""
    if fit.origin is None:
        return {}
    rates = np.exp(parameters.theta[:, :2]) - np.log(2)
    return {
        keys.FIT_BETA_UNDILUTED: rates[:, 0],
        keys.FIT_GAMMA_UNDILUTED: rates[:, 1],
        keys.FIT_SHAPE: is_smooth(parameters.theta).astype(np.float64),
    }


def _with_shapes(var: dict[str, Any]) -> dict[str, Any]:
    """Shapes in words, where genes have one."""
    if keys.FIT_SHAPE not in var:
        return var
    words = pd.Series(var[keys.FIT_SHAPE]).map({0.0: keys.SWITCH, 1.0: keys.SMOOTH})
    return var | {keys.FIT_SHAPE: pd.Categorical(words, categories=[keys.SWITCH, keys.SMOOTH])}


def curve_columns(parameters: SoftParameters, genes: GeneGains | GeneTable, *, n_cells: int) -> dict[str, FloatArray]:
    """What the curves of the switch model are, and what they explain, ``(fitted genes,)`` each."""
    return rate_columns(parameters.theta) | {
        keys.FIT_DISPERSION_U: parameters.unspliced_scatter,
        keys.FIT_DISPERSION_S: parameters.spliced_scatter,
        keys.FIT_LIKELIHOOD: np.exp(genes.log_likelihood / (2 * n_cells)),
        keys.FIT_GAIN: genes.gain,
        keys.FIT_DEVIANCE_EXPLAINED: genes.deviance_explained,
    }


def background_columns(parameters: SoftParameters) -> dict[str, FloatArray]:
    """Counts of each gene in every cell whatever its state, ``(fitted genes,)`` each; of samples their mean."""
    if parameters.effects is not None:
        u, s = parameters.effects.besides @ parameters.effects.share
    else:
        u, s = np.zeros((2, len(parameters.theta))) if parameters.background is None else parameters.background
    return {keys.FIT_BACKGROUND_U: u, keys.FIT_BACKGROUND_S: s}


def with_velocity_genes(var: dict[str, Any]) -> dict[str, Any]:
    """Mark the genes whose curve explains half of what the clock can, or more."""
    explained = np.nan_to_num(var[keys.FIT_DEVIANCE_EXPLAINED], nan=-np.inf)
    return var | {keys.VELOCITY_GENES: explained > LEAST_EXPLAINED}


def _obs(fit: SoftFit) -> dict[str, Any]:
    cells = fit.cells
    names: Any = list(fit.lineage_names)
    if fit.origin is not None:
        return {
            keys.LINEAGE: pd.Categorical.from_codes(cells.lineages.argmax(axis=1), names),
            keys.CYCLE_PHASE: cells.mean,
            keys.CYCLE_PHASE_SD: cells.sd,
            keys.CYCLE_PHASE_CLOCK_SD: cells.clock_sd,
            keys.CYCLE_PHASE_Q05: cells.q05,
            keys.CYCLE_PHASE_Q95: cells.q95,
            keys.CYCLE_PHASE_ENTROPY: cells.entropy,
            **({} if fit.not_cycling is None else {keys.NOT_CYCLING: fit.not_cycling.probability}),
        }
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
    starts = with_root_labels(adata, starts)
    return {"seconds_starts": seconds, "starts": starts, "root_margin": _root_margin(starts)}


def with_root_labels(adata: AnnData, table: pd.DataFrame) -> pd.DataFrame:
    """A table of starts with the names of their root cells, and the groups that these lie in."""
    table = table.copy()
    cell = table["root_cell"].to_numpy()
    for column in _label_columns(adata):
        table[f"root_{column}"] = np.asarray(adata.obs[column].iloc[cell].astype(str))
    table["root_cell"] = np.asarray(adata.obs_names)[cell].astype(str)
    return table.set_axis(table.index.astype(str))


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
    """Log-likelihood of the chosen start over the best of those from another root; infinite if there is none.

    Negative where the search liked another root better and all genes decided for the best start run backwards.
    """
    chosen = starts[starts["chosen"]].iloc[0]
    others = starts[(starts["root_cell"] != chosen["root_cell"]) & (starts["start"] != "reversed")]
    return float(chosen["log_likelihood"] - others["log_likelihood"].max()) if len(others) else float("inf")


def _uns(adata: AnnData, reading: Reading, fit: SoftFit) -> dict[str, Any]:
    moments = {} if _fitted_moments(reading) else {keys.MOMENTS: {"source": keys.FITTED_MEANS}}
    origin, cycle = fit.origin, {}
    if origin is not None:
        cycle = {"origin": origin.by, "origin_sd": origin.sd, "origin_q05": origin.low, "origin_q95": origin.high}
        cycle |= {} if fit.not_cycling is None else {keys.NOT_CYCLING: fit.not_cycling.share}
    return (
        moments
        | ({keys.CYCLE: cycle} if cycle else {})
        | samples_record(fit.parameters, fit.samples)
        | {
            keys.LINEAGES: _lineages(fit),
            keys.TIME_PRIOR: {
                "times": fit.states.times,
                "weights": fit.parameters.prior,
                "groups": np.array(fit.groups.names, dtype=object),
            }
            | ({} if fit.parameters.parting is None else {"parting": fit.parameters.parting}),
            keys.KNOWLEDGE: _knowledge(fit),
            keys.BACKGROUND: dict(zip(("unspliced", "spliced"), map(float, fit.background_shares), strict=True)),
            keys.TIME_ARROW: arrow_record(adata, fit.arrow),
            keys.FIT_VERDICT: _fit_verdict(fit),
        }
    )


def arrow_record(adata: AnnData, arrow: Arrow) -> dict[str, Any]:
    """Evidence for the direction of time, and the table of its rivals."""
    return {
        "rivals": with_root_labels(adata, rivals_table(arrow.rivals)),
        "direction": "forward",
        "log_likelihood_margin": arrow.log_likelihood_margin,
        "margin_per_cell": arrow.log_likelihood_margin / arrow.n_cells,
        "n_cells": arrow.n_cells,
        "share_of_genes": arrow.share_of_genes,
        "knowledge_margin": arrow.knowledge_margin,
        "contested": arrow.contested,
        "whole_numbers": arrow.whole_numbers,
        "least_margin": arrow.least_margin,
        "verdict": arrow.verdict,
        "reason": "; ".join(arrow.doubts),
    }


def _knowledge(fit: SoftFit) -> dict[str, Any]:
    """How each piece agrees with the fit, one row per piece, and its log weights."""
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
    """Names and shares of the lineages, and what said how many there are where that was left to the data."""
    out: dict[str, Any] = {
        "names": np.array(fit.lineage_names, dtype=object),
        "shares": fit.cells.lineages.mean(axis=0),
    }
    if fit.lineage_votes is not None:
        out["votes"] = np.array(fit.lineage_votes.numbers, dtype=np.int64)
        out["dropped"] = np.array(fit.lineage_votes.dropped, dtype=np.float64)
        if fit.lineage_votes.small_fates:
            columns = ["n_cells", "agreement", "told_apart"]
            out["small_fates"] = pd.DataFrame(fit.lineage_votes.small_fates, columns=columns).rename(index=str)
        out["at_bound"] = fit.at_bound
    return out


def _fit_verdict(fit: SoftFit) -> dict[str, Any]:
    """Whether the model fits: the word, why, and the numbers that it rests on."""
    return {"verdict": fit.fit_verdict.word, "reason": fit.fit_verdict.reason, **fit.fit_verdict.numbers}
