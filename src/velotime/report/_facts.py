"""What a fit says, in sentences and rows: no page, no plot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import nats, number, percent
from velotime._status import Status, UnclearWarning
from velotime.data import Fitted, hours_in_words, hours_record, read_record
from velotime.report._words import (
    SPOKEN,
    Roots,
    background_in_words,
    best_genes_in_words,
    capital,
    direction_in_words,
    fate_genes,
    fit_in_words,
    flatten,
    lineage_shares,
    method_in_words,
    off_clock_in_words,
    orders_in_words,
    origin_in_words,
    rivals_in_words,
    seconds_in_words,
    status_in_words,
    unit_in_words,
    votes_in_words,
)
from velotime.report.sections.headline import comparison_record, expected_kind, headline, other_clock
from velotime.report.sections.variation import variation_in_words
from velotime.tl._fit_warnings import doubts_of, piece_in_words

VAGUE_TIME = 0.15  # median sd of the cells' times from which on their order says little
RELATIVE = (
    "The clock runs from 0 to 1, from the earliest to the latest cells. Rates are per unit of this clock, not per "
    "hour: compare genes with each other, not numbers between data sets."
)
IN_TURNS = (
    "The clock goes round: phases from 0 to 1 are fractions of a turn, and 1 is 0 again. Rates are per turn, and those "
    "of cells that grow contain dilution, ln 2 per turn of cells that double."
)
OF_RIVALS = {
    "margin": "behind",
    "half_1": "in the first half of the genes",
    "half_2": "in the second half",
    "known": "by knowledge",
}
NO_ORDER = (
    "Held-out counts do not ask for a {}. The fit orders these cells all the same, but the order may mean nothing: do "
    "not read development into it."
)
#: What the columns of the small tables hold.
COLUMNS = {
    "root_cell": "The cell in which time begins.",
    "start": "How the cells were ordered at first.",
    "log_likelihood": "Of the counts, in nats, as the difference to the best where it says so.",
    "backwards": "Whether this is the best start with its clock reversed.",
    "chosen": "Whether the fit went on from here.",
    "model": "What was asked to predict counts that it had not seen.",
    "behind": "By how much it predicts them worse than the best model.",
    "standard_error": "Of that distance, from the cells.",
    "margin": "By how many nats per cell it is less likely than the reported fit, on all genes of the search.",
    "half_1": "The same, fitted to one half of the genes only; none where it ended with the reported times.",
    "half_2": "The same, fitted to the other half of the genes.",
    "known": "By how many nats per cell what is known of the cells speaks against it.",
    "correlation": "Of its times with the reported ones (Spearman); \u22121: the other way round.",
    "loses": "Whether it loses on all genes and in both halves by enough.",
}
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
    """A small table of text; ``words`` say what each column holds."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[tuple[str, str], ...] = ()


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
        Starts tried, models compared, rivals: those that there are.
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
        _fits(adata),
        _fit_ended(record),
        _direction(adata) if timed else None,
        _trajectory(adata) if timed else None,
        _certainty(adata),
        _unit(adata) if timed else None,
    )
    return Facts(
        headline=headline(adata),
        findings=tuple(finding for finding in found if finding is not None),
        warnings=tuple(_warnings(adata)),
        done=tuple(_done(adata)),
        settings=tuple(flatten(record.get("settings", {}))),
        tables=tuple(_tables(adata)),
        version=str(record.get("version", "")),
    )


def _fit_ended(record: Mapping[str, Any]) -> Finding:
    status = str(record.get("status", "unknown"))
    answer = {Status.CONVERGED: "Converged", Status.MAX_ITER: "Stopped early", Status.BOUND_FELL: "Fell back"}
    text = status_in_words(record)
    return Finding("Fit", dict(answer).get(status, status), text, "good" if status == Status.CONVERGED else "mind")


def _direction(adata: AnnData) -> Finding:
    fitted = Fitted.of(adata)
    arrow = fitted.records.arrow
    if not arrow:
        method = fitted.method
        text = f"{method} does not compare the two directions; they rest on unspliced counts leading spliced ones."
        return Finding("Direction of time", "Not tested", text, "plain")
    text = direction_in_words(arrow)
    if isinstance(arrow.get("rivals"), pd.DataFrame):
        text += f" {rivals_in_words(arrow['rivals'])}".rstrip()
    if "least_margin" in arrow:
        text += (
            f" The direction is called clear from {nats(arrow['least_margin'])} on, if every rival loses in two halves "
            "of the genes as well, the model fits, and counts and knowledge do not contradict each other."
        )
    text += " A nat is a unit of log-likelihood: 3 nats are odds of 20 to 1."
    clear = str(arrow["verdict"]) == "clear"
    return Finding("Direction of time", "Clear" if clear else "Not clear", text, "good" if clear else "mind")


