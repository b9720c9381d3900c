"""Damped Newton steps against numpy's solution, and what is no minimum."""

from __future__ import annotations

import numpy as np
import pytest

from velotime.compute import damped_steps

N_GENES = 700  # more than a task takes


@pytest.mark.parametrize("n_parameters", [1, 7, 12])
def test_steps_are_those_of_numpy(n_parameters):
    rng = np.random.default_rng(n_parameters)
    gradient = rng.normal(size=(N_GENES, n_parameters))
    factor = rng.normal(size=(N_GENES, n_parameters, n_parameters + 2))
    hessian, damping = factor @ factor.transpose(0, 2, 1), np.exp(rng.uniform(-9, 2, N_GENES))
    given = hessian.copy()
    damped = hessian + damping[:, None, None] * hessian * np.eye(n_parameters)
    expected = np.linalg.solve(damped, gradient[..., None])[..., 0]
    np.testing.assert_allclose(damped_steps(gradient, hessian, damping), expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(hessian, given)


def test_where_there_is_no_minimum_there_is_no_step():
    hessian = np.stack([np.diag([1.0, -1.0]), np.eye(2)])
    step = damped_steps(np.ones((2, 2)), hessian, np.zeros(2))
    assert np.isnan(step[0]).all()
    np.testing.assert_allclose(step[1], 1.0)
