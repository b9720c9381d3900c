"""Means of cells beside a curve."""

import numpy as np
import pytest

from velotime.inference import relative_misfit

PIECES, GENES = 24, 400


def pieces(rng, share, *, error=0.3):
    """Means beside curves that are off by a share of their height, and what is known of them."""
    expected = rng.uniform(1, 50, (PIECES, GENES))
    errors = error * np.sqrt(expected)
    found = expected * (1 + share * rng.standard_normal(expected.shape)) + errors * rng.standard_normal(expected.shape)
    return found, expected, errors, np.zeros_like(expected)


@pytest.mark.parametrize("share", [0.05, 0.2, 1.0])
def test_finds_by_how_much_curves_are_off(share):
    found = relative_misfit(*pieces(np.random.default_rng(0), share))
    assert np.sqrt(np.mean(found**2)) == pytest.approx(share, rel=0.05)


def test_nothing_is_added_to_curves_that_chance_explains():
    found = relative_misfit(*pieces(np.random.default_rng(1), 0.0))
    assert 0.3 < np.mean(found == 0) < 0.7  # chance is above its expectation in half of the genes
    assert np.quantile(found, 0.95) < 0.05  # errors are 0.06 of the height


def test_the_equation_holds_where_there_is_misfit():
    found, expected, error, of_curve = pieces(np.random.default_rng(2), 0.1)
    d = relative_misfit(found, expected, error, of_curve + 0.1)
    typical = np.median(error**2 / found, axis=0)
    least = np.where(found < expected, typical * expected, 0)
    variance = np.maximum(error**2, least) + 0.1 + (d * expected) ** 2
    assert ((found - expected) ** 2 / variance).sum(axis=0)[d > 0] == pytest.approx(PIECES, rel=1e-6)


def test_pieces_of_few_cells_say_nothing():
    found, expected, error, of_curve = pieces(np.random.default_rng(3), 0.3)
    holes = found.copy()
    holes[::3] = np.nan
    kept = np.arange(PIECES) % 3 > 0
    without = relative_misfit(found[kept], expected[kept], error[kept], of_curve[kept])
    np.testing.assert_allclose(
        relative_misfit(holes, expected, np.where(np.isnan(holes), np.nan, error), of_curve), without
    )


def test_a_piece_without_a_count_is_not_sure_of_zero():
    expected = np.full((PIECES, 1), 0.01)
    found, error = np.full((PIECES, 1), 0.01), np.full((PIECES, 1), 0.01)
    found[:8], error[:8] = 0.0, 0.0
    assert relative_misfit(found, expected, error, np.zeros_like(expected))[0] == 0


def test_a_curve_that_is_wrong_by_far_stays_finite():
    found, expected = np.full((PIECES, 1), 100.0), np.full((PIECES, 1), 1e-9)
    assert relative_misfit(found, expected, np.full_like(found, 0.1), np.zeros_like(found))[0] == pytest.approx(10)
