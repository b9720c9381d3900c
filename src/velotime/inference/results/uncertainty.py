r"""What uncertain curves add to the uncertainty of times, and uncertain times to that of curves.

Write theta for all curves' parameters and t_i for the cells' times. At the fit, with ``w = l/V`` the weight of a count,
``mu'`` the curve's slope in time and ``J`` its derivative by the parameters, the expected information is

    (theta_g, theta_g):  B_g = sum_i w J J^T  + prior          (no terms between genes)
    (theta_g, t_i):      w mu' J
    (t_i, t_i):          I_i = sum_g w mu'^2

Cells of one state share their entries, so summed over the n_j cells of state j the middle one is a column ``a_gj`` and
the last one ``M_j = I_j n_j`` (information of a cell times their number). Taking the cells' times out leaves the
information of the curves, ``B - A M^-1 A^T``, of low rank beside B: with ``K = A^T B^-1 A`` and ``H = (M - K)^-1``

    Cov(theta_g)          = B_g^-1 + E_g H E_g^T,    E_g = B_g^-1 A_g
    Cov(theta_g, clock)   = -E_g H                   (the clock: how far all cells of state j are displaced together)
    Cov(clock)            = M^-1 K H

(Woodbury; the missing-information principle of Louis 1982.) The eigenvalues of ``M^-1 K`` are the rates at which EM
converges along the clock. Two of them are near 1: a shift and a stretch of the whole clock change no likelihood. The
clock is relative, so both are taken out: displacements are regressed on 1 and t, and the curves moved back accordingly.
(On a circle there is one: a rotation.)

A cell does not stand at one time but has a posterior, and Louis' missing information has a part that involves no other
gene: the posterior variance of the score ``(x - l mu)/V J`` as J differs between the times that a cell may have. With
``E(x - l mu)^2 = l V`` that part is ``w Var_q(J)``, and what is left of ``w J J^T`` is ``w Jbar Jbar^T`` with
``Jbar = E_q J``: a curve is seen at the resolution at which times are known. It matters most for switches, at which J
jumps: the cells around one do not know on which side they are. So J above is taken as smoothed over the posterior of a
cell of the state: standard normal on the clock ``int sqrt(I) dt``, whose unit is a cell's own resolution.

For the clock, slopes are seen at that resolution too: ``a_gj = sum_i w mu'bar Jbar``, ``M_j = n_j sum_g w mu'bar^2``.
A shift, whose ``mu'bar = -Jbar gauge``, then tells nothing, and a stretch next to nothing, as it should be; with sharp
slopes beside smooth J slow bends of the clock seemed known five to ten times as well as curves say that are refitted.
Nor does the prior of a cell's time (``GRID_INFORMATION``) hold the clock, as a learned one goes along with it.

And the clock is not at its optimum: a fit takes another only where it wins by ``LEAST_GAIN`` nats (``model.clock``), as
likelihoods are rough and the best of many clocks is best by chance. It stands anywhere within the ellipsoid
``d^T Cov(clock)^-1 d / 2 <= LEAST_GAIN`` of ``WAVES`` directions, of variance ``2 LEAST_GAIN / (WAVES + 2)`` times
Cov(clock). Such a displacement d moves the curves by ``-E_g d``, and both are added.

A fitted slope is noisier than the true one, and the fit seems to know times better than it does. With e the error of a
fitted curve and q the posterior of a cell of state j, ``sum w (mu_k - mu_j)^2`` exceeds what the true curves give by
``sum w E(e_k - e_j)^2``: information that is spurious, ``S_j = sum w E(e_k - e_j)^2 / E_q (t_k - t_j)^2`` of it. And
counts scatter about the true curve, not the fitted one: through the mean slope of e over q, ``sum w (x - mu) e'``, of
variance ``N_j = sum w E(e'^2)``, this adds noise. To first order the two widen the variance of a time by
``1 + (S_j + N_j) / I_j``.

Means over n neighbours share their cells: all of them carry as much information as a share 1/n that shared none,
and each mean carries 1/n of its information on each of its n cells. So w is l/(n V) above, and posteriors of cells are
taken to the power 1/n (``model.posterior``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import LEAST_VARIANCE, Sums
from velotime.inference.model.clock import LEAST_GAIN, WAVES
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.states import States

GRID_INFORMATION = 12.0  # of the clock's length: a time is never less certain than uniform on [0, 1]
UNMOVED = 2 * LEAST_GAIN / (WAVES + 2)  # variance of the clock within what is left undecided, in units of its own
LEAST_INFORMATION = 1e-9  # of a cell's time: keeps M above zero where no curve moves
SLOWEST = 0.9999  # largest eigenvalue kept: keeps 1 - eigenvalue above zero where no prior acts


@dataclass(frozen=True)
class Uncertainty:
    """Second-order summary of a fit.

    Attributes
    ----------
    widening
        Factor of a cell's posterior variance of time, ``(states,)``.
    clock
        Covariance of the displacements that all cells of a state share, origin and unit aligned, ``(states, states)``.
    information
        Of the times of all cells of a state, ``(states,)``.
    covariance
        Of each gene's parameters, ``(genes, parameters, parameters)``, origin and unit of the clock aligned.
    velocity_variance
        Of ds/dt given the state, ``(genes, states)``.
    """

    widening: FloatArray
    clock: FloatArray
    information: FloatArray
    covariance: FloatArray
    velocity_variance: FloatArray

    @property
    def clock_variance(self) -> FloatArray:
        """Variance of the displacement that all cells of a state share, ``(states,)``."""
        return np.maximum(np.diagonal(self.clock), 0.0)


@dataclass(frozen=True)
class _Layer:
    """One layer of one lineage: weights and slopes of the mean ``(genes, times)``, Jacobian ``(genes, 8, times)``."""

    states: slice
    columns: IntArray
    weight: FloatArray
    slope: FloatArray
    jacobian: FloatArray


@dataclass(frozen=True)
class _Terms:
    """Sums over cells that the formulas above are made of."""

    conditional: FloatArray  # B_g^-1, (genes, parameters, parameters)
    cross: FloatArray  # A_g, (genes, parameters, states)
    information: FloatArray  # of the times of all cells of a state, (states,)
    shared: FloatArray  # of a displacement of all of them, M_j, (states,)
    spurious: FloatArray  # (S_j + N_j) n_j, (states,)


def doubts(problem: SoftProblem, parameters: SoftParameters, statistics: Sums) -> Uncertainty:
    """How uncertain curves and clock of a fit are, from its sums over cells."""
    genes, n_cells = problem.gene_problem(parameters, statistics), statistics.weight.sum(axis=0)
    return uncertainty(genes, parameters.theta, n_cells, problem.cells.n_averaged)


def uncertainty(genes: GeneProblem, theta: FloatArray, n_cells: FloatArray, n_averaged: float = 1.0) -> Uncertainty:
    """Evaluate the formulas of this module.

    Parameters
    ----------
    genes
        The M-step's problem at the fit.
    theta
        Parameters, ``(genes, parameters)``.
    n_cells
        Expected number of cells in each state, ``(states,)``.
    n_averaged
        Cells that each value is a mean of.
    """
    count = np.maximum(n_cells, 1e-6)
    layers = [layer for part, own in genes.parts(theta) for layer in _layers(part, own, n_averaged)]
    terms = _terms(genes, layers, count)
    M = terms.shared + LEAST_INFORMATION * count
    E = terms.conditional @ terms.cross
    H, clock = _clock(np.einsum("gps,gpt->st", terms.cross, E), M)
    H, clock = H + UNMOVED * clock, (1.0 + UNMOVED) * clock
    design = genes.states.clock.design(genes.states.time)
    align = _alignment(design, count)
    keep = np.eye(len(M)) - design.T @ align
    covariance = _aligned(terms.conditional, E, H, clock, align, genes.states.curve.gauge(theta))
    velocity = _velocity_variance(covariance, theta, genes.states)
    return Uncertainty(
        widening=1.0 + terms.spurious / terms.information,
        clock=keep @ clock @ keep.T,
        information=terms.information,
        covariance=covariance,
        velocity_variance=velocity,
    )


def doubts_of_others(
    problem: SoftProblem, parameters: SoftParameters, statistics: Sums, doubt: Uncertainty
) -> Uncertainty:
    """How uncertain curves of genes are that have no say in the clock, given how uncertain it is.

    A displacement d of the clock, aligned, moves such a gene's curve by ``-E_g d``, and its counts do not answer:
    ``Cov(theta_g) = B_g^-1 + E_g Cov(d) E_g^T``.
    """
    genes, count = problem.gene_problem(parameters, statistics), np.maximum(statistics.weight.sum(axis=0), 1e-6)
    theta, n_averaged = parameters.theta, problem.cells.n_averaged
    layers = [layer for part, own in genes.parts(theta) for layer in _layers(part, own, n_averaged)]
    terms = _terms(genes, layers, count, doubt.information)
    E = terms.conditional @ terms.cross
    covariance = terms.conditional + (E @ doubt.clock) @ E.transpose(0, 2, 1)
    velocity = _velocity_variance(covariance, theta, genes.states)
    return replace(doubt, covariance=covariance, velocity_variance=velocity)


def own_covariance(genes: GeneProblem, theta: FloatArray, n_cells: FloatArray) -> FloatArray:
    """Covariance of each gene's parameters with all other genes as they are, ``(genes, parameters, parameters)``.

    ``(B_g - A_g M^-1 A_g^T)^-1``: what the cells' times leave of what the counts of the one gene say.

    Parameters
    ----------
    genes
        The M-step's problem, its prior included.
    theta
        Parameters, ``(genes, parameters)``.
    n_cells
        Expected number of cells in each state, ``(states,)``.
    """
    layers = [layer for part, own in genes.parts(theta) for layer in _layers(part, own, 1.0)]
    count = np.maximum(n_cells, 1e-6)
    terms = _terms(genes, layers, count)
    lost = (terms.cross / (terms.shared + GRID_INFORMATION * count)) @ terms.cross.transpose(0, 2, 1)
    return np.asarray(np.linalg.inv(np.linalg.inv(terms.conditional) - lost))


def sums_along(
    genes: GeneProblem, theta: FloatArray, n_cells: FloatArray, directions: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of few directions D in the space of parameters: ``D F D^T`` and ``D A_g`` of each gene, and M.

    F is the information of the counts, without that of a prior; ``(genes, directions, directions)``,
    ``(genes, directions, states)`` and ``(states,)``.
    """
    count = np.maximum(n_cells, 1e-6)
    layers = [layer for part, own in genes.parts(theta) for layer in _layers(part, own, 1.0)]
    resolution = np.sqrt(_times(layers, count) / count)
    within = np.zeros((genes.n_genes, len(directions), len(directions)))
    cross = np.zeros((genes.n_genes, len(directions), len(count)))
    information = GRID_INFORMATION * count
    for layer in layers:
        posterior = _blur(genes.states, resolution[layer.states]).T
        slopes = np.einsum("dp,gpt->gdt", directions[:, layer.columns], layer.jacobian)
        seen, slope = slopes @ posterior, layer.slope @ posterior
        information[layer.states] += (layer.weight * slope**2).sum(axis=0)
        cross[:, :, layer.states] += (layer.weight * slope)[:, None] * seen
        within += (seen * layer.weight[:, None]) @ seen.transpose(0, 2, 1)
    return within, cross, information


