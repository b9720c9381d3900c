"""A fit as tables for other programs: genes, cells, clusters, fates, verdict."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import FilePath, Flag, checked
from velotime.data import Fitted, check_folder, hours_record, rate_table, write_table
from velotime.data.arguments import ADATA
from velotime.get import half_lives
from velotime.report.sections.fates import cluster_column, cluster_table, fates_of
from velotime.report.sections.samples import tables_of_samples

#: What :func:`write_tables` may write.
TABLES = (
    "genes.csv",
    "cells.csv",
    "clusters.csv",
    "fates.csv",
    "samples.csv",
    "conditions.csv",
    "speed.csv",
    "composition.csv",
    "verdict.csv",
)
OF_GENES = (
    keys.FIT_DEVIANCE_EXPLAINED,
    keys.FIT_GAIN,
    keys.FIT_CHECK_MEANS,
    keys.FIT_CHECK_ZEROS,
    keys.FIT_VARIATION_EXPLAINED,
    keys.FIT_UNIQUE,
    keys.FIT_BACKGROUND_U,
    keys.FIT_BACKGROUND_S,
    keys.FIT_LIKELIHOOD,
    keys.FIT_ARROW_EVIDENCE,
    keys.FIT_LINEAGE_RATIO,
)


@checked({"adata": ADATA})
def tables(adata: AnnData) -> dict[str, pd.DataFrame]:
    """What a fit says, as data frames.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.

    Returns
    -------
    ``genes``
        A row per gene: status, how much it says of time, rates and switch times with 90 % intervals (relative).
    ``cells``
        A row per cell: latent time, or phase of a cycle, its uncertainty, lineage and its probabilities, cluster.
    ``clusters``
        A row per cluster, earliest first: cells, latent time or phase, probabilities of the lineages. Empty without
        labels.
    ``fates``
        A row per lineage: share of the cells, the cluster that it ends in, genes that lead there. Empty with one.
    ``samples``
        A row per sample: cells, mean time, what it says by itself. Empty with one.
    ``conditions``, ``speed``, ``composition``
        What :func:`velotime.tl.compare_conditions` found of genes, of all genes together, and of the cells' places.
        Empty without.
    ``verdict``
        What is asked of the fit, the answers, and why; then what to mind.

    Raises
    ------
    InputError
        If nothing is fitted.
    """
    fates = fates_of(adata)
    return {
        "genes": _genes(adata),
        "cells": _cells(adata),
        "clusters": cluster_table(adata),
        "fates": pd.DataFrame(
            {
                "share": [fate.share for fate in fates],
                "ends_in": [fate.end for fate in fates],
                "genes": [" ".join(fate.drivers) for fate in fates],
            },
            index=pd.Index([fate.lineage for fate in fates], name="lineage"),
        ),
        **tables_of_samples(adata),
        "verdict": _verdict(adata),
    }


def _genes(adata: AnnData) -> pd.DataFrame:
    fitted = Fitted.of(adata)
    table = pd.DataFrame({"status": adata.var[keys.FIT_STATUS].astype(str)}, index=adata.var_names)
    if "rates" in fitted.capabilities:
        table = table.join(rate_table(fitted))
    for name in OF_GENES:
        if name in adata.var and name not in table:
            table[name] = adata.var[name]
    if hours_record(adata):
        own = half_lives(adata, genes=slice(None))[["half_life", "splicing_half_life"]]
        table = table.join(own.add_suffix("_hours"))
    return table.rename_axis("gene")


def _cells(adata: AnnData) -> pd.DataFrame:
    fitted = Fitted.of(adata)
    table = pd.DataFrame(index=adata.obs_names)
    if "time" in fitted.capabilities:
        times = fitted.uncertainty
        slot = fitted.time_slot
        table = times.rename(columns={name: f"{slot}_{name}" for name in times}).rename(columns={f"{slot}_mean": slot})
    if hours_record(adata):
        slot = keys.CYCLE_PHASE_HOURS if fitted.goes_round else keys.LATENT_TIME_HOURS
        table[slot] = adata.obs[slot]
    if "curves" in fitted.capabilities:
        table["lineage"] = fitted.lineage
        for k, name in enumerate(fitted.lineage_names):
            table[f"lineage_{name}"] = fitted.lineage_posterior[:, k]
    if keys.MIXTURE_COMPONENT in adata.obs:
        table["component"] = adata.obs[keys.MIXTURE_COMPONENT].astype(str)
    for column in (cluster_column(adata), keys.SAMPLE):
        if column in adata.obs and column not in table:
            table[column] = adata.obs[column].astype(str)
    return table.rename_axis("cell")


def _verdict(adata: AnnData) -> pd.DataFrame:
    from velotime.report._facts import collect

    facts = collect(adata)
    rows = [("In short", facts.headline, "")]
    rows += [(finding.topic, finding.answer, finding.text) for finding in facts.findings]
    rows += [("To mind", "", warning) for warning in facts.warnings]
    return pd.DataFrame(rows, columns=["question", "answer", "why"]).set_index("question")


@checked({"adata": ADATA, "folder": FilePath(), "force": Flag()})
def write_tables(adata: AnnData, folder: str | Path, *, force: bool = False) -> list[Path]:
    """Write :func:`tables` as CSV files into a folder, made if it is not there.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    folder
        Where ``genes.csv``, ``cells.csv`` and the others go, by the names of the tables; tables without rows are not
        written.
    force
        Replace existing files.

    Returns
    -------
    The files that were written.

    Raises
    ------
    InputError
        If nothing is fitted, or the folder cannot be written.
    """
    made = {f"{name}.csv": table for name, table in tables(adata).items() if len(table)}
    check_folder(folder, TABLES, force=force)
    paths = []
    for name, table in made.items():
        write_table(table, Path(folder) / name, force=True)
        paths.append(Path(folder) / name)
    return paths
