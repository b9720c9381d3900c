"""Plots on matplotlib, in scanpy's manner."""

from __future__ import annotations

from velotime.pl._cells import embedding, time_against
from velotime.pl._genes import along_time, phase_portrait

__all__ = ["along_time", "embedding", "phase_portrait", "time_against"]
