"""Plots of the fit as a whole: time prior, EM trace, direction of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from velotime import _keys as keys
from velotime._check import checked
from velotime._numbers import nats, number
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import Fitted
from velotime.pl._canvas.arguments import PANEL
from velotime.pl._canvas.axes import entitle, finish, in_hours, open_axes, tidy, time_label
from velotime.pl._canvas.colors import default_palette, labels_of, palette_of
from velotime.pl._curves import lineage_colors

HISTOGRAM_BINS = 60


@checked(PANEL)
def time_prior(
    adata: AnnData,
    *,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Density of cells over latent time, as learned or given.

    With one prior for all cells, lineages are stacked on each other, and a histogram of the cells' mean times is behind
    them. With a prior for each group, a line is drawn for each, summed over lineages.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    title
        Title of the panel.
    figsize
        Width and height of the figure in inches.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or the fit has no time prior.
    """
    fitted = Fitted.of(adata).require("prior")
    prior = fitted.time_prior
    times = np.asarray(prior["times"], dtype=float)
    weights = np.atleast_2d(np.asarray(prior["weights"], dtype=float))
    # Each time stands for as much of the clock as any other, the first and the last too: weights that are the same are
    # a density of 1 throughout.
    density = weights.reshape(len(weights), -1, len(times)) * len(times)
    density /= weights.sum(axis=1)[:, None, None]
    if fitted.goes_round:
        times, density = np.append(times, 1.0), np.concatenate([density, density[..., :1]], axis=-1)
    ax = open_axes(ax, size=(4.4, 3.0), figsize=figsize)
    if len(weights) == 1:
        _stack_lineages(ax, adata, times, density[0])
    else:
        _draw_groups(ax, adata, times, density.sum(axis=1))
    ax.set(xlabel=time_label(fitted), ylabel="density of cells over the clock", xlim=(0, 1))
    in_hours(ax.xaxis, fitted)
    ax.set_ylim(bottom=0)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper right", fontsize=7, frameon=False)
    entitle(ax, title)
    tidy([ax])
    return finish(ax, show=show, save=save, name="time_prior")


def _stack_lineages(ax: Axes, adata: AnnData, times: FloatArray, density: FloatArray) -> None:
    fitted = Fitted.of(adata)
    time = fitted.latent_time
    ax.hist(time, bins=HISTOGRAM_BINS, range=(0, 1), density=True, color="0.85", label="cells at their mean time")
    colors = lineage_colors(fitted)
    if len(density) == 1:
        ax.plot(times, density[0], color="black", lw=1.5, label="time prior")
        return
    labels = [f"lineage {name}" for name in colors]
    ax.stackplot(times, density, colors=list(colors.values()), labels=labels, alpha=0.75, lw=0)


def _draw_groups(ax: Axes, adata: AnnData, times: FloatArray, density: FloatArray) -> None:
    """One line per group, in the order of the rows; a label's in its colour."""
    names = _group_names(adata, len(density))
    column = getattr(getattr(Fitted.of(adata).settings, "prior", None), "by", None)
    palette = dict(zip(names, default_palette(len(names)), strict=True))
    if column in adata.obs:
        palette |= palette_of(adata, column, labels_of(adata, column)[0])
    for name, values in zip(names, density, strict=True):
        ax.plot(times, values, color=palette[name], lw=1.5, label=name)


def _group_names(adata: AnnData, n_groups: int) -> list[str]:
    """Names of the groups as stored; numbers where they are not."""
    stored = [str(name) for name in Fitted.of(adata).time_prior.get("groups", [])]
    return stored if len(stored) == n_groups else [f"group {k}" for k in range(n_groups)]


