"""A whole small fit on another backend: the model needs only its primitives."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from naive import NaiveBackend

import velotime as vt
from velotime.compute import NUMBA
from velotime.inference import Observations
from velotime.inference.em import Schedule, run_em
from velotime.inference.heldout.clusters import ClusterProblem
from velotime.inference.labels import CellLabels
from velotime.inference.methods.soft_em import SoftEM
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.sums import sums_under
from velotime.inference.results.cells import refine
from velotime.inference.states import States

SCHEDULE = Schedule(annealing=4, hottest=5.0, longest=4, tolerance=0.0)


@dataclass(frozen=True)
class Counting(NaiveBackend):
    """Records what it was asked for."""

    asked: list = field(default_factory=list)

    def accumulate(self, *arguments):
        self.asked.append("accumulate")
        return super().accumulate(*arguments)

    def posterior(self, *arguments, **cells):
        self.asked.append("posterior")
        return super().posterior(*arguments, **cells)

    def curve_means(self, *arguments):
        self.asked.append("curve_means")
        return super().curve_means(*arguments)

    def curve_information(self, *arguments):
        self.asked.append("curve_information")
        return super().curve_information(*arguments)


@pytest.fixture(scope="module")
def cells():
    adata = vt.simulation.simulate(60, 6, rng=np.random.default_rng(0), mean_unspliced=3.0, mean_spliced=9.0)
    size = adata.obs["true_depth"].to_numpy()
    observations = Observations(adata.layers["unspliced"], adata.layers["spliced"], size, size)
    rows = SoftEM().prior_rows(CellLabels.plain(adata.n_obs))
    return Cells.of(observations, rows, vt.NegativeBinomial()), adata.obs["true_time"].to_numpy()


def fit(cells, time, backend, n_lineages):
    """All kinds of M-steps: every gene again from scratch, other clocks, room at both ends."""
    states = replace(States.grid(16, n_lineages), backend=backend)
    problem = SoftProblem(
        cells,
        states,
        vt.NegativeBinomial(),
        vt.LearnedPrior(),
        RatePrior(states.layout),
        restarts=frozenset({2}),
        restart=restart_by_shapes,  # of more shapes, two of so few cells are as likely, and rounding chooses
        clock_moves=frozenset({4}),
        make_room=5,
    )
    near = np.exp(-0.5 * ((time[:, None] - states.time) / 0.1) ** 2)
    start = problem.statistics_of(near / near.sum(axis=1, keepdims=True))
    return problem, run_em(problem, problem.first(start), start, SCHEDULE)


@pytest.mark.parametrize("n_lineages", [1, 2])
def test_a_whole_fit_on_the_naive_backend_is_the_same(cells, n_lineages):
    slow = Counting()
    (problem, run), (naive_problem, naive) = (fit(*cells, backend, n_lineages) for backend in (NUMBA, slow))
    assert set(slow.asked) == {"accumulate", "curve_means", "curve_information"}
    assert naive.bound == pytest.approx(run.bound, rel=1e-6)
    np.testing.assert_allclose(naive.trace.bound, run.trace.bound, rtol=1e-6)
    np.testing.assert_allclose(naive.parameters.theta, run.parameters.theta, atol=2e-3)
    before = len(slow.asked)
    time, naive_time = (
        time_and_lineage(*refine(*pair))[0] for pair in ((problem, run.parameters), (naive_problem, naive.parameters))
    )
    assert "posterior" in slow.asked[before:]
    np.testing.assert_allclose(naive_time, time, atol=1e-3)


def test_clusters_on_the_naive_backend_are_the_same(cells):
    cells, time = cells
    bounds = []
    for backend in (NUMBA, NaiveBackend()):
        problem = ClusterProblem(cells, vt.NegativeBinomial(), 3, backend)
        q = np.eye(3, dtype=np.float32)[np.digitize(time, [0.3, 0.6])][cells.order]
        start = sums_under(cells.unspliced, cells.spliced, q)
        bounds.append(run_em(problem, problem.first(start), start, SCHEDULE).bound)
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-6)
