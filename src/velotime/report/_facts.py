"""What a fit says, in sentences and rows: no page, no plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._status import Status
from velotime.data import Fitted
from velotime.report._words import (
    SPOKEN,
    best_genes,
    comparison_record,
    flatten,
    left_out,
    lineage_shares,
    number,
    percent,
    piece_in_words,
    root_in_words,
    root_margin,
)

LEAST_SHARE = 0.01  # of the cells, below which a lineage is warned about
VAGUE_TIME = 0.15  # median sd of the cells' times from which on their order says little
RELATIVE = (
    "The clock runs from 0 to 1, from the earliest to the latest cells. Rates are per unit of this clock, not per "
    "hour: compare genes with each other, not numbers between data sets."
)
Mark = Literal["good", "mind", "plain"]


@dataclass(frozen=True)
class Finding:
    """One answer of the verdict.

    Attributes
    ----------
    topic, answer, text
        What is asked, the answer in a word or two, and why.
    mark
        "good", "mind" (a reader should not rely on it), or "plain" (neither).
    """

    topic: str
    answer: str
    text: str
    mark: Mark


@dataclass(frozen=True)
class Table:
    """A small table of text."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Facts:
    """A fit in words.

    Attributes
    ----------
    headline
        The verdict in a sentence.
    findings
        What it consists of.
    warnings
        What a reader must mind, each with its cure.
    done
        What was done, as pairs of name and value.
    settings
        Every setting of the method, as pairs.
    tables
        Starts tried, models compared, numbers of lineages tried: those that there are.
    version
        Of velotime, when it fitted.
    """

    headline: str
    findings: tuple[Finding, ...]
    warnings: tuple[str, ...]
    done: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    version: str


def collect(adata: AnnData) -> Facts:
    """The facts of a fitted object; what its method does not say is left out."""
    fitted = Fitted.of(adata)
    record, timed = fitted.record, "time" in fitted.capabilities
    found = (
        _fit_ended(record),
        _direction(adata) if timed else None,
        _trajectory(adata) if timed else None,
        _certainty(adata),
        _relative() if timed else None,
    )
    return Facts(
        headline=_headline(adata),
        findings=tuple(finding for finding in found if finding is not None),
        warnings=tuple(_warnings(adata)),
        done=tuple(_done(adata)),
        settings=tuple(flatten(record.get("settings", {}))),
        tables=tuple(_tables(adata)),
        version=str(record.get("version", "")),
    )


def _headline(adata: AnnData) -> str:
    if "time" not in Fitted.of(adata).capabilities:
        return "A fit without a clock: cells in groups, not in time."
    kind = str(comparison_record(adata).get("verdict", ""))
    if kind == "nothing":
        return "No trajectory: no model tells these cells apart."
    if kind == "clusters":
        return "These cells form clusters rather than a trajectory."
    arrow = str(adata.uns.get(keys.TIME_ARROW, {}).get("verdict", ""))
    direction = {
        "": "the direction of time was not tested",
        "clear": "the direction of time is clear",
    }.get(arrow, "the direction of time is not clear")
    if kind == "trajectory":
        return f"A trajectory, {'and' if arrow == 'clear' else 'but'} {direction}."
    return f"{direction[0].upper()}{direction[1:]}."


def _fit_ended(record: Mapping[str, Any]) -> Finding:
    status = str(record.get("status", "unknown"))
    answer = {Status.CONVERGED: "Converged", Status.MAX_ITER: "Stopped early", Status.BOUND_FELL: "Fell back"}
    text = str(record.get("status_text", "")) or "How the fit ended was not recorded."
    return Finding("Fit", dict(answer).get(status, status), text, "good" if status == Status.CONVERGED else "mind")


