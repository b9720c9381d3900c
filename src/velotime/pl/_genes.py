"""Plots of single genes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes

from velotime._status import InputError
from velotime._types import FloatArray
from velotime.data import find_layers, keys
from velotime.kinetics import switch_means
from velotime.pl._axes import find_gene, finish, open_axes, require_fit

CURVE_POINTS = 400


def phase_portrait(
    adata: AnnData,
    gene: str,
    *,
    color: str = keys.LATENT_TIME,
    ax: Axes | None = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> Axes | None:
    """Unspliced against spliced counts of a gene at size factor 1, with the fitted curve and its switches.

    With lineages there is one curve each; they run together until the first switch that tells them apart.

    Parameters
    ----------
    adata
        Fitted with :func:`velotime.tl.recover_dynamics`.
    gene
        Name of the gene.
    color
        A numeric obs column.
    ax, show, save
        As in scanpy.

    Raises
    ------
    InputError
        If nothing is fitted, or there is no such gene or column.
    """
    require_fit(adata)
    if color not in adata.obs:
        raise InputError(f"column {color!r} not found in adata.obs; available: {list(adata.obs.columns)}.")
    g = find_gene(adata, gene)
    names = adata.uns[keys.RECOVER_DYNAMICS]["layers"]
    u, s = (_normalised(adata, layer, g) for layer in find_layers(adata, names["unspliced"], names["spliced"]))
    ax = open_axes(ax)
    # Counts pile up on whole numbers; a little jitter shows how many there are.
    jitter = np.random.default_rng(0).uniform(-0.15, 0.15, (2, adata.n_obs))
    ax.scatter(s + jitter[0], u + jitter[1], c=adata.obs[color], s=6, cmap="viridis", alpha=0.6, linewidths=0)
    for theta in gene_curves(adata, g):
        curve_u, curve_s = switch_means(theta, np.linspace(0, 1, CURVE_POINTS))
        ax.plot(curve_s[0], curve_u[0], color="black", lw=1.8)
        switches = np.array([theta[0, 2], theta[0, 2] + np.exp(theta[0, 6])])
        inside = switches[(switches > 0) & (switches < 1)]
        if len(inside):
            at_u, at_s = switch_means(theta, inside)
            ax.scatter(at_s[0], at_u[0], color="black", s=36, zorder=3, marker="D")
    ax.set(xlabel="spliced", ylabel="unspliced", title=gene)
    return finish(ax, show=show, save=save)


def gene_curves(adata: AnnData, g: int) -> list[FloatArray]:
    """Parameters of a fitted gene as the kinetics take them, ``(1, 8)`` a lineage; none if it was not fitted."""
    row = adata.var.iloc[g]
    gamma = row[keys.FIT_GAMMA]
    if not np.isfinite(gamma):
        return []
    shared = [
        np.log(row[keys.FIT_BETA]),
        np.log(gamma),
        row[keys.FIT_T_ON],
        np.log(row[keys.FIT_ALPHA_0] / gamma),
        np.log(row[keys.FIT_ALPHA] / gamma),
        np.log(row[keys.FIT_SCALING]),
    ]
    own = zip(adata.varm[keys.LINEAGE_T_OFF][g], adata.varm[keys.LINEAGE_ALPHA][g], strict=True)
    return [
        np.array([[*shared, np.log(t_off - row[keys.FIT_T_ON]), np.log(alpha / gamma)]], dtype=float)
        for t_off, alpha in own
    ]


def _normalised(adata: AnnData, layer: str, g: int) -> FloatArray:
    """One gene's values over the size factors that the fit used, ``(cells,)``."""
    column = adata.layers[layer][:, [g]]
    values = np.asarray(column.toarray() if hasattr(column, "toarray") else column, dtype=float).ravel()
    total = np.asarray(adata.layers[layer].sum(axis=1)).ravel()
    return values / np.maximum(total / total.mean(), 0.05)