def _times(layers: list[_Layer], count: FloatArray) -> FloatArray:
    """Information of the times of all cells of each state, ``(states,)``."""
    information = GRID_INFORMATION * count
    for layer in layers:
        information[layer.states] += (layer.weight * layer.slope**2).sum(axis=0)
    return np.asarray(information)


def _layers(genes: GeneProblem, theta: FloatArray, n_averaged: float) -> Iterator[_Layer]:
    """Unspliced and spliced of each lineage in turn, each cell with its share of what averaged values say."""
    states, n_times = genes.states, len(genes.states.times)
    slope_u, slope_s = states.velocities(theta)
    background = (0.0, 0.0) if genes.background is None else genes.background[..., None]
    for lineage, (u, s, ju, js) in enumerate(states.jacobians(theta)):
        own = slice(lineage * n_times, (lineage + 1) * n_times)
        for sums, mean, slope, jacobian, scatter in (
            (genes.unspliced, u + background[0], slope_u, ju, genes.unspliced_scatter),
            (genes.spliced, s + background[1], slope_s, js, genes.spliced_scatter),
        ):
            constant, linear, quadratic = genes.noise.variance_terms(scatter)[..., None]
            variance = constant + mean * (linear + quadratic * sums.mean_size[own] * mean)
            variance = np.maximum(variance, LEAST_VARIANCE)
            weight = sums.size[own] / (n_averaged * variance)
            yield _Layer(own, states.layout.columns(lineage), weight, slope[:, own], jacobian)


