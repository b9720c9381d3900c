"""Single genes' curves and cells on them, against slow references."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from velotime.inference.two_stage.gene_clock.kernels import (
    N_NODES,
    OFF,
    ON,
    STEADY_ON,
    CellPoints,
    CurveEquations,
    gather,
    place_cells_on_curves,
    solve,
    states_on_curves,
    sum_over_posterior,
    sum_over_times,
)
from velotime.kinetics import spliced, unspliced

N_GENES, N_CELLS = 6, 200
R = np.array([0.3, 1.0, 1.0 + 1e-9, 2.5, 0.05, 20.0])


@pytest.fixture(scope="module")
def genes():
    """Parameters, spreads and values of six genes, beta = gamma among them."""
    rng = np.random.default_rng(0)
    theta = np.stack(
        [
            rng.normal(0.5, 0.3, N_GENES),
            rng.normal(1.0, 0.3, N_GENES),
            np.log(R),
            np.log([0.5, 1.0, 2.0, 4.0, 10.0, 3.0]),
            np.full(N_GENES, -1.5),
            np.linspace(-0.2, 0.2, N_GENES),
        ],
        axis=1,
    )
    u = np.abs(rng.normal(0.8, 0.7, (N_CELLS, N_GENES))) * np.exp(theta[:, 0])
    s = np.abs(rng.normal(0.7, 0.5, (N_CELLS, N_GENES))) * np.exp(theta[:, 1])
    return theta, np.ones((N_GENES, 2)), u.astype(np.float32), s.astype(np.float32)


def curve(theta, where, tau):
    """u and s relative to the steady state when on, from the package's own kinetics."""
    r, x_ = np.exp(theta[2]), np.exp(theta[3])
    on = np.where(where == OFF, x_, tau)
    u, s = unspliced(on, 0.0, 1.0, 1.0), spliced(on, 0.0, 0.0, 1.0, 1.0, r)
    off = np.where(where == OFF, tau, 0.0)
    u, s = unspliced(off, u, 0.0, 1.0), spliced(off, u, s, 0.0, 1.0, r)
    steady = where == STEADY_ON
    return np.where(steady, 1.0, u), np.where(steady, 1.0, r * s)


def sigma(theta):
    return np.exp(theta[4] + 0.5 * theta[5]), np.exp(theta[4] - 0.5 * theta[5])


def distance(theta, u, s, where, tau):
    """Squared distance in units of the noise."""
    u_hat, s_hat = curve(theta, where, tau)
    sigma_u, sigma_s = sigma(theta)
    return ((u - np.exp(theta[0]) * u_hat) / sigma_u) ** 2 + ((s - np.exp(theta[1]) * s_hat) / sigma_s) ** 2


