"""The posterior of a fitted curve against finite differences and plain sums over cells."""

from __future__ import annotations

import numpy as np
import pytest

from velotime.inference import NegativeBinomial, Poisson, curve_covariance
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.states import Layout
from velotime.kinetics import switch_means

ONE = np.array([np.log(8.0), np.log(5.0), 0.2, np.log(0.5), np.log(6.0), 0.0, np.log(0.4), np.log(1.0)])
TWO = np.array([*ONE, np.log(0.6), np.log(3.0)])


def means(theta, lineage, times):
    return np.vstack(switch_means(theta[Layout((len(theta) - 6) // 2).columns(lineage)][None], times))


def slopes(theta, lineage, times, step=1e-6):
    """Central differences, ``(2, times, parameters)``."""
    out = []
    for k in range(len(theta)):
        move = np.zeros(len(theta))
        move[k] = step
        out.append((means(theta + move, lineage, times) - means(theta - move, lineage, times)) / (2 * step))
    return np.stack(out, axis=2)


@pytest.mark.parametrize("theta", [ONE, TWO], ids=["one lineage", "two lineages"])
@pytest.mark.parametrize(("noise", "phi"), [(Poisson(), 0.0), (NegativeBinomial(), 0.3)], ids=["poisson", "nb"])
def test_covariance_is_the_inverse_information_carried_to_the_curve(theta, noise, phi):
    rng = np.random.default_rng(0)
    n_lineages = (len(theta) - 6) // 2
    time = (rng.integers(0, 64, 300) + 0.5) / 64  # in the middle of the bins, where counting them costs nothing
    lineages = rng.dirichlet(np.ones(n_lineages), 300)
    at = np.array([0.13, 0.47, 0.88])
    sizes, scatter = (np.ones(300), np.ones(300)), (np.full(2, phi), np.full(2, phi))
    genes = np.stack([theta + 0.3, theta])  # the other one must not matter
    found = curve_covariance(genes, at, noise=noise, scatter=scatter, time=time, lineages=lineages, sizes=sizes)[1]
    information = RatePrior(Layout(n_lineages)).hessian
    for k in range(n_lineages):
        mu, slope = means(theta, k, time), slopes(theta, k, time)
        for layer in (0, 1):
            weight = lineages[:, k] / (mu[layer] * (1 + phi * mu[layer]))
            information = information + (slope[layer] * weight[:, None]).T @ slope[layer]
    covariance = np.linalg.inv(information)
    for k in range(n_lineages):
        slope = slopes(theta, k, at)
        expected = np.einsum("atp,pq,btq->tab", slope, covariance, slope)
        np.testing.assert_allclose(found[k], expected, rtol=1e-4, atol=1e-9)


def test_more_cells_and_more_counts_narrow_the_band():
    time = np.linspace(0, 1, 400)
    at = np.array([0.5])

    def spread(n, size):
        ones, none = np.ones((n, 1)), np.zeros(1)
        sizes = (size * ones[:, 0],) * 2
        found = curve_covariance(
            ONE[None], at, noise=Poisson(), scatter=(none, none), time=time[:n], lineages=ones, sizes=sizes
        )
        return found[0, 0, 0, 1, 1]

    assert spread(400, 1.0) < spread(250, 1.0)
    assert spread(400, 4.0) < 0.5 * spread(400, 1.0)
