"""A fit for readers: one page for a browser, offline and searchable; a table for the terminal."""

from __future__ import annotations

# First, as it gives numba a folder for caches where there is none, which scanpy asks for when it is imported.
from velotime.compute import jit as _jit  # noqa: F401

# isort: split

from velotime.report._summary import Summary, summary
from velotime.report._tables import TABLES, tables, write_tables
from velotime.report._text import run_in_text
from velotime.report._words import best_genes
from velotime.report._write import report

__all__ = ["TABLES", "Summary", "best_genes", "report", "run_in_text", "summary", "tables", "write_tables"]
