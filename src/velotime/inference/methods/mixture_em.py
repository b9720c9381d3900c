r"""``MixtureEM``: classical expectation-maximisation of a Gaussian mixture, the model without kinetics.

Every component has a mean and a variance of its own for each gene and layer:

    E   r_ik = w_k prod_g N(x_ig; m_gk, v_gk) / sum_l ...
    M   w_k = sum_i r_ik / N,   m_gk = sum_i r_ik x_ig / sum_i r_ik,   v_gk = sum_i r_ik (x_ig - m_gk)^2 / sum_i r_ik

(Dempster, Laird and Rubin 1977.) The M-step sees sums about the means c of the E-step before it: with S1 the sum of
``r (x - c)``, S2 that of ``r (x - c)^2`` and n that of r, ``m = c + S1/n`` and ``v = S2/n - (S1/n)^2``, where the
second term vanishes as the loop converges: nothing cancels.

``SoftEM`` with Gaussian noise is this mixture with one component per state, its means held to a curve in time and its
variances to one per gene and layer. Started from such a fit the mixture can only rise: it is the saturated model.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from velotime._check import Number, Settings, Whole
from velotime._status import InputError, Status
from velotime._types import FloatArray
from velotime.compute import CentredSums, GaussianComponents, Matrix, accumulate_gaussian, as_array, responsibilities
from velotime.inference.cell_space import k_means
from velotime.inference.em import Schedule, Trace, Watcher, run_em, watch_nothing
from velotime.inference.methods.protocol import Reads
from velotime.inference.observations import Observations
from velotime.inference.search.geometry.starts import Geometry

BLOCK_OF_CELLS = 4096
SMALLEST_VARIANCE = 1e-12  # of a gene that does not vary


@dataclass(frozen=True)
class MixtureParameters:
    """Everything the mixture learns.

    Attributes
    ----------
    weight
        Shares of the components, ``(components,)``.
    unspliced, spliced
        Means and variances of each layer, ``(genes, components)``.
    """

    weight: FloatArray
    unspliced: GaussianComponents
    spliced: GaussianComponents

    @property
    def layers(self) -> tuple[GaussianComponents, GaussianComponents]:
        """Both layers."""
        return self.unspliced, self.spliced


@dataclass(frozen=True)
class MixtureProblem:
    """E- and M-step on given cells.

    Attributes
    ----------
    unspliced, spliced
        Values, ``(cells, genes)``.
    least
        Lower bounds of the variances of both layers, each ``(genes,)``.
    """

    unspliced: Matrix
    spliced: Matrix
    least: tuple[FloatArray, FloatArray]

    def expect(self, parameters: MixtureParameters, temperature: float) -> tuple[CentredSums, float]:
        """Sums under the responsibilities, and the log-likelihood per cell."""
        values = self.unspliced, self.spliced
        sums = accumulate_gaussian(values, parameters.layers, parameters.weight, temperature)
        return sums, temperature * sums.log_evidence / self.unspliced.shape[0]

    def maximise(self, parameters: MixtureParameters, statistics: CentredSums, iteration: int) -> MixtureParameters:
        """Weights, means and variances. With a lower bound the best variance is the larger of the two."""
        del iteration
        weight = statistics.weight
        layers = zip(parameters.layers, statistics.first, statistics.second, self.least, strict=True)
        u, s = (_update(layer, first, second, weight, least) for layer, first, second, least in layers)
        return MixtureParameters(weight / weight.sum(), u, s)


def _update(
    components: GaussianComponents, first: FloatArray, second: FloatArray, weight: FloatArray, least: FloatArray
) -> GaussianComponents:
    n = np.maximum(weight, 1e-300)
    moved = first / n
    variance = np.maximum(second / n - moved**2, least[:, None])
    return GaussianComponents(components.mean + moved, np.where(weight > 0, variance, components.variance))


@dataclass(frozen=True)
class MixtureFit:
    """Result of ``MixtureEM``.

    Attributes
    ----------
    status
        How the loop ended.
    trace
        Log-likelihood per cell of each iteration.
    log_likelihood
        Log-likelihood of the values, nats.
    parameters
        Weights, means and variances; the largest component first.
    posterior
        Responsibilities, ``(cells, components)``.
    seconds
        Wall time.
    """

    status: Status
    trace: Trace
    log_likelihood: float
    parameters: MixtureParameters
    posterior: FloatArray
    seconds: float


@dataclass(frozen=True)
class MixtureEM(Settings):
    """Expectation-maximisation of a Gaussian mixture with diagonal covariances: no clock, no kinetics.

    Cells sit in components, each with a mean and a variance for every gene and layer. Its log-likelihood says what a
    model without kinetics explains, and bounds that of ``SoftEM(noise=Gaussian())`` from above when it has as many
    components as that has times. For moments or normalised values.

    Parameters
    ----------
    n_components
        Number of components. The default, 20, is the number of pieces of the clock that the deviance explained of a
        gene is measured against.
    max_iterations
        Iterations after which the fit stops.
    tolerance
        Converged when the log-likelihood per cell changes by less twice in a row, in nats.
    least
        Lower bound of the variances, as a share of the gene's variance over all cells: without one a component that
        closes in on a single cell has infinite likelihood.
    """

    n_components: int = 20
    max_iterations: int = 200
    tolerance: float = 1e-3
    least: float = 0.01

    rules: ClassVar = {
        "n_components": Whole(1),
        "max_iterations": Whole(1),
        "tolerance": Number(0),
        "least": Number(0, 1, open_most=True),
    }

    @property
    def reads(self) -> Reads:
        """Moments."""
        return Reads.MOMENTS

    def fit(
        self, observations: Observations, geometry: Geometry, *, rng: Generator, watch: Watcher = watch_nothing
    ) -> MixtureFit:
        """Fit from the best of several k-means of the placed cells' principal components.

        Parameters
        ----------
        observations
            Values of the genes to fit.
        geometry
            Where some of the cells lie.
        rng
            Draws the centres that k-means begins with.
        watch
            Called once per iteration.

        Raises
        ------
        InputError
            If there are more components than cells.
        """
        began = time.perf_counter()
        self._check(len(geometry.cells))
        nearest = k_means(geometry.components, self.n_components, int(rng.integers(2**31 - 1)))[1]
        placed = observations.select_cells(geometry.cells)
        start = start_from(placed, np.eye(self.n_components)[nearest], self.least)
        order = observations.content_order  # sums are then the same in whatever order cells are given
        fit = self.fit_from(observations.select_cells(order), start, watch=watch, began=began)
        return replace(fit, posterior=fit.posterior[np.argsort(order)])

    def fit_from(
        self,
        observations: Observations,
        start: MixtureParameters,
        *,
        watch: Watcher = watch_nothing,
        began: float | None = None,
    ) -> MixtureFit:
        """Fit from given parameters, e.g. those of another mixture; ``began`` is when the clock was started."""
        began = time.perf_counter() if began is None else began
        self._check(observations.n_cells)
        problem = self.problem(observations)
        statistics, _ = problem.expect(start, 1.0)
        schedule = Schedule(annealing=0, hottest=1.0, longest=self.max_iterations, tolerance=self.tolerance)
        run = run_em(problem, start, statistics, schedule, watch)
        parameters = _largest_first(run.parameters)
        values = observations.unspliced, observations.spliced
        return MixtureFit(
            status=run.status,
            trace=run.trace,
            log_likelihood=run.bound * observations.n_cells,
            parameters=parameters,
            posterior=responsibilities(values, parameters.layers, parameters.weight),
            seconds=time.perf_counter() - began,
        )

    def problem(self, observations: Observations) -> MixtureProblem:
        """The loop's problem on these cells."""
        u, s = observations.unspliced, observations.spliced
        return MixtureProblem(u, s, (_floor(u, self.least), _floor(s, self.least)))

    def _check(self, n_cells: int) -> None:
        if self.n_components > n_cells:
            raise InputError(
                f"MixtureEM(n_components={self.n_components}), but there are only {n_cells} cells: a component needs "
                f"at least one. Ask for n_components={n_cells} or fewer."
            )


