"""What every plot does first and last, in scanpy's manner."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from anndata import AnnData
from matplotlib.axes import Axes

from velotime._status import InputError
from velotime.data import keys


def open_axes(ax: Axes | None, *, size: tuple[float, float] = (4.0, 3.2)) -> Axes:
    """The given axes, or those of a new figure."""
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def finish(ax: Axes, *, show: bool | None, save: str | Path | None) -> Axes | None:
    """Save and show as asked; the axes come back unless they were shown.

    ``show=None`` shows a figure if nothing is saved and the backend is interactive.
    """
    figure = ax.get_figure()
    if save is not None:
        figure.savefig(save, dpi=150)
    if show is None:
        show = save is None and plt.isinteractive()
    if show:
        plt.show()
        return None
    return ax


def require_fit(adata: AnnData) -> None:
    """Raise an error that names the call that fits, if none was made."""
    if keys.RECOVER_DYNAMICS not in adata.uns:
        raise InputError("nothing is fitted yet: call velotime.tl.recover_dynamics(adata) first.")


def find_gene(adata: AnnData, gene: str) -> int:
    """Index of a gene by name."""
    if gene not in adata.var_names:
        near = [name for name in adata.var_names if name.lower().startswith(gene.lower()[:3])][:5]
        raise InputError(f"gene {gene!r} not found among {adata.n_vars}; similar: {near or list(adata.var_names[:5])}.")
    return int(adata.var_names.get_loc(gene))
