"""The loop and its monitor."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from velotime import FitError, Status
from velotime.inference.em import Monitor, Schedule, continue_em, run_em


@dataclass
class Script:
    """A problem whose bounds are written down; parameters count the M-steps."""

    bounds: list[float]
    seen: list[float] = field(default_factory=list)

    def expect(self, parameters, temperature):
        self.seen.append(temperature)
        return parameters, self.bounds[min(parameters, len(self.bounds)) - 1]

    def maximise(self, parameters, statistics, iteration):
        assert statistics == parameters
        return parameters + 1


def run(bounds, **schedule):
    settings = {"annealing": 0, "hottest": 1.0, "longest": len(bounds), "tolerance": 0.01} | schedule
    return run_em(Script(bounds), 0, 0, Schedule(**settings))


def test_converged_when_the_bound_stands_still():
    done = run([-10, -5, -4, -3.999, -3.998, -3.997])
    assert done.status is Status.CONVERGED
    assert done.parameters == 5
    assert len(done.trace.bound) == 5


def test_max_iter_while_it_still_rises():
    done = run([-10, -8, -6, -4])
    assert done.status is Status.MAX_ITER
    assert done.bound == -4


def test_a_bound_that_fell_returns_the_best():
    done = run([-10, -5, -6, -7, -8, -9, -9.5])
    assert done.status is Status.BOUND_FELL
    assert done.parameters == 2
    assert done.statistics == 2
    assert done.bound == -5


def test_a_run_that_goes_on_warm_is_heated_first_and_keeps_the_better_end():
    """The E-step before the first M-step is as hot as the schedule begins; a worse end leaves the run as it was."""
    begun = run([-10, -5])
    warm = Schedule(annealing=2, hottest=4.0, longest=1, tolerance=0.01)
    better, worse = Script([-10, -5, -20, -9, -4]), Script([-10, -5, -20, -9, -6])
    later, same = continue_em(better, begun, warm), continue_em(worse, begun, warm)
    np.testing.assert_allclose(better.seen, [4, 4, 2, 1])
    assert (later.bound, later.parameters) == (-4, 5)
    assert (same.bound, same.parameters, same.statistics) == (-5, 2, 2)
    assert len(same.trace.bound) == 5


def test_what_is_tried_and_lowers_the_bound_is_not_taken():
    """The iteration is done again with nothing tried, but for a hot one, whose bounds cannot be compared."""

    @dataclass
    class Daring(Script):
        """One that tries something in two iterations; it costs 5."""

        def maximise(self, parameters, statistics, iteration):
            return parameters + (1.0 if iteration not in (0, 2) else -5.0)

        def expect(self, parameters, temperature):
            return parameters, float(parameters)

    done = run_em(Daring([]), 0.0, 0.0, Schedule(annealing=1, hottest=2.0, longest=4, tolerance=0.01))
    np.testing.assert_allclose(done.trace.bound, [-5, -4, -3, -2, -1])


def test_hot_iterations_do_not_count():
    done = run([-1.0, -1.0, -1.0, -9, -8, -7], annealing=3, hottest=8.0, longest=3)
    assert done.bound == -7
    np.testing.assert_allclose(done.trace.temperature, [8, 4, 2, 1, 1, 1])


def test_a_bound_that_is_not_finite_is_an_error():
    with pytest.raises(FitError, match="not finite"):
        run([-10, float("nan")])


def test_every_status_has_a_text():
    assert all(len(status.text) > 20 for status in Status)


def test_monitor_forgives_one_dip():
    monitor = Monitor(tolerance=0.1)
    assert [monitor.record(b) for b in (-5, -4, -4.5, -3, -2)] == [None] * 5
