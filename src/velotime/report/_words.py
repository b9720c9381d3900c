"""Pieces of a fit in words: what the page and the terminal say alike, and how numbers are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime.data import of_these_cells, read_derived

SPOKEN = {
    "NegativeBinomial": "negative binomial (counts scatter more than by chance alone)",
    "Poisson": "Poisson (counts scatter by chance alone)",
    "Gaussian": "Gaussian, on normalised values",
    "LearnedPrior": "learned from the cells",
    "UniformPrior": "uniform",
    "FixedPrior": "given",
}


def lineage_shares(adata: AnnData) -> list[tuple[str, float]]:
    """Name of each lineage and its share of the cells; none if there is but one."""
    record = adata.uns.get(keys.LINEAGES, {})
    names = [str(name) for name in record.get("names", [])]
    if len(names) < 2:
        return []
    return list(zip(names, (float(share) for share in record["shares"]), strict=True))


def left_out(adata: AnnData) -> dict[str, int]:
    """How many genes were left out before and by the fit, by reason."""
    before = adata.uns.get(keys.FILTER_GENES, {}).get("left_out", {})
    return {
        str(reason): int(n) for reason, n in {**before, **adata.uns[keys.RECOVER_DYNAMICS].get("left_out", {})}.items()
    }


def best_genes(adata: AnnData, n: int) -> list[str]:
    """The genes that tell most of time: largest gain over a constant mean, in nats, or else largest likelihood."""
    by = next((name for name in (keys.FIT_GAIN, keys.FIT_LIKELIHOOD) if name in adata.var), None)
    if by is None:
        return []
    score = adata.var[by]
    if keys.VELOCITY_GENES in adata.var:
        score = score.where(adata.var[keys.VELOCITY_GENES])
    return [str(name) for name in score.sort_values(ascending=False).dropna().index[:n]]


def root_in_words(start: pd.Series) -> str:
    """The root cell of a start and the groups that it lies in."""
    labels = [str(start[name]) for name in start.index if name.startswith("root_") and name != "root_cell"]
    return str(start["root_cell"]) + (f" ({', '.join(dict.fromkeys(labels))})" if labels else "")


def root_margin(record: Mapping[str, Any]) -> str:
    """By how much the best root wins."""
    starts = record["starts"]
    n_roots = starts.loc[starts["start"] != "reversed", "root_cell"].nunique()
    if n_roots < 2:
        return "no other root was tried"
    if "root_margin" not in record:
        return f"the best of {n_roots} roots"
    return f"{record['root_margin']:,.0f} nats over the next best root"


def flatten(settings: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows: ``noise`` is the name of a part, ``prior.by`` one of its own settings."""
    rows: list[tuple[str, str]] = []
    for key, value in settings.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping):
            rows.append((name, str(value.get("name", ""))))
            rows.extend(flatten({k: v for k, v in value.items() if k != "name"}, name))
        elif key != "name":
            rows.append((name, ", ".join(map(str, value)) if isinstance(value, np.ndarray) else str(value)))
    return rows


def number(value: Any) -> str:
    """A number for reading: thousands apart, three digits where it is small; text as it is, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, str | bool | np.bool_):
        return str(value)
    value = float(value)
    if not np.isfinite(value):
        return "none"
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return text.replace("-", "\u2212")


def percent(share: Any) -> str:
    """A share in per cent; what is rounded to all or nothing says so."""
    share = float(share)
    if 0 < share < 0.005:
        return "under 1\u00a0%"
    if 0.995 <= share < 1:
        return "over 99\u00a0%"
    return f"{share:.0%}".replace("%", "\u00a0%")


def piece_in_words(piece: Any) -> str:
    """A row of the table of what was known of the cells, and whether it agrees with the rest."""
    verdict = "in conflict" if piece.in_conflict else "agrees"
    order = "" if np.isnan(piece.correlation) else f", Spearman with time {piece.correlation:+.2f}"
    return f"{piece.piece} {verdict}: {piece.nats:+,.0f} nats on {piece.n_cells:,} cells{order}"


def comparison_record(adata: AnnData) -> Mapping[str, Any]:
    """What models of exactly these cells and genes were compared to say; empty if that was not asked of them."""
    record: Mapping[str, Any] = adata.uns.get(keys.MODEL_COMPARISON, {})
    return record if of_these_cells(adata, keys.MODEL_COMPARISON) else {}


def unit_in_words(adata: AnnData) -> str:
    """The unit of time: relative, and what that is in the unit of experimental times if it was said."""
    if read_derived(adata, keys.EXPERIMENTAL_TIME) is None:
        return "relative: the clock runs from 0 to 1"
    scale = adata.uns[keys.EXPERIMENTAL_TIME]
    return (
        f"relative; the clock spans {scale['units_per_clock']:.3g} of the unit of {scale['unit']!r}, from "
        f"{scale['origin']:.3g} on; in that unit: latent_time_experimental, fit_*_experimental"
    )
