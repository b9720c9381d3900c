"""Shared by the studies: their scripts write tables into their own page, so that no number in it is typed by hand.

A page holds pairs of markers, ``<!-- begin NAME -->`` and ``<!-- end NAME -->``, each on a line of its own; what is
between them is written by the script. A script that leaves a marker unfilled, or fills one that is not there, fails.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

FOLDER = Path(__file__).resolve().parent
LARGEST_FIGURE = 150_000  # bytes
MARKER = re.compile(r"(<!-- begin (?P<name>\S+) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def table(frame: pd.DataFrame) -> str:
    """A data frame as a Markdown table; numbers are given to three digits unless they are texts already."""
    rows = [list(map(str, frame.columns)), ["---" if frame[c].dtype == object else "---:" for c in frame.columns]]
    rows += [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def fill(name: str, pieces: Mapping[str, str]) -> None:
    """Put each piece between its markers in ``NAME.md``."""
    page = FOLDER / f"{name}.md"
    text = page.read_text(encoding="utf-8")
    there = {match["name"] for match in MARKER.finditer(text)}
    if there != set(pieces):
        raise SystemExit(f"{page.name} has markers {sorted(there)}, the script fills {sorted(pieces)}.")
    text = MARKER.sub(lambda match: f"{match[1]}{pieces[match['name']].strip()}\n{match[3]}", text)
    page.write_text(text, encoding="utf-8")
    print(f"Filled {page}")


def save(figure: plt.Figure, name: str) -> None:
    """Write a figure to ``figures/NAME.png``."""
    path = FOLDER / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)
    plt.close(figure)
    if path.stat().st_size > LARGEST_FIGURE:
        raise SystemExit(f"{path} is {path.stat().st_size:,} bytes; at most {LARGEST_FIGURE:,}.")
    print(f"Wrote {path}")


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._began