def _terms(
    genes: GeneProblem, layers: list[_Layer], count: FloatArray, information: FloatArray | None = None
) -> _Terms:
    """With ``information`` of the times, ``(states,)``, where these genes have no say in it."""
    states, n_genes, n_parameters = genes.states, genes.n_genes, genes.states.layout.n_parameters
    information = _times(layers, count) if information is None else information
    cross = np.zeros((n_genes, n_parameters, states.n_states))
    within = np.tile(genes.prior.hessian, (n_genes, 1, 1))
    resolution = np.sqrt(information / count)
    shared = np.zeros(states.n_states)
    for layer in layers:
        posterior = _blur(states, resolution[layer.states]).T
        jacobian, slope = layer.jacobian @ posterior, layer.slope @ posterior
        shared[layer.states] += (layer.weight * slope**2).sum(axis=0)
        cross[:, layer.columns, layer.states] += (layer.weight * slope)[:, None] * jacobian
        weighted = jacobian * layer.weight[:, None]
        within[:, layer.columns[:, None], layer.columns] += weighted @ jacobian.transpose(0, 2, 1)
    conditional = np.linalg.inv(within)
    spurious = np.zeros(states.n_states)
    for layer in layers:
        own = conditional[:, layer.columns[:, None], layer.columns]
        steepness = _steepness(layer.jacobian, own, states, resolution[layer.states])
        spurious[layer.states] += (layer.weight * steepness).sum(axis=0)
    return _Terms(conditional, cross, information, shared, spurious)


