r"""Intervals of switch times from the whole of a gene's likelihood, not from its curvature at one point.

A likelihood is no parabola in a switch: splicing looks faster where the onset comes later, a pulse passes into a late
step, and a gene may have several optima that are about as likely. So for each switch t of a gene the other parameters
phi are optimised at a few places of t, and integrated out there by Laplace's approximation,

    p(t) = exp(-loss(t, phi_t)) det(H_t)^(-1/2) |d theta / d(phi, t)|,    H_t the second derivative by phi,

from the fit and from other shapes (``shapes``) that are nearly as likely; at each t the likeliest counts. The interval
runs from the 5 % to the 95 % quantile. (Tierney and Kadane 1986.) It also holds every t at which p(t) is within a
factor ``exp(-1.645^2 / 2)`` of the largest, which for a normal is the same: where p(t) falls steeply on one side and is
flat on the other, as before the first cell, quantiles alone leave out places beside the likeliest one.

The cells' times count as known in this: what their uncertainty and that of the clock add is the difference between
the two variances of ``uncertainty``, added to each half of the interval in squares.

With lineages the curve of one of them is followed, and the others enter as a normal about the fit on the six
parameters that all share: their information with their own switches taken out (a Schur complement).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import LayerSums
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.mstep import begin, improve
from velotime.inference.model.rate_prior import CurvePrior, RatePrior
from velotime.inference.model.shapes import best_shapes
from velotime.inference.results.uncertainty import Uncertainty
from velotime.inference.states import N_SHARED, Layout
from velotime.kinetics import SwitchParameter

LEVELS = (0.05, 0.95)  # probability below either end of an interval
TIMES = 32  # of the clock on which intervals are computed
NODES = np.array([-4.0, -2.4, -1.1, 0.0, 1.1, 2.4, 4.0])  # places, in standard errors of the fit
WIDEST_STEP = 0.3  # of the clock: a standard error larger than this counts as this
SHAPES = 3  # other shapes that are looked at
FIRST_STEPS, STEPS = 5, 2  # Levenberg-Marquardt steps of a shape on a coarse clock, and of every place
SAME = 0.02  # of the clock: shapes whose switches differ by less are the same
LIKELY = 5.0  # nats behind the best within which another shape counts
SHORTEST, LONGEST = 0.03, 2.0  # durations, as in the box of the prior
EARLIEST, LATEST = -0.3, 1.0  # onsets, likewise
POINTS = 401  # at which a density is summed
FALL = float(ndtri(LEVELS[1]) ** 2 / 2)  # nats by which a normal density has fallen at either level
APART = 3.0  # standard errors between optima that are not the same

T_ON, LOG_DURATION = int(SwitchParameter.T_ON), int(SwitchParameter.LOG_DURATION)


@dataclass(frozen=True)
class SwitchIntervals:
    """90 % intervals of switches, origin and unit of the clock aligned.

    Attributes
    ----------
    t_on
        Lower and upper end of each gene's first switch, ``(genes, 2)``, relative.
    t_off
        The same of its last switch, that of the first lineage where there are several, ``(genes, 2)``.
    unique
        Whether no other optimum of the gene is about as likely as the fit, ``(genes,)``.
    """

    t_on: FloatArray
    t_off: FloatArray
    unique: BoolArray


class _Switch(Protocol):
    """One of a gene's two switches, and how the other parameters move when it is held."""

    def time(self, theta: FloatArray) -> FloatArray:
        """Where it is, ``(rows,)``."""

    def place(self, theta: FloatArray, at: FloatArray) -> FloatArray:
        """The parameters with the switch at ``at``, within the box."""

    def tangent(self, theta: FloatArray) -> FloatArray:
        """Derivative of all eight parameters by the seven that are left, ``(rows, 8, 7)``."""

    def slope(self, theta: FloatArray) -> FloatArray:
        """Derivative of the switch by all eight, ``(rows, 8)``."""

    def log_jacobian(self, theta: FloatArray) -> FloatArray:
        """``log |d theta / d(phi, t)|``, ``(rows,)``."""


class _First:
    """The first switch, a parameter itself."""

    def time(self, theta: FloatArray) -> FloatArray:
        return theta[:, T_ON]

    def place(self, theta: FloatArray, at: FloatArray) -> FloatArray:
        out = theta.copy()
        out[:, T_ON] = np.clip(at, EARLIEST, LATEST)
        return out

    def tangent(self, theta: FloatArray) -> FloatArray:
        return np.broadcast_to(np.delete(np.eye(8), T_ON, axis=1), (len(theta), 8, 7))

    def slope(self, theta: FloatArray) -> FloatArray:
        return np.broadcast_to(np.eye(8)[T_ON], theta.shape)

    def log_jacobian(self, theta: FloatArray) -> FloatArray:
        return np.zeros(len(theta))


