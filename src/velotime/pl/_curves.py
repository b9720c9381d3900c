"""A fitted gene as curves, their bands, and the counts beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from scipy import sparse

from velotime import _keys as keys
from velotime import inference
from velotime._types import FloatArray, IntArray
from velotime.data import find_layers, read_layer, size_factors
from velotime.inference import curve_covariance
from velotime.kinetics import SwitchParameter, switch_means
from velotime.pl._colors import palette_of

CURVE_POINTS = 401
BATCH = 128  # genes whose curves are computed at a time
RATE_SLOTS = (
    keys.FIT_BETA,
    keys.FIT_GAMMA,
    keys.FIT_T_ON,
    keys.FIT_ALPHA_0,
    keys.FIT_ALPHA,
    keys.FIT_SCALING,
)
PIECES = 24  # of latent time, in which counts are averaged
LEAST_CELLS = 5  # a mean over fewer says nothing
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
    return next(iter(curves_of(adata, np.array([g]), fit_sizes(adata))))


def curves_of(
    adata: AnnData, genes: IntArray, sizes: tuple[FloatArray, FloatArray], *, points: int = CURVE_POINTS
) -> Iterator[list[Curve]]:
    """The curves of many genes at so many times, gene by gene; ``sizes`` are the size factors of the fit."""
    times = np.linspace(0, 1, points)
    for start in range(0, len(genes), BATCH):
        part = genes[start : start + BATCH]
        theta = fitted_parameters(adata, part)
        fitted = np.isfinite(theta).all(axis=1)
        found = iter(_batch(adata, part[fitted], theta[fitted], times, sizes))
        yield from (next(found) if one else [] for one in fitted)


def _batch(
    adata: AnnData, genes: IntArray, theta: FloatArray, times: FloatArray, sizes: tuple[FloatArray, FloatArray]
) -> list[list[Curve]]:
    """Curves of genes that were fitted."""
    if len(genes) == 0:
        return []
    covariances = _covariances(adata, genes, theta, times, sizes)
    curves: list[list[Curve]] = [[] for _ in genes]
    for k, (name, color) in enumerate(lineage_colors(adata).items()):
        own = theta[:, [*range(6), 6 + 2 * k, 7 + 2 * k]]
        means = np.stack(switch_means(own, times), axis=1)
        switches, at = _switches(own)
        for i, lines in enumerate(curves):
            there = (switches[i] > 0) & (switches[i] < 1)
            covariance = None if covariances is None else covariances[i, k]
            lines.append(Curve(name, color, times, means[i], covariance, switches[i, there], at[i][:, there]))
    return curves


def _switches(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Times of both switches, ``(genes, 2)``, and the means there, ``(genes, 2, 2)``: layers x switches.

    The times differ from gene to gene; shifted so that the switch is at 0 they are the same for all.
    """
    duration = np.exp(theta[:, SwitchParameter.LOG_DURATION])
    at = []
    for elapsed in (np.zeros_like(duration), duration):
        shifted = theta.copy()
        shifted[:, SwitchParameter.T_ON] = -elapsed
        at.append(np.concatenate(switch_means(shifted, np.zeros(1)), axis=1))
    t_on = theta[:, SwitchParameter.T_ON]
    return np.stack([t_on, t_on + duration], axis=1), np.stack(at, axis=2)


def has_curves(adata: AnnData) -> bool:
    """Whether the fit left all that curves on a shared clock are drawn from."""
    slots = (keys.LINEAGE_T_OFF, keys.LINEAGE_ALPHA)
    return (
        keys.LATENT_TIME in adata.obs
        and keys.LINEAGE in adata.obs
        and keys.LINEAGE_POSTERIOR in adata.obsm
        and keys.LINEAGES in adata.uns
        and all(name in adata.var for name in RATE_SLOTS)
        and all(name in adata.varm for name in slots)
    )


def lineage_colors(adata: AnnData) -> dict[str, str]:
    """Colour of each lineage: black for a single one."""
    names = [str(name) for name in adata.uns[keys.LINEAGES]["names"]]
    return {names[0]: "black"} if len(names) == 1 else palette_of(adata, keys.LINEAGE, names)


def gene_thetas(adata: AnnData, g: int) -> list[FloatArray]:
    """Parameters of a fitted gene as the kinetics take them, ``(1, 8)`` a lineage; none if it was not fitted."""
    theta = fitted_parameters(adata, np.array([g]))
    if not np.isfinite(theta).all():
        return []
    return [theta[:, [*range(6), k, k + 1]] for k in range(6, theta.shape[1], 2)]


