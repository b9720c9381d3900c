"""Several samples and their conditions: tables, sentences and pictures."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from velotime import _keys as keys
from velotime._numbers import number, percent
from velotime.data import Fitted
from velotime.pl._by_sample.conditions import LEVEL, TEXT, condition_record
from velotime.report._words import capital

RESOLUTION = 100  # pixels in an inch
MOST_GENES = 12  # named of a comparison
TELLS = 0.05  # nats per cell from which on a sample says something of the direction

NO_BACKGROUND = ", ".join(map(percent, (0.0, 0.0)))


@dataclass(frozen=True)
class SampleFacts:
    """What the page says of samples.

    Attributes
    ----------
    columns
        Names of the columns of ``rows``.
    rows
        Of each sample: name, condition if there are any, cells, mean time, what it says of fit and direction, and its
        background if any has one.
    sentences
        On captures, and what the design can tell.
    genes
        Genes that differ most: gene, condition, parameter, fold, p-value, q-value, samples.
    pictures
        Data URIs with a text each.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sentences: tuple[str, ...]
    genes: tuple[tuple[str, ...], ...]
    pictures: tuple[tuple[str, str], ...]


def tables_of_samples(adata: AnnData) -> dict[str, pd.DataFrame]:
    """``samples``, ``conditions``, ``speed`` and ``composition``; empty where there are none."""
    record = condition_record(adata)
    empty = pd.DataFrame()
    return {
        "samples": _samples(adata, record),
        "conditions": record["genes"].set_index("gene") if record else empty,
        "speed": record["speed"].set_index("condition") if record else empty,
        "composition": record["composition"].set_index("condition") if record else empty,
    }


def _samples(adata: AnnData, record: Mapping[str, Any]) -> pd.DataFrame:
    if keys.SAMPLES not in adata.uns:
        return pd.DataFrame()
    table = pd.DataFrame(adata.uns[keys.SAMPLES]["table"]).rename_axis("sample")
    if record:
        table.insert(0, "condition", record["samples"]["condition"].reindex(table.index).astype(str))
    return table


def facts_of_samples(adata: AnnData) -> SampleFacts | None:
    """For the page; None for a fit of one sample."""
    if keys.SAMPLES not in adata.uns or Fitted.of(adata).effects is None:
        return None
    record = condition_record(adata)
    table = _samples(adata, record)
    rows = [_row(str(name), row) for name, row in table.iterrows()]
    columns = [name for name in rows[0] if any(row[name] not in ("", NO_BACKGROUND) for row in rows)]
    return SampleFacts(
        tuple(columns),
        tuple(tuple(row[name] for name in columns) for row in rows),
        tuple(_sentences(adata, table, record)),
        tuple(_genes(record)),
        tuple(_pictures(adata, record)),
    )


def _row(name: str, row: Any) -> dict[str, str]:
    shares = [float(row.get(f"background_{layer}", 0.0)) for layer in ("unspliced", "spliced")]
    return {
        "Sample": name,
        "Condition": str(row.get("condition", "")),
        "Cells": number(int(row["n_cells"])),
        "Mean time": f"{row['mean_time']:.2f}",
        "Fit (nats per cell over constant means)": f"{row['gain_per_cell']:.1f}",
        "Direction by its own cells (nats per cell)": _direction(float(row.get("direction_per_cell", np.nan))),
        "Background (of unspliced, spliced counts)": ", ".join(map(percent, shares)),
    }


def _direction(margin: float) -> str:
    if np.isnan(margin):
        return "not asked"
    word = "as reported" if margin > TELLS else "the other one" if margin < -TELLS else "does not tell"
    return f"{word} ({margin:+.2f})"


def _sentences(adata: AnnData, table: pd.DataFrame, record: Mapping[str, Any]) -> list[str]:
    unspliced, spliced = adata.uns[keys.SAMPLES]["spread"]
    found = [
        "Samples differ in how well they capture a gene by a standard deviation (of logs) of "
        f"{unspliced:.2f} in unspliced and {spliced:.2f} in spliced counts; curves and times are free of it."
    ]
    against = [str(name) for name in table.index[table["direction_per_cell"] < -TELLS]]
    if against:
        found.append(f"By their own cells alone these samples prefer another direction: {', '.join(against)}.")
    if record:
        genes = record["genes"]
        told = genes["p_value"].notna()
        if told.any():
            found.append(
                f"With samples as the replicates, {int((genes['q_value'] < LEVEL).sum())} of {int(told.sum())} tests "
                f"of genes between conditions ({record['condition']}, reference {record['reference']}) have a q-value "
                "below 5\u00a0%."
            )
        found += [_speed_sentence(row) for _, row in record["speed"].iterrows()]
        if str(record["note"]):
            found.append(capital(str(record["note"])))
    return found


def _speed_sentence(row: Any) -> str:
    """How fast a condition runs, with its interval where there is one."""
    slower = float(row["times_slower"]) >= 1
    factor, *ends = (float(row[name]) for name in ("times_slower", "low", "high"))
    factor, ends = (factor, ends) if slower else (1 / factor, [1 / end for end in ends[::-1]])
    said = f"All genes of {row['condition']} together run {factor:.2f} times {'slower' if slower else 'faster'}"
    if np.isnan(ends).any():
        return f"{said} than those of {row['reference']}; without a second sample this may be chance."
    told = "" if ends[0] > 1 else ", which may be chance"
    return f"{said} than those of {row['reference']} (95\u00a0% interval {ends[0]:.2f} to {ends[1]:.2f}){told}."


def _genes(record: Mapping[str, Any]) -> list[tuple[str, ...]]:
    if not record:
        return []
    first = record["genes"].dropna(subset=["p_value"]).head(MOST_GENES)
    return [
        (
            str(row["gene"]),
            str(row["condition"]),
            TEXT[str(row["parameter"])],
            f"{row['log2_fold']:+.2f}",
            f"{row['p_value']:.2g}",
            f"{row['q_value']:.2g}",
            number(int(row["n_samples"])),
        )
        for _, row in first.iterrows()
    ]


def _pictures(adata: AnnData, record: Mapping[str, Any]) -> list[tuple[str, str]]:
    from velotime import pl

    condition = str(record["condition"]) if record else None
    found = [
        (
            _drawn(lambda axes: pl.samples(adata, condition=condition, ax=axes, show=False)),
            "Density of the cells of each sample along the clock, and capture of the genes by sample",
        )
    ]
    if record:
        text = (
            "Density of the cells of each condition along the clock, how fast each runs, and change of degradation "
            "against its p-value"
        )
        found.append((_drawn(lambda axes: pl.conditions(adata, ax=axes, show=False), 3), text))
    return found


def _drawn(draw: Any, panels: int = 2) -> str:
    """Panels as a PNG, in a data URI."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5 * panels, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        draw(list(figure.subplots(1, panels)))
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=RESOLUTION, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
