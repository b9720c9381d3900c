"""Cells x genes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from anndata import AnnData

from velotime._check import checked
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted
from velotime.data.arguments import ADATA
from velotime.get._select import CELLS, GENES, Selection, select


class FittedMeans(NamedTuple):
    """Fitted means of both layers, each cells x genes."""

    unspliced: pd.DataFrame
    spliced: pd.DataFrame


@checked({"adata": ADATA, "cells": CELLS, "genes": GENES})
def velocity(adata: AnnData, *, cells: Selection = None, genes: Selection = None) -> pd.DataFrame:
    """Posterior mean of ds/dt.

    What ``layers["velocity"]`` holds, for any cells and genes, whether that layer was written or not.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    cells, genes
        Names, indices, a boolean mask or a slice, in any order. By default all cells, and all genes with curves.

    Returns
    -------
    Cells x genes, float32, counts at size factor 1 per relative time; NaN for genes that were not fitted.

    Raises
    ------
    InputError
        If nothing is fitted, the method gives no velocity, or a cell or gene does not exist.
    """
    return _frame(adata, cells, genes, lambda fitted, i, g: fitted.velocity(i, g))


@checked({"adata": ADATA, "cells": CELLS, "genes": GENES})
def velocity_u(adata: AnnData, *, cells: Selection = None, genes: Selection = None) -> pd.DataFrame:
    """Posterior mean of du/dt.

    Parameters
    ----------
    adata, cells, genes
        As in :func:`velocity`.

    Returns
    -------
    Cells x genes, float32, as :func:`velocity`.

    Raises
    ------
    InputError
        As :func:`velocity`.
    """
    return _frame(adata, cells, genes, lambda fitted, i, g: fitted.velocity_u(i, g))


@checked({"adata": ADATA, "cells": CELLS, "genes": GENES})
def velocity_sd(adata: AnnData, *, cells: Selection = None, genes: Selection = None) -> pd.DataFrame:
    """Standard deviation of ds/dt, from uncertain time and an uncertain curve.

    Parameters
    ----------
    adata, cells, genes
        As in :func:`velocity`.

    Returns
    -------
    Cells x genes, float32, as :func:`velocity`.

    Raises
    ------
    InputError
        As :func:`velocity`, or if the method gives no posterior of time.
    """
    return _frame(adata, cells, genes, lambda fitted, i, g: fitted.velocity_sd(i, g))


@checked({"adata": ADATA, "cells": CELLS, "genes": GENES})
def fitted_means(adata: AnnData, *, cells: Selection = None, genes: Selection = None) -> FittedMeans:
    """Posterior means of unspliced and spliced counts at size factor 1.

    Parameters
    ----------
    adata, cells, genes
        As in :func:`velocity`.

    Returns
    -------
    A pair of data frames, ``.unspliced`` and ``.spliced``, each cells x genes, float32. Of a fit by ``MixtureEM``,
    means over components.

    Raises
    ------
    InputError
        As :func:`velocity`.
    """
    fitted, i, g = _asked(adata, cells, genes)
    index, columns = adata.obs_names[i], adata.var_names[g]
    return FittedMeans(*(pd.DataFrame(values, index=index, columns=columns) for values in fitted.means(i, g)))


def _asked(adata: AnnData, cells: Selection, genes: Selection) -> tuple[Fitted, IntArray, IntArray]:
    fitted = Fitted.of(adata)
    g = fitted.with_curves if genes is None else select(adata.var_names, genes, "genes")
    return fitted, select(adata.obs_names, cells, "cells"), g


def _frame(
    adata: AnnData,
    cells: Selection,
    genes: Selection,
    values: Callable[[Fitted, IntArray, IntArray], FloatArray],
) -> pd.DataFrame:
    fitted, i, g = _asked(adata, cells, genes)
    return pd.DataFrame(values(fitted, i, g), index=adata.obs_names[i], columns=adata.var_names[g])
