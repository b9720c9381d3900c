"""What a reader of a fit must not overlook, in sentences: warned about after a fit, repeated on the page.

They are read from the records of the fit, so that a warning, the page and ``uns`` cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from velotime._numbers import nats, percent, signed_nats
from velotime._status import Cure, UnclearWarning
from velotime.data import Records

LEAST_SHARE = 0.01  # of the cells, below which a lineage is warned about
GIVEN_BY = {"Ends": Cure.ENDS, "Markers": Cure.MARKERS, "TimeLabels": Cure.TIMES}


def doubts_of(records: Records) -> list[UnclearWarning]:
    """All that a fit leaves open, most important first; none if it is clear or its method does not say."""
    return [
        *about_noise(records),
        *_about_fit(records),
        *_about_direction(records),
        *_about_knowledge(records),
        *_about_bound(records),
        *_about_shares(records),
    ]


def about_noise(records: Records) -> Iterator[UnclearWarning]:
    """Counts that were fitted with Gaussian noise."""
    if records.arrow.get("whole_numbers", False):
        yield UnclearWarning(
            "the values are whole numbers, as counts are, but the noise is Gaussian: its variance does not grow with "
            "the mean, so genes with many counts decide, and the direction of time is called unclear however large its "
            "margin. Gaussian noise is for normalised values and moments.",
            (Cure.COUNT_NOISE,),
        )


def direction_cures(settings: Mapping[str, Any]) -> tuple[Cure, ...]:
    """What can settle the direction of time and was not given to the fit: nothing is named that was."""
    if "knowledge" not in settings or _goes_round(settings):
        return ()  # a method that takes none, or a clock to which none applies
    knowledge = settings["knowledge"]
    pieces = knowledge.values() if isinstance(knowledge, Mapping) else ()
    given = {GIVEN_BY.get(str(piece.get("name"))) for piece in pieces}
    if isinstance(settings.get("root"), Mapping):
        given.add(Cure.ROOT)
    return tuple(cure for cure in (Cure.ROOT, Cure.ENDS, Cure.MARKERS, Cure.TIMES) if cure not in given)


def _goes_round(settings: Mapping[str, Any]) -> bool:
    clock = settings.get("clock")
    return isinstance(clock, Mapping) and str(clock.get("name")) == "Cycle"


def backwards_in_words(arrow: Mapping[str, Any]) -> str:
    """How the closest rival compares, after "the closest rival is"."""
    margin = float(arrow["log_likelihood_margin"])
    if margin < 0:
        return f"{nats(-margin)} more likely, too little to overrule the root that was given"
    return f"{nats(margin)} less likely"


def _about_fit(records: Records) -> Iterator[UnclearWarning]:
    fit = records.fit_verdict
    if str(fit.get("verdict", "")) == "does not fit":
        yield UnclearWarning(
            f"the model does not fit these cells: {fit['reason']}. Neither order nor direction of time means much."
        )
    elif int(fit.get("steps", 0)) and str(records.arrow.get("verdict", "")) == "clear":  # by what is known of the cells
        yield UnclearWarning(f"the direction of time is known, but not what single cells do: {fit['reason']}.")


def _about_direction(records: Records) -> Iterator[UnclearWarning]:
    arrow = records.arrow
    if str(arrow.get("verdict", "clear")) == "clear" or arrow.get("whole_numbers", False):
        return
    if arrow.get("contested", False):
        yield _contested(arrow)
        return
    if str(records.fit_verdict.get("verdict", "")) == "does not fit":
        return  # said already, and no root makes the model fit
    reason = str(arrow.get("reason", "")) or f"the closest rival is {backwards_in_words(arrow)}"
    settings = records.settings
    otherwise = "run" if _goes_round(settings) else "begin elsewhere or run"
    yield UnclearWarning(
        f"the direction of time is not clear, it may {otherwise} the other way: {reason}.",
        direction_cures(settings),
    )


def _contested(arrow: Mapping[str, Any]) -> UnclearWarning:
    known = float(arrow["knowledge_margin"])
    counts = float(arrow["log_likelihood_margin"]) - known
    sides = ("counts", "what is known of the cells") if counts > 0 else ("what is known of the cells", "counts")
    return UnclearWarning(
        f"the direction of time is contested: for it, {nats(max(counts, known))} ({sides[0]}); against it, "
        f"{nats(-min(counts, known))} ({sides[1]}). Check roots, ends, markers and labels; uns['knowledge'] weighs "
        "each of them."
    )


def piece_in_words(piece: Any) -> str:
    """A row of the table of what was known of the cells, and whether it agrees with the rest."""
    verdict = "in conflict" if piece.in_conflict else "agrees"
    order = "" if np.isnan(piece.correlation) else f", Spearman correlation with time {piece.correlation:+.2f}"
    return f"{piece.piece} {verdict}: {signed_nats(piece.nats)} on {piece.n_cells:,} cells{order}"


def _about_knowledge(records: Records) -> Iterator[UnclearWarning]:
    table = records.knowledge
    if table is not None and table["in_conflict"].any():
        told = "; ".join(piece_in_words(piece) for piece in table.itertuples())
        yield UnclearWarning(
            f"what is known of the cells contradicts the counts or itself: {told}. The fit weighs all of it; check "
            "these."
        )


def _about_bound(records: Records) -> Iterator[UnclearWarning]:
    """A number of lineages that the data chose and a setting bounds."""
    record = records.lineages
    if record.get("at_bound", False):
        n = len(record["names"])
        yield UnclearWarning(
            f"the number of lineages, {n}, is the largest that was allowed (most_lineages): the cells have as many "
            "ends or more.",
            (Cure.LINEAGES, Cure.TERMINALS),
        )


def _about_shares(records: Records) -> Iterator[UnclearWarning]:
    record = records.lineages
    shares = dict(zip((str(name) for name in record.get("names", ())), record.get("shares", ()), strict=False))
    for name, share in shares.items():
        if float(share) < LEAST_SHARE:
            yield UnclearWarning(
                f"lineage {name!r} holds {percent(share)} of the cells only; ask for fewer lineages unless it is known "
                "to exist."
            )
