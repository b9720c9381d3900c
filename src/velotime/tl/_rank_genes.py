"""Tables of genes: which fits say most, over all cells or within a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import Optional, Text, checked
from velotime._status import InputError
from velotime.data import QUALITY, Fitted, keep_table, rate_table, read_labels, restore_soft_fit_in_memory
from velotime.data.arguments import ADATA, COLUMN, KEY_ADDED, VAR_COLUMN
from velotime.inference import group_gain, group_sums, lineage_gain


@checked({"adata": ADATA, "by": Optional(VAR_COLUMN), "key_added": KEY_ADDED})
def rank_genes(adata: AnnData, *, by: str | None = None, key_added: str | None = None) -> pd.DataFrame:
    """Fitted genes with their rates and 90 % intervals, best first.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    by
        A numeric var column, largest first. "fit_deviance_explained" ranks by how much of what the clock can say of a
        gene its curve says: the default where the method gives it, else "fit_likelihood". "fit_gain" by how much the
        gene says about time, in nats; "fit_arrow_evidence" by how strongly the gene prefers the reported direction of
        time, in nats; "fit_lineage_ratio" ranks fate genes.
    key_added
        Also keep the table in ``uns`` under this name, until another fit takes the place of this one.

    Returns
    -------
    One row per gene, by name: the column ranked by, the deviance explained, the gain and the predictive checks
    (``fit_check_means`` and ``fit_check_zeros``: z-scores, above 3 the gene is not as the model has it); ``alpha``
    (between the switches), ``beta``, ``gamma`` per unit of the clock, so relative; switch times ``t_on``, ``t_off``;
    ``scaling``; on a clock that goes round ``shape`` of the transcription, "switch" or "smooth" (then ``alpha`` is its
    peak, and ``t_on`` and ``t_off`` are where it passes its middle). Where there are standard errors, ``_low`` and
    ``_high`` bound a 90 % interval: ``exp(log rate -+ 1.645 se)`` for rates, which are estimated on their logs; for
    switches ``var["fit_t_on_q05"]`` and the like. All are given the fitted clock. (A rate of 100 is at its bound: it is
    that or faster.) Genes that were not fitted, or have NaN in ``by``, are left out; ``.attrs["n_genes_left_out"]``
    counts them.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no rates, or the column does not exist or is not numeric.
    """
    table = rate_table(Fitted.of(adata))
    if by is None:
        by = keys.FIT_DEVIANCE_EXPLAINED if keys.FIT_DEVIANCE_EXPLAINED in table else keys.FIT_LIKELIHOOD
    if by not in adata.var:
        numeric = list(adata.var.select_dtypes("number").columns)
        cure = (
            " This fit has no arrow evidence of single genes: call velotime.tl.recover_dynamics(adata) again."
            if by == keys.FIT_ARROW_EVIDENCE
            else ""
        )
        raise InputError(f"column {by!r} not found in adata.var; available: {numeric}.{cure}")
    if not pd.api.types.is_numeric_dtype(adata.var[by]):
        raise InputError(f"column {by!r} of adata.var holds {adata.var[by].dtype}, not numbers.")
    if by not in table:
        table.insert(0, by, adata.var[by])
    table = table[[by, *table.columns.drop(by)]]
    known = table[by].notna() & table["gamma"].notna()
    out = table[known].sort_values(by, ascending=False, kind="stable")
    out.attrs["n_genes_left_out"] = int((~known).sum())
    keep_table(adata, key_added, out)
    return out


@checked({"adata": ADATA, "groupby": COLUMN, "key_added": KEY_ADDED})
def rank_genes_in_groups(adata: AnnData, groupby: str, *, key_added: str | None = None) -> pd.DataFrame:
    """Genes whose fitted curves matter most among the cells of each group.

    A gene is ranked by the log-likelihood of its curve over that of a constant, both summed over the group's cells
    under the posterior of their time; the constant is the gene's mean in the group. What counts is change among these
    cells that the curve predicts: a marker that is merely high in a group does not rank, and where the curve predicts
    a change that is not there the gain is negative. (The posterior is that of the fit, rebuilt from the counts.)

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`, with the counts it was fitted to.
    groupby
        The obs column of the groups.
    key_added
        Also keep the table in ``uns`` under this name, until another fit takes the place of this one.

    Returns
    -------
    One row per gene and group, group by group and best first: ``group``, ``gene``, ``gain`` (nats), ``gain_per_cell``,
    and the rates and 90 % intervals of :func:`rank_genes`, which are those of all cells.

    Raises
    ------
    InputError
        If nothing is fitted, the column does not exist or has no values, or the counts are not those of the fit.
    """
    genes, fit = restore_soft_fit_in_memory(adata)
    names, code = read_labels(adata, [groupby]).codes(groupby)  # cells without a label are in no group
    rates = rate_table(Fitted.of(adata)).iloc[genes].drop(columns=list(QUALITY), errors="ignore")
    tables = []
    n_cells = np.bincount(code[code >= 0], minlength=len(names))
    for name, n, sums in zip(names, n_cells, group_sums(fit, code, len(names)), strict=True):
        gain = group_gain(fit, sums)
        own = pd.DataFrame(
            {"group": str(name), "gene": rates.index, "gain": gain, "gain_per_cell": gain / n},
            index=rates.index,
        )
        tables.append(own.join(rates).sort_values("gain", ascending=False, kind="stable"))
    table = pd.concat(tables, ignore_index=True)
    keep_table(adata, key_added, table)
    return table


@checked({"adata": ADATA, "lineage": Optional(Text("the name of a lineage")), "key_added": KEY_ADDED})
def rank_fate_genes(adata: AnnData, *, lineage: str | None = None, key_added: str | None = None) -> pd.DataFrame:
    """Genes that set each lineage apart from the others, lineage by lineage: candidates for drivers of its fate.

    A gene is ranked by the log-likelihood of its curve in the lineage over that of its curve in the others (their mean
    at each time, weighted by cells), summed over the lineage's cells under the posterior of time and lineage. Genes
    that are higher in the lineage come first, strongest first, those that are lower last. Being apart is no proof of
    driving: what a gene causes needs an experiment. (The posterior is that of the fit, rebuilt from the counts.)

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`, with the counts it was fitted to.
    lineage
        Only this lineage; all of them by default.
    key_added
        Also keep the table in ``uns`` under this name, until another fit takes the place of this one.

    Returns
    -------
    One row per lineage and gene: ``lineage``, ``gene``, ``gain`` (nats, for the lineage's own curve), ``log2_fold``
    (expected spliced counts over those of the other lineages, at the latest quarter of the lineage's cells),
    ``fit_lineage_ratio`` (do any lineages of the gene differ), and ``t_off``, the gene's last switch in this lineage,
    relative. Empty with one lineage.

    Raises
    ------
    InputError
        If nothing is fitted, there is no such lineage, or the counts are not those of the fit.

    Examples
    --------
    >>> import numpy as np
    >>> import velotime as vt
    >>> branches = vt.simulation.Branches((0.4,))
    >>> adata = vt.simulation.simulate(300, 40, rng=np.random.default_rng(0), branches=branches, mean_spliced=3.0)
    >>> vt.tl.recover_dynamics(adata, method=vt.SoftEM(n_lineages=2, start_times=16), progress=False)
    >>> vt.tl.rank_fate_genes(adata).columns.tolist()
    ['lineage', 'gene', 'gain', 'log2_fold', 'fit_lineage_ratio', 't_off']
    """
    genes, fit = restore_soft_fit_in_memory(adata)
    lineages, named = Fitted.of(adata).lineage_names, adata.var_names[genes]
    if lineage is not None and lineage not in lineages:
        raise InputError(f"lineage {lineage!r} not found; available: {', '.join(map(repr, lineages))}.")
    columns = ["lineage", "gene", "gain", "log2_fold", keys.FIT_LINEAGE_RATIO, "t_off"]
    if len(lineages) == 1:
        return pd.DataFrame(columns=columns)
    gain, fold = lineage_gain(fit, group_sums(fit, np.zeros(adata.n_obs, dtype=np.int64), 1)[0])
    tables = []
    for k, name in enumerate(lineages):
        own = pd.DataFrame(
            {
                "lineage": str(name),
                "gene": named,
                "gain": gain[:, k],
                "log2_fold": fold[:, k],
                keys.FIT_LINEAGE_RATIO: adata.var[keys.FIT_LINEAGE_RATIO].to_numpy()[genes],
                "t_off": adata.varm[keys.LINEAGE_T_OFF][genes, k],
            }
        )
        best_first = np.argsort(-np.sign(fold[:, k]) * np.maximum(gain[:, k], 0.0), kind="stable")
        tables.append(own.iloc[best_first])
    table = pd.concat(tables, ignore_index=True)
    table = table if lineage is None else table[table["lineage"] == lineage].reset_index(drop=True)
    keep_table(adata, key_added, table)
    return table
