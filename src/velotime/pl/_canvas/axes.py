"""What every plot does first and last, in scanpy's manner."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scanpy import settings

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import BoolArray, FloatArray
from velotime.data import Fitted, embedding_points, hours_record, other_names, short_name
from velotime.data.stored.capabilities import ON_A_CIRCLE

TIME_LABEL, PHASE_LABEL = "latent time (relative)", "phase (turns of the cycle)"
DPI = 150
JITTER = 0.15  # counts pile up on whole numbers; a little jitter shows how many there are
MOST = 0.995  # share of the counts that axes show
#: Columns of obs that a fit makes, and what it must hold for that.
MADE_BY_FIT = {keys.LATENT_TIME: "time"} | dict.fromkeys(
    (
        keys.LATENT_TIME_SD,
        keys.LATENT_TIME_CLOCK_SD,
        keys.LATENT_TIME_Q05,
        keys.LATENT_TIME_Q95,
        keys.LATENT_TIME_ENTROPY,
    ),
    "intervals",
)
MADE_BY_FIT |= {ON_A_CIRCLE[name]: what for name, what in MADE_BY_FIT.items() if name in ON_A_CIRCLE}
#: How columns begin that calls after a fit make, and the calls.
MADE_AFTER = {
    keys.LATENT_TIME_EXPERIMENTAL: "to_experimental_time(adata, column)",
    keys.LATENT_TIME_HOURS: "to_real_time(adata, half_lives=...)",
    keys.CYCLE_PHASE_HOURS: "to_real_time(adata, half_lives=...)",
    f"{keys.LATENT_TIME}_resampled": "resample(adata)",
    f"{keys.CYCLE_PHASE}_resampled": "resample(adata)",
    keys.LATENT_TIME: "recover_dynamics(adata)",
}


def open_axes(
    ax: Axes | None, *, size: tuple[float, float] = (4.0, 3.2), figsize: Sequence[float] | None = None
) -> Axes:
    """The given axes, or those of a new figure of this size, where none is asked for."""
    ax = plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    resize(ax, figsize)
    return ax


def resize(ax: Axes, figsize: Sequence[float] | None) -> None:
    """The figure as large as asked for, in inches."""
    if figsize is not None:
        ax.figure.figure.set_size_inches(*figsize)


def entitle(ax: Axes, title: str | None, **style: Any) -> None:
    """A title where there is one; that of axes which were given stays otherwise."""
    if title:
        ax.set_title(title, **style)


def finish(ax: Axes, *, show: bool | None, save: str | Path | None, name: str = "velotime") -> Axes | None:
    """Save and show as asked, or as scanpy's settings say; the axes come back unless they were shown.

    ``show=None`` shows a figure if nothing is saved and the backend is interactive. With ``sc.settings.autosave`` a
    figure without a path of its own goes to ``sc.settings.figdir`` under the ``name`` of the plot.
    """
    if save is None and settings.autosave:
        settings.figdir.mkdir(parents=True, exist_ok=True)
        save = settings.figdir / f"{name}{settings.plot_suffix}.{settings.file_format_figs}"
    if save is not None:
        _save(ax, Path(save))
    if show is None:
        show = save is None and plt.isinteractive() and settings.autoshow
    if show:
        plt.show()
        return None
    return ax


def _save(ax: Axes, path: Path) -> None:
    """Write the whole figure under a name beside it first, so that a failure leaves no half a file."""
    if not path.parent.is_dir():
        raise InputError(f"save={str(path)!r}: the folder {str(path.parent)!r} does not exist. Make it first.")
    supported = ax.figure.canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in supported:
        raise InputError(f"save={str(path)!r}: the name must end in one of {sorted(supported)}, preceded by a dot.")
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    asked = plt.rcParams["savefig.dpi"]  # scanpy.set_figure_params sets it
    try:
        ax.figure.figure.savefig(partial, dpi=DPI if asked == "figure" else asked)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def time_label(fitted: Fitted) -> str:
    """What the time of a fit is called on an axis."""
    if hours_record(fitted.adata):
        return "time in the cycle (hours)" if fitted.goes_round else "latent time (hours)"
    return clock_label(fitted)


def clock_label(fitted: Fitted) -> str:
    """What the clock of a fit, from 0 to 1, is called on an axis."""
    return PHASE_LABEL if fitted.goes_round else TIME_LABEL


class RoundTimes(MaxNLocator):
    """Ticks at round hours, on an axis of the clock itself."""

    def __init__(self, length: float) -> None:
        super().__init__(nbins=6, steps=[1, 2, 3, 5, 6, 10])
        self.length = length

    def tick_values(self, vmin: float, vmax: float) -> FloatArray:
        """In hours, put back on the clock."""
        return np.asarray(super().tick_values(vmin * self.length, vmax * self.length)) / self.length


def in_hours(axis: Axis, fitted: Fitted) -> None:
    """Let the ticks of an axis of the clock tell hours where they are known."""
    record = hours_record(fitted.adata)
    if not record:
        return
    length = float(record["hours_per_clock"])
    axis.set_major_locator(RoundTimes(length))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at * length:.3g}".replace("-", "\u2212")))


def own_column(adata: AnnData, column: str) -> str:
    """The obs column itself, or where the clock goes round that of the phase in the place of the time."""
    return column if column in adata.obs or keys.CYCLE not in adata.uns else ON_A_CIRCLE.get(column, column)


def require_column(adata: AnnData, column: str) -> None:
    """Raise an error that lists the obs columns, or says what makes this one, if it is not among them."""
    column = own_column(adata, column)
    if column in adata.obs:
        return
    if column in MADE_BY_FIT:
        Fitted.of(adata).require(MADE_BY_FIT[column])
    made = call_for(column)
    cure = f"call velotime.tl.{made} first" if made else "pass one of these"
    raise InputError(f"column {column!r} not found in adata.obs; available: {list(adata.obs.columns)}: {cure}.")


def call_for(column: str) -> str | None:
    """The call that makes an obs column of this name; None if none does."""
    return next((function for start, function in MADE_AFTER.items() if column.startswith(start)), None)


def require_groups(adata: AnnData, column: str) -> None:
    """Raise an error if this is no obs column of labels."""
    require_column(adata, column)
    if not is_categorical(adata, column):
        labels = [name for name in adata.obs.columns if is_categorical(adata, name)]
        raise InputError(f"column {column!r} of adata.obs is numeric, but labels are wanted; pass one of {labels}.")
    if adata.obs[column].isna().all():
        raise InputError(f"column {column!r} of adata.obs has no labels: all its values are missing.")


def is_categorical(adata: AnnData, column: str) -> bool:
    """Whether an obs column holds labels: categories of whole numbers, as Seurat's clusters, are labels too."""
    return isinstance(adata.obs[column].dtype, pd.CategoricalDtype) or not is_numeric(adata, column)


