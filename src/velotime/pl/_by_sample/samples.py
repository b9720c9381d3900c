"""Plots of several samples: where their cells lie along the clock, and how they captured genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from velotime._check import Optional, checked
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.data.arguments import ADATA, COLUMN
from velotime.pl._canvas.arguments import FIGSIZE, SAVE, SHOW, TwoAxes
from velotime.pl._canvas.axes import clock_label, require_groups, tidy
from velotime.pl._canvas.colors import LINEAGE_PALETTE, labels_of, palette_of
from velotime.pl._canvas.panels import finish_panels, open_panels
from velotime.pl._proportions import COLORS

SMOOTH = 0.03  # sd of the kernel along the clock
GRID = np.linspace(0.0, 1.0, 201)


@checked(
    {
        "adata": ADATA,
        "condition": Optional(COLUMN),
        "figsize": FIGSIZE,
        "ax": Optional(TwoAxes()),
        "show": SHOW,
        "save": SAVE,
    }
)
def samples(
    adata: AnnData,
    *,
    condition: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Sequence[Axes] | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Where the cells of each sample lie along the clock, and how each sample captured the genes.

    Left the density of cells along the clock, a line for each sample: samples may differ in composition, and their
    times stay comparable. Right the captures, unspliced and spliced: how many times as many counts of a gene a sample
    has as all samples have, over genes; the box holds half of them and its whiskers 90 %. Wide boxes of a layer mean
    that samples caught it unevenly. The spreads in the title are those that the fit learned.

    Parameters
    ----------
    adata
        Fitted with ``method=vt.SoftEM(samples=...)``.
    condition
        An obs column by which lines are coloured, the same for all cells of a sample; by sample by default.
    figsize
        Width and height of the figure in inches.
    ax
        Two axes.
    show, save
        As in scanpy.

    Returns
    -------
    The two axes; None if the figure was shown.

    Raises
    ------
    InputError
        If nothing is fitted, the fit is of one sample, or there is no such column.
    """
    fitted = require_samples(adata)
    if condition is not None:
        require_groups(adata, condition)
    axes = open_panels(ax, 2, ncols=2, size=(4.6, 3.4), figsize=figsize)
    _draw_densities(axes[0], fitted, condition)
    _draw_captures(axes[1], fitted)
    tidy(axes)
    out = finish_panels(axes, one=False, show=show, save=save, name="samples")
    return out if isinstance(out, list) else None


def require_samples(adata: AnnData) -> Fitted:
    """The fit, which must be of several samples.

    Raises
    ------
    InputError
        If not.
    """
    fitted = Fitted.of(adata)
    if fitted.effects is None:
        raise InputError(
            "the fit is of one sample: call velotime.tl.recover_dynamics(adata, method=vt.SoftEM(samples='...')) with "
            "the obs column of the samples."
        )
    return fitted


def sample_densities(fitted: Fitted) -> FloatArray:
    """Density of the cells of each sample along the clock, at the times of ``GRID``, ``(samples, times)``."""
    assert fitted.effects is not None
    n_samples = len(fitted.effects.names)
    by_sample = np.zeros((n_samples, fitted.states.n_states))
    posterior, sample = fitted.posterior, fitted.sample
    for b in range(n_samples):
        by_sample[b] = np.asarray(posterior[sample == b].sum(axis=0)).ravel()
    away = fitted.states.clock.away(GRID[:, None], fitted.states.time) / SMOOTH
    kernel = np.exp(-0.5 * away**2)
    kernel /= np.maximum(kernel.sum(axis=0), 1e-12)  # nothing is lost over the ends
    density = by_sample @ kernel.T
    return np.asarray(density / np.maximum(density.sum(axis=1, keepdims=True) * (GRID[1] - GRID[0]), 1e-12))


