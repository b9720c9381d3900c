"""Fits of half of the cells, again and again: intervals that depend on no formula."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.random import Generator

from velotime import _keys as keys
from velotime._check import N_JOBS, RNG, Flag, Whole, checked, seed_of
from velotime._log import told
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute.threads import at_most_threads
from velotime.data import Fitted, gene_columns, restore_soft_fit, stored_method, write_derived
from velotime.data.arguments import ADATA
from velotime.inference import (
    LEAST_LABELLED,
    CellLabels,
    Clock,
    Observations,
    Restored,
    SoftEM,
    place_all,
    pooled_interval,
)
from velotime.tl._geometry import place_cells
from velotime.tl._progress import ProgressBar


@dataclass(frozen=True)
class _Replicate:
    """One fit of half of the cells, on the clock of the whole fit."""

    mean: FloatArray
    sd: FloatArray
    log_rates: FloatArray
    agrees: bool


@checked({"adata": ADATA, "n_replicates": Whole(2), "rng": RNG, "progress": Flag(), "n_jobs": N_JOBS})
def resample(
    adata: AnnData,
    *,
    n_replicates: int = 10,
    rng: int | Generator = 0,
    progress: bool = True,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Fit random halves of the cells from starts of their own, and see how far times, rates and direction vary.

    The intervals of :func:`recover_dynamics` hold for the direction, lineages and optimum that were found. These do
    not: each replicate searches its start again. All cells are then placed on its curves, and its clock is brought to
    that of the whole fit by a linear regression (a relative clock has neither origin nor unit), or by a rotation where
    it goes round. Estimates from random halves without replacement scatter around that of the whole as the latter does
    around the truth, as ``1/m - 1/n = 1/n`` for m = n/2. (Half-sampling, McCarthy 1969.) Of labels that the method was
    told of, each half holds 10 cells or more, as fewer would not be informative.

    Parameters
    ----------
    adata
        Fitted with :func:`recover_dynamics` and ``SoftEM``. The method and its settings are those of the fit.
    n_replicates
        Number of halves, each about as much work as the fit. 10 tell a sd within a quarter.
    rng
        A seed, or a ``numpy.random.Generator``, which is asked for one. The same seed gives the same result.
    progress
        Show a progress bar for each fit, unless ``scanpy.settings.verbosity`` is 0.
    n_jobs
        Threads at most, -1 for all cores; by default ``NUMBA_NUM_THREADS``, or all cores. The result is the same.

    Returns
    -------
    One row per replicate: ``agrees`` (does its time run as that of the fit) and ``correlation`` (Spearman, absolute;
    of phases that of Fisher and Lee). Writes

    ``obs["latent_time_resampled_sd"]``, ``["latent_time_resampled_q05"]``, ``["latent_time_resampled_q95"]``
        Of the mixture of the replicates' posteriors, each a normal truncated to the clock. float. Of a clock that goes
        round ``cycle_phase_resampled_sd``, ``_q05`` and ``_q95``: from the one up to the other, through 1 where that
        is less.
    ``var["fit_beta_resampled_se"]``, ``var["fit_gamma_resampled_se"]``
        Of the log rate: standard deviation over replicates, and what the prior of the rates adds, which replicates do
        not show as it draws all of them the same way. float.
    ``uns["resample"]``
        ``share_agreeing``: share of the replicates whose time runs as that of the fit; ``n_replicates``.

    Raises
    ------
    InputError
        If nothing is fitted, the counts are not those of the fit, or ``n_replicates`` is less than 2.
    """
    genes, fitted = restore_soft_fit(adata)
    method, observations, labels = stored_method(adata)
    whole = Fitted.of(adata)
    clock, on_clock = whole.curve.clock, np.flatnonzero(np.isfinite(whole.latent_time))
    time = whole.latent_time[on_clock]
    replicates, rows = [], []
    for own in np.random.default_rng(seed_of(rng)).spawn(n_replicates):
        half = _draw_half(observations, labels, method, own)
        with at_most_threads(n_jobs), told(f"fitting half of the cells, {len(rows) + 1} of {n_replicates}"):
            placed = _fit_half(method, observations, labels, half, own, progress=progress)
        replicates.append(_on_clock(clock, placed, on_clock, time))
        agrees, found = replicates[-1].agrees, placed.latent_time[on_clock]
        rows.append({"agrees": agrees, "correlation": abs(clock.correlation(found, time))})
    _write(whole, genes, replicates, fitted.shrinkage[:, :2])
    return pd.DataFrame(rows)