def is_numeric(adata: AnnData, column: str) -> bool:
    """Whether an obs column holds numbers, or categories that are."""
    return bool(np.issubdtype(np.asarray(adata.obs[column]).dtype, np.number))


def gene_names(adata: AnnData, symbols: str | None) -> pd.Index[str]:
    """What genes are called: ``var_names``, or a column of symbols.

    Raises
    ------
    InputError
        If there is no such column.
    """
    if symbols is None:
        return adata.var_names
    if symbols not in adata.var:
        raise InputError(f"column {symbols!r} not found in adata.var; available: {list(adata.var.columns)}.")
    return pd.Index(adata.var[symbols].astype(str))


def find_gene(adata: AnnData, gene: str, symbols: str | None = None) -> int:
    """Index of a gene by name, or by its symbol in a column of var."""
    names = gene_names(adata, symbols)
    found = np.flatnonzero(names == gene)
    if len(found) == 0:
        raise InputError(
            f"gene {gene!r} not found among {adata.n_vars}; {near_genes(names, gene)}.{other_names(adata, [gene])}"
        )
    return int(found[0])


def near_genes(names: pd.Index[str], name: str) -> str:
    """Genes whose names begin as this one, or are spelled nearly so; the first ones if there are none."""
    near = [gene for gene in names if gene.lower().startswith(name.lower()[:3])][:5]
    near = near or get_close_matches(name, list(names), n=5)
    return f"similar: {near}" if near else f"the first are {list(names[:5])}"


