"""A paragraph of methods, and a citation, to copy into an article."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import nats, number
from velotime._status import Status
from velotime.data import Fitted, hours_in_words, hours_record
from velotime.report._words import SPOKEN, method_in_words
from velotime.tl._fit_warnings import piece_in_words

CITATION = (
    "The velotime developers. velotime: latent time and RNA velocity by expectation-maximisation on a shared clock. "
    "https://velotime.readthedocs.io"
)
ENDED = {
    Status.CONVERGED: "converged",
    Status.MAX_ITER: "stopped at its maximum number of iterations, before it had converged",
    Status.BOUND_FELL: "fell back to the best parameters seen",
}


def methods_paragraph(adata: AnnData) -> str:
    """What was done, in sentences for an article; what was not done or not settled is said as well."""
    fitted = Fitted.of(adata)
    record = fitted.record
    what = "counts" if fitted.noise.counts else "values"
    sentences = [
        _fitted(record, what),
        *_model(record, hours_in_words(adata) if hours_record(adata) else ""),
        *_ended(record),
        *_direction(adata),
        *_known(adata),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _fitted(record: Mapping[str, Any], what: str) -> str:
    version = f" {record['version']}" if record.get("version") else ""
    inferred = "The components" if str(record.get("method")) == "MixtureEM" else "Latent time and kinetic rates"
    size = f"{number(record.get('n_cells'))} cells and {number(record.get('n_genes'))} genes"
    how = f"{method_in_words(record)}; seed {record.get('seed', 0)}"
    return f"{inferred} were inferred with velotime{version} ({how}) from unspliced and spliced {what} of {size}."


def _model(record: Mapping[str, Any], hours: str) -> list[str]:
    """Noise and prior of ``SoftEM``, and the unit of time."""
    settings = record.get("settings", {})
    noise, prior = settings.get("noise"), settings.get("prior")
    if not isinstance(noise, Mapping):
        return []
    said = f"Noise: {SPOKEN.get(str(noise['name']), str(noise['name']))}"
    if isinstance(prior, Mapping):
        said += f"; prior of time: {SPOKEN.get(str(prior['name']), str(prior['name']))}"
    if hours:
        return [f"{said}. Time is in hours and rates are per hour: {hours}."]
    clock = settings.get("clock")
    if isinstance(clock, Mapping) and clock["name"] == "Cycle":
        return [f"{said}. The clock goes round: phases are fractions of a turn of the cycle, and rates are per turn."]
    return [f"{said}. Time runs from 0 to 1 and rates are per unit of this clock."]


def _ended(record: Mapping[str, Any]) -> list[str]:
    how = dict(ENDED).get(str(record.get("status", "")))  # type: ignore[call-overload]
    return [f"The fit {how} after {number(record.get('iterations'))} iterations."] if how else []


def _direction(adata: AnnData) -> list[str]:
    arrow = adata.uns.get(keys.TIME_ARROW, {})
    if "verdict" not in arrow:
        return []
    margin = nats(arrow["log_likelihood_margin"])
    clear = str(arrow["verdict"]) == "clear"
    return [f"The direction of time was {'clear' if clear else 'not clear'} (margin over the closest rival: {margin})."]


def _known(adata: AnnData) -> list[str]:
    if keys.KNOWLEDGE not in adata.uns or len(adata.uns[keys.KNOWLEDGE]["table"]) == 0:
        return []
    pieces = [piece_in_words(piece) for piece in adata.uns[keys.KNOWLEDGE]["table"].itertuples()]
    return [f"The fit was told: {'; '.join(pieces)}."] if pieces else []
