"""Plots of cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime._status import InputError
from velotime.data import keys
from velotime.pl._axes import finish, open_axes, require_fit


def time_against(
    adata: AnnData,
    column: str,
    *,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Latent time of every cell, with its 5 to 95 % interval, against a numeric column: true or experimental time.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    column
        A numeric obs column.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted or there is no such column.
    """
    require_fit(adata)
    if column not in adata.obs:
        raise InputError(f"column {column!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    x = np.asarray(adata.obs[column], dtype=float)
    obs = adata.obs
    ax = open_axes(ax)
    ax.vlines(x, obs[keys.LATENT_TIME_Q05], obs[keys.LATENT_TIME_Q95], color="0.8", lw=0.6)
    ax.scatter(x, obs[keys.LATENT_TIME], s=4, color="tab:blue", linewidths=0, zorder=3)
    ax.set(xlabel=column.replace("_", " "), ylabel="latent time (relative)", ylim=(-0.02, 1.02))
    return finish(ax, show=show, save=save)
