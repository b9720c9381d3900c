"""What a fit says of cells, and of genes."""

from __future__ import annotations

import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import checked
from velotime._status import InputError
from velotime.data import Fitted, hours_record, rate_table
from velotime.data.arguments import ADATA
from velotime.get._select import CELLS, GENES, Selection, select


@checked({"adata": ADATA, "cells": CELLS})
def latent_time(adata: AnnData, *, cells: Selection = None) -> pd.DataFrame:
    """Time of each cell, and how uncertain it is.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    cells
        Names, indices, a boolean mask or a slice; all by default.

    Returns
    -------
    Columns ``mean``, ``sd``, ``clock_sd``, ``q05``, ``q95``, ``entropy`` (only ``mean`` where the method gives each
    cell one time), relative; a row for each cell.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no time, or a cell does not exist.
    """
    return Fitted.of(adata).uncertainty.iloc[select(adata.obs_names, cells, "cells")]


@checked({"adata": ADATA, "cells": CELLS})
def posterior(adata: AnnData, *, cells: Selection = None) -> pd.DataFrame:
    """Posterior of each cell over lineages and times.

    Parameters
    ----------
    adata, cells
        As in :func:`latent_time`.

    Returns
    -------
    A row for each cell, a column for each state; columns are pairs (``lineage``, ``time``). Rows sum to 1. float32.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no posterior, or a cell does not exist.
    """
    fitted = Fitted.of(adata)
    index = select(adata.obs_names, cells, "cells")
    states = pd.MultiIndex.from_product([fitted.lineage_names, fitted.states.times], names=["lineage", "time"])
    return pd.DataFrame(fitted.posterior[index].toarray(), index=adata.obs_names[index], columns=states)


@checked({"adata": ADATA, "cells": CELLS})
def lineage_posterior(adata: AnnData, *, cells: Selection = None) -> pd.DataFrame:
    """Posterior of each cell over the lineages.

    Where lineages have not parted yet it is the share of the cells that go into each: the probability of a fate, as
    far as lineages grow, die and were sampled alike.

    Parameters
    ----------
    adata, cells
        As in :func:`latent_time`.

    Returns
    -------
    A row for each cell, a column for each lineage; rows sum to 1.

    Raises
    ------
    InputError
        If nothing is fitted, the method knows no lineages, or a cell does not exist.
    """
    fitted = Fitted.of(adata)
    index = select(adata.obs_names, cells, "cells")
    return pd.DataFrame(
        fitted.lineage_posterior[index], index=adata.obs_names[index], columns=pd.Index(fitted.lineage_names)
    )


@checked({"adata": ADATA, "genes": GENES})
def rates(adata: AnnData, *, genes: Selection = None) -> pd.DataFrame:
    """Rates and switch times of the genes with 90 % intervals; the columns of :func:`velotime.tl.rank_genes`.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    genes
        Names, indices, a boolean mask or a slice; all genes with curves by default.

    Returns
    -------
    A row for each gene; NaN where it was not fitted. Rates are per unit of the clock.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no rates, or a gene does not exist.
    """
    fitted = Fitted.of(adata)
    table = rate_table(fitted)
    return table.iloc[fitted.with_curves if genes is None else select(adata.var_names, genes, "genes")]


@checked({"adata": ADATA, "cells": CELLS})
def size_factors(adata: AnnData, *, cells: Selection = None) -> pd.DataFrame:
    """Size factors by which the fit divided counts.

    Parameters
    ----------
    adata, cells
        As in :func:`latent_time`.

    Returns
    -------
    Columns ``unspliced`` and ``spliced``, a row for each cell; 1 where values were normalised.

    Raises
    ------
    InputError
        If nothing is fitted, or a cell does not exist.
    """
    u, s = Fitted.of(adata).sizes
    table = pd.DataFrame({"unspliced": u, "spliced": s}, index=adata.obs_names)
    return table.iloc[select(adata.obs_names, cells, "cells")]


@checked({"adata": ADATA, "genes": GENES})
def half_lives(adata: AnnData, *, genes: Selection = None) -> pd.DataFrame:
    """Half-lives of the genes in hours, and rates per hour, where hours are known.

    Parameters
    ----------
    adata
        After :func:`velotime.tl.to_real_time`, which found hours.
    genes
        Names, indices, a boolean mask or a slice; all genes with curves by default.

    Returns
    -------
    Columns ``half_life`` of spliced molecules with ``half_life_low`` and ``half_life_high``, a 90 % interval where the
    method gives standard errors, and ``splicing_half_life``, in hours; ``alpha`` (counts at size factor 1), ``beta``
    and ``gamma`` per hour. A row for each gene; NaN where it was not fitted.

    Raises
    ------
    InputError
        If nothing is fitted, no hours are known, or a gene does not exist.
    """
    fitted = Fitted.of(adata)
    if not hours_record(adata):
        raise InputError("no hours are known: call velotime.tl.to_real_time(adata, half_lives=...) first.")
    slots = {
        "half_life": keys.FIT_HALF_LIFE,
        "half_life_low": f"{keys.FIT_HALF_LIFE}_low",
        "half_life_high": f"{keys.FIT_HALF_LIFE}_high",
        "splicing_half_life": keys.FIT_SPLICING_HALF_LIFE,
    } | {name: f"fit_{name}_per_hour" for name in ("alpha", "beta", "gamma")}
    table = pd.DataFrame({name: adata.var[slot] for name, slot in slots.items() if slot in adata.var})
    return table.iloc[fitted.with_curves if genes is None else select(adata.var_names, genes, "genes")]
