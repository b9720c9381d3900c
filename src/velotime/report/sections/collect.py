"""Sections of the page for readers who were not there: picture, fates, quality of the data, methods to copy, tables."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from markupsafe import Markup

from velotime import _keys as keys
from velotime._numbers import number, percent
from velotime.data import hours_record
from velotime.report._tables import tables
from velotime.report.sections.fates import Fate, cluster_column, cluster_table, fates_of, titles_of
from velotime.report.sections.methods import CITATION, methods_paragraph
from velotime.report.sections.picture import draw_stream
from velotime.report.sections.quality import quality_rows
from velotime.report.sections.samples import SampleFacts, facts_of_samples

LARGEST_TABLE = 700_000  # characters of a table that the page holds
CLUSTER_HEADS = {"cells": "Cells", keys.LATENT_TIME: "Latent time (median)", keys.CYCLE_PHASE: "Phase (median)"}


@dataclass(frozen=True)
class Sections:
    """What the sections say.

    Attributes
    ----------
    picture
        Streamlines on the embedding as a data URI; empty without arrows.
    column
        The obs column whose labels name clusters; empty without.
    fates, clusters
        Where lineages end; a row of text for each cluster, under ``cluster_heads``.
    samples
        What is said of several samples; None for one.
    quality
        Pairs of what is asked of the data, and the answer.
    methods, citation
        Paragraphs to copy.
    files
        Name and data URI of each table; those that are too large are in ``left_out``.
    """

    picture: Markup
    column: str
    fates: tuple[Fate, ...]
    cluster_heads: tuple[str, ...]
    clusters: tuple[tuple[str, ...], ...]
    samples: SampleFacts | None
    quality: tuple[tuple[str, str], ...]
    methods: str
    citation: str
    files: tuple[tuple[str, Markup], ...]
    left_out: tuple[str, ...]


def collect_sections(adata: AnnData, basis: str | None) -> Sections:
    """The sections of a fitted object, which stays as it is."""
    clusters, hours = cluster_table(adata), bool(hours_record(adata))
    files, left_out = _files(adata)
    return Sections(
        picture=Markup(draw_stream(adata, basis)),
        column=cluster_column(adata) or "",
        fates=tuple(fates_of(adata)),
        cluster_heads=tuple(_head(str(name), titles_of(adata), hours=hours) for name in _shown(clusters)),
        clusters=tuple(_cluster_rows(_in_hours(adata, clusters))),
        samples=facts_of_samples(adata),
        quality=tuple(quality_rows(adata)),
        methods=methods_paragraph(adata),
        citation=CITATION,
        files=files,
        left_out=left_out,
    )


def _shown(clusters: pd.DataFrame) -> list[str]:
    return [str(name) for name in clusters if not str(name).endswith(("_q25", "_q75"))]


def _head(name: str, titles: dict[str, str], *, hours: bool) -> str:
    if hours and name in (keys.LATENT_TIME, keys.CYCLE_PHASE):
        return "Hours (median)"
    return CLUSTER_HEADS.get(name) or f"To {titles[name.removeprefix('lineage_')]}"


def _in_hours(adata: AnnData, clusters: pd.DataFrame) -> pd.DataFrame:
    """Times in hours where these are known."""
    found = hours_record(adata)
    if not found:
        return clusters
    times = [name for name in clusters if str(name).startswith((keys.LATENT_TIME, keys.CYCLE_PHASE))]
    return clusters.assign(**{name: clusters[name] * float(found["hours_per_clock"]) for name in times})


def _cluster_rows(clusters: pd.DataFrame) -> list[tuple[str, ...]]:
    """Cells as whole numbers, times with their quartiles, lineages in per cent."""
    rows = []
    for name, row in clusters.iterrows():
        slot = _shown(clusters)[1]
        spread = f"{row[slot]:.2f} ({row[f'{slot}_q25']:.2f} to {row[f'{slot}_q75']:.2f})"
        spread = "none" if np.isnan(row[slot]) else spread  # cells that do not cycle have no phase
        shares = [percent(float(row[column])) for column in _shown(clusters)[2:]]
        rows.append((str(name), number(int(row["cells"])), spread, *shares))
    return rows


def _files(adata: AnnData) -> tuple[tuple[tuple[str, Markup], ...], tuple[str, ...]]:
    """Tables as links that need no network, and the names of those that would make the page too large."""
    kept, left_out = [], []
    for name, table in tables(adata).items():
        small = table.size <= LARGEST_TABLE  # a character each, at the very least
        text = table.to_csv(float_format="%.4g") if len(table) and small else ""
        if not small or len(text) > LARGEST_TABLE:
            left_out.append(f"{name}.csv")
        elif text:
            coded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
            kept.append((f"{name}.csv", Markup(f"data:text/csv;charset=utf-8;base64,{coded}")))
    return tuple(kept), tuple(left_out)
