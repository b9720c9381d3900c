"""A fitted gene as curves, their bands, and the counts beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from velotime import _keys as keys
from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.data import Fitted
from velotime.inference import Layout, States, curve_covariance, height_of, relative_misfit
from velotime.kinetics import SwitchParameter, spliced, unspliced
from velotime.pl._canvas.axes import time_label
from velotime.pl._canvas.colors import palette_of

OWN_TIME_LABEL = "time on the gene's own clock (relative)"
CURVE_POINTS = 401
BATCH = 128  # genes whose curves are computed at a time
PIECES = 24  # of latent time, in which counts are averaged
LEAST_CELLS = 5  # a mean over fewer is too noisy
WIDTH = 1.645  # standard deviations either side: 90 % of a normal distribution


@dataclass(frozen=True)
class Curve:
    """The fitted means of one gene in one lineage.

    Attributes
    ----------
    lineage
        Name of the lineage; empty where a gene has a clock of its own.
    color
        Its colour; black if there is only one.
    times
        Times, ``(times,)``, relative.
    means
        Unspliced and spliced counts at size factor 1 as they are observed, with the background if the fit has one,
        ``(2, times)``.
    covariance
        Of the two, ``(times, 2, 2)``; None where the fit left no scatter to compute it from. Of :func:`gene_curves` it
        includes by how much cells' means lie beside the curve, see :func:`with_misfit`.
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


def gene_curves(fitted: Fitted, g: int, values: tuple[FloatArray, FloatArray] | None = None) -> list[Curve]:
    """The curves of a fitted gene, one per lineage or its own; none if it was not fitted.

    ``values`` are those of both layers at size factor 1, ``(cells,)`` each, where they were read already.
    """
    if "curves" in fitted.capabilities:
        u, s = (layer[:, 0] for layer in fitted.values([g])) if values is None else values
        curves = next(iter(curves_of(fitted, np.array([g]))))
        return [with_misfit(curve, *_pieces(fitted, (u, s), curve.lineage)) for curve in curves]
    return _own_curve(fitted, g) if keys.FIT_STEADY_U in fitted.adata.var else []


