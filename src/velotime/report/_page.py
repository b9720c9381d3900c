"""The page: facts and data in a template, all of it in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from typing import Any

import numpy as np
from bokeh.palettes import Viridis256
from bokeh.resources import Resources
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.colors import to_hex

from velotime._numbers import percent
from velotime.pl._phase_colors import phase_colors
from velotime.report._cells import CellFacts, Labels
from velotime.report._facts import Facts
from velotime.report._figures import figures
from velotime.report._genes import EXTRA, PIECES, POINTS, Column, GeneFacts
from velotime.report._pack import deflate, planes, round_bits, script_json
from velotime.report.sections.collect import Sections

SCRIPTS = ("data.js", "plots.js", "cells.js", "explorer.js", "table.js", "main.js")
COORDINATE_BITS = 12
TABLE_BITS = 13  # of mantissa: within 6e-5 of the value, of which three digits are shown


def render(title: str, facts: Facts, sections: Sections, cells: CellFacts, genes: GeneFacts, sizes: Any) -> str:
    """The page as text.

    Parameters
    ----------
    title
        What was fitted: the page's heading.
    facts, sections, cells, genes
        What it shows.
    sizes
        Size factors of the drawn cells, unspliced and spliced, ``(2, drawn cells)``.
    """
    scripts = {"library": _library(), "program": "\n".join(_read(name) for name in SCRIPTS)}
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters["percent"] = percent
    return page.from_string(_read("page.html")).render(
        title=title,
        facts=facts,
        sections=sections,
        notes=cells.notes,
        time_words=cells.time_words,
        goes_round=cells.goes_round,
        hours=cells.hours,
        genes=genes,
        style=_inert(_read("style.css"), "</style"),
        library=_inert(scripts["library"], "</script"),
        program=_inert(scripts["program"], "</script"),
        data=Markup(script_json(_data(cells, genes, sizes))),
        plots=Markup(script_json(figures(cells, genes.values))),
        policy=_policy(list(scripts.values())),
    )


def _read(name: str) -> str:
    return (files("velotime.report") / "page" / name).read_text(encoding="utf-8")


def _library() -> str:
    """The plotting library's script, as its package brings it."""
    return "\n".join(Resources(mode="inline", minified=True, components=["bokeh"], log_level="warn").js_raw)


def _inert(text: str, end: str) -> Markup:
    """Our own text and the library's, which goes into the page as it is."""
    if end in text.lower():
        raise ValueError(f"{end!r} within a script or style would end it.")
    return Markup(text)


def _policy(scripts: list[str]) -> str:
    """Content security policy: these scripts and no others, and nothing is loaded from anywhere."""
    hashes = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'"


def _data(cells: CellFacts, genes: GeneFacts, sizes: Any) -> dict[str, Any]:
    return {
        "viridis": Viridis256,
        "phases": [to_hex(color) for color in phase_colors(256)] if cells.goes_round else [],
        "time": f"{cells.time_words} ({cells.unit})",
        "hours": cells.hours is not None,
        "length": cells.hours or 1.0,
        "points": POINTS,
        "cells": _cells(cells, sizes),
        "labels": [_label(column) for column in cells.labels],
        "lineages": [{"name": name, "color": color} for name, color in genes.lineages.items()],
        "pieces": genes.pieces,
        "nPieces": PIECES,
        "columns": [_column(column, genes, cells.hours) for column in genes.columns],
        "table": _gene_table(genes),
        "genes": list(genes.packed),
        "leftOut": deflate(json.dumps(genes.left_out).encode()),
    }


def _cells(cells: CellFacts, sizes: Any) -> dict[str, Any]:
    all_rows = {"x": cells.points[:, 0], "y": cells.points[:, 1], "sizeU": sizes[0], "sizeS": sizes[1]}
    all_rows |= {"time": cells.time, "sd": cells.sd}
    rows = {name: values for name, values in all_rows.items() if values is not None}
    return {
        "n": len(cells.drawn),
        "rows": list(rows),
        "numbers": deflate(planes(round_bits(np.array(list(rows.values())), COORDINATE_BITS))),
        "names": deflate(json.dumps(cells.names).encode()),
    }


def _label(column: Labels) -> dict[str, Any]:
    codes = np.where(column.codes < 0, 255, column.codes).astype(np.uint8)
    return {
        "column": column.column,
        "names": list(column.names),
        "colors": list(column.colors),
        "codes": deflate(codes.tobytes()),
    }


def _column(column: Column, genes: GeneFacts, hours: float | None) -> dict[str, Any]:
    interval = f"{column.key}_low" in genes.table
    return {"key": column.key, "title": column.title, "text": column.text_in(hours), "interval": interval}


def _gene_table(genes: GeneFacts) -> dict[str, Any]:
    """The table's numbers, column after column: by key, and last switch and transcription after it by lineage."""
    table = genes.table
    wanted = [c.key + end for c in genes.columns for end in ("", "_low", "_high")] + list(EXTRA)
    columns = [name for name in wanted if name in table]
    parts = [table[columns].to_numpy(dtype=float)]
    lineages = genes.last_switch is not None and genes.last_alpha is not None
    if genes.last_switch is not None and genes.last_alpha is not None:
        parts += [genes.last_switch, genes.last_alpha]
    values = np.hstack(parts)
    return {
        "names": deflate(json.dumps([str(name) for name in table.index]).encode()),
        "columns": columns,
        "nLineages": parts[1].shape[1] if lineages else 0,
        "n": len(table),
        "numbers": deflate(planes(round_bits(np.ascontiguousarray(values.T), TABLE_BITS))),
    }