class _Last:
    """The last switch, ``t_on + exp(log duration)``: held, the duration follows from the onset."""

    def time(self, theta: FloatArray) -> FloatArray:
        return np.asarray(theta[:, T_ON] + np.exp(theta[:, LOG_DURATION]))

    def place(self, theta: FloatArray, at: FloatArray) -> FloatArray:
        out = theta.copy()
        at = np.clip(at, EARLIEST + SHORTEST, LATEST + LONGEST)
        out[:, T_ON] = np.clip(theta[:, T_ON], np.maximum(EARLIEST, at - LONGEST), np.minimum(LATEST, at - SHORTEST))
        out[:, LOG_DURATION] = np.log(at - out[:, T_ON])
        return out

    def tangent(self, theta: FloatArray) -> FloatArray:
        every = np.tile(np.delete(np.eye(8), LOG_DURATION, axis=1), (len(theta), 1, 1))
        every[:, LOG_DURATION, T_ON] = -np.exp(-theta[:, LOG_DURATION])
        return every

    def slope(self, theta: FloatArray) -> FloatArray:
        out = np.zeros_like(theta)
        out[:, T_ON], out[:, LOG_DURATION] = 1.0, np.exp(theta[:, LOG_DURATION])
        return out

    def log_jacobian(self, theta: FloatArray) -> FloatArray:
        return np.asarray(-theta[:, LOG_DURATION])


@dataclass(frozen=True)
class _WithOthers:
    """The prior of one lineage's eight parameters, and a normal about the fit from the other lineages.

    Attributes
    ----------
    base
        Prior of a curve without lineages.
    centre
        The fit, ``(genes, 8)``.
    form
        Precision of the normal, ``(genes, 8, 8)``.
    """

    base: RatePrior
    centre: FloatArray
    form: FloatArray

    @property
    def lower(self) -> FloatArray:
        return self.base.lower

    @property
    def upper(self) -> FloatArray:
        return self.base.upper

    @property
    def hessian(self) -> FloatArray:
        return self.base.hessian + self.form

    def penalty(self, theta: FloatArray) -> FloatArray:
        away = theta - self.centre
        return np.asarray(self.base.penalty(theta) + 0.5 * (away * self._pull(away)).sum(axis=1))

    def gradient(self, theta: FloatArray) -> FloatArray:
        return self.base.gradient(theta) + self._pull(theta - self.centre)

    def genes(self, index: IntArray | slice) -> CurvePrior:
        return _WithOthers(self.base, self.centre[index], self.form[index])

    def _pull(self, away: FloatArray) -> FloatArray:
        return np.asarray((self.form @ away[..., None])[..., 0])


@dataclass(frozen=True)
class _Rows:
    """Curves from which intervals are made: the fit of every gene first, then other shapes that are nearly as likely.

    Attributes
    ----------
    gene
        Whose curve it is, ``(rows,)``.
    theta
        Its parameters, ``(rows, 8)``.
    covariance
        By the curvature there, ``(rows, 8, 8)``.
    behind
        Nats behind the gene's best, ``(rows,)``.
    """

    gene: IntArray
    theta: FloatArray
    covariance: FloatArray
    behind: FloatArray


def switch_intervals(
    genes: GeneProblem, theta: FloatArray, doubt: Uncertainty, n_averaged: float = 1.0
) -> SwitchIntervals:
    """90 % intervals of the first switch, and of the last one of the first lineage.

    Parameters
    ----------
    genes
        The M-step's problem at the fit.
    theta
        Parameters, ``(genes, parameters)``.
    doubt
        How uncertain curves and clock are.
    n_averaged
        Cells that each value is a mean of: each then says that many times less.
    """
    genes = _shared_out(genes, n_averaged)
    beyond = doubt.covariance - np.linalg.inv(genes.information(theta)[1] + genes.prior.hessian)
    problem, layout = genes.coarse(TIMES), genes.states.layout
    fisher = problem.information(theta)[1]
    fullest = int(np.argmax(problem.spliced.size.reshape(layout.n_lineages, -1).sum(axis=1)))
    ends, unique = {}, np.ones(len(theta), dtype=bool)
    for lineage in {0, fullest}:
        columns = layout.columns(lineage)
        own, here = _one_lineage(problem, theta, fisher, lineage), theta[:, columns]
        rows, added = _likely_shapes(own, here), beyond[:, columns[:, None], columns]
        for switch, wanted in ((_First(), fullest), (_Last(), 0)):
            if lineage == wanted:
                ends[type(switch)] = _interval(own, rows, switch, added)
                unique &= _is_unique(rows, switch)
    return SwitchIntervals(ends[_First], ends[_Last], unique)


