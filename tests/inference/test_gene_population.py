"""The population prior, learned from all genes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from velotime.inference.two_stage.gene_clock.kernels.data import LOG_R, LOG_X
from velotime.inference.two_stage.gene_clock.population import FEATURES, GenePopulation

N_GENES = 400
DIAGONAL = np.eye(6)


def genes(sd_of_ratio: float, error: float, seed: int = 0):
    """Parameters known up to an error, and their information: log gamma/beta has mean 0.7 and this sd."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(0, 0.5, (N_GENES, 6))
    theta[:, LOG_R] = rng.normal(0.7, sd_of_ratio, N_GENES)
    theta += rng.normal(0, error, theta.shape)
    return theta, np.broadcast_to(DIAGONAL / error**2, (N_GENES, 6, 6))


def flat(population):
    """A flat prior, so that parameters depend on the data only."""
    return replace(population, sd=np.full(len(FEATURES), 1e4))


@pytest.mark.parametrize("sd", [0.2, 0.6])
def test_mean_and_sd_of_the_genes_are_found_without_their_errors(sd):
    found = flat(GenePopulation.weak()).learn(*genes(sd, 0.4))
    assert found.mean[1] == pytest.approx(0.7, abs=0.08)
    assert found.sd[1] == pytest.approx(sd, rel=0.25)


def test_data_counted_n_times_give_the_same_population():
    theta, information = genes(0.3, 0.4)
    once = GenePopulation.weak().learn(theta, information)
    often = GenePopulation.weak(30.0).learn(theta, 30 * information)
    np.testing.assert_allclose(often.mean, once.mean, rtol=1e-6)
    np.testing.assert_allclose(often.sd, once.sd, rtol=1e-6)
    np.testing.assert_allclose(often.log_density(theta), 30 * once.log_density(theta))
    np.testing.assert_allclose(often.gradient(theta), 30 * once.gradient(theta))
    np.testing.assert_allclose(often.precision, 30 * once.precision)


def test_time_on_stays_weakly_known():
    theta, information = genes(0.3, 0.1)
    theta[:, LOG_X] = 3.0  # the same in all genes
    start = GenePopulation.weak()
    found = start.learn(theta, information)
    assert (found.mean[2], found.sd[2]) == (start.mean[2], start.sd[2])


def test_gradient_and_precision_are_derivatives_of_the_density():
    population = GenePopulation(np.array([0.1, 0.2, 0.3, -1.0, 0.0]), np.array([0.5, 0.6, 0.7, 0.3, 0.2]), 3.0)
    theta, step = np.random.default_rng(1).normal(size=(1, 6)), 1e-5
    slope = [
        (population.log_density(theta + step * row) - population.log_density(theta - step * row)) / (2 * step)
        for row in DIAGONAL
    ]
    np.testing.assert_allclose(population.gradient(theta)[0], np.ravel(slope), rtol=1e-6)
    turn = [
        (population.gradient(theta + step * row) - population.gradient(theta - step * row))[0] / (2 * step)
        for row in DIAGONAL
    ]
    np.testing.assert_allclose(-population.precision, turn, rtol=1e-6)
