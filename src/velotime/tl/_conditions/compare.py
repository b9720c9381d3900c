"""Compare conditions: genes, speed, and composition along the clock."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from velotime import _keys as keys
from velotime._check import Optional, Text, Whole, checked
from velotime._status import InputError, UnclearWarning
from velotime._types import FloatArray
from velotime.data import Fitted, restore_soft_fit, write_derived
from velotime.data.arguments import ADATA, COLUMN
from velotime.inference import (
    CONDITION_PARAMETERS,
    Effects,
    Restored,
    SampleRates,
    SampleSpeeds,
    composition_of_samples,
    moderated_effects,
    rates_of_samples,
    speeds_of_samples,
)
from velotime.tl._conditions.design import Design, design_of

HALF_A_CELL = 0.5  # added to each piece of the clock, so that an empty one has a logarithm
COLUMNS = ["log2_fold", "standard_error", "log2_fold_shrunken", "degrees", "p_value", "q_value", "n_samples"]


@dataclass(frozen=True)
class ConditionComparison:
    """What differs between conditions, with samples as the replicates.

    Attributes
    ----------
    genes
        A row for each gene, condition and parameter, smallest p-value first; see :func:`compare_conditions`.
    speed
        A row for each condition: how many times slower it runs.
    composition
        A row for each condition, lineage and piece of the clock.
    samples
        Condition and number of cells of each sample, and how many times slower it runs than all.
    note
        What the design can tell and what not, in words; empty where nothing needs to be said.
    """

    genes: pd.DataFrame
    speed: pd.DataFrame
    composition: pd.DataFrame
    samples: pd.DataFrame
    note: str


@checked(
    {
        "adata": ADATA,
        "condition": COLUMN,
        "reference": Optional(Text("a condition")),
        "batch": Optional(COLUMN),
        "n_pieces": Whole(2, 32),
    }
)
def compare_conditions(
    adata: AnnData, condition: str, *, reference: str | None = None, batch: str | None = None, n_pieces: int = 8
) -> ConditionComparison:
    """Compare conditions of a fit of several samples: rates of every gene, how fast all run, and where the cells are.

    Samples are the replicates: cells of one sample share whatever happened to it, and do not count as independent. The
    joint fit stays as it is; each gene is fitted again to each sample, and the changes go to a linear model of
    samples with variances moderated over genes (limma: Smyth 2004). Within one sample, cells can be compared
    by :func:`differential_kinetics`.

    Of single genes, cells keep their times on the common clock. Where all genes of a condition run slower at once, the
    clock takes up a part of that, and what is left in the rates of single genes is too small: that is what the speed is
    for, one number for all rates of a sample, learned together with curves and times. Where depth is told by few genes,
    as in a panel, changes of genes come out somewhat too small, as depth changes with them (docs/studies/samples.md):
    of many genes :func:`velotime.pp.filter_genes` keeps the totals.

    Parameters
    ----------
    adata
        Fitted with ``method=vt.SoftEM(samples=...)``, with the counts it was fitted to.
    condition
        The obs column of the conditions, the same for all cells of a sample.
    reference
        The condition that others are compared with; by default the first category, or the first by name.
    batch
        An obs column of batches whose effects are taken off; none by default.
    n_pieces
        Pieces of the clock whose shares of cells are compared, 8 by default: about what cells can be told apart by.

    Returns
    -------
    An object with tables. ``.genes``: ``gene``, ``condition``, ``reference``, ``parameter`` ("alpha" between the
    switches, with what samples differ in capture, over the median of all genes; "beta"; "gamma"; "t_on"),
    ``log2_fold`` over the reference (of "t_on" the difference on the clock), its ``standard_error``,
    ``log2_fold_shrunken`` (drawn towards zero as the genes as a whole say), ``degrees`` of freedom, ``p_value``,
    ``q_value`` (Benjamini and Hochberg, within condition and parameter), and ``n_samples`` behind it.
    ``.speed``: ``condition``, ``reference``, ``times_slower`` (by how much all rates of splicing and degradation are
    lower, at the same switches on the clock: how slowly counts follow them), ``low`` and ``high`` (a 95 % interval),
    ``standard_error`` (of its log2), ``degrees``, ``p_value`` and ``n_samples``. ``.composition``: ``lineage``,
    ``start`` and ``stop`` on the clock, and the columns of the genes, of the share of cells. ``.samples``:
    ``condition``, ``n_cells`` and ``times_slower`` of each sample. P-values are NaN where no sample is left to tell
    chance from conditions, as ``.note`` says. Writes

    ``uns["condition_comparison"]``
        The tables and ``note`` under these names, the ``condition`` column and the ``reference``: for
        :func:`velotime.pl.conditions` and the report.

    Warns
    -----
    UnclearWarning
        What the design cannot tell.

    Raises
    ------
    InputError
        If nothing is fitted, or without samples, or conditions cannot be compared: the message says why.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import numpy as np
    >>> import velotime as vt
    >>> samples = vt.simulation.Samples((2, 2))
    >>> adata = vt.simulation.simulate(200, 24, rng=np.random.default_rng(0), samples=samples, mean_spliced=4)
    >>> quick = vt.SoftEM(samples="sample", n_times=16, annealing=2, max_iterations=3, start_times=8, n_lineages=1)
    >>> quick = replace(quick, root=vt.Root(cell=adata.obs["true_time"].idxmin()))
    >>> vt.tl.recover_dynamics(adata, method=quick, progress=False)
    >>> found = vt.tl.compare_conditions(adata, "condition")
    >>> sorted(found.genes["parameter"].unique())
    ['alpha', 'beta', 'gamma', 't_on']
    >>> len(found.composition), list(found.speed["condition"])
    (8, ['B'])
    """
    fitted = Fitted.of(adata)
    if fitted.effects is None:
        raise InputError(
            "the fit is of one sample, and samples are the replicates: call velotime.tl.recover_dynamics(adata, "
            "method=vt.SoftEM(samples='...')) with the obs column of the samples. Groups of cells within one sample "
            "are compared by velotime.tl.differential_kinetics."
        )
    genes, fit = restore_soft_fit(adata)
    design = design_of(adata, str(fitted.settings.samples), fitted.effects.names, condition, reference, batch)
    if design.note:
        warnings.warn(design.note, UnclearWarning, stacklevel=3)
    rates, speeds = rates_of_samples(fit), speeds_of_samples(fit)
    samples = {
        "condition": list(design.of_samples),
        "n_cells": np.bincount(fitted.sample, minlength=len(design.matrix)),
        "times_slower": np.exp(speeds.log_slowing),
    }
    found = ConditionComparison(
        _genes(rates, design, adata.var_names[genes]),
        _speed(speeds, design),
        _composition(fit, design, fitted.lineage_names, n_pieces),
        pd.DataFrame(samples, index=pd.Index(fitted.effects.names, name="sample")),
        design.note,
    )
    _write(adata, found, condition, design.conditions[0])
    return found


def _write(adata: AnnData, found: ConditionComparison, condition: str, reference: str) -> None:
    tables = {"genes": found.genes, "speed": found.speed, "composition": found.composition, "samples": found.samples}
    record = tables | {"condition": condition, "reference": reference, "note": found.note}
    write_derived(adata, keys.CONDITION_COMPARISON, {"uns": {keys.CONDITION_COMPARISON: record}})


def _genes(rates: SampleRates, design: Design, names: pd.Index) -> pd.DataFrame:
    tables = []
    for what in CONDITION_PARAMETERS:
        if what == "alpha" and not design.replicated:
            continue
        unit = 1.0 if what == "t_on" else np.log(2)
        effects = rates.regress(what, design.matrix)
        for k, name in enumerate(design.conditions[1:], start=1):
            table = _rows(effects, k, unit)
            table.insert(0, "gene", np.asarray(names))
            table.insert(1, "condition", name)
            table.insert(2, "reference", design.conditions[0])
            table.insert(3, "parameter", what)
            tables.append(table[np.isfinite(table["log2_fold"])])
    return pd.concat(tables).sort_values("p_value", kind="stable", ignore_index=True)


def _speed(speeds: SampleSpeeds, design: Design) -> pd.DataFrame:
    effects = speeds.regress(design.matrix)
    columns = slice(1, len(design.conditions))
    log, error = effects.estimate[0, columns], effects.error[0, columns]
    half = student.ppf(0.975, effects.degrees[0]) * error
    return pd.DataFrame(
        {
            "condition": list(design.conditions[1:]),
            "reference": design.conditions[0],
            "times_slower": np.exp(log),
            "low": np.exp(log - half),
            "high": np.exp(log + half),
            "standard_error": error / np.log(2),
            "degrees": effects.degrees[0],
            "p_value": effects.p_value[0, columns],
            "n_samples": effects.n_samples[0],
        }
    )


def _rows(effects: Effects, k: int, unit: float) -> pd.DataFrame:
    p_value = effects.p_value[:, k]
    q_value = np.full(len(p_value), np.nan)
    told = np.isfinite(p_value)
    if told.any():
        q_value[told] = false_discovery_control(p_value[told])
    values = (
        effects.estimate[:, k] / unit,
        effects.error[:, k] / unit,
        effects.shrunken[:, k] / unit,
        effects.degrees,
        p_value,
        q_value,
        effects.n_samples,
    )
    return pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))


def _composition(fit: Restored, design: Design, lineages: list[str], n_pieces: int) -> pd.DataFrame:
    """Log shares of the pieces of the clock; what a share must vary by, as cells are counted, is its error."""
    edges = np.linspace(0.0, 1.0, n_pieces + 1)
    cells: FloatArray = composition_of_samples(fit, edges) + HALF_A_CELL
    values = np.log(cells / cells.sum(axis=0))
    effects = moderated_effects(values, 1 / cells, design.matrix)
    tables = []
    for k, name in enumerate(design.conditions[1:], start=1):
        table = _rows(effects, k, np.log(2))
        table.insert(0, "condition", name)
        table.insert(1, "reference", design.conditions[0])
        table.insert(2, "lineage", np.repeat(lineages, n_pieces))
        table.insert(3, "start", np.tile(edges[:-1], len(lineages)))
        table.insert(4, "stop", np.tile(edges[1:], len(lineages)))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