def _shared_out(problem: GeneProblem, n_averaged: float) -> GeneProblem:
    """The same sums of as many cells as would say as much without sharing."""
    if n_averaged == 1.0:
        return problem
    u, s = (LayerSums(sums.value / n_averaged, sums.size_powers / n_averaged) for sums in _layers(problem))
    return replace(problem, unspliced=u, spliced=s)


def _layers(problem: GeneProblem) -> tuple[LayerSums, LayerSums]:
    return problem.unspliced, problem.spliced


def _one_lineage(problem: GeneProblem, theta: FloatArray, fisher: FloatArray, lineage: int) -> GeneProblem:
    """The curve of one lineage, to the sums of its own states; the others as a normal about the fit."""
    layout, n_times = problem.states.layout, len(problem.states.times)
    own, columns = slice(lineage * n_times, (lineage + 1) * n_times), layout.columns(lineage)
    u, s = (sums.states(own) for sums in _layers(problem))
    base = RatePrior(Layout(1))
    form = np.zeros((len(theta), 8, 8))
    if layout.n_lineages > 1:
        alone = replace(problem, states=replace(problem.states, layout=Layout(1)), unspliced=u, spliced=s)
        here = alone.information(theta[:, columns])[1]
        form[:, :N_SHARED, :N_SHARED] = _of_the_others(problem, fisher, here, columns)
    return replace(
        problem,
        states=replace(problem.states, layout=Layout(1)),
        unspliced=u,
        spliced=s,
        prior=_WithOthers(base, theta[:, columns], form),
    )


def _of_the_others(problem: GeneProblem, fisher: FloatArray, here: FloatArray, columns: IntArray) -> FloatArray:
    """Information of the other lineages on the shared parameters, their own switches taken out, ``(genes, 6, 6)``."""
    rest = fisher.copy()
    rest[:, columns[:, None], columns] -= here
    other = np.setdiff1d(np.arange(N_SHARED, rest.shape[1]), columns)
    shared = np.arange(N_SHARED)
    cross = rest[:, shared[:, None], other]
    within = rest[:, other[:, None], other] + problem.prior.hessian[other[:, None], other]
    return np.asarray(rest[:, shared[:, None], shared] - cross @ np.linalg.solve(within, cross.transpose(0, 2, 1)))


def _likely_shapes(problem: GeneProblem, theta: FloatArray) -> _Rows:
    """The fit, and the other shapes that come near it."""
    coarse = problem.coarse()
    found = best_shapes(coarse, coarse.states.curve.families[0], SHAPES)
    gene = np.tile(np.arange(len(theta)), SHAPES)
    roughly = coarse.genes(gene)
    shapes = improve(roughly, begin(roughly, found.reshape(-1, 8)), FIRST_STEPS).theta
    finely = problem.genes(gene)
    polished = improve(finely, begin(finely, shapes), STEPS)
    loss = np.concatenate([problem.loss(theta), polished.loss])
    gene, every = np.concatenate([np.arange(len(theta)), gene]), np.concatenate([theta, polished.theta])
    behind = loss - _by_gene(np.minimum, loss, gene)[gene]
    kept = (behind < LIKELY) & _elsewhere(every, every[gene])
    kept[: len(theta)] = True
    gene, every = gene[kept], every[kept]
    own = problem.genes(gene)
    covariance = np.linalg.inv(own.information(every)[1] + own.prior.hessian)
    return _Rows(gene, every, covariance, behind[kept])


def _elsewhere(theta: FloatArray, fit: FloatArray) -> BoolArray:
    """Whether a shape has a switch visibly elsewhere than the fit."""
    away = [np.abs(switch.time(theta) - switch.time(fit)) > SAME for switch in (_First(), _Last())]
    return np.asarray(away[0] | away[1])


def _by_gene(of: np.ufunc, values: FloatArray, gene: IntArray) -> FloatArray:
    """``of`` all rows of each gene, the first of which are the genes in order."""
    out = values[: gene.max() + 1].copy()
    of.at(out, gene, values)
    return out


def _variance(switch: _Switch, theta: FloatArray, covariance: FloatArray) -> FloatArray:
    slope = switch.slope(theta)
    return np.asarray(np.einsum("rp,rpq,rq->r", slope, covariance, slope))


