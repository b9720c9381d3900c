"""A fit as one page for a browser: readable without Python, offline, searchable."""

from __future__ import annotations

from velotime.report._write import report

__all__ = ["report"]
