"""Discrete clusters with free means, for comparison: cells in a few states without kinetics.

A mixture of count distributions with a mean per cluster, gene and layer, fitted in the same loop as everything else.
One cluster is the constant model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
from velotime.compute import LEAST_MEAN, NUMBA, Backend, ScoreTables, Sums, SweepModel, pad_states
from velotime.inference.cell_space import k_means
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.heldout.scores import StateModel
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import Cells
from velotime.inference.model.sums import sums_under

SHRINK = 1.0  # cells' worth of the overall mean that every cluster is credited with
SCHEDULE = Schedule(annealing=0, hottest=1.0, longest=25, tolerance=1e-3)


@dataclass(frozen=True)
class ClusterParameters:
    """Means ``(genes, clusters)``, scatter ``(genes,)`` of both layers, and weights ``(clusters,)``."""

    unspliced: FloatArray
    spliced: FloatArray
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray
    weight: FloatArray


@dataclass(frozen=True)
class ClusterProblem:
    """E- and M-step of the mixture."""

    cells: Cells
    noise: Noise
    n_clusters: int
    backend: Backend = NUMBA

    def expect(self, parameters: ClusterParameters, temperature: float) -> tuple[Sums, float]:
        """Sums under the posterior, and the log-likelihood per cell."""
        model, rest = self.sweep_model(parameters, temperature)
        zero = np.zeros(self.cells.n_cells, dtype=np.int32)
        sums, log_evidence = self.backend.accumulate(*self.cells.layers, model, zero, zero)
        total = float(log_evidence.sum(dtype=np.float64)) + rest
        return sums.first_states(self.n_clusters), total / self.cells.n_cells

    def sweep_model(self, parameters: ClusterParameters, temperature: float = 1.0) -> tuple[SweepModel, float]:
        """Tables for the sweep, and the log-likelihood that they leave out."""
        extra = pad_states(self.n_clusters) - self.n_clusters
        tables, rest = [], 0.0
        for data, means, scatter in (
            (self.cells.unspliced, parameters.unspliced, parameters.unspliced_scatter),
            (self.cells.spliced, parameters.spliced, parameters.spliced_scatter),
        ):
            table = self.noise.tables(np.pad(means, ((0, 0), (0, extra)), mode="edge"), scatter, data.levels)
            tables.append(ScoreTables(table.slope, table.offset.astype(np.float32)))
            rest += float(self.noise.constant(data, scatter).sum())
        log_prior = np.full((1, self.n_clusters + extra), -np.inf, dtype=np.float32)
        log_prior[0, : self.n_clusters] = np.log(parameters.weight)
        return SweepModel(tables[0], tables[1], log_prior, temperature), rest

    def maximise(self, parameters: ClusterParameters, statistics: Sums, iteration: int) -> ClusterParameters:
        """Means, scatter and weights from the sums."""
        del iteration
        return self._from(statistics, parameters.unspliced_scatter, parameters.spliced_scatter)

    def first(self, statistics: Sums) -> ClusterParameters:
        """Parameters from sums alone."""
        u, s = self.cells.unspliced, self.cells.spliced
        return self._from(statistics, self.noise.initial_scatter(u), self.noise.initial_scatter(s))

    def _from(self, statistics: Sums, u_scatter: FloatArray, s_scatter: FloatArray) -> ClusterParameters:
        u, s = statistics.layers
        u_means, s_means = (np.maximum(sums.means(SHRINK), LEAST_MEAN) for sums in (u, s))
        weight = statistics.weight.sum(axis=0) + SHRINK
        return ClusterParameters(
            u_means,
            s_means,
            self.noise.update_scatter(u_scatter, u, u_means, self.cells.unspliced),
            self.noise.update_scatter(s_scatter, s, s_means, self.cells.spliced),
            weight / weight.sum(),
        )


def fit_clusters(
    cells: Cells, noise: Noise, components: FloatArray, n_clusters: int, seed: int
) -> Run[ClusterParameters, Sums]:
    """Fit the mixture from k-means of principal components, ``(cells, components)`` in the caller's order."""
    nearest = k_means(components, n_clusters, seed)[1] if n_clusters > 1 else np.zeros(cells.n_cells, dtype=int)
    q = np.eye(n_clusters, dtype=np.float32)[nearest][cells.order]
    problem = ClusterProblem(cells, noise, n_clusters)
    statistics = sums_under(cells.unspliced, cells.spliced, q)
    return run_em(problem, problem.first(statistics), statistics, SCHEDULE)


def cluster_states(cells: Cells, noise: Noise, parameters: ClusterParameters) -> StateModel:
    """Clusters as states."""
    means = parameters.unspliced, parameters.spliced
    scatter = parameters.unspliced_scatter, parameters.spliced_scatter
    return StateModel(cells, noise, means, scatter, np.log(parameters.weight)[None])