def _draw_half(observations: Observations, labels: CellLabels, method: SoftEM, rng: Generator) -> IntArray:
    """Half of the cells, one that may be the root at least, and enough cells of each label that the method was told of.

    A label with 10 cells or more keeps 10 of them: half of them may be too few to say anything.
    """
    n_cells = len(labels.names)
    drawn = np.zeros(n_cells, dtype=bool)
    drawn[observations.draw(n_cells // 2, rng, method.landmarks(labels), most_included=1)] = True
    shuffled = observations.content_order[rng.permutation(n_cells)]
    for column in method.columns:
        code, names = pd.factorize(labels.columns[column])
        for k in range(len(names)):
            own = shuffled[code[shuffled] == k]
            missing = min(LEAST_LABELLED, len(own)) - int(drawn[own].sum())
            if len(own) >= LEAST_LABELLED and missing > 0:
                drawn[own[~drawn[own]][:missing]] = True
    return np.flatnonzero(drawn)


def _fit_half(
    method: SoftEM, observations: Observations, labels: CellLabels, half: IntArray, rng: Generator, *, progress: bool
) -> Restored:
    """Curves of half of the cells, and all cells placed on them."""
    some = observations.select_cells(half)
    known = labels.take(half)
    geometry = place_cells(some, rng, counts=method.noise.counts, include=method.landmarks(known))
    with ProgressBar(show=progress) as bar:
        fit = method.fit(some, geometry, labels=known, rng=rng, watch=bar)
    return place_all(method, observations, labels, fit)


def _on_clock(clock: Clock, placed: Restored, cells: IntArray, time: FloatArray) -> _Replicate:
    """Of ``cells``, which have these times in the whole fit."""
    mean, sd = (of_all[cells] for of_all in placed.time_moments)
    mean, slope = clock.onto(mean, time)
    log_rates = placed.parameters.theta[:, :2] - np.log(abs(slope))
    return _Replicate(mean, abs(slope) * sd, log_rates, slope > 0)


def _times(clock: Clock, replicates: list[_Replicate]) -> dict[str, FloatArray]:
    """Standard deviation and ends of the interval of each cell's time, by name.

    The truth lies as far from the whole fit as a replicate does, and the mean of n replicates as far from that as one
    of n does: 1 + 1/n of their variance.
    """
    mean = np.stack([one.mean for one in replicates])
    sd, n = np.stack([one.sd for one in replicates]), len(mean)
    middle = clock.mean(np.full(n, 1 / n), mean)
    scatter = (1 + 1 / n) * (clock.away(mean, middle) ** 2).sum(axis=0) / (n - 1)
    total = np.sqrt((sd**2).mean(axis=0) + scatter)
    times, about = clock.unrolled(mean, middle)
    ends = pooled_interval(about + np.sqrt((n + 1) / (n - 1)) * (times - about), sd, total)
    low, high = (clock.rolled(end, middle) for end in ends)
    return {"sd": total, "q05": low, "q95": high}


def _to_all(values: FloatArray, on_clock: BoolArray) -> FloatArray:
    """NaN for cells that are on no clock."""
    out = np.full(len(on_clock), np.nan)
    out[on_clock] = values
    return out


def _write(whole: Fitted, genes: IntArray, replicates: list[_Replicate], shrinkage: FloatArray) -> None:
    adata, times = whole.adata, _times(whole.curve.clock, replicates)
    on_clock = np.isfinite(whole.latent_time)
    obs = {f"{whole.time_slot}_resampled_{name}": _to_all(values, on_clock) for name, values in times.items()}
    spread = np.sqrt(np.stack([one.log_rates for one in replicates]).var(axis=0, ddof=1) + shrinkage)
    errors = {f"{name}_resampled_se": spread[:, k] for k, name in enumerate((keys.FIT_BETA, keys.FIT_GAMMA))}
    record = {
        "share_agreeing": float(np.mean([one.agrees for one in replicates])),
        "n_replicates": len(replicates),
    }
    var = gene_columns(errors, genes, adata.n_vars)
    write_derived(adata, keys.RESAMPLE, {"obs": obs, "var": var, "uns": {keys.RESAMPLE: record}})
