"""Plots on matplotlib, in scanpy's manner."""

from __future__ import annotations

from velotime.pl._cells import time_against
from velotime.pl._genes import phase_portrait

__all__ = ["phase_portrait", "time_against"]