def start_from(observations: Observations, posterior: FloatArray, least: float) -> MixtureParameters:
    """Parameters from given responsibilities ``(cells, components)``."""
    weight = posterior.sum(axis=0)
    layers = []
    for values in (observations.unspliced, observations.spliced):
        mean, variance = _moments(values, posterior)
        layers.append(GaussianComponents(mean, np.maximum(variance, _floor(values, least)[:, None])))
    return MixtureParameters(weight / weight.sum(), *layers)


def _moments(values: Matrix, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted means and variances, ``(genes, columns of weight)``, in two passes over blocks of cells."""
    total = np.maximum(weight.sum(axis=0), 1e-300)
    mean = np.asarray(values.T @ weight, dtype=np.float64) / total
    square = np.zeros_like(mean)
    for first in range(0, len(weight), BLOCK_OF_CELLS):
        cells = slice(first, first + BLOCK_OF_CELLS)
        block = as_array(values[cells])
        for k in range(weight.shape[1]):
            rows = np.flatnonzero(weight[cells, k])
            square[:, k] += weight[cells, k][rows] @ (block[rows] - mean[:, k]) ** 2
    return mean, square / total


def _floor(values: Matrix, least: float) -> FloatArray:
    variance = _moments(values, np.ones((values.shape[0], 1)))[1][:, 0]
    return np.asarray(np.maximum(least * variance, SMALLEST_VARIANCE))


def _largest_first(parameters: MixtureParameters) -> MixtureParameters:
    order = np.argsort(-parameters.weight, kind="stable")
    u, s = (GaussianComponents(layer.mean[:, order], layer.variance[:, order]) for layer in parameters.layers)
    return MixtureParameters(parameters.weight[order], u, s)
