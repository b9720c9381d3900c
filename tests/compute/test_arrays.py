"""The primitives through the array API, against the compiled ones: the same fit, on NumPy and on PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from naive import NaiveBackend

import velotime as vt
from velotime._status import InputError
from velotime.compute import NUMBA, ArrayBackend, CurveTargets
from velotime.data.stored.soft_fit import restore_soft_fit
from velotime.inference import Observations
from velotime.inference.em import Schedule, run_em
from velotime.inference.labels import CellLabels
from velotime.inference.methods.soft_em import SoftEM
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import States

SCHEDULE = Schedule(annealing=3, hottest=5.0, longest=3, tolerance=0.0)


@pytest.fixture(scope="module", params=["numpy", "torch"])
def backend(request):
    """Blocks that do not divide the number of cells."""
    pytest.importorskip(request.param)
    return ArrayBackend(request.param, device="cpu", block=70)


@pytest.fixture(scope="module")
def problem():
    """Two lineages, two rows of the prior, size factors that differ, in both layers apart."""
    adata = vt.simulation.simulate(
        200,
        12,
        rng=np.random.default_rng(0),
        branches=vt.simulation.Branches(),
        mean_unspliced=2.0,
        mean_spliced=5.0,
    )
    size = adata.obs["true_depth"].to_numpy()
    observations = Observations(adata.layers["unspliced"], adata.layers["spliced"], size, size[::-1].copy())
    label = np.where(np.arange(adata.n_obs) % 3 == 0, "a", "b")
    labels = CellLabels(adata.obs_names.to_numpy(), {"sample": label})
    method = SoftEM(prior=vt.LearnedPrior(by="sample"))
    states = States.grid(20, 2)
    return SoftProblem(
        Cells.of(observations, method.prior_rows(labels), method.noise),
        states,
        method.noise,
        method.prior,
        RatePrior(states.layout),
        restarts=frozenset({2}),
        restart=restart_by_shapes,  # of more shapes, two of so few cells are as likely, and rounding chooses
    ), adata


def on(problem, backend):
    return replace(problem, states=replace(problem.states, backend=backend))


def fit(problem, adata, backend):
    problem = on(problem, backend)
    near = np.exp(-0.5 * ((adata.obs["true_time"].to_numpy()[:, None] - problem.states.time) / 0.1) ** 2)
    start = problem.statistics_of(near / near.sum(axis=1, keepdims=True))
    return run_em(problem, problem.first(start), start, SCHEDULE)


@pytest.fixture(scope="module")
def compiled(problem):
    return fit(*problem, NUMBA)


def test_sums_and_posteriors_are_those_of_the_compiled_sweep(problem, compiled, backend):
    problem, _ = problem
    model, _ = problem.sweep_model(compiled.parameters, 1.7)
    cells = (*problem.cells.layers, model, problem.cells.prior_row)
    group = problem.cells.prior_row
    (found, evidence), (expected, expected_evidence) = (b.accumulate(*cells, group) for b in (backend, NUMBA))
    np.testing.assert_allclose(evidence, expected_evidence, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.weight, expected.weight, atol=1e-3)
    for one, other in zip(found.layers, expected.layers, strict=True):
        np.testing.assert_allclose(one.value, other.value, atol=1e-3 * other.value.max())
        np.testing.assert_allclose(one.size_powers, other.size_powers, atol=1e-3 * other.size_powers.max())
    part = slice(30, 151)
    (q, _), (expected_q, _) = (b.posterior(*cells, cells=part) for b in (backend, NUMBA))
    assert q.shape == (121, model.log_prior.shape[1])
    np.testing.assert_allclose(q, expected_q, atol=1e-4)


def test_a_whole_fit_has_the_log_likelihood_of_the_compiled_one(problem, compiled, backend):
    run = fit(*problem, backend)
    assert run.bound == pytest.approx(compiled.bound, rel=1e-5)
    np.testing.assert_allclose(run.parameters.theta, compiled.parameters.theta, atol=5e-3)


def test_normal_equations_are_those_of_the_slow_reference(backend):
    """Also of the periodic switch, and with more genes than fit into one run."""
    rng = np.random.default_rng(1)
    n_genes, times = 300, np.linspace(0, 1, 9)
    theta = np.column_stack(
        [rng.normal(1, 0.5, (n_genes, 2)), rng.uniform(0, 0.6, n_genes), rng.normal(0, 1, (n_genes, 3))]
    )
    theta = np.column_stack([theta, np.log(rng.uniform(0.1, 0.3, n_genes)), rng.normal(0, 1, n_genes)])
    sizes = rng.uniform(1, 9, 9), rng.uniform(1, 9, (n_genes, 9))  # of all genes, and of each
    targets = [
        CurveTargets(
            rng.gamma(2, 2, (n_genes, 9)),
            size,
            rng.uniform(0.5, 2, 9),
            rng.uniform(0.1, 1, (3, n_genes)),
            rng.uniform(0, 1, n_genes),
        )
        for size in sizes
    ]
    columns, few = np.arange(8)[None], np.r_[0:5, 250:260]
    slow = NaiveBackend()
    own_sizes = sizes[0], sizes[1][few]
    part = [
        CurveTargets(t.value[few], n, t.mean_size, t.variance[:, few], t.background[few])
        for t, n in zip(targets, own_sizes, strict=True)
    ]
    for found, expected in zip(
        backend.curve_information(theta, times, columns, *targets),
        slow.curve_information(theta[few], times, columns, *part),
        strict=True,
    ):
        np.testing.assert_allclose(found[few], expected, rtol=1e-8, atol=1e-8)
    for found, expected in zip(
        backend.periodic_information(theta[:, :7], times, *targets),
        slow.periodic_information(theta[few][:, :7], times, *part),
        strict=True,
    ):
        np.testing.assert_allclose(found[few], expected, rtol=1e-8, atol=1e-8)
    for found, expected in zip(
        backend.periodic_means(theta[:, :7], times), slow.periodic_means(theta[:, :7], times), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::velotime.UnclearWarning")
def test_a_fit_by_the_public_function_takes_it():
    adata = vt.simulation.simulate(80, 12, rng=np.random.default_rng(2), mean_unspliced=1.0, mean_spliced=3.0)
    quick = {"n_lineages": 1, "max_iterations": 20, "start_cells": 40, "n_times": 12, "start_times": 8}
    other = adata.copy()
    for cells, backend in ((adata, None), (other, ArrayBackend("numpy", device="cpu"))):
        vt.tl.recover_dynamics(cells, method=vt.SoftEM(**quick, backend=backend), progress=False)
    found, expected = (x.uns["recover_dynamics"]["log_likelihood"] for x in (other, adata))
    _, same = restore_soft_fit(other)  # for the CPU
    bound = same.problem.expect(same.parameters, 1.0)[1]
    at_same_curves = bound * same.problem.cells.n_cells + same.problem.penalty(same.parameters)
    assert found == pytest.approx(at_same_curves, rel=1e-5)
    assert found == pytest.approx(expected, abs=10 * 1e-3 * 80)  # where runs stop hangs on roundings
    assert np.corrcoef(other.obs["latent_time"], adata.obs["latent_time"])[0, 1] > 0.999


def test_what_is_missing_is_one_sentence():
    with pytest.raises(InputError, match=r"cupy is not installed. Install it, or leave out backend="):
        ArrayBackend("cupy").periodic_means(np.zeros((1, 7)), np.zeros(2))
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match=r"PyTorch finds no such device here. Give device='cpu'"):
            ArrayBackend("torch").periodic_means(np.zeros((1, 7)), np.zeros(2))