def fitted_parameters(adata: AnnData, genes: IntArray) -> FloatArray:
    """Parameters of genes, ``(genes, 6 + 2 lineages)``, in the order of ``Layout``; NaN where one was not fitted."""
    var = {name: np.asarray(adata.var[name], dtype=float)[genes] for name in RATE_SLOTS}
    gamma, t_on = var[keys.FIT_GAMMA], var[keys.FIT_T_ON]
    t_off = np.asarray(adata.varm[keys.LINEAGE_T_OFF], dtype=float)[genes]
    alpha = np.asarray(adata.varm[keys.LINEAGE_ALPHA], dtype=float)[genes]
    with np.errstate(divide="ignore", invalid="ignore"):  # what is not finite was not fitted
        shared = [
            np.log(var[keys.FIT_BETA]),
            np.log(gamma),
            t_on,
            np.log(var[keys.FIT_ALPHA_0] / gamma),
            np.log(var[keys.FIT_ALPHA] / gamma),
            np.log(var[keys.FIT_SCALING]),
        ]
        own = np.stack([np.log(t_off - t_on[:, None]), np.log(alpha / gamma[:, None])], axis=2)
    return np.hstack([np.stack(shared, axis=1), own.reshape(len(genes), -1)])


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
    """Of the fit; methods without a choice of noise read moments and least squares."""
    settings = adata.uns[keys.RECOVER_DYNAMICS]["settings"]
    name = settings["noise"]["name"] if "noise" in settings else "Gaussian"
    kinds = (inference.Poisson, inference.NegativeBinomial, inference.Gaussian)
    return next(kind() for kind in kinds if kind.__name__ == name)


def piece_means(
    time: FloatArray, values: Any, size: FloatArray, n_pieces: int = PIECES
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean time, mean counts and their standard errors in each piece of the clock; NaN where it has too few cells.

    The mean is total counts over total size factor, as cells with more counts know more; the model agrees with it.

    Parameters
    ----------
    time
        Latent times, ``(cells,)``, relative.
    values
        Raw counts, ``(cells, genes)``, dense or sparse.
    size
        Size factors, ``(cells,)``.
    n_pieces
        Into which the clock is cut.

    Returns
    -------
    ``(pieces,)``, and twice ``(pieces, genes)`` at size factor 1.
    """
    piece = np.clip((time * n_pieces).astype(int), 0, n_pieces - 1)
    of = sparse.csr_array((np.ones(len(piece)), (piece, np.arange(len(piece)))), shape=(n_pieces, len(piece)))
    x = sparse.csr_array(values, dtype=float)
    weight = np.maximum(of @ size, 1e-300)
    mean = (of @ x).toarray() / weight[:, None]
    # sum of (x - l mean)^2, multiplied out so that zeros need not be visited
    cross = (of @ x.multiply(size[:, None]).tocsr()).toarray()
    spread = (of @ x.multiply(x).tocsr()).toarray() - 2 * mean * cross + mean**2 * (of @ size**2)[:, None]
    error = np.sqrt(np.maximum(spread, 0.0)) / weight[:, None]
    few = np.bincount(piece, minlength=n_pieces) < LEAST_CELLS
    mean[few], error[few] = np.nan, np.nan
    return np.where(few, np.nan, (of @ (size * time)) / weight), mean, error


def _covariances(
    adata: AnnData,
    genes: IntArray,
    theta: FloatArray,
    times: FloatArray,
    sizes: tuple[FloatArray, FloatArray],
) -> FloatArray | None:
    """Covariances of the curves, ``(genes, lineages, times, 2, 2)``; None where the fit left no scatter."""
    slots = (keys.FIT_DISPERSION_U, keys.FIT_DISPERSION_S)
    if not all(name in adata.var for name in slots):
        return None
    u, s = (np.asarray(adata.var[name], dtype=float)[genes] for name in slots)
    if not (np.isfinite(u).all() and np.isfinite(s).all()):
        return None
    n_averaged = float(adata.uns[keys.RECOVER_DYNAMICS].get(keys.N_AVERAGED, 1.0))
    return curve_covariance(
        theta,
        times,
        noise=_noise(adata),
        scatter=(u, s),
        time=np.asarray(adata.obs[keys.LATENT_TIME], dtype=float),
        lineages=np.asarray(adata.obsm[keys.LINEAGE_POSTERIOR], dtype=float) / n_averaged,
        sizes=sizes,
    )
