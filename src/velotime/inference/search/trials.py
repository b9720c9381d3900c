"""Short fits: a first round from a start, further rounds for those close to the best, and one with all genes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import BoolArray
from velotime.compute import Sums
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.journal import NO_JOURNAL, Journal, recalled
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.observations import Observations
from velotime.inference.search.geometry.starts import Start, assignment
from velotime.inference.tally import Tally

# Genes are tried afresh midway and when cold: without that, the ranking after the first round misleads.
FIRST_ROUND, FIRST_RESTARTS = Schedule(annealing=12, hottest=10.0, longest=2, tolerance=0.0), frozenset({7, 12})
LATER_ROUNDS, LATER_RESTARTS = Schedule(annealing=8, hottest=5.0, longest=2, tolerance=0.0), frozenset({0, 8})
ALL_GENES = Schedule(annealing=8, hottest=5.0, longest=4, tolerance=0.0)
CLOSE = 0.5  # nats per cell behind the best, within which a trial is given another round


@dataclass(frozen=True)
class Trial:
    """A start, the short fit from it, and for how many rounds it went on after the first."""

    start: Start
    run: Run[SoftParameters, Sums]
    rounds: int = 0

    @property
    def bound(self) -> float:
        """Bound a cell at temperature 1."""
        return self.run.bound


def begin_trial(problem: SoftProblem, start: Start) -> Trial:
    """A first round from a start, every gene from few shapes; later rounds are as thorough as the problem has it."""
    heated = replace(problem, restarts=FIRST_RESTARTS, restart=restart_by_shapes)
    schedule = cooler(FIRST_ROUND, start.hottest)
    statistics = heated.statistics_of(assignment(start, problem.states))
    return Trial(start, run_em(heated, heated.first(statistics), statistics, schedule))


def go_on(problem: SoftProblem, trial: Trial) -> Trial:
    """Another round: heat up, try every gene afresh, cool down; the better of before and after."""
    heated, schedule = replace(problem, restarts=LATER_RESTARTS), cooler(LATER_ROUNDS, trial.start.hottest)
    statistics, _ = heated.expect(trial.run.parameters, schedule.hottest)
    run = run_em(heated, trial.run.parameters, statistics, schedule)
    return Trial(trial.start, run if run.bound > trial.bound else trial.run, trial.rounds + 1)


def on_all_genes(problem: SoftProblem, genes: BoolArray, trial: Trial) -> Run[SoftParameters, Sums]:
    """A fit of all genes by the counts alone, from the posterior of a short fit.

    Parameters
    ----------
    problem
        Of all genes, and the cells of the search.
    genes
        Which of them the short fit has, ``(genes,)``.
    trial
        The short fit.
    """
    silent = replace(problem.silent, restarts=frozenset({ALL_GENES.annealing}), restart=restart_by_shapes)
    start = replace(trial.run.parameters, known=())
    schedule = cooler(ALL_GENES, problem.states.clock.reversed_heat)
    first = silent.first(silent.expect_by(start, genes, schedule.hottest))
    statistics, _ = silent.expect(first, schedule.hottest)
    return run_em(silent, first, statistics, schedule)


def cooler(schedule: Schedule, hottest: float) -> Schedule:
    """The same schedule, no hotter than this."""
    return replace(schedule, hottest=min(schedule.hottest, hottest))


def best_by_root(
    problem: SoftProblem, starts: list[list[Start]], tally: Tally, journal: Journal = NO_JOURNAL
) -> tuple[list[Trial], list[Trial]]:
    """The best trial of each root, in the order given, and all trials.

    The first start of each root is tried; the others of the best two roots and of those close to the best. These roots
    then go on for another round.

    Parameters
    ----------
    problem
        The short fits' problem.
    starts
        The starts of each root.
    tally
        Counts them.
    journal
        Keeps each trial when it is done.
    """

    def begun(k: int, j: int) -> Trial:
        return recalled(journal, f"trial {k}.{j}", lambda: tally.counted(begin_trial(problem, starts[k][j])))

    tally.begin("starts", len(starts) + sum(len(of_root) for of_root in starts))  # every root may go on
    best = [begun(k, 0) for k in range(len(starts))]
    tried = list(best)
    close = close_ones(best)
    tally.expect(len(starts) + sum(len(starts[k]) - 1 for k in close))
    for k in close:
        others = [begun(k, j) for j in range(1, len(starts[k]))]
        tried += others
        best[k] = max([best[k], *others], key=lambda trial: trial.bound)
    close = close_ones(best)
    tally.expect(len(close))
    for k in close:
        further = recalled(journal, f"further {k}", lambda k=k: tally.counted(go_on(problem, best[k])))  # type: ignore[misc]
        tried = [further if trial is best[k] else trial for trial in tried]
        best[k] = further
    return best, tried


def close_ones(trials: list[Trial], within: float = CLOSE) -> list[int]:
    """The best two trials, and all that are not far behind the best."""
    order = sorted(range(len(trials)), key=lambda k: -trials[k].bound)
    return [k for rank, k in enumerate(order) if rank < 2 or trials[order[0]].bound - trials[k].bound < within]


def most_variable(observations: Observations, n_genes: int) -> BoolArray:
    """Mark the ``n_genes`` genes whose normalised spliced counts vary most for their mean, ``(genes,)``."""
    normal = observations.spliced / np.maximum(observations.size_spliced, 1e-12)[:, None]
    mean = np.asarray(normal.mean(axis=0)).ravel()
    square = np.asarray((normal * normal).mean(axis=0)).ravel()
    excess = (square - mean**2) / np.maximum(mean, 0.05)
    keep = np.zeros(len(mean), dtype=bool)
    keep[np.argsort(-excess, kind="stable")[:n_genes]] = True
    return keep