def _direction(adata: AnnData) -> Finding:
    if keys.TIME_ARROW not in adata.uns:
        method = adata.uns[keys.RECOVER_DYNAMICS].get("method", "This method")
        text = f"{method} does not compare the two directions; they rest on unspliced counts leading spliced ones."
        return Finding("Direction of time", "Not tested", text, "plain")
    arrow = adata.uns[keys.TIME_ARROW]
    text = f"Backwards, the best fit is {number(arrow['log_likelihood_margin'])} nats less likely"
    text += f" (on {int(arrow['n_cells']):,} cells)." if "n_cells" in arrow else "."
    if "share_of_genes" in arrow:
        text += (
            f" {percent(arrow['share_of_genes'])} of the genes prefer the direction reported, and so do "
            f"{percent(arrow['probability'])} of samples of the genes."
        )
    clear = str(arrow["verdict"]) == "clear"
    return Finding("Direction of time", "Clear" if clear else "Not clear", text, "good" if clear else "mind")


def _trajectory(adata: AnnData) -> Finding:
    record = comparison_record(adata)
    if not record:
        text = (
            "Whether there is a trajectory at all was not asked of held-out counts: velotime.tl.compare_models asks, "
            "and so does velotime run without --skip-comparison."
        )
        return Finding("Trajectory", "Not asked", text, "plain")
    verdict = str(record["verdict"])
    answer = {"trajectory": "Found", "clusters": "Clusters instead", "nothing": "None"}.get(verdict, verdict)
    return Finding("Trajectory", answer, str(record["reason"]), "good" if verdict == "trajectory" else "mind")


def _certainty(adata: AnnData) -> Finding | None:
    fitted = Fitted.of(adata)
    if "intervals" not in fitted.capabilities:
        return None
    sd = fitted.uncertainty["sd"].to_numpy(dtype=float)
    low, middle, high = (float(q) for q in np.nanquantile(sd, [0.05, 0.5, 0.95]))
    text = (
        f"Half of the cells have a standard deviation of latent time below {middle:.2g} of the clock; from the surest "
        f"to the least sure twentieth it runs from {low:.2g} to {high:.2g}."
    )
    return Finding("Time of a cell", f"± {middle:.2g}", text, "mind" if middle > VAGUE_TIME else "plain")


def _relative() -> Finding:
    return Finding("Time and rates", "Relative", RELATIVE, "plain")


def _warnings(adata: AnnData) -> list[str]:
    record = adata.uns[keys.RECOVER_DYNAMICS]
    out = []
    kind = str(comparison_record(adata).get("verdict", "trajectory"))
    if kind != "trajectory":
        out.append(
            "Held-out counts do not ask for a trajectory. Latent time orders these cells all the same, but the order "
            "may mean nothing: do not read development into it."
        )
    if str(record.get("status", Status.CONVERGED)) != Status.CONVERGED:
        out.append(str(record.get("status_text", "The fit did not converge.")))
    arrow = adata.uns.get(keys.TIME_ARROW, {})
    if arrow.get("contested", False):
        out.append("Counts and what was known of the cells speak for opposite directions of time: check the labels.")
    elif arrow.get("whole_numbers", False):
        out.append(
            "Whole-number counts were fitted with Gaussian noise: its margins mean little, so the direction of time is "
            "called unclear. Fit counts with a count noise."
        )
    elif str(arrow.get("verdict", "clear")) != "clear":
        out.append(
            "Time may run the other way: the best fit backwards explains the counts nearly as well. Cells known to be "
            "early (a root), marker genes known to be early or late, or experimental time settle it."
        )
    if keys.KNOWLEDGE in adata.uns:
        pieces = adata.uns[keys.KNOWLEDGE]["table"].itertuples()
        out.extend(f"{piece_in_words(piece)}." for piece in pieces if piece.in_conflict)
    fitted = Fitted.of(adata)
    if "intervals" in fitted.capabilities and float(np.nanmedian(fitted.uncertainty["sd"])) > VAGUE_TIME:
        out.append("The times of most cells are vague: compare groups of cells, not single cells.")
    for name, share in lineage_shares(adata):
        if share < LEAST_SHARE:
            out.append(f"Lineage {name} holds {percent(share)} of the cells only; it may be none.")
    return out


