"""A fit for readers: one page for a browser, offline and searchable; a table for the terminal."""

from __future__ import annotations

from velotime.report._text import summary
from velotime.report._words import best_genes
from velotime.report._write import report

__all__ = ["best_genes", "report", "summary"]