@checked(PANEL)
def em_trace(
    adata: AnnData,
    *,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Bound on the log-likelihood and temperature by iteration of the expectation-maximisation.

    Bounds at different temperatures are different functions; the bound must rise only while the temperature stays, as
    it does at 1, from the dotted line on; a fit that looks for more lineages is warmed up again before.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    title
        Title of the panel; by default how the fit ended.
    figsize
        Width and height of the figure in inches.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or the fit left no trace.
    """
    record = Fitted.of(adata).record
    if "bound" not in record:
        raise InputError(
            f"uns[{keys.RECOVER_DYNAMICS!r}] holds no trace: call velotime.tl.recover_dynamics(adata) again."
        )
    bound = np.atleast_1d(np.asarray(record["bound"], dtype=float))
    temperature = np.atleast_1d(np.asarray(record.get("temperature", np.ones(len(bound))), dtype=float))
    iteration = np.arange(1, len(bound) + 1)
    ax = open_axes(ax, size=(4.6, 3.0), figsize=figsize)
    ax.plot(iteration, bound - bound[-1], "o-", color="tab:blue", ms=3, lw=1.2)
    ax.set(xlabel="iteration")
    ax.set_ylabel("bound less its last value\n(nats per cell)", color="tab:blue")
    right = ax.twinx()
    right.plot(iteration, temperature, "s--", color="tab:orange", ms=2.5, lw=1.0)
    right.set_yscale("log")
    right.set_ylabel("temperature", color="tab:orange")
    for axis_ticks in (right.yaxis.set_major_formatter, right.yaxis.set_minor_formatter):
        axis_ticks("{x:g}")
    warm = np.flatnonzero(temperature > 1)
    if len(warm) > 0 and warm[-1] + 1 < len(bound):
        ax.axvline(iteration[warm[-1] + 1], color="0.5", ls=":", lw=1)
    title = f"{record['status']} after {len(bound)} iterations" if title is None else title
    entitle(ax, title, fontsize=9, loc="left")
    ax.spines["top"].set_visible(False)
    right.spines["top"].set_visible(False)
    return finish(ax, show=show, save=save, name="em_trace")


@checked(PANEL)
def arrow_evidence(
    adata: AnnData,
    *,
    title: str | None = None,
    figsize: Sequence[float] | None = None,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Evidence of every gene for the direction of time, and what it adds up to.

    The log-likelihood of each gene in the best fit forwards less that in the best fit backwards; genes to the right
    speak for the direction that was chosen. The axis is linear between -1 and 1 nats and logarithmic beyond.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    title
        Title of the panel; by default the verdict and its margin.
    figsize
        Width and height of the figure in inches.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or the fit did not keep the evidence of each gene.
    """
    evidence = Fitted.of(adata).require("arrow").column(keys.FIT_ARROW_EVIDENCE)
    evidence = evidence[np.isfinite(evidence)]
    edges = _symmetric_edges(evidence).tolist()
    ax = open_axes(ax, size=(4.6, 3.0), figsize=figsize)
    for side, color, name in ((evidence > 0, "tab:blue", "forward"), (evidence <= 0, "tab:red", "backward")):
        label = f"{name}: {int(side.sum()):,} genes"
        ax.hist(evidence[side], bins=edges, color=color, alpha=0.8, label=label)
    ax.axvline(0, color="black", lw=0.8)
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xticks(_decades(edges[-1]), minor=False)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda nats, _: f"{nats:,.0f}")
    ax.set(xlabel="forward less backward (nats)", ylabel="genes")
    entitle(ax, _verdict(adata) if title is None else title, fontsize=9, loc="left")
    ax.legend(loc="upper left", fontsize=7, frameon=False)
    tidy([ax])
    return finish(ax, show=show, save=save, name="arrow_evidence")


def _symmetric_edges(evidence: FloatArray) -> FloatArray:
    """Edges of bins evenly spaced on the axis, of which one is 0."""
    most = max(float(np.abs(evidence).max(initial=1.0)), 10.0)
    outward = np.concatenate([np.linspace(0, 1, 4), np.geomspace(1, most * 1.01, 16)[1:]])
    return np.concatenate([-outward[:0:-1], outward])


def _decades(most: float) -> list[float]:
    """Powers of ten on either side and 0; every other one where all of them would crowd."""
    powers = [10.0**k for k in range(0, int(np.log10(most)) + 1, 2 if most > 100 else 1)]
    return [-power for power in reversed(powers)] + [0.0, *powers]


def _verdict(adata: AnnData) -> str:
    """The margin, of which the genes are only a part where something is known of the cells, and what is not clear."""
    arrow = adata.uns[keys.TIME_ARROW]
    known = float(arrow.get("knowledge_margin", 0.0))
    of_which = f", {number(known)} of them from what is known" if known else ""
    text = f"{arrow['verdict']}: {nats(arrow['log_likelihood_margin'])} for this direction{of_which}"
    if arrow.get("reason"):
        text += f"\n{arrow['reason']}"
    return text