def _done(adata: AnnData) -> list[tuple[str, str]]:
    record = adata.uns[keys.RECOVER_DYNAMICS]
    settings = record.get("settings", {})
    rows = [
        ("Cells", number(record.get("n_cells", adata.n_obs))),
        ("Genes fitted", number(record.get("n_genes"))),
        ("Genes left out", "; ".join(f"{n:,} {reason}" for reason, n in left_out(adata).items()) or "none"),
        ("Method", str(record.get("method", "not recorded"))),
        *_spoken(settings),
        *_starts_tried(record),
        *_lineage_rows(adata),
        ("Genes that tell most of time", ", ".join(best_genes(adata, 10))),
        ("Layers", _layers(record)),
        ("Iterations", number(record.get("iterations"))),
        ("Log-likelihood", f"{number(record['log_likelihood'])} nats" if "log_likelihood" in record else ""),
        ("Time taken", _seconds(record)),
        ("Seed", str(record.get("seed", ""))),
        ("velotime", str(record.get("version", ""))),
    ]
    return [(name, text) for name, text in rows if text]


def _spoken(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Noise and prior in words."""
    names = {"noise": "Noise", "prior": "Prior of time"}
    parts = {key: settings[key] for key in names if isinstance(settings.get(key), Mapping)}
    return [(names[key], SPOKEN.get(str(part["name"]), str(part["name"]))) for key, part in parts.items()]


def _starts_tried(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    starts = record.get("starts")
    if not isinstance(starts, pd.DataFrame) or len(starts) == 0:
        return []
    n_roots = starts["root_cell"].nunique()
    tried = f"{len(starts)} starts from {n_roots} {'root' if n_roots == 1 else 'roots'}"
    return [("Root", f"cell {root_in_words(starts.iloc[0])}, {root_margin(record)}"), ("Starts tried", tried)]


def _lineage_rows(adata: AnnData) -> list[tuple[str, str]]:
    shares = lineage_shares(adata)
    if not shares:
        return []
    rows = [("Lineages", ", ".join(f"{name} ({percent(share)} of the cells)" for name, share in shares))]
    if keys.FIT_LINEAGE_RATIO in adata.var:
        ratio = adata.var[keys.FIT_LINEAGE_RATIO].sort_values(ascending=False).dropna()
        rows.append(("Genes that tell lineages apart", ", ".join(str(name) for name in ratio.index[:10])))
    return rows


def _layers(record: Mapping[str, Any]) -> str:
    layers = record.get("layers", {})
    return ", ".join(f"{kind}: “{name}”" for kind, name in layers.items())


def _seconds(record: Mapping[str, Any]) -> str:
    if "seconds" not in record:
        return ""
    whole, starts = float(record["seconds"]), float(record.get("seconds_starts", 0.0))
    return f"{whole:,.1f} s" + (f", of which {starts:,.1f} s for the starts" if starts else "")


def _tables(adata: AnnData) -> list[Table]:
    a_cell = {"log_likelihood": "held-out log-likelihood (nats a cell)", "behind": "behind the best (nats a cell)"}
    found = (
        (
            adata.uns[keys.RECOVER_DYNAMICS].get("starts"),
            "Starts tried, and how far each is behind the best",
            {"log_likelihood": "behind the best (nats)"},
        ),
        (comparison_record(adata).get("table"), "Models judged on held-out counts", a_cell),
        (adata.uns.get(keys.LINEAGES, {}).get("choice"), "Numbers of lineages judged on held-out counts", a_cell),
    )
    return [_table(*one) for one in found if isinstance(one[0], pd.DataFrame) and len(one[0])]


def _table(frame: pd.DataFrame, caption: str, heads: Mapping[str, str]) -> Table:
    header = tuple(heads.get(str(name), str(name).replace("_", " ")) for name in frame.columns)
    rows = tuple(tuple(number(value) for value in row) for row in frame.itertuples(index=False))
    return Table(caption, header, rows)