def test_states_are_those_of_the_kinetics(genes):
    theta = genes[0]
    rng = np.random.default_rng(1)
    where = rng.integers(0, 3, (N_GENES, 50)).astype(np.int8)
    tau = rng.exponential(2.0, (N_GENES, 50)).astype(np.float32)
    tau[:, :5] = 1e-6
    u, s = states_on_curves(theta, where, tau)
    for g in range(N_GENES):
        expected = curve(theta[g], where[g], tau[g].astype(float))
        np.testing.assert_allclose(u[g], expected[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(s[g], expected[1], rtol=1e-5, atol=1e-6)


def test_exact_times_are_the_nearest_of_a_dense_curve(genes):
    theta, spread, u, s = genes
    where, tau = place_cells_on_curves(CellPoints(u, s), np.arange(N_GENES), theta, spread, exact=True)
    for g in range(N_GENES):
        x_ = np.exp(theta[g, 3])
        end = 12 * (1 + 1 / R[g])
        found = distance(theta[g], u[:, g], s[:, g], where[g], tau[g].astype(float))
        best = distance(theta[g], u[:, g], s[:, g], np.full(N_CELLS, STEADY_ON), np.zeros(N_CELLS))
        for branch, last in ((ON, x_), (OFF, end)):
            times = np.repeat(np.linspace(0, last, 1001)[:, None], N_CELLS, axis=1)
            here = distance(theta[g], u[:, g], s[:, g], np.full_like(times, branch), times)
            best = np.minimum(best, here.min(axis=0))
        assert (found <= best * (1 + 1e-4) + 1e-3).all()


def test_explicit_times_recover_cells_on_the_curve(genes):
    theta, spread, _, _ = genes
    rng = np.random.default_rng(2)
    where = np.repeat(np.array([[ON] * 30 + [OFF] * 30], dtype=np.int8), N_GENES, axis=0)
    span = np.minimum(np.exp(theta[:, [3]]), 3.0)
    true = (span * rng.uniform(0.1, 0.9, (N_GENES, 60))).astype(np.float32)
    u, s = states_on_curves(theta, where, true)
    u, s = (x * np.exp(theta[:, [k]]).astype(np.float32) for k, x in enumerate((u, s)))
    for exact in (False, True):
        found, tau = place_cells_on_curves(CellPoints(u.T, s.T), np.arange(N_GENES), theta, spread, exact=exact)
        assert (found == where).mean() > 0.99
        same = found == where
        np.testing.assert_allclose(tau[same], true[same], rtol=0.01, atol=0.01)


def log_likelihood(theta, log_prior, u, s):
    """The mixture over nodes, gene by gene, the nodes written down."""
    out = np.empty(N_GENES)
    fractions = np.linspace(0, 1, (N_NODES - 1) // 2)
    for g in range(N_GENES):
        r, x_ = np.exp(theta[g, 2]), np.exp(theta[g, 3])
        m = 1 + 1 / r
        on = -m * np.log1p(-fractions * -np.expm1(-x_ / m))
        off = np.append(-m * np.log1p(-fractions[:-1]), 60 * m)
        where = np.array([ON] * len(on) + [OFF] * len(off) + [STEADY_ON])
        u_hat, s_hat = curve(theta[g], where, np.concatenate([on, off, [x_]]))
        sigma_u, sigma_s = sigma(theta[g])
        d = ((u[:, [g]] - np.exp(theta[g, 0]) * u_hat) / sigma_u) ** 2
        d = d + ((s[:, [g]] - np.exp(theta[g, 1]) * s_hat) / sigma_s) ** 2
        density = np.exp(log_prior[g] - d / 2).sum(axis=1) / (2 * np.pi * sigma_u * sigma_s)
        out[g] = np.log(density).sum()
    return out


def test_posterior_sums_are_those_of_the_mixture(genes):
    theta, spread, u, s = genes
    rng = np.random.default_rng(3)
    log_prior = np.log(rng.dirichlet(np.full(N_NODES, 2.0), N_GENES))
    sums = sum_over_posterior(CellPoints(u, s), np.arange(N_GENES), theta, spread, log_prior)
    np.testing.assert_allclose(sums.value, log_likelihood(theta, log_prior, u, s), rtol=1e-4)
    np.testing.assert_allclose(sums.weight.sum(axis=1), N_CELLS, rtol=1e-4)
    step = 1e-5
    for k in range(theta.shape[1]):
        shift = np.zeros(theta.shape[1])
        shift[k] = step
        numeric = log_likelihood(theta + shift, log_prior, u, s) - log_likelihood(theta - shift, log_prior, u, s)
        scale = np.abs(sums.gradient[:, k]).max()
        np.testing.assert_allclose(sums.gradient[:, k], numeric / (2 * step), rtol=2e-3, atol=2e-3 * scale)


def whole(packed):
    """Symmetric matrices from their lower halves."""
    n = int(np.sqrt(2 * packed.shape[1]))
    row, column = np.tril_indices(n)
    out = np.empty((len(packed), n, n))
    out[:, row, column] = out[:, column, row] = packed
    return out


def test_missing_information_makes_the_second_derivative_of_the_mixture(genes):
    """By the log amplitudes, sigmas and log weights: of r and x_ the curve's own second derivative is left out."""
    theta, spread, u, s = genes
    rng = np.random.default_rng(3)
    log_prior = np.log(rng.dirichlet(np.full(N_NODES, 2.0), N_GENES))
    cells, index = CellPoints(u, s), np.arange(N_GENES)
    sums = sum_over_posterior(cells, index, theta, spread, log_prior)
    missing = whole(sums.missing)
    step, k = 0.1, 6
    for node in (5, N_NODES - 1):  # float32 wants long steps
        shift = np.zeros(N_NODES)
        shift[node] = step
        two = [sum_over_posterior(cells, index, theta, spread, log_prior + sign * shift) for sign in (1, -1)]
        numeric = (two[1].gradient - two[0].gradient) / (2 * step)
        scale = np.abs(missing[:, :k, k + node]).max(axis=1, keepdims=True)
        np.testing.assert_allclose(-missing[:, :k, k + node], numeric, rtol=0.02, atol=0.02 * scale.max())
        numeric = (two[1].weight - two[0].weight) / (2 * step)
        np.testing.assert_allclose(-missing[:, k:, k + node], numeric, rtol=0.02, atol=0.05)
    shift = np.zeros(k)
    shift[4] = step = 0.01
    two = [sum_over_posterior(cells, index, theta + sign * shift, spread, log_prior) for sign in (1, -1)]
    numeric = (two[1].gradient[:, 4] - two[0].gradient[:, 4]) / (2 * step)
    np.testing.assert_allclose(sums.complete[:, 4, 4] - missing[:, 4, 4], numeric, rtol=0.02)


def test_steps_solve_their_equations(genes):
    """Against numpy, small steps; caution makes a matrix positive definite that is not."""
    theta, spread, u, s = genes
    log_prior = np.full((N_GENES, N_NODES), -np.log(N_NODES))
    sums = sum_over_posterior(CellPoints(u, s), np.arange(N_GENES), theta, spread, log_prior)
    sums = replace(sums, gradient=1e-3 * sums.gradient, weight=np.full(sums.weight.shape, N_CELLS / N_NODES))
    share, held = np.exp(log_prior), np.zeros((N_GENES, 6), dtype=bool)
    held[:, 3] = True
    found = solve(CurveEquations(sums, share, 1.0, held, np.full(N_GENES, 1e-3)))
    total = N_CELLS + N_NODES
    for g in range(N_GENES):
        matrix = -(1 - found.caution[g]) * whole(sums.missing)[g]
        matrix[:6, :6] += sums.complete[g]
        matrix[6:, 6:] += total * (np.diag(share[g]) - np.outer(share[g], share[g]))
        matrix += 1e-3 * np.eye(len(matrix))
        free = np.delete(np.arange(len(matrix)), 3)
        right = np.append(sums.gradient[g], np.zeros(N_NODES))[free]
        step = np.linalg.solve(matrix[np.ix_(free, free)], right)
        assert np.linalg.eigvalsh(matrix[np.ix_(free, free)]).min() > 0
        np.testing.assert_allclose(found.left[g], 0.5 * right @ step, rtol=1e-6)
        np.testing.assert_allclose(found.promised[g], found.left[g], rtol=1e-6)
        np.testing.assert_allclose(found.step[g][free], step, rtol=1e-5, atol=1e-7)
    assert (found.step[:, 3] == 0).all()


def test_points_stand_for_cells(genes):
    """Narrow squares give the sums of all cells, wide ones hardly others with a third of the points."""
    theta, spread, _, _ = genes
    rng = np.random.default_rng(5)
    u, s = (rng.gamma(2.0, 0.5, (4000, N_GENES)).astype(np.float32) for _ in range(2))
    index, log_prior = np.arange(N_GENES), np.full((N_GENES, N_NODES), -np.log(N_NODES))
    cells, sigma_ = CellPoints(u, s), np.stack(sigma(theta.T), axis=1)
    for width, tolerance in ((1e-9, 1e-3), (1 / 3, 0.01)):
        points = gather(cells, width * sigma_)
        assert width < 0.1 or len(points.mass) < u.size / 3
        some = points.of(index[::-1])
        np.testing.assert_allclose(np.add.reduceat(some.mass, some.first[:-1]), len(u))
        total = np.add.reduceat(some.unspliced * some.mass, some.first[:-1])
        np.testing.assert_allclose(total, u.sum(axis=0)[::-1], rtol=1e-4)
        for sums in (
            lambda source: sum_over_posterior(source, index, theta, spread, log_prior),
            lambda source: sum_over_times(source, index, theta, spread, exact=True),
            lambda source: sum_over_times(source, index, theta, spread, exact=False),
        ):
            found, every = sums(points), sums(cells)
            np.testing.assert_allclose(found.value, every.value, rtol=tolerance)
            for one, other in ((found.gradient, every.gradient), (found.missing, every.missing)):
                np.testing.assert_allclose(one, other, atol=3 * tolerance * np.abs(other).max())


def test_exact_sums_are_the_derivative_of_the_squared_distance(genes):
    theta, spread, u, s = genes
    index = np.arange(N_GENES)
    sums = sum_over_times(CellPoints(u, s), index, theta, spread, exact=True)
    step = 1e-4
    for k in range(4):
        shift = np.zeros(6)
        shift[k] = step
        ahead, behind = (
            sum_over_times(CellPoints(u, s), index, theta + sign * shift, spread, exact=True) for sign in (1, -1)
        )
        numeric = (ahead.value - behind.value) / (2 * step)
        np.testing.assert_allclose(sums.gradient[:, k], numeric, rtol=0.02, atol=0.02 * np.abs(numeric).max())


def test_sparse_dense_and_subsets_agree(genes):
    theta, spread, u, s = genes
    some = np.array([4, 1])
    whole = sum_over_times(CellPoints(u, s), np.arange(N_GENES), theta, spread, exact=False)
    part = sum_over_times(
        CellPoints(sparse.csc_array(u), sparse.csc_array(s)), some, theta[some], spread[some], exact=False
    )
    np.testing.assert_allclose(part.gradient, whole.gradient[some], rtol=1e-6)
    np.testing.assert_allclose(part.value, whole.value[some], rtol=1e-6)