def _pieces(
    fitted: Fitted, values: tuple[FloatArray, FloatArray], lineage: str
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times, means and errors of pieces of the clock in both layers, ``(2, pieces)`` each."""
    own = (fitted.lineage == lineage) & np.isfinite(fitted.latent_time)
    time = fitted.latent_time[own]
    layers = zip(values, fitted.sizes, strict=True)
    pieces = [piece_means(time, (counts * size)[own, None], size[own]) for counts, size in layers]
    at, mean, error = (np.stack([one[k].reshape(PIECES) for one in pieces]) for k in range(3))
    return at, mean, error


def with_misfit(curve: Curve, at: FloatArray, mean: FloatArray, error: FloatArray) -> Curve:
    """A curve whose covariance includes that cells' means lie beside it by more than chance.

    Where a gene has many counts, its curve is known far better than it is right. With d the share of its height by
    which it is off in a layer (:func:`velotime.inference.relative_misfit`), ``d^2 height^2`` is added to the variance.

    Parameters
    ----------
    curve
        With the covariance of a curve that is true.
    at, mean, error
        Mean times, mean values and their standard errors in pieces of the clock, ``(2, pieces)`` by layer, as
        :func:`piece_means` gives them.
    """
    if curve.covariance is None:
        return curve
    covariance = curve.covariance.copy()
    for k in range(2):
        middle = np.interp(at[k], curve.times, curve.means[k])
        variance = np.interp(at[k], curve.times, curve.covariance[:, k, k])
        columns = (x[:, None] for x in (mean[k], np.nan_to_num(middle), error[k], np.nan_to_num(variance)))
        covariance[:, k, k] += (relative_misfit(*columns)[0] * height_of(curve.means[k])) ** 2
    return replace(curve, covariance=covariance)


def gene_times(fitted: Fitted, g: int) -> tuple[FloatArray, str]:
    """Where cells are on the clock that a gene follows, ``(cells,)``, and what that is called.

    Raises
    ------
    InputError
        If a gene's own times are not there.
    """
    if "curves" in fitted.capabilities:
        return fitted.latent_time, time_label(fitted)
    if keys.FIT_T not in fitted.adata.layers:
        raise InputError(
            f"layer {keys.FIT_T!r} not found in adata.layers: genes with clocks of their own keep their times there. "
            f"Call velotime.tl.recover_dynamics(adata, method=vt.TwoStageEM(), layers=({keys.FIT_T!r},))."
        )
    return np.asarray(fitted.adata.layers[keys.FIT_T][:, [g]], dtype=float).ravel(), OWN_TIME_LABEL


def _own_curve(fitted: Fitted, g: int) -> list[Curve]:
    """A gene with a clock of its own: on from 0, off from its switch, as far as cells have come.

    In scVelo's convention beta acts on unspliced as it is measured: with capture c, beta = c ``fit_beta``, and values
    of unspliced are c times those of the equations.
    """
    row = {name: fitted.column(f"fit_{name}", np.array([g]))[0] for name in ("alpha", "beta", "gamma", "t_", "scaling")}
    if not np.isfinite(list(row.values())).all():
        return []
    beta, off, scale = row["beta"] * row["scaling"], row["t_"], row["scaling"]
    last = off + 5 / min(beta, row["gamma"])
    if keys.FIT_T in fitted.adata.layers:
        last = float(np.max(fitted.adata.layers[keys.FIT_T][:, [g]]))
    times = np.unique(np.r_[np.linspace(0, max(last, 1e-12), CURVE_POINTS), off])
    times = times[times <= last]

    def means(at: FloatArray) -> FloatArray:
        on, since = np.minimum(at, off), np.maximum(at - off, 0.0)
        u, s = unspliced(on, 0.0, row["alpha"], beta), spliced(on, 0.0, 0.0, row["alpha"], beta, row["gamma"])
        return np.stack([scale * unspliced(since, u, 0.0, beta), spliced(since, u, s, 0.0, beta, row["gamma"])])

    switches = np.array([off])[off < last]
    return [Curve("", "black", times, means(times), None, switches, means(switches))]


def curves_of(fitted: Fitted, genes: IntArray, *, points: int = CURVE_POINTS) -> Iterator[list[Curve]]:
    """The curves of many genes at so many times, gene by gene."""
    times = np.linspace(0, 1, points)
    for start in range(0, len(genes), BATCH):
        part = genes[start : start + BATCH]
        theta = fitted.theta(part)
        known = np.isfinite(theta).all(axis=1)
        found = iter(_batch(fitted, part[known], theta[known], times))
        yield from (next(found) if one else [] for one in known)


def _batch(fitted: Fitted, genes: IntArray, theta: FloatArray, times: FloatArray) -> list[list[Curve]]:
    """Curves of genes that were fitted."""
    if len(genes) == 0:
        return []
    covariances = _covariances(fitted, genes, theta, times)
    found = fitted.background(genes)
    background = np.zeros((len(genes), 2, 1)) if found is None else found.T[..., None]
    curves: list[list[Curve]] = [[] for _ in genes]
    states = States(times, Layout(1, fitted.curve))
    layout = Layout(len(fitted.lineage_names), fitted.curve)
    for k, (name, color) in enumerate(lineage_colors(fitted).items()):
        own = theta[:, layout.columns(k)]
        means = np.stack(states.means(own), axis=1) + background
        switches, at = _switches(own, states)
        for i, lines in enumerate(curves):
            there = (switches[i] > 0) & (switches[i] < 1)
            covariance = None if covariances is None else covariances[i, k]
            corners = at[i][:, there] + background[i]
            lines.append(Curve(name, color, times, means[i], covariance, switches[i, there], corners))
    return curves


def _switches(theta: FloatArray, states: States) -> tuple[FloatArray, FloatArray]:
    """Times of both switches, ``(genes, 2)``, and the means there, ``(genes, 2, 2)``: layers x switches.

    NaN for transcription that has none. The times differ from gene to gene; shifted so that the switch is at 0 they are
    the same for all.
    """
    duration = np.exp(theta[:, SwitchParameter.LOG_DURATION])
    at = []
    for elapsed in (np.zeros_like(duration), duration):
        shifted = theta.copy()
        shifted[:, SwitchParameter.T_ON] = -elapsed
        at.append(np.concatenate(states.at(np.zeros(1)).means(shifted), axis=1))
    t_on = theta[:, SwitchParameter.T_ON]
    times = np.stack([t_on, t_on + duration], axis=1)
    times[states.curve.idle(theta)[:, SwitchParameter.LOG_DURATION] > 0] = np.nan
    return states.clock.rolled(times, np.full_like(times, 0.5)), np.stack(at, axis=2)


def lineage_colors(fitted: Fitted) -> dict[str, str]:
    """Colour of each lineage: black for a single one."""
    names = fitted.lineage_names
    return {names[0]: "black"} if len(names) == 1 else palette_of(fitted.adata, keys.LINEAGE, names)


@dataclass(frozen=True)
class PieceSums:
    """Sums over the cells of each piece of the clock, which add up over blocks of cells.

    Attributes
    ----------
    cells
        Their number, size factors, squares of these, and times weighted by them, ``(4, pieces)``.
    values
        Sums of counts, of counts times size factors, and of squared counts, ``(3, pieces, genes)``.
    """

    cells: FloatArray
    values: FloatArray

    @classmethod
    def of(cls, time: FloatArray, values: Any, size: FloatArray, n_pieces: int = PIECES) -> PieceSums:
        """Of some cells; arguments as in :func:`piece_means`."""
        piece = np.clip((time * n_pieces).astype(int), 0, n_pieces - 1)
        of = sparse.csr_array((np.ones(len(piece)), (piece, np.arange(len(piece)))), shape=(n_pieces, len(piece)))
        x = sparse.csr_array(values, dtype=float)
        cells = np.stack([of @ one for one in (np.ones(len(piece)), size, size**2, size * time)])
        sums = [(of @ one).toarray() for one in (x, x.multiply(size[:, None]).tocsr(), x.multiply(x).tocsr())]
        return cls(cells, np.stack(sums))

    def __add__(self, other: PieceSums) -> PieceSums:
        return PieceSums(self.cells + other.cells, self.values + other.values)

    def means(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What :func:`piece_means` returns."""
        (n, size, square, timed), (total, cross, squares) = self.cells, self.values
        weight = np.maximum(size, 1e-300)
        mean = total / weight[:, None]
        # sum of (x - l mean)^2, multiplied out so that zeros need not be visited
        spread = squares - 2 * mean * cross + mean**2 * square[:, None]
        error = np.sqrt(np.maximum(spread, 0.0)) / weight[:, None]
        few = n < LEAST_CELLS
        mean[few], error[few] = np.nan, np.nan
        return np.where(few, np.nan, timed / weight), mean, error


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
    return PieceSums.of(time, values, size, n_pieces).means()


def _covariances(fitted: Fitted, genes: IntArray, theta: FloatArray, times: FloatArray) -> FloatArray | None:
    """Covariances of the curves, ``(genes, lineages, times, 2, 2)``; None where the fit left no scatter."""
    if "scatter" not in fitted.capabilities:
        return None
    u, s = fitted.scatter(genes)
    if not (np.isfinite(u).all() and np.isfinite(s).all()):
        return None
    own = np.isfinite(fitted.latent_time)  # cells that do not cycle have none
    return curve_covariance(
        theta,
        times,
        noise=fitted.noise,
        scatter=(u, s),
        time=fitted.latent_time[own],
        lineages=fitted.lineage_posterior[own] / fitted.n_averaged,
        sizes=(fitted.sizes[0][own], fitted.sizes[1][own]),
        background=fitted.background(genes),
        curve=fitted.curve,
    )