def _fits(adata: AnnData) -> Finding | None:
    record = Fitted.of(adata).records.fit_verdict
    if not record:
        return None
    mark: Mark = "good" if str(record["verdict"]) == "fits" else "mind"
    return Finding("Does the model fit", capital(str(record["verdict"])), capital(fit_in_words(record)) + ".", mark)


def _trajectory(adata: AnnData) -> Finding:
    record, expected = comparison_record(adata), expected_kind(Fitted.of(adata)).capitalize()
    if not record:
        return Finding(expected, "Not asked", _why_not_asked(Fitted.of(adata)), "plain")
    verdict = str(record["verdict"])
    answers = {"trajectory": "A line", "cycle": "A cycle", "clusters": "Clusters instead", "nothing": "None"}
    if verdict == expected.lower():
        return Finding(expected, "Found", str(record["reason"]), "good")
    return Finding(expected, answers.get(verdict, verdict), str(record["reason"]), "mind")


def _why_not_asked(fitted: Fitted) -> str:
    """What would ask held-out counts whether there is a trajectory; fits of values have none."""
    asked = f"Whether there is a {expected_kind(fitted)} at all was not asked of held-out counts"
    noise = fitted.record.get("settings", {}).get("noise", {})
    if isinstance(noise, Mapping) and str(noise.get("name", "")) in ("NegativeBinomial", "Poisson"):
        return f"{asked}: velotime.tl.compare_models asks, and so does velotime run without --skip-comparison."
    return f"{asked}: this fit read values, not counts. velotime.tl.compare_models asks it of raw counts."


def _certainty(adata: AnnData) -> Finding | None:
    fitted = Fitted.of(adata)
    if "intervals" not in fitted.capabilities:
        return None
    sd = fitted.uncertainty["sd"].to_numpy(dtype=float)
    low, middle, high = (float(q) for q in np.nanquantile(sd, [0.05, 0.5, 0.95]))
    what = ("phase", "a turn", "Phase") if fitted.goes_round else ("latent time", "the clock", "Time")
    length = hours_record(adata).get("hours_per_clock")
    of, after = ("hours", " hours") if length else (f"of {what[1]}", "")
    least, told, most = (f"{sd * (length or 1.0):.2g}" for sd in (low, middle, high))
    text = (
        f"Half of the cells have a standard deviation of {what[0]} below {told} {of}; from the surest "
        f"to the least sure twentieth it runs from {least} to {most}."
    )
    return Finding(f"{what[2]} of a cell", f"± {told}{after}", text, "mind" if middle > VAGUE_TIME else "plain")


def _unit(adata: AnnData) -> Finding:
    told = hours_in_words(adata)
    if hours_record(adata):
        return Finding("Time and rates", "In hours", f"{capital(told)}.", "good")
    own = _relative(adata)
    return Finding(own.topic, own.answer, f"{capital(told)}. {own.text}", "mind") if told else own


def _relative(adata: AnnData) -> Finding:
    if Fitted.of(adata).goes_round:
        return Finding("Phases and rates", "In turns", f"{IN_TURNS} {capital(origin_in_words(adata))}.", "plain")
    return Finding("Time and rates", "Relative", RELATIVE, "plain")


def _warnings(adata: AnnData) -> list[str]:
    record = Fitted.of(adata).record
    out = []
    expected = expected_kind(Fitted.of(adata))
    kind = str(comparison_record(adata).get("verdict", expected))
    if kind in {"nothing", "clusters"}:
        out.append(NO_ORDER.format(expected))
    elif other := other_clock(adata):
        out.append(other)
    if str(record.get("status", Status.CONVERGED)) != Status.CONVERGED:
        out.append(str(record.get("status_text", "The fit did not converge.")))
    fitted = Fitted.of(adata)
    out.extend(_doubt_in_words(doubt) for doubt in doubts_of(fitted.records))
    if "intervals" in fitted.capabilities and float(np.nanmedian(fitted.uncertainty["sd"])) > VAGUE_TIME:
        out.append("The times of most cells are vague: compare groups of cells, not single cells.")
    return out


def _doubt_in_words(doubt: UnclearWarning) -> str:
    """A warning of the fit as a sentence of the page, which knows neither Python nor a command line."""
    text = f"{doubt.text[0].upper()}{doubt.text[1:]}"
    if not doubt.cures:
        return text
    return (
        f"{text} What can settle it: {', '.join(doubt.cures[:-1])}{' or ' if doubt.cures[1:] else ''}{doubt.cures[-1]}."
    )