def find_basis(adata: AnnData, basis: str) -> FloatArray:
    """First two coordinates of an embedding, ``(cells, 2)``."""
    points = embedding_points(adata, basis)
    if points.ndim != 2 or points.shape[1] < 2:
        raise InputError(f"basis {basis!r} has shape {points.shape}; a plot needs two columns or more.")
    return points[:, :2]


def name_axes(ax: Axes, basis: str) -> None:
    """Label the axes of an embedding, whose units mean nothing: no ticks."""
    short = short_name(basis)
    name = {"umap": "UMAP", "tsne": "tSNE", "pca": "PC"}.get(short, short)
    ax.set(xlabel=f"{name}1", ylabel=f"{name}2", xticks=[], yticks=[])
    ax.margins(0.03)


def name_column(column: str) -> str:
    """An obs column as a label; times say that they are relative."""
    known = {
        keys.LATENT_TIME: TIME_LABEL,
        keys.CYCLE_PHASE: PHASE_LABEL,
        keys.CYCLE_PHASE_SD: "sd of the phase (turns)",
        keys.CYCLE_PHASE_Q05: "5 % quantile of the phase (turns)",
        keys.CYCLE_PHASE_Q95: "95 % quantile of the phase (turns)",
        keys.CYCLE_PHASE_ENTROPY: "entropy of the phase (nats)",
        keys.LATENT_TIME_SD: "sd of latent time (relative)",
        keys.LATENT_TIME_Q05: "5 % quantile of latent time (relative)",
        keys.LATENT_TIME_Q95: "95 % quantile of latent time (relative)",
        keys.LATENT_TIME_ENTROPY: "entropy of latent time (nats)",
    }
    if column.endswith(("_hours", "_hours_sd")):
        what = column.removesuffix("_sd").removesuffix("_hours").replace("_", " ")
        return f"sd of {what} (hours)" if column.endswith("_sd") else f"{what} (hours)"
    return known.get(column, column.replace("_", " "))


#: Columns of obs that hold times on the clock.
ON_THE_CLOCK = {
    name + end for name in (keys.LATENT_TIME, keys.CYCLE_PHASE) for end in ("", "_sd", "_clock_sd", "_q05", "_q95")
}


def name_scale(bar: Axes, adata: AnnData, column: str) -> None:
    """Label the colour bar of an obs column; times on the clock are told in hours where these are known."""
    label = name_column(column)
    if column in ON_THE_CLOCK and hours_record(adata):
        fitted = Fitted.of(adata)
        label = (
            label.replace("(relative)", "(hours)")
            .replace("(turns)", "(hours)")
            .replace(PHASE_LABEL, time_label(fitted))
        )
        in_hours(bar.yaxis, fitted)
    bar.set_ylabel(label)


def note_left_out(ax: Axes, left_out: BoolArray, why: str, what: str = "cell") -> None:
    """Say above the axes how many cells, or others, are not drawn."""
    n = int(left_out.sum())
    if n == 0:
        return
    text = f"{n:,} {what if n == 1 else what + 's'} {why}"
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "right", "va": "bottom"}
    ax.annotate(text, (1, 1), (0, 2), fontsize=6.5, color="0.35", **place)


def limit_counts(ax: Axes, counts: dict[str, FloatArray], curves: dict[str, FloatArray], *, least: float = 1.0) -> None:
    """End the axes "x" and "y" where nearly all counts and all of the curves are seen, and say how many are not.

    A few cells with many counts would press the others, and the curve, onto the axis.
    """
    beyond = np.zeros(len(next(iter(counts.values()))), dtype=bool)
    for name, values in counts.items():
        most = float(np.quantile(values, MOST, method="lower"))
        top = 1.05 * (max(most, least, float(curves[name].max(initial=0.0))) or 1.0)
        room = JITTER if least else 0.0
        ax.set(**{f"{name}lim": (-0.04 * top - room, top + room)})
        beyond |= values > top + room
    note_left_out(ax, beyond, "beyond the axes")


def tidy(axes: Iterable[Axes]) -> None:
    """No frame above and to the right."""
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
