"""Explicit inverse times where digits, bounds or warnings are at stake."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velotime import kinetics as kin

LONGEST = 9.0


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-14), (np.float32, 1e-5)])
@pytest.mark.parametrize("ratio", [1.0, 1 + 1e-12, 0.2, 7.0])
def test_times_since_an_empty_start_keep_all_digits(dtype, bound, ratio):
    """From empty, abundances know the time to the last digit; so must the inverse, 1e-8 after the switch as well."""
    tau = (10.0 ** np.arange(-8, 0.5, 0.5)).astype(dtype)
    one = np.ones_like(tau)
    zero, alpha, beta, gamma = 0 * one, 2 * one, 0.7 * one, dtype(0.7 * ratio) * one
    u = kin.unspliced(tau, zero, alpha, beta)
    s = kin.spliced(tau, zero, zero, alpha, beta, gamma)
    from_u = kin.time_from_unspliced(u, zero, alpha, beta, longest=LONGEST)
    from_s = kin.time_from_spliced(u, s, zero, zero, alpha, beta, gamma, longest=LONGEST)
    assert from_u.dtype == from_s.dtype == dtype
    np.testing.assert_allclose(from_u, tau, rtol=bound)
    np.testing.assert_allclose(from_s, tau, rtol=10 * bound)


def test_late_times_of_a_decay_keep_all_digits():
    """What is left of a decay, however little, tells the time."""
    tau = np.linspace(0.1, 60, 50)
    u = kin.unspliced(tau, 3.0, 0.0, 10.0)
    np.testing.assert_allclose(kin.time_from_unspliced(u, 3.0, 0.0, 10.0, longest=100.0), tau, rtol=1e-13)


anything = st.one_of(st.floats(0, 1e3), st.floats(0, 1e300), st.sampled_from([0.0, 5e-324, 1e-310, 1.0, 1e300]))
rate = st.floats(1e-3, 1e3)


@settings(max_examples=300, deadline=None)
@given(anything, anything, anything, anything, anything, rate, rate)
def test_any_abundance_gives_a_time_within_bounds(u, s, u0, s0, alpha, beta, gamma):
    """Warnings are errors here: nothing may overflow or divide by zero on the way either."""
    u, s, u0, s0, alpha, beta, gamma = (np.array([v]) for v in (u, s, u0, s0, alpha, beta, gamma))
    for time in (
        kin.time_from_unspliced(u, u0, alpha, beta, longest=LONGEST),
        kin.time_from_spliced(u, s, u0, s0, alpha, beta, gamma, longest=LONGEST),
    ):
        assert 0 <= time[0] <= LONGEST


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1, 6), min_size=2, max_size=12), st.floats(0, 5), st.floats(0.1, 5), rate)
def test_later_means_closer_to_the_steady_state(u, u0, alpha, beta):
    u = np.sort(np.array(u))
    if u0 > alpha / beta:
        u = u[::-1]
    time = kin.time_from_unspliced(u, u0, alpha, beta, longest=LONGEST)
    assert np.all(np.diff(time) >= -1e-12 * LONGEST)


def test_before_the_start_is_zero_and_past_the_end_is_longest():
    zero, one = np.zeros(3), np.ones(3)
    rising = kin.time_from_unspliced(np.array([-1.0, 0.0, 1.0]), zero, one, one, longest=LONGEST)
    np.testing.assert_array_equal(rising, [0.0, 0.0, LONGEST])
    falling = kin.time_from_unspliced(np.array([3.0, 2.0, 0.5]), 2 * one, one, one, longest=LONGEST)
    np.testing.assert_array_equal(falling, [0.0, 0.0, LONGEST])
