"""Latent time in hours, and rates per hour."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import Either, Number, Optional, Text, checked
from velotime._numbers import number, percent
from velotime._status import InputError, UnclearWarning
from velotime.data import AGREE, Fitted, leaves_as_it_was, write_derived
from velotime.data.arguments import ADATA, COLUMN
from velotime.inference import (
    DegradationRates,
    RankAgreement,
    Scale,
    hours_from_half_lives,
    hours_from_labels,
)
from velotime.tl._hours.half_lives import HalfLives, match_genes
from velotime.tl._hours.labelled import LabelledLayers, Labels
from velotime.tl._hours.slots import hours_slots

LEAST_GENES = 10  # below which ranks tell next to nothing
DISAGREE, OPEN = "disagree", "open"
WIDEST = 3.0  # times from the low to the high end of an interval that is still called hours
CURES = {
    "half-lives": "more genes may settle it",
    "labelled counts": "several times of labelling, some of an hour or two, and both layers tell more",
}
SHORT, LONG = 0.2, 60.0  # hours: a median half-life beyond them is no half-life of mRNA in hours


@dataclass(frozen=True)
class _Found:
    """What was found, before it is written.

    Attributes
    ----------
    by
        What says it.
    what
        What is compared, in words.
    scale, agreement
        As found.
    table
        A row per gene that was used.
    more
        What else is recorded.
    """

    by: str
    what: str
    scale: Scale
    agreement: RankAgreement
    table: pd.DataFrame
    more: dict[str, Any] = field(default_factory=dict)


@checked(
    {
        "adata": ADATA,
        "half_lives": Optional(HalfLives()),
        "labelled": Optional(LabelledLayers()),
        "hours": Optional(Either((Number(0, open_least=True), Text("the name of an obs column")))),
        "samples": Optional(COLUMN),
        "doubling_time": Optional(Number(0, open_least=True)),
    }
)
@leaves_as_it_was
def to_real_time(
    adata: AnnData,
    *,
    half_lives: Any = None,
    labelled: Any = None,
    hours: float | str | None = None,
    samples: str | None = None,
    doubling_time: float | None = None,
) -> pd.DataFrame:
    r"""Put latent time in hours and rates per hour, by known half-lives or by labelled counts.

    The fitted clock is physical time up to its unit: one number, the hours H that all of it takes, or one turn where it
    goes round.

    **By half-lives.** A spliced mRNA with a half-life of h hours has ``gamma = H ln 2/h``, so every gene says
    ``log H = log gamma - log(ln 2/h)``, the prior of the fitted log gamma taken off. **By labelled counts.** After tau
    hours of labelling the share of a gene's counts that is new follows from its curve and rates, as what was made since
    ``tau/H`` ago; new counts are binomial, with one conversion for each sample, and each gene's rates are integrated
    out over what the fit leaves open of them.

    Genes scatter around what they have in common by Student's t with four degrees of freedom and a scale that is
    learned, so that single wrong genes do little; H is that of largest likelihood, its 90 % interval that of the
    profile. **It is given only if the genes agree:** the ranks of what is known and what is fitted must correlate by
    0.3 or more and more than by chance (p of 0.02). If they do not, or leave H open, a warning says so, the record too,
    and no hours are written.

    Parameters
    ----------
    adata
        Fitted with :func:`recover_dynamics` on a clock that all genes share; for labelled counts with ``SoftEM``, on
        counts.
    half_lives
        Of spliced mRNA, in hours: a Series, dict or DataFrame by gene, named as ``var_names`` or as a column of ``var``
        (symbols or Ensembl's identifiers; their versions do not count). Ten genes or more must be among those whose
        rates the counts tell. From actinomycin D or corrected for growth: without dilution.
    labelled
        In place of half-lives: the layers of labelled counts among the unspliced and among the spliced counts, in this
        order, as of scSLAM-seq, scNT-seq or sci-fate. Both together tell most; None for one that is not there.
    hours
        For how long the cells were labelled: a number, or an obs column of numbers. Cells with 0 or nothing there are
        not read. Needed with ``labelled``.
    samples
        An obs column: in each of its samples another share of the new molecules may be seen as new. By default the
        share is the same in all cells.
    doubling_time
        Hours in which cells double, which dilutes what they hold: their degradation in the fit is that of the
        half-lives and ``ln 2/doubling_time``. None by default: cells that do not divide. A clock that goes round has
        the division in it.

    Returns
    -------
    A row for each gene that was used. By half-lives: ``given`` and ``fitted`` half-life (hours, the latter at H),
    ``ratio`` of these, and whether it ``disagrees`` with the others. By labelled counts: ``labelled`` and ``expected``
    share of its counts, ``ratio`` of expected over labelled, ``disagrees``. Writes

    ``uns["real_time"]``
        ``by``, ``verdict`` ("agree", "disagree" or "open") and ``reason``; ``n_genes``, ``rank_correlation``,
        ``chance``, ``slope`` of fitted over known in logs, with ``slope_low`` and ``slope_high`` (1 if all is well),
        ``scatter`` (sd of single genes' log H, or log rates), ``growth_per_hour``, ``disagreeing`` genes; by labelled
        counts also ``conversion`` of the ``samples`` and ``splicing``, a factor by which fitted splicing rates are off
        together. If they agree, ``hours_per_clock``, ``hours_per_clock_low`` and ``_high`` (90 %).
    ``obs["latent_time_hours"]``, ``obs["latent_time_hours_sd"]``
        Hours since the clock began; ``cycle_phase_hours`` where it goes round. float.
    ``var["fit_gamma_per_hour"]`` and likewise ``fit_alpha``, ``fit_alpha_0``, ``fit_alpha_2``, ``fit_beta``
        Rates per hour, dilution in them. float. Velocities per hour: ``layers["velocity"]`` over ``hours_per_clock``.
    ``var["fit_half_life_hours"]``, ``_low``, ``_high``, ``var["fit_splicing_half_life_hours"]``
        ``ln 2/gamma`` without dilution, with 90 % intervals that hold the error of H; ``ln 2/beta``. NaN where
        dilution is all that is left of gamma.

    Raises
    ------
    InputError
        If nothing is fitted, genes have clocks of their own, fewer than ten genes are left, both or none of half-lives
        and labelled counts are given, or the layers hold what labelled counts cannot be.

    Warns
    -----
    UnclearWarning
        If the genes do not agree, leave the hours open, or half-lives do not look like hours.

    Notes
    -----
    Size factors from the totals of a few hundred genes bend curves where total expression changes along the clock, and
    hours with them; store those of all genes in ``obs["initial_size_spliced"]`` and ``obs["initial_size_unspliced"]``
    before genes are chosen. ``benchmarks/hours.py`` measures how well hours are told.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(300, 60, rng=np.random.default_rng(0), mean_unspliced=1.0, mean_spliced=3.0)
    >>> vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=1, max_iterations=10), progress=False)
    >>> table = vt.tl.to_real_time(adata, half_lives=vt.simulation.half_lives(adata))
    >>> bool(30 < adata.uns["real_time"]["hours_per_clock"] < 75)
    True
    """
    fitted = Fitted.of(adata).require("curves")
    growth = _growth(fitted, doubling_time)
    if (half_lives is None) == (labelled is None):
        which = "none of them was" if labelled is None else "both were"
        raise InputError(f"to_real_time: give half_lives=... or labelled=(...), hours=...; {which} given.")
    if labelled is None:
        _no_labels(hours, samples)
        found = _by_half_lives(fitted, half_lives, growth)
    else:
        found = _by_labels(fitted, _labels(labelled, hours, samples))
    verdict, reason = _verdict(found)
    record = _record(found) | {"verdict": verdict, "reason": reason, "growth_per_hour": growth}
    slots: dict[str, dict[str, Any]] = {"uns": {keys.REAL_TIME: record}}
    if verdict == AGREE:
        ends = np.exp([found.scale.log_hours, found.scale.low, found.scale.high])
        record |= {f"hours_per_clock{end}": float(at) for end, at in zip(("", "_low", "_high"), ends, strict=True)}
        slots |= hours_slots(fitted, found.scale, growth)
    write_derived(adata, keys.REAL_TIME, slots)
    if verdict != AGREE:
        warnings.warn(UnclearWarning(f"no hours: {reason}."), stacklevel=4)
    return found.table


def _no_labels(hours: float | str | None, samples: str | None) -> None:
    """Refuse what is said of labels where there are none."""
    if hours is not None or samples is not None:
        raise InputError(
            "to_real_time: hours=... and samples=... say how cells were labelled; give labelled=(...) too."
        )


def _labels(labelled: tuple[str | None, str | None], hours: float | str | None, samples: str | None) -> Labels:
    if hours is None:
        raise InputError("to_real_time: labelled=(...) needs hours=..., for how long the cells were labelled.")
    return Labels(labelled, hours, samples)


def _growth(fitted: Fitted, doubling_time: float | None) -> float:
    """Per hour."""
    if doubling_time is None:
        return 0.0
    if fitted.goes_round:
        raise InputError(
            f"doubling_time={doubling_time:g}: a clock that goes round has the division in it, and its rates are given "
            "without dilution already; leave doubling_time out."
        )
    return float(np.log(2) / doubling_time)


def _by_half_lives(fitted: Fitted, given: pd.Series, growth: float) -> _Found:
    """From the genes whose half-lives are given and whose rates the counts tell."""
    _warn_of_units(given)
    known = match_genes(fitted.adata, given)[fitted.genes]
    rates = degradation_rates(fitted)
    use = np.flatnonzero(np.isfinite(known) & rates.told)
    _enough(len(use), f"half-lives are given of {int(np.isfinite(known).sum()):,} of the {len(known):,} fitted genes")
    found = hours_from_half_lives(rates.genes(use), known[use], growth)
    hours = np.exp(found.scale.log_hours)
    by_fit = np.log(2) / np.maximum(np.exp(rates.log_gamma[use]) / hours - growth, 1e-12)
    table = pd.DataFrame(
        {
            "given": known[use],
            "fitted": by_fit,
            "ratio": by_fit / known[use],
            "disagrees": found.scale.disagrees,
        },
        index=fitted.adata.var_names[fitted.genes[use]],
    )
    what = f"given and fitted half-lives of {len(table):,} genes"
    return _Found("half-lives", what, found.scale, found.agreement, table)


def _by_labels(fitted: Fitted, labels: Labels) -> _Found:
    """From the genes with the most labelled counts."""
    fitted.require("posterior")
    if not fitted.noise.counts:
        raise InputError("to_real_time: labelled counts are read beside a fit of counts, and this one is of values.")
    read = labels.read(fitted)
    n = len(read.genes)
    _enough(n, f"{n:,} of the {len(fitted.genes):,} fitted genes have labelled counts")
    genes = fitted.genes[read.genes]
    variance = np.stack([fitted.column(f"{name}_se", genes) for name in (keys.FIT_BETA, keys.FIT_GAMMA)]) ** 2
    found = hours_from_labels(fitted.states, fitted.theta(genes), variance, read.counts)
    table = pd.DataFrame(
        {
            "labelled": found.seen,
            "expected": found.expected,
            "ratio": found.expected / np.maximum(found.seen, 1e-12),
            "disagrees": found.scale.disagrees,
        },
        index=fitted.adata.var_names[genes],
    )
    more = {
        "conversion": found.conversion,
        "samples": np.array(read.samples, dtype=object),
        "splicing": found.splicing,
    }
    what = f"labelled and expected shares of {len(table):,} genes"
    return _Found("labelled counts", what, found.scale, found.agreement, table, more)


def degradation_rates(fitted: Fitted) -> DegradationRates:
    """Of the fitted genes, by the data alone, and without dilution on a clock that goes round."""
    log_gamma = np.log(fitted.column(keys.FIT_GAMMA))
    column = f"{keys.FIT_GAMMA}_se"
    sd = fitted.column(column) if column in fitted.adata.var else np.zeros_like(log_gamma)
    prior = fitted.curve.prior
    rates = DegradationRates.without_prior(log_gamma, sd, (prior.mean[0][1], prior.sd[0][1]))
    return rates.without_dilution(float(np.log(2))) if fitted.goes_round else rates


def _warn_of_units(given: pd.Series) -> None:
    """Half-lives that are hardly hours."""
    median = float(given.median())
    if not SHORT <= median <= LONG:
        warnings.warn(
            UnclearWarning(
                f"the median half-life that was given is {number(median)}: those of mRNA are some hours. Were these "
                "minutes, or rates?"
            ),
            stacklevel=5,
        )


def _enough(n: int, what: str) -> None:
    if n < LEAST_GENES:
        raise InputError(
            f"to_real_time: {what}, and of {n} the counts tell the rate; {LEAST_GENES} are needed, so that it can be "
            "seen whether they agree. Give more genes, or fit more of those that are known: "
            "velotime.pp.filter_genes(adata, keep=[...])."
        )


def _verdict(found: _Found) -> tuple[str, str]:
    """Whether hours can be given, and why, or why not."""
    scale, ranks = found.scale, found.agreement
    told = f"{found.what} have a rank correlation of {ranks.correlation:.2f} (p = {ranks.chance:.2g})"
    if not ranks.agrees:
        return DISAGREE, f"{told}, which is no agreement"
    if not np.exp(scale.high - scale.low) <= WIDEST:
        return OPEN, f"{_open(scale)}; {CURES[found.by]}"
    told += f"; {number(int(found.table['disagrees'].sum()))} of them disagree with the others"
    if found.more:
        told += f"; {', '.join(percent(share) for share in found.more['conversion'])} of what is new is seen as such"
    return AGREE, told


def _open(scale: Scale) -> str:
    """Between what the hours are."""
    low, high = np.exp([scale.low, scale.high])
    if np.isfinite(high) and low > 0:
        return f"the genes leave open whether the clock takes {number(low)} or {number(high)} hours"
    if np.isfinite(high) or low > 0:
        bound = f"at most {number(high)}" if np.isfinite(high) else f"at least {number(low)}"
        return f"the genes say only that the clock takes {bound} hours"
    return "the genes say nothing of the hours that the clock takes"


def _record(found: _Found) -> dict[str, Any]:
    """What is recorded whatever the verdict."""
    scale, ranks, table = found.scale, found.agreement, found.table
    return {
        "by": found.by,
        "n_genes": len(table),
        "rank_correlation": ranks.correlation,
        "chance": ranks.chance,
        "slope": ranks.slope,
        "slope_low": ranks.slope_low,
        "slope_high": ranks.slope_high,
        "scatter": scale.scatter,
        "disagreeing": np.array(table.index[table["disagrees"]], dtype=object),
        **found.more,
    }