def sample_colors(fitted: Fitted, condition: str | None) -> tuple[list[str], list[str], dict[str, str]]:
    """Names of the samples, the label of each that colours it, and colours of the labels."""
    assert fitted.effects is not None
    names = list(fitted.effects.names)
    if condition is None:
        return names, names, dict(zip(names, _lines(len(names)), strict=True))
    labels, codes = labels_of(fitted.adata, condition)
    sample, of = fitted.sample, []
    for b in range(len(names)):
        own = np.unique(codes[sample == b])
        of.append("mixed" if len(own) != 1 else labels[own[0]])
    found = [label for label in labels if label in of] + ["mixed"] * ("mixed" in of)
    return names, of, condition_colors(fitted.adata, condition, found)


def condition_colors(adata: AnnData, condition: str, labels: list[str]) -> dict[str, str]:
    """Those in ``uns`` where there are some; else strong ones."""
    stored = f"{condition}_colors" in adata.uns
    return palette_of(adata, condition, labels, None if stored else _lines(len(labels)))


def _lines(n: int) -> list[str]:
    """Strong colours: lines need more than the pale ones of cells."""
    return [LINEAGE_PALETTE[k % len(LINEAGE_PALETTE)] for k in range(n)]


def _draw_densities(ax: Axes, fitted: Fitted, condition: str | None) -> None:
    names, of, colors = sample_colors(fitted, condition)
    styles = ("-", "--", ":", "-.")
    for k, (density, label) in enumerate(zip(sample_densities(fitted), of, strict=True)):
        style = styles[(k // len(LINEAGE_PALETTE)) % len(styles)] if condition is None else "-"
        ax.plot(GRID, density, color=colors[label], ls=style, lw=1.3, alpha=0.9, label=names[k])
    ax.set(xlabel=clock_label(fitted), ylabel="density of cells", xlim=(0, 1))
    ax.set_ylim(bottom=0)
    handles: list[Any] = ax.get_lines()
    if condition is not None:
        handles = [Line2D([], [], color=color, lw=1.3, label=label) for label, color in colors.items()]
    columns = 1 + (len(handles) > 6)
    ax.legend(handles=handles, fontsize=7, frameon=False, ncols=columns, title=condition or "sample", title_fontsize=7)
    ax.set_title(f"{len(names)} samples", loc="left", fontsize=9)


def _draw_captures(ax: Axes, fitted: Fitted) -> None:
    effects = fitted.effects
    assert effects is not None
    at = np.arange(len(effects.names))
    own = effects.log_capture[:, fitted.genes] / np.log(2)
    seen = own > np.log2(1e-10)
    for k, layer in enumerate(("unspliced", "spliced")):
        values = [own[k, seen[k, :, b], b] for b in at]
        boxes = ax.boxplot(
            values,
            positions=at + (0.2 if k else -0.2),
            widths=0.34,
            whis=(5, 95),
            orientation="horizontal",
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": "black"},
        )
        for box in boxes["boxes"]:
            box.set(facecolor=COLORS[layer], alpha=0.75, lw=0.6)
        ax.plot([], [], "s", color=COLORS[layer], label=layer)
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ax.set(xlabel="capture of a gene against all samples (log2)", yticks=at, yticklabels=list(effects.names))
    ax.set_ylim(len(at) - 0.5, -0.5)
    unspliced, spliced = effects.spread
    ax.set_title(f"sd of log capture: unspliced {unspliced:.2f}, spliced {spliced:.2f}", loc="left", fontsize=9)
    ax.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    _name_absent(ax, _absent(effects.names, seen))


def _absent(names: Sequence[str], seen: Any) -> list[str]:
    return [f"{name}: {n} genes not there" for name, n in zip(names, (~seen[1]).sum(axis=0), strict=True) if n]


def _name_absent(ax: Axes, texts: list[str]) -> None:
    if texts:
        ax.annotate("\n".join(texts), (0.99, 0.01), xycoords="axes fraction", ha="right", va="bottom", fontsize=6.5)
