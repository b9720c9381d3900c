"""A fitted gene as curves, their bands, and the counts beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from anndata import AnnData

from velotime import inference
from velotime._types import FloatArray
from velotime.data import find_layers, keys, read_layer, size_factors
from velotime.inference import curve_covariance
from velotime.kinetics import SwitchParameter, switch_means
from velotime.pl._colors import palette_of

CURVE_POINTS = 401
WIDTH = 1.645  # standard deviations either side: 90 % of a normal distribution


@dataclass(frozen=True)
class Curve:
    """The fitted means of one gene in one lineage.

    Attributes
    ----------
    lineage
        Name of the lineage.
    color
        Its colour; black if there is but one.
    times
        Times, ``(times,)``, relative.
    means
        Unspliced and spliced counts at size factor 1, ``(2, times)``.
    covariance
        Of the two, ``(times, 2, 2)``; None where the fit left no scatter to compute it from.
    switches
        Times of the switches within the clock, 0 to 2 of them.
    at_switches
        Means there, ``(2, switches)``.
    """

    lineage: str
    color: str
    times: FloatArray
    means: FloatArray
    covariance: FloatArray | None
    switches: FloatArray
    at_switches: FloatArray


def gene_curves(adata: AnnData, g: int) -> list[Curve]:
    """The curves of a fitted gene, one a lineage; none if it was not fitted."""
    thetas = gene_thetas(adata, g)
    if not thetas:
        return []
    colors = lineage_colors(adata)
    times = np.linspace(0, 1, CURVE_POINTS)
    covariances = _covariances(adata, g, thetas, times)
    curves = []
    for k, (name, color) in enumerate(colors.items()):
        theta = thetas[k]
        t_on = theta[0, SwitchParameter.T_ON]
        switches = np.array([t_on, t_on + np.exp(theta[0, SwitchParameter.LOG_DURATION])])
        switches = switches[(switches > 0) & (switches < 1)]
        means, at = (np.vstack(switch_means(theta, t)) for t in (times, switches))
        covariance = None if covariances is None else covariances[k]
        curves.append(Curve(name, color, times, means, covariance, switches, at))
    return curves


def lineage_colors(adata: AnnData) -> dict[str, str]:
    """Colour of each lineage: black for a single one."""
    names = [str(name) for name in adata.uns[keys.LINEAGES]["names"]]
    return {names[0]: "black"} if len(names) == 1 else palette_of(adata, keys.LINEAGE, names)


def gene_thetas(adata: AnnData, g: int) -> list[FloatArray]:
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


def normalised_counts(adata: AnnData, g: int) -> tuple[FloatArray, FloatArray]:
    """Unspliced and spliced counts of a gene over the size factors of the fit, each ``(cells,)``."""
    names = adata.uns[keys.RECOVER_DYNAMICS]["layers"]
    sizes = fit_sizes(adata)
    values = []
    for layer, size in zip(find_layers(adata, names["unspliced"], names["spliced"]), sizes, strict=True):
        column = adata.layers[layer][:, [g]]
        dense = column.toarray() if hasattr(column, "toarray") else column
        values.append(np.asarray(dense, dtype=float).ravel() / size)
    return values[0], values[1]


def fit_sizes(adata: AnnData) -> tuple[FloatArray, FloatArray]:
    """Size factors that the fit used, each ``(cells,)``: 1 where values were normalised already."""
    names = adata.uns[keys.RECOVER_DYNAMICS]["layers"]
    if not _noise(adata).counts:
        return np.ones(adata.n_obs), np.ones(adata.n_obs)
    layers = find_layers(adata, names["unspliced"], names["spliced"])
    u, s = (
        size_factors(adata, read_layer(adata, layer, counts=True), column)
        for layer, column in zip(layers, (keys.SIZE_UNSPLICED, keys.SIZE_SPLICED), strict=True)
    )
    return u, s


def _noise(adata: AnnData) -> inference.Poisson | inference.NegativeBinomial | inference.Gaussian:
    settings = adata.uns[keys.RECOVER_DYNAMICS]["settings"]
    name = settings["noise"]["name"] if "noise" in settings else "NegativeBinomial"
    kinds = (inference.Poisson, inference.NegativeBinomial, inference.Gaussian)
    return next(kind() for kind in kinds if kind.__name__ == name)


def _covariances(adata: AnnData, g: int, thetas: list[FloatArray], times: FloatArray) -> FloatArray | None:
    if keys.FIT_DISPERSION_U not in adata.var:
        return None
    row = adata.var.iloc[g]
    scatter = float(row[keys.FIT_DISPERSION_U]), float(row[keys.FIT_DISPERSION_S])
    if not np.isfinite(scatter).all():
        return None
    return curve_covariance(
        np.concatenate([thetas[0][0, :6], *(theta[0, 6:] for theta in thetas)]),
        times,
        noise=_noise(adata),
        scatter=scatter,
        time=np.asarray(adata.obs[keys.LATENT_TIME], dtype=float),
        lineages=np.asarray(adata.obsm[keys.LINEAGE_POSTERIOR], dtype=float),
        sizes=fit_sizes(adata),
    )
