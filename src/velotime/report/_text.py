"""A run as a table of text, for the terminal."""

from __future__ import annotations

from typing import Any

from anndata import AnnData

from velotime import _keys as keys
from velotime.data import Fitted
from velotime.report._words import (
    best_genes,
    comparison_record,
    left_out,
    piece_in_words,
    root_in_words,
    root_margin,
    unit_in_words,
)


def lineage_rows(adata: AnnData) -> list[tuple[str, str]]:
    """Rows of the summary on lineages; none if there is but one."""
    if keys.LINEAGES not in adata.uns:
        return []
    record = adata.uns[keys.LINEAGES]
    rows = []
    if "choice" in record:
        rows.extend(
            ("held-out", f"{row.n_lineages} lineages: {row.behind:+.3f} (SE {row.standard_error:.3f}) nats a cell")
            for row in record["choice"].itertuples()
        )
    if len(record["names"]) > 1:
        shares = zip(record["names"], record["shares"], strict=True)
        rows.append(("lineages", ", ".join(f"{name} {share:.0%}" for name, share in shares)))
        ratio = adata.var[keys.FIT_LINEAGE_RATIO].sort_values(ascending=False)
        rows.append(("fate genes", ", ".join(str(name) for name in ratio.dropna().index[:10])))
    return [*rows, *root_rows(adata.uns[keys.RECOVER_DYNAMICS])]


def root_rows(record: Any) -> list[tuple[str, str]]:
    """Rows of the summary on the root that was found, and on the others that were tried."""
    starts = record["starts"]
    ahead = starts[starts["start"] != "reversed"].drop_duplicates("root_cell")
    best = starts.iloc[0]
    rows = [("root", f"{root_in_words(best)}, ordered by {best['start']}: {root_margin(record)}")]
    rows.extend(
        ("other roots", f"{root_in_words(row)}: {row['log_likelihood']:,.0f} nats")
        for _, row in ahead[ahead["root_cell"] != best["root_cell"]].iterrows()
    )
    return rows


def comparison_rows(adata: AnnData) -> list[tuple[str, str]]:
    """Rows of the summary on whether there is a trajectory; none if that was not asked."""
    record = comparison_record(adata)
    if not record:
        return []
    scores = ", ".join(
        f"{row.model} {row.behind:+.2f} (SE {row.standard_error:.2f})" for row in record["table"].itertuples()
    )
    return [
        ("verdict", f"{record['verdict']}. {record['reason']}"),
        ("held-out", f"nats a cell behind the best: {scores}"),
    ]


def arrow_rows(adata: AnnData) -> list[tuple[str, str]]:
    """The row of the summary on the direction of time; none if the method did not weigh it."""
    if keys.TIME_ARROW not in adata.uns:
        return []
    arrow = adata.uns[keys.TIME_ARROW]
    margin = f"{arrow['log_likelihood_margin']:,.0f} nats over the best fit backwards on {arrow['n_cells']:,} cells"
    evidence = (
        f"{arrow['verdict']}: {margin}; {arrow['share_of_genes']:.0%} of genes and "
        f"{arrow['probability']:.1%} of bootstraps agree"
    )
    if arrow.get("knowledge_margin", 0) != 0:
        evidence += f"; {arrow['knowledge_margin']:+,.0f} of the nats are from what is known of the cells"
    return [("direction", evidence)]


def knowledge_rows(adata: AnnData) -> list[tuple[str, str]]:
    """Rows of the summary on what was known of the cells, and whether it agrees with the rest."""
    if keys.KNOWLEDGE not in adata.uns:
        return []
    return [("known", piece_in_words(piece)) for piece in adata.uns[keys.KNOWLEDGE]["table"].itertuples()]


def time_row(adata: AnnData) -> tuple[str, str]:
    """The row of the summary on the unit of time."""
    return ("time and rates", unit_in_words(adata))


def _method_in_words(record: Any) -> str:
    """The method and those of its settings that are models themselves."""
    models = [value["name"] for value in record["settings"].values() if isinstance(value, dict) and "name" in value]
    return ", ".join([record["method"], *models])


def _seconds_in_words(record: Any, seconds: float) -> str:
    starts = record.get("seconds_starts", 0.0)
    spent = [f"{starts:.1f} s starts"] if starts else []
    return f"{seconds:.1f} s, of which " + " and ".join([*spent, f"{record['seconds'] - starts:.1f} s fit"])


def summary(adata: AnnData, *, seconds: float) -> str:
    """What a run did, as a table of text."""
    record = Fitted.of(adata).record
    rows = [
        ("cells", f"{record['n_cells']:,}"),
        ("genes fitted", f"{record['n_genes']:,}"),
        *[("genes left out", f"{n:,} {reason}") for reason, n in left_out(adata).items()],
        ("method", _method_in_words(record)),
        ("iterations", str(record["iterations"])),
        ("status", f"{record['status']}: {record['status_text']}"),
        ("log-likelihood", f"{record['log_likelihood']:,.0f} nats"),
        *arrow_rows(adata),
        *knowledge_rows(adata),
        *comparison_rows(adata),
        *lineage_rows(adata),
        time_row(adata),
        ("best genes", ", ".join(best_genes(adata, 10))),
        ("time taken", _seconds_in_words(record, seconds)),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
