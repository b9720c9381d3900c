"""Whether groups of cells need rates of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import false_discovery_control

from velotime._check import Whole, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import keep_table, read_labels, restore_soft_fit_in_memory
from velotime.data.arguments import ADATA, COLUMN, KEY_ADDED
from velotime.inference import GroupTest, compare_groups, group_sums
from velotime.kinetics import SwitchParameter


@checked({"adata": ADATA, "groupby": COLUMN, "least_cells": Whole(1), "key_added": KEY_ADDED})
def differential_kinetics(
    adata: AnnData, groupby: str, *, least_cells: int = 20, key_added: str | None = None
) -> pd.DataFrame:
    """Test for each gene and group whether the group's cells need rates of their own, by likelihood ratio.

    Null hypothesis: all cells follow the gene's one curve. Alternative: the group's cells and all other cells have
    rates of their own (alpha in every phase, beta and gamma), each fitted to its part from the shared curve on, with a
    weak prior around it (one e-fold); switch times, scaling and dispersion are shared. Time stays as it was fitted:
    every cell keeps its posterior, which is rebuilt exactly from the counts and the stored fit. The statistic is twice
    the gain in log-likelihood; its null distribution, a chi^2 whose degrees of freedom count only what group and others
    both see of the curve, is derived in ``velotime.inference.results.groups``. False discoveries are controlled over
    all tests by Benjamini and Hochberg (1995). (scVelo's ``differential_kinetic_test``, Bergen
    et al. 2020, first asked whether groups differ, by the slope of phase portraits.)

    Cells are the replicates: this is a test within one sample. Groups that are samples, or conditions of samples,
    differ in whatever happened to them, and nearly every gene would be found: see :func:`compare_conditions`.

    With thousands of cells the test also finds where the model is merely wrong (a third switch, a clock that runs
    unevenly for a group), so look at the fold changes before the p-values; and where many genes of a group differ, the
    cells' times are biased by them and the test rejects too often for the rest.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`, with the counts it was fitted to.
    groupby
        The obs column of the groups. They should not be made from the genes tested.
    least_cells
        Groups of fewer cells, 20 by default, or with fewer cells beside them, are not tested.
    key_added
        Also keep the table in ``uns`` under this name, until another fit takes the place of this one.

    Returns
    -------
    One row per gene and group, smallest p-value first: ``gene``, ``group``, ``n_cells``, ``statistic``, ``degrees`` of
    freedom, ``p_value``, ``q_value`` (adjusted for false discoveries), and ``log2_fold_alpha`` (between the gene's
    switches), ``log2_fold_beta``, ``log2_fold_gamma`` of the group over the others: drawn towards 0 where the group
    says little, and 0 for a rate at the bound of what can be told, 100 per clock.
    ``.attrs["groups_left_out"]`` holds the groups not tested with their numbers of cells.

    Raises
    ------
    InputError
        If nothing is fitted, the column does not exist or has no group to test, or the counts
        are not those of the fit.
    """
    genes, fit = restore_soft_fit_in_memory(adata)
    names, code = read_labels(adata, [groupby]).codes(groupby)  # cells without a label are in no group
    n_cells = np.bincount(code[code >= 0], minlength=len(names))
    tested = np.flatnonzero(np.minimum(n_cells, n_cells.sum() - n_cells) >= least_cells)
    sizes = {str(name): int(n) for name, n in zip(names, n_cells, strict=True)}
    if len(tested) == 0:
        raise InputError(
            f"no group of obs[{groupby!r}] can be tested: each needs {least_cells} cells, and as many beside it; "
            f"there are {sizes}. Choose another column or lower least_cells."
        )
    tests = compare_groups(fit, group_sums(fit, code, len(names)), tested.tolist())
    table = pd.concat(
        [
            _rows(adata.var_names[genes], str(names[k]), int(n_cells[k]), test)
            for k, test in zip(tested, tests, strict=True)
        ]
    )
    table["q_value"] = false_discovery_control(table["p_value"])
    out = table.sort_values(["p_value", "statistic"], ascending=[True, False], kind="stable", ignore_index=True)
    out.attrs["groups_left_out"] = {name: sizes[name] for name in sizes if name not in set(names[tested])}
    keep_table(adata, key_added, out)
    return out


def _rows(genes: pd.Index, group: str, n_cells: int, test: GroupTest) -> pd.DataFrame:
    p = SwitchParameter
    change: FloatArray = (test.own - test.others) / np.log(2)
    return pd.DataFrame(
        {
            "gene": np.asarray(genes),
            "group": group,
            "n_cells": n_cells,
            "statistic": test.statistic,
            "degrees": test.degrees,
            "p_value": test.p_value,
            "q_value": np.nan,  # known once all tests are
            "log2_fold_alpha": change[:, p.LOG_LEVEL_1] + change[:, p.LOG_GAMMA],  # alpha = level gamma
            "log2_fold_beta": change[:, p.LOG_BETA],
            "log2_fold_gamma": change[:, p.LOG_GAMMA],
        }
    )
