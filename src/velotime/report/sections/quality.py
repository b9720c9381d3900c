"""The data in numbers: how deep, how much of it unspliced, and which genes are doubtful."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import number, percent
from velotime._status import InputError
from velotime.data import Fitted, cell_sums, find_layers, rate_table
from velotime.report._words import background_in_words

FASTEST = 99.0  # per unit of the clock: rates from here on are at their bound, that or faster
LEAST_EXPLAINED = 0.3  # of what a free curve along the clock would
MOST_NAMES = 12


def quality_rows(adata: AnnData) -> list[tuple[str, str]]:
    """Pairs of what is asked, and the answer; what the object does not hold is left out."""
    fitted = Fitted.of(adata)
    return [*_depth(adata), *_background(adata), *_doubtful(fitted)]


def _background(adata: AnnData) -> list[tuple[str, str]]:
    text = background_in_words(adata)
    return [("Background", text)] if text else []


def _depth(adata: AnnData) -> list[tuple[str, str]]:
    """Counts of all genes where they were totalled before filtering, else of those that are here."""
    if {keys.SIZE_UNSPLICED, keys.SIZE_SPLICED} <= set(adata.obs):
        u, s = (adata.obs[name].to_numpy(dtype=float) for name in (keys.SIZE_UNSPLICED, keys.SIZE_SPLICED))
        of = "of all genes"
    else:
        try:
            names = find_layers(adata)
        except InputError:
            return []
        u, s = (cell_sums(adata.layers[name]) for name in names)
        of = "of the genes here"
    total = u.sum() + s.sum()
    if not total > 0:
        return []
    medians = f"median {number(float(np.median(u)))} unspliced, {number(float(np.median(s)))} spliced"
    return [
        ("Unspliced share", f"{percent(u.sum() / total)} of the counts {of}"),
        ("Counts per cell", f"{medians}, {of}"),
    ]


def _doubtful(fitted: Fitted) -> list[tuple[str, str]]:
    """Genes whose rates are at a bound, and genes that the curve explains badly though they say something of time."""
    rows, var = [], fitted.adata.var
    if "rates" in fitted.capabilities and "gains" in fitted.capabilities:
        rates = rate_table(fitted).iloc[fitted.genes]
        at_bound = rates.index[(rates[["beta", "gamma"]] >= FASTEST).any(axis=1)]
        rows.append(("Rates at their bound", _named(at_bound, "that fast or faster: their values are no measurements")))
    if keys.FIT_UNIQUE in var:
        unsure = _informative_first(fitted)[keys.FIT_UNIQUE]
        other = unsure.index[unsure == 0]
        rows.append(("Shape not settled", _named(other, "a curve with a switch elsewhere is about as likely")))
    if keys.FIT_DEVIANCE_EXPLAINED in var and keys.FIT_GAIN in var:
        own = _informative_first(fitted)
        poor = own.index[own[keys.FIT_DEVIANCE_EXPLAINED] < LEAST_EXPLAINED]
        rows.append(
            ("Doubtful genes", _named(poor, f"the curve explains less than {percent(LEAST_EXPLAINED)} of their change"))
        )
    return rows


def _informative_first(fitted: Fitted) -> pd.DataFrame:
    """Rows of ``var`` of the fitted genes, those that say most of time first."""
    own = fitted.adata.var.iloc[fitted.genes]
    return own.sort_values(keys.FIT_GAIN, ascending=False, kind="stable") if keys.FIT_GAIN in own else own


def _named(genes: object, why: str) -> str:
    names = [str(name) for name in genes]  # type: ignore[attr-defined]
    if not names:
        return "none"
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return f"{len(names):,} ({why}): {', '.join(names[:MOST_NAMES])}{more}"
