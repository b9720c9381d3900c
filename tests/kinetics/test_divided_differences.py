"""Divided differences of exp against their definition in 60 digits and more."""

from __future__ import annotations

from itertools import permutations

import mpmath as mp
import numpy as np
import pytest

from velotime import kinetics as kin
from velotime.kinetics.divided_differences import differences, higher_differences

mp.mp.dps = 60

BOUND = {np.float64: 5e-13, np.float32: 8e-6}
DTYPES = [np.float64, np.float32]


def exact(*points):
    """The definition, recursively; equal points give the derivative. Gaps of 1e-17 cost 51 of the 150 digits."""
    points = sorted(mp.mpf(float(point)) for point in points)
    with mp.workdps(150):
        if points[0] == points[-1]:
            return mp.exp(points[0]) / mp.factorial(len(points) - 1)
        return (exact(*points[1:]) - exact(*points[:-1])) / (points[-1] - points[0])


def arguments(n, how_many, dtype, seed):
    """Non-positive numbers: clusters from 1e-9 to far from 0, gaps within them from a rounding error to wide, zeros."""
    rng = np.random.default_rng(seed)
    centre = -(10 ** rng.uniform(-9, 1.5, n))
    gaps = 10 ** rng.uniform(-17, 0.5, (how_many, n)) * rng.choice([-1, 0, 1], (how_many, n))
    points = np.minimum(centre * (1 + gaps), 0) * (rng.uniform(size=(how_many, n)) > 0.15)
    return list(points.astype(dtype))


def assert_close(values, exacts, dtype):
    assert values.dtype == dtype
    error = [abs(mp.mpf(float(value)) / one - 1) for value, one in zip(values, exacts, strict=True)]
    assert max(error) < BOUND[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("function", "how_many"), [(kin.exp1, 2), (kin.exp2, 3), (kin.exp3, 4)])
def test_each_order_against_the_definition(function, how_many, dtype):
    points = arguments(600, how_many, dtype, seed=how_many)
    assert_close(function(*points), [exact(*one) for one in zip(*points, strict=True)], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_those_of_a_step_against_the_definition(dtype):
    p, q = arguments(500, 2, dtype, seed=5)
    lower = differences(p, q)
    named = lower._asdict() | higher_differences(p, q, lower)._asdict()
    assert len(named) == 11
    for name, values in named.items():
        by_letter = {"o": np.zeros_like(p), "p": p, "q": q}
        points = zip(*(by_letter[letter] for letter in name), strict=True)
        assert_close(values, [exact(*one) for one in points], dtype)


@pytest.mark.parametrize(("function", "how_many"), [(kin.exp1, 2), (kin.exp2, 3), (kin.exp3, 4)])
def test_the_order_of_arguments_does_not_matter(function, how_many):
    points = arguments(300, how_many, np.float64, seed=9)
    first = function(*points)
    for order in permutations(points):
        np.testing.assert_allclose(function(*order), first, rtol=2e-13)


def test_a_cluster_far_from_zero_keeps_its_digits():
    """The mean of three such numbers is rounded by 1e-14, and e^mean with it; deviations from one of them are not."""
    x, y, z = -700 + np.random.default_rng(0).uniform(0, 1e-6, (3, 40))
    exacts = [exact(*one) for one in zip(x, y, z, strict=True)]
    error = [abs(mp.mpf(float(v)) / one - 1) for v, one in zip(kin.exp2(x, y, z), exacts, strict=True)]
    assert max(error) < 2e-15


def test_scalars_and_broadcasting():
    x, y, z = np.float64(-0.3), np.array([-0.3, -2.0, 0.0]), np.array([[-0.30001], [-9.0]])
    table = kin.exp2(x, y, z)
    assert table.shape == (2, 3)
    assert float(kin.exp2(x, y[0], z[0, 0])) == pytest.approx(table[0, 0], rel=1e-15)
    assert kin.exp3(x, y, z, np.float64(0.0)).shape == (2, 3)
