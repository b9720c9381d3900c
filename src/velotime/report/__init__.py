"""A fit as one page for a browser: readable without Python, offline, searchable."""

from __future__ import annotations

from velotime.report._facts import best_genes, left_out, other_roots
from velotime.report._write import report

__all__ = ["best_genes", "left_out", "other_roots", "report"]
