"""The verdict in a sentence: what comes first on the page, in the terminal and in the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime.data import Fitted, of_these_cells, read_record

ERRORS = 2.0  # standard errors by which the other clock must be ahead, to be the cure of a fit that does not fit
FIT_SENTENCES = {
    "does not fit": "The model does not fit these cells: neither order nor direction means much.",
    "fits in part": "The model fits in part",
    "fits": "The model fits",
}

#: Where held-out counts ask for the other clock than that of the fit.
OTHER_CLOCK = {
    "cycle": "These cells go round, and the clock of the fit does not: fit them as a cycle.",
    "trajectory": "These cells do not go round, and the clock of the fit does: fit them with one that begins and ends.",
}


def expected_kind(fitted: Fitted) -> str:
    """What held-out counts should ask for, if the clock of the fit is right."""
    return "cycle" if fitted.goes_round else "trajectory"


def comparison_record(adata: AnnData) -> Mapping[str, Any]:
    """What models of exactly these cells and genes were compared to say; empty if that was not asked of them."""
    return read_record(adata, keys.MODEL_COMPARISON) if of_these_cells(adata, keys.MODEL_COMPARISON) else {}


def other_clock(adata: AnnData) -> str:
    """That held-out counts ask for the other clock than that of the fit; empty where they do not.

    Where nothing fits, one clock is a little better than the other all the same, and is no cure: that of empty droplets
    by one standard error, of simulated cycles that were fitted as a line by four to seven.
    """
    fitted, record = Fitted.of(adata), comparison_record(adata)
    kind = str(record.get("verdict", ""))
    if kind not in OTHER_CLOCK or kind == expected_kind(fitted):
        return ""
    fits = fitted.records.fit_verdict.get("verdict") != "does not fit"
    return OTHER_CLOCK[kind] if fits or _is_ahead(record["table"], kind, expected_kind(fitted)) else ""


def _is_ahead(table: pd.DataFrame, kind: str, other: str) -> bool:
    rows = table.set_index("model")
    gain = float(rows.loc[kind, "log_likelihood"] - rows.loc[other, "log_likelihood"])
    return gain > ERRORS * float(rows.loc[[kind, other], "standard_error"].max())


def headline(adata: AnnData) -> str:
    """The verdict in a sentence: the fit first, then whether there is a trajectory, then its direction."""
    fitted = Fitted.of(adata)
    if "time" not in fitted.capabilities:
        return "Cells in groups, not in time: this method gives no order of the cells."
    kind = str(comparison_record(adata).get("verdict", ""))
    if kind == "nothing":
        return "No trajectory: no model tells these cells apart."
    if kind == "clusters":
        return f"These cells form clusters rather than a {expected_kind(fitted)}."
    fit = str(fitted.records.fit_verdict.get("verdict", ""))
    if (other := other_clock(adata)) or fit == "does not fit":
        return other or FIT_SENTENCES[fit]
    arrow = str(fitted.records.arrow.get("verdict", ""))
    direction = {
        "": "the direction of time was not tested",
        "clear": "the direction of time is clear",
    }.get(arrow, "the direction of time is not clear")
    parts = [*([FIT_SENTENCES[fit]] if fit else []), *([f"a {kind}"] if kind in OTHER_CLOCK else [])]
    if not parts:
        return f"{direction[0].upper()}{direction[1:]}."
    told = ": ".join(parts)
    good = arrow == "clear" and fit != "fits in part"
    return f"{told[0].upper()}{told[1:]}, {'and' if good else 'but'} {direction}."