def _done(adata: AnnData) -> list[tuple[str, str]]:
    fitted = Fitted.of(adata)
    record = fitted.record
    settings = record.get("settings", {})
    rows = [
        ("Cells", number(record.get("n_cells", adata.n_obs))),
        ("Genes fitted", number(record.get("n_genes"))),
        (
            "Genes left out",
            "; ".join(f"{n:,} {reason}" for reason, n in Fitted.of(adata).records.left_out.items()) or "none",
        ),
        ("Method", method_in_words(record)),
        *_spoken(settings),
        *_starts_tried(record),
        ("Not cycling", off_clock_in_words(adata)),
        *_known(adata),
        *_votes(adata),
        ("Background", background_in_words(adata)),
        *_lineage_rows(adata),
        _best_genes(adata),
        ("Variation explained", capital(variation_in_words(adata))),
        ("Unit of time", _known_unit(adata)),
        ("Layers", _layers(record)),
        ("Iterations", number(record.get("iterations"))),
        ("Log-likelihood", nats(record["log_likelihood"]) if "log_likelihood" in record else ""),
        ("Time taken", seconds_in_words(record)),
        ("Seed", str(record.get("seed", ""))),
        ("velotime", str(record.get("version", ""))),
    ]
    return [(name, text) for name, text in rows if text]


def _known_unit(adata: AnnData) -> str:
    """Where hours or experimental times were asked for."""
    asked = any(read_record(adata, name) for name in (keys.EXPERIMENTAL_TIME, keys.REAL_TIME))
    return unit_in_words(adata) if asked else ""


def _spoken(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Noise and prior in words."""
    names = {"noise": "Noise", "prior": "Prior of time"}
    parts = {key: settings[key] for key in names if isinstance(settings.get(key), Mapping)}
    return [(names[key], SPOKEN.get(str(part["name"]), str(part["name"]))) for key, part in parts.items()]


def _starts_tried(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    roots = Roots.of(record)
    if roots is None:
        return [("Orders tried", orders_in_words(record))]
    return [("Root cell", f"{roots.cell}: {roots.margin}"), ("Starts tried", roots.tried)]


def _known(adata: AnnData) -> list[tuple[str, str]]:
    """What was known of the cells, a row per piece."""
    table = Fitted.of(adata).records.knowledge
    return [] if table is None else [("Known of the cells", piece_in_words(piece)) for piece in table.itertuples()]


def _best_genes(adata: AnnData) -> tuple[str, str]:
    what, names = best_genes_in_words(adata)
    return f"{what[0].upper()}{what[1:]}", names


def _votes(adata: AnnData) -> list[tuple[str, str]]:
    record = Fitted.of(adata).records.lineages
    return [("Number of lineages", votes_in_words(record))] if "votes" in record else []


def _lineage_rows(adata: AnnData) -> list[tuple[str, str]]:
    shares = lineage_shares(adata)
    if not shares:
        return []
    rows = [("Lineages", "; ".join(f"{name}, {percent(share)} of the cells" for name, share in shares))]
    rows.append(("Genes that tell lineages apart", fate_genes(adata)))
    return rows


def _layers(record: Mapping[str, Any]) -> str:
    layers = record.get("layers", {})
    told = sorted(layers.items(), reverse=True)  # unspliced first; files keep no order
    return ", ".join(f"{kind}: “{name}”" for kind, name in told)


def _tables(adata: AnnData) -> list[Table]:
    a_cell = {"log_likelihood": "held-out log-likelihood (nats per cell)", "behind": "behind the best (nats per cell)"}
    record = Fitted.of(adata).record
    found = (
        (record.get("starts"), _starts_caption(adata), {"log_likelihood": "behind the best (nats)"}),
        (comparison_record(adata).get("table"), "Models judged on held-out counts", a_cell),
        (Fitted.of(adata).records.arrow.get("rivals"), "Rivals (nats per cell)", OF_RIVALS),
    )
    return [_table(*one) for one in found if isinstance(one[0], pd.DataFrame) and len(one[0])]


def _starts_caption(adata: AnnData) -> str:
    """What the table of starts holds; its distance of the fit backwards is another measure than the direction's."""
    arrow, settings = Fitted.of(adata).records.arrow, Fitted.of(adata).records.settings
    cells = f" on {number(arrow['n_cells'])} cells" if "n_cells" in arrow else ""
    genes = f" and at most {number(settings['start_genes'])} genes" if cells and "start_genes" in settings else ""
    return f"Starts tried in short fits{cells}{genes}; the direction of time is weighed afterwards, on all genes"


def _table(frame: pd.DataFrame, caption: str, heads: Mapping[str, str]) -> Table:
    header = tuple(heads.get(str(name), str(name).replace("_", " ")) for name in frame.columns)
    rows = tuple(tuple(number(value) for value in row) for row in frame.itertuples(index=False))
    told = [(head, _column_in_words(str(name))) for head, name in zip(header, frame.columns, strict=True)]
    words = tuple((head, text) for head, text in told if text)
    return Table(caption, header, rows, words)


def _column_in_words(name: str) -> str:
    """What a column of a small table holds; labels of the root cell are named by the column of obs."""
    if name in COLUMNS:
        return COLUMNS[name]
    return f"What obs[“{name.removeprefix('root_')}”] says of that cell." if name.startswith("root_") else ""
