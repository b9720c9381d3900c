"""How much of what genes vary between cells the clock explains, in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import percent
from velotime.data import Fitted

MOST_NAMED = 5


def variation_in_words(adata: AnnData) -> str:
    """Share of the variation that the clock explains, for genes of the clock and those left out; empty if not known."""
    if keys.FIT_VARIATION_EXPLAINED not in adata.var:
        return ""
    fitted = Fitted.of(adata)
    share = adata.var[keys.FIT_VARIATION_EXPLAINED]
    own = share.iloc[fitted.genes].dropna()
    if not len(own):
        return ""
    clock = "cycle" if fitted.goes_round else "clock"
    text = (
        f"the {clock} explains {percent(own.median())} of what the spliced counts of a gene vary between cells beyond "
        f"chance (median of {len(own):,} genes)"
    )
    others = share.iloc[np.setdiff1d(fitted.with_curves, fitted.genes)].dropna()
    return f"{text}; of the genes left out of it {_of_others(others)}" if len(others) else text


def _of_others(share: pd.Series) -> str:
    top = share.sort_values(ascending=False, kind="stable").iloc[:MOST_NAMED]
    named = ", ".join(f"{name} ({percent(value)})" for name, value in top.items())
    return f"{percent(share.median())} (median of {len(share):,}), most of {named}"
