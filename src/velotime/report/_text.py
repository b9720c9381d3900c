"""A run as a table of text, for the terminal: the numbers and sentences of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from anndata import AnnData

from velotime._numbers import nats, number, percent
from velotime.data import Fitted
from velotime.report._words import (
    Roots,
    background_in_words,
    best_genes_in_words,
    direction_in_words,
    fate_genes,
    fit_in_words,
    lineage_shares,
    method_in_words,
    off_clock_in_words,
    orders_in_words,
    rivals_in_words,
    seconds_in_words,
    status_in_words,
    unit_in_words,
    votes_in_words,
)
from velotime.report.sections.headline import comparison_record, headline
from velotime.report.sections.variation import variation_in_words
from velotime.tl._fit_warnings import piece_in_words

Row = tuple[str, str]


def lineage_rows(adata: AnnData) -> list[Row]:
    """Rows of the summary on lineages; none if there is but one."""
    record = Fitted.of(adata).records.lineages
    rows = []
    if "votes" in record:
        rows.append(("number", votes_in_words(record)))
    shares = lineage_shares(adata)
    if shares:
        rows.append(("lineages", ", ".join(f"{name} {percent(share)}" for name, share in shares)))
        rows.append(("fate genes", fate_genes(adata)))
    return [row for row in rows if row[1]]


def _behind(behind: float, error: float) -> str:
    """A distance from the best in held-out counts."""
    return "the best" if behind == 0 else f"{nats(-behind)} per cell behind the best (standard error {number(error)})"


def root_rows(record: Mapping[str, Any]) -> list[Row]:
    """Rows of the summary on the root that was found, and on the others that were tried."""
    roots = Roots.of(record)
    if roots is None:
        return [("orders tried", orders_in_words(record))]
    rows = [("root", f"{roots.cell}: {roots.margin}"), ("starts tried", roots.tried)]
    rows.extend(
        ("other roots", f"{cell}: {nats(abs(behind))} {'behind' if behind >= 0 else 'ahead'}")
        for cell, behind in roots.others
    )
    return rows


def comparison_rows(adata: AnnData) -> list[Row]:
    """Rows of the summary on whether there is a trajectory; none if that was not asked."""
    record = comparison_record(adata)
    if not record:
        return []
    scores = "; ".join(
        f"{row.model}: {_behind(row.behind, row.standard_error)}" for row in record["table"].itertuples()
    )
    return [("verdict", f"{record['verdict']}. {record['reason']}"), ("held-out", scores)]


def arrow_rows(adata: AnnData) -> list[Row]:
    """Rows of the summary on the direction of time and its rivals; none if the method did not weigh it."""
    arrow = Fitted.of(adata).records.arrow
    if not arrow:
        return []
    rows = [("direction", f"{arrow['verdict']}. {direction_in_words(arrow)}")]
    if isinstance(arrow.get("rivals"), pd.DataFrame):
        rows.append(("rivals", rivals_in_words(arrow["rivals"])))
    return [row for row in rows if row[1]]


def fit_rows(adata: AnnData) -> list[Row]:
    """The row of the summary on whether the model fits; none if the method does not say."""
    record = Fitted.of(adata).records.fit_verdict
    return [("fit", fit_in_words(record))] if record else []


def knowledge_rows(adata: AnnData) -> list[Row]:
    """Rows of the summary on what was known of the cells, and whether it agrees with the rest."""
    table = Fitted.of(adata).records.knowledge
    return [] if table is None else [("known", piece_in_words(piece)) for piece in table.itertuples()]


def time_rows(adata: AnnData) -> list[Row]:
    """The row of the summary on the unit of time; none if the method knows no time."""
    return [("time and rates", unit_in_words(adata))] if "time" in Fitted.of(adata).capabilities else []


def run_in_text(adata: AnnData, *, seconds: float) -> str:
    """What a run did, as a table of text; ``seconds`` is what the whole run took."""
    record = Fitted.of(adata).record
    rows = [
        ("in short", headline(adata)),
        ("cells", number(record["n_cells"])),
        ("genes fitted", number(record["n_genes"])),
        *[("genes left out", f"{number(n)} {reason}") for reason, n in Fitted.of(adata).records.left_out.items()],
        ("method", method_in_words(record)),
        ("iterations", number(record["iterations"])),
        ("status", status_in_words(record)),
        ("log-likelihood", nats(record["log_likelihood"])),
        *fit_rows(adata),
        *arrow_rows(adata),
        *knowledge_rows(adata),
        *comparison_rows(adata),
        ("background", background_in_words(adata)),
        *lineage_rows(adata),
        *root_rows(record),
        ("not cycling", off_clock_in_words(adata)),
        *time_rows(adata),
        ("best genes", best_genes_in_words(adata)[1]),
        ("variation", variation_in_words(adata)),
        ("time taken", seconds_in_words(record)),
        ("whole run", f"{seconds:,.1f} s, with reading, comparing and writing"),
    ]
    rows = [row for row in rows if row[1]]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
