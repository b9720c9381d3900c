"""A fit in a few lines: text in a terminal, a table in a notebook."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
from anndata import AnnData

from velotime import _keys as keys
from velotime._check import checked
from velotime._numbers import number, percent
from velotime._status import Status
from velotime.data import Fitted, has_arrows, hours_in_words, hours_record, list_embeddings, read_derived
from velotime.data.arguments import ADATA
from velotime.report._words import (
    Roots,
    best_genes,
    fit_in_words,
    off_clock_in_words,
    orders_in_words,
    status_in_words,
)
from velotime.report.sections.fates import fates_of
from velotime.report.sections.headline import comparison_record, expected_kind, headline
from velotime.report.sections.variation import variation_in_words
from velotime.tl._fit_warnings import backwards_in_words, doubts_of, piece_in_words

WIDEST = 110  # characters of a line of text
Row = tuple[str, str]


@dataclass(frozen=True)
class Summary:
    """A fit in a few lines, as :func:`velotime.summary` gives it.

    Attributes
    ----------
    headline
        The verdict in a sentence.
    rows
        What it consists of, as pairs of topic and text.
    warnings
        What a reader must not overlook, each with what would settle it.
    steps
        What to do next, as pairs of a call and why.
    """

    headline: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    steps: tuple[Row, ...]

    def _all_rows(self) -> list[Row]:
        told = [("to mind", warning) for warning in self.warnings]
        return [("in short", self.headline), *self.rows, *told]

    def __repr__(self) -> str:
        """Text, as wide as the terminal."""
        width = min(shutil.get_terminal_size((100, 24)).columns, WIDEST)
        rows = [*self._all_rows(), *(("next", f"{call}  # {why}") for call, why in self.steps)]
        first = max(len(name) for name, _ in rows) + 2
        return "\n".join(
            textwrap.fill(
                text,
                max(width, first + 30),
                initial_indent=f"{name:<{first}}",
                subsequent_indent=" " * first,
                break_long_words=False,
                break_on_hyphens=False,
            )
            for name, text in rows
        )

    def _repr_html_(self) -> str:
        """A table for notebooks, in the colours of the page around it."""
        cell = 'style="text-align:left;vertical-align:top;white-space:normal;max-width:60em"'
        head = 'style="text-align:left;vertical-align:top;font-weight:600;white-space:nowrap"'
        rows = "".join(
            f"<tr><th {head}>{escape(name[0].upper() + name[1:])}</th><td {cell}>{escape(text)}</td></tr>"
            for name, text in self._all_rows()[1:]
        )
        steps = "".join(f"<li><code>{escape(call)}</code> {escape(why)}</li>" for call, why in self.steps)
        return (
            f'<div class="velotime-summary"><p><strong>{escape(self.headline)}</strong></p><table>{rows}</table>'
            f"<p>What to do next</p><ul>{steps}</ul></div>"
        )

    def _repr_markdown_(self) -> str:
        """The same for pages that are made of Markdown."""
        rows = "\n".join(f"- **{name}**: {text}" for name, text in self._all_rows()[1:])
        steps = "\n".join(f"- `{call}` {why}" for call, why in self.steps)
        return f"**{self.headline}**\n\n{rows}\n\nWhat to do next:\n\n{steps}\n"


@checked({"adata": ADATA})
def summary(adata: AnnData) -> Summary:
    """Say in a few lines what a fit found: verdict, fit, direction, root, lineages, genes, and what to do next.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`; stays as it is.

    Returns
    -------
    An object that a notebook shows as a table and a terminal as text (in a script: ``print(vt.summary(adata))``), with
    ``headline``, ``rows``, ``warnings`` and ``steps``. :func:`velotime.report` says all of it, with pictures.

    Raises
    ------
    InputError
        If nothing is fitted.

    Examples
    --------
    >>> import velotime as vt
    >>> adata = vt.simulation.simulate(200, 30, rng=0, mean_spliced=3.0)
    >>> quick = vt.SoftEM(n_lineages=1, n_times=16, start_times=8, annealing=2, max_iterations=3)
    >>> vt.tl.recover_dynamics(adata, method=quick, progress=False)
    >>> vt.summary(adata).steps[-1][0]
    "vt.report(adata, 'report.html')"
    """
    fitted = Fitted.of(adata)
    return Summary(
        headline=headline(adata),
        rows=tuple(row for row in _rows(fitted) if row[1]),
        warnings=tuple(str(doubt) for doubt in doubts_of(fitted.records)),
        steps=tuple(_steps(fitted)),
    )


def _rows(fitted: Fitted) -> Iterator[Row]:
    records, adata = fitted.records, fitted.adata
    if records.fit_verdict:
        yield "fit", fit_in_words(records.fit_verdict)
    if str(fitted.record.get("status", Status.CONVERGED)) != Status.CONVERGED:
        yield "status", status_in_words(fitted.record)
    yield "direction", _direction(fitted)
    if "time" in fitted.capabilities:
        yield expected_kind(fitted), _trajectory(adata)
    yield ("orders", orders_in_words(fitted.record)) if fitted.goes_round else ("root", _root(fitted))
    yield "not cycling", off_clock_in_words(adata)
    yield "lineages", _lineages(adata)
    if records.knowledge is not None:
        yield "known", "; ".join(piece_in_words(piece) for piece in records.knowledge.itertuples())
    if "intervals" in fitted.capabilities:
        length = hours_record(adata).get("hours_per_clock")
        sd = float(np.nanmedian(fitted.uncertainty["sd"])) * (length or 1.0)
        what, unit = ("phase", "of a turn") if fitted.goes_round else ("time", "of the clock")
        yield f"{what} of a cell", f"half of the cells are known within ± {sd:.2g} {'hours' if length else unit}"
    yield "hours", hours_in_words(adata)
    yield "genes", _genes(fitted)
    yield "variation", variation_in_words(adata)


def _direction(fitted: Fitted) -> str:
    arrow = fitted.records.arrow
    if not arrow:
        return ""
    reason = f", as {arrow['reason']}" if arrow.get("reason") else ""
    return f"{arrow['verdict']}{reason}; the closest rival is {backwards_in_words(arrow)} on all genes"


def _trajectory(adata: AnnData) -> str:
    record = comparison_record(adata)
    if not record:
        return "not asked of held-out counts yet"
    verdict = str(record["verdict"])
    others = {"trajectory": "a line instead", "cycle": "a cycle instead", "clusters": "clusters instead"}
    answer = "found" if verdict == expected_kind(Fitted.of(adata)) else others.get(verdict, "none")
    return f"{answer}. {record['reason']}"


def _root(fitted: Fitted) -> str:
    roots = Roots.of(fitted.record)
    return "" if roots is None else f"{roots.cell}: {roots.margin}"


def _lineages(adata: AnnData) -> str:
    return "; ".join(f"{fate.title}, {percent(fate.share)} of the cells" for fate in fates_of(adata))


def _genes(fitted: Fitted) -> str:
    names = best_genes(fitted.adata, 6)
    left_out = fitted.adata.n_vars - len(fitted.genes)
    text = f"{number(len(fitted.genes))} fitted" + (f", {number(left_out)} left out" if left_out else "")
    most = "tell most of time" if keys.FIT_GAIN in fitted.adata.var else "are fitted best"
    return f"{text}; {', '.join(names)} {most}" if names else text


def _steps(fitted: Fitted) -> Iterator[Row]:
    """What is worth doing next, the most telling first; what was done is not named."""
    adata = fitted.adata
    if "time" not in fitted.capabilities:
        yield "vt.tl.recover_dynamics(adata)", "give cells times and velocities"
        return
    if not comparison_record(adata) and fitted.method == "SoftEM" and fitted.noise.counts:
        yield "vt.tl.compare_models(adata)", f"is there a {expected_kind(fitted)} at all? Held-out counts tell"
    if str(fitted.records.fit_verdict.get("verdict", "")) == "does not fit":
        yield "vt.pl.proportions(adata)", "does the assay see introns? Is velocity right for these cells at all?"
    else:
        yield from _pictures(fitted)
    yield "vt.report(adata, 'report.html')", "all of this as a page, with every gene"


def _pictures(fitted: Fitted) -> Iterator[Row]:
    adata = fitted.adata
    if fitted.goes_round:
        yield "vt.pl.cycle(adata)", "the cells and the genes round the cycle"
    if len(fates_of(adata)) > 1 and "posterior" in fitted.capabilities:
        yield "vt.tl.rank_fate_genes(adata)", "the genes that set the lineages apart"
    if read_derived(adata, keys.VELOCITY_GRAPH) is None:
        yield "vt.tl.velocity_graph(adata)", "where velocities point among the neighbours"
    name = next(iter(list_embeddings(adata)), None)
    if name is not None and not has_arrows(adata, name):
        yield f"vt.pl.velocity_stream(adata, basis={name!r})", "draw them"