def _blur(states: States, resolution: FloatArray) -> FloatArray:
    """Posterior of a cell of each time, ``(times, times)``, rows sum to one: normal along ``int resolution dt``."""
    weight = np.exp(-0.5 * states.clock.lengths(states.times, resolution) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _steepness(jacobian: FloatArray, form: FloatArray, states: States, resolution: FloatArray) -> FloatArray:
    """``E (e_k - e_j)^2 / E_q (t_k - t_j)^2 + E e'^2`` for each gene and time j, ``(genes, times)``.

    A plain derivative would depend on the grid, as J jumps at switches. Where cells are placed more finely than the
    grid, neighbouring times count.
    """
    q = _blur(states, np.minimum(resolution, 1.0 / np.diff(states.times).min()))
    applied = form @ jacobian
    square = (jacobian * applied).sum(axis=1)
    product = (applied * (jacobian @ q.T)).sum(axis=1)
    way = states.clock.away(states.times, states.times[:, None])
    away = (q * way**2).sum(axis=1)
    differences = np.maximum(square @ q.T - 2 * product + square, 0.0) / away
    centred = q * (way - (q * way).sum(axis=1, keepdims=True))
    slope = jacobian @ (centred / (centred * way).sum(axis=1, keepdims=True)).T
    return np.asarray(differences + _quadratic(slope, form))


def _quadratic(vectors: FloatArray, form: FloatArray) -> FloatArray:
    """``v^T form v`` for each gene and time, ``(genes, times)``, of vectors ``(genes, parameters, times)``."""
    return np.asarray((vectors * (form @ vectors)).sum(axis=1))


def _clock(K: FloatArray, M: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``H`` and the covariance of the clock, both ``(states, states)``, through the eigenvalues of ``M^-1 K``."""
    root = np.sqrt(M)
    value, vector = np.linalg.eigh(K / (root[:, None] * root))
    value = np.clip(value, 0.0, SLOWEST)
    vector = vector / root[:, None]
    return (vector / (1 - value)) @ vector.T, (vector * (value / (1 - value))) @ vector.T


def _alignment(design: FloatArray, count: FloatArray) -> FloatArray:
    """Least-squares coefficients of a displacement on those of the design, weighted by cells, ``(2, states)``."""
    weighted = design * count
    return np.asarray(np.linalg.solve(weighted @ design.T, weighted))


def _aligned(
    conditional: FloatArray, E: FloatArray, H: FloatArray, clock: FloatArray, align: FloatArray, gauge: FloatArray
) -> FloatArray:
    """Covariance of each gene's ``theta_g - gauge (align clock)``."""
    with_clock = -(E @ (H @ align.T)) @ gauge.transpose(0, 2, 1)
    of_clock = gauge @ (align @ clock @ align.T) @ gauge.transpose(0, 2, 1)
    whole = conditional + (E @ H) @ E.transpose(0, 2, 1)
    return np.asarray(whole - with_clock - with_clock.transpose(0, 2, 1) + of_clock)


def _velocity_variance(covariance: FloatArray, theta: FloatArray, states: States) -> FloatArray:
    pieces = []
    for columns, (_, _, _, jacobian) in zip(states.columns, states.jacobians(theta), strict=True):
        steep = states.clock.slope(jacobian, states.times)
        own = covariance[:, columns[:, None], columns]
        pieces.append(np.maximum(_quadratic(steep, own), 0.0))
    return np.hstack(pieces)
