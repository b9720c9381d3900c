"""What plots of single genes share: switches, and a legend of what was fitted."""

from __future__ import annotations

import matplotlib.patheffects as effects
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from velotime._check import Either, Names, Optional, Rule
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.data.arguments import GENE
from velotime.pl._canvas.look import COLORED_BY, ON_CELLS
from velotime.pl._curves import Curve

HALO = [effects.withStroke(linewidth=3.2, foreground="white")]
#: Rules of what both plots take: those of cells on an embedding, but for the embedding and one colour for all panels.
OF_GENES: dict[str, Rule] = {name: rule for name, rule in ON_CELLS.items() if name != "basis"} | {
    "gene": Either((GENE, Names("names of genes"))),
    "color": Optional(COLORED_BY),
}


def ends(curves: list[Curve], layer: int) -> FloatArray:
    """The largest mean of each curve."""
    return np.array([curve.means[layer].max() for curve in curves])


def least(fitted: Fitted) -> float:
    """What an axis shows at least: one count; of values, as little as there is."""
    return 1.0 if fitted.noise.counts else 0.0


def draw_switches(ax: Axes, x: FloatArray, y: FloatArray, curve: Curve) -> None:
    """Diamonds at the switches."""
    ax.scatter(x, y, color=curve.color, s=34, marker="D", edgecolors="white", linewidths=0.8, zorder=5)


def name_curves(ax: Axes, curves: list[Curve], *, band: bool, means: bool) -> None:
    """A legend of what was fitted, inside the axes; that of the cells is beside them."""
    if not curves:
        return
    lines: list[Artist] = [
        Line2D([], [], color=c.color, lw=1.8, label=f"lineage {c.lineage}") for c in curves if len(curves) > 1
    ]
    lines = lines or [Line2D([], [], color=curves[0].color, lw=1.8, label="fit")]
    if any(len(curve.switches) for curve in curves):
        lines.append(Line2D([], [], marker="D", ls="", color="black", mec="white", ms=6, label="switch"))
    if band and any(curve.covariance is not None for curve in curves):
        lines.append(Patch(facecolor="black", alpha=0.25, lw=0, label="90 % band, misfit included"))
    if means:
        lines.append(Line2D([], [], marker="o", ls="", color="white", mec="black", ms=4, label="mean count"))
    labels = [str(line.get_label()) for line in lines]
    ax.add_artist(Legend(ax, lines, labels, fontsize=7, frameon=True, framealpha=0.7, edgecolor="none", loc="best"))