def _is_unique(rows: _Rows, switch: _Switch) -> BoolArray:
    """Whether no likely shape has the switch elsewhere than the fit has it."""
    n_genes = rows.gene.max() + 1
    time, sd = switch.time(rows.theta), np.sqrt(_variance(switch, rows.theta, rows.covariance))
    away = np.abs(time - time[rows.gene]) > APART * np.minimum(sd, sd[rows.gene])
    out = np.ones(n_genes, dtype=bool)
    out[rows.gene[away & (rows.behind < LIKELY)]] = False
    return out


def _interval(problem: GeneProblem, rows: _Rows, switch: _Switch, beyond: FloatArray) -> FloatArray:
    """Lower and upper end of a switch of each gene, ``(genes, 2)``; ``beyond`` is the covariance to add."""
    sd = np.minimum(np.sqrt(_variance(switch, rows.theta, rows.covariance)), WIDEST_STEP)
    slope = switch.slope(rows.theta)
    along = np.einsum("rpq,rq->rp", rows.covariance, slope)
    along = along / np.einsum("rp,rp->r", along, slope)[:, None]
    places = NODES[:, None] * sd
    theta = (rows.theta + places[..., None] * along).reshape(-1, 8)
    at = (switch.time(rows.theta) + places).ravel()
    theta = np.clip(theta, problem.prior.lower, problem.prior.upper)
    time, log_density = _held(problem.genes(np.tile(rows.gene, len(NODES))), switch, theta, at)
    low, high = _quantiles(rows.gene, *(x.reshape(len(NODES), -1).T for x in (time, log_density)))
    here = rows.theta[: len(low)]
    centre, added = switch.time(here), ndtri(LEVELS[1]) ** 2 * np.maximum(_variance(switch, here, beyond), 0.0)
    below, above = np.maximum(centre - low, 0.0), np.maximum(high - centre, 0.0)
    return np.stack([centre - np.sqrt(below**2 + added), centre + np.sqrt(above**2 + added)], axis=1)


def _held(problem: GeneProblem, switch: _Switch, theta: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log density of a switch at ``at`` up to a constant, and where the box let it be, each ``(rows,)``."""
    theta = switch.place(theta, at)
    loss, damping = problem.loss(theta), np.full(len(theta), 1e-2)
    for _ in range(STEPS):
        gradient, hessian, tangent = _along(problem, switch, theta)
        diagonal = np.einsum("rpp->rp", hessian)
        diagonal += diagonal * damping[:, None]  # a view
        step = (tangent @ np.linalg.solve(hessian, gradient[..., None]))[..., 0]
        tried = np.clip(theta + np.clip(step, -1.0, 1.0), problem.prior.lower, problem.prior.upper)
        tried = switch.place(tried, at)
        its_loss = problem.loss(tried)
        good = its_loss < loss
        theta, loss = np.where(good[:, None], tried, theta), np.where(good, its_loss, loss)
        damping = np.where(good, damping * 0.3, damping * 4.0)
    volume = np.linalg.slogdet(_along(problem, switch, theta)[1])[1]
    return switch.time(theta), switch.log_jacobian(theta) - loss - 0.5 * volume


def _along(problem: GeneProblem, switch: _Switch, theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradient and second derivative by the parameters that are left, and how all move with them."""
    gradient, fisher = problem.information(theta)
    tangent = switch.tangent(theta)
    across = tangent.transpose(0, 2, 1)
    gradient = (across @ (gradient - problem.prior.gradient(theta))[..., None])[..., 0]
    return gradient, across @ (fisher + problem.prior.hessian) @ tangent, tangent


def _quantiles(gene: IntArray, time: FloatArray, log_density: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quantiles of the upper envelope of log densities at some places each, ``(rows, places)``; each ``(genes,)``."""
    order = np.argsort(gene, kind="stable")
    out = np.empty((2, gene.max() + 1))
    for rows in np.split(order, np.cumsum(np.bincount(gene))[:-1]):
        fine = np.linspace(time[rows].min(), time[rows].max(), POINTS)
        above = [np.interp(fine, time[r], log_density[r], left=-np.inf, right=-np.inf) for r in rows]
        envelope = np.max(above, axis=0)
        density = np.exp(envelope - envelope.max())
        below = np.append(0.0, np.cumsum(density[1:] + density[:-1]))
        low, high = np.interp(np.array(LEVELS) * below[-1], below, fine)
        likely = fine[envelope >= envelope.max() - FALL]
        out[:, gene[rows[0]]] = min(low, likely[0]), max(high, likely[-1])
    return out[0], out[1]
