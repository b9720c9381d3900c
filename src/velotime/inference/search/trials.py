"""The search for root, direction and lineages: short fits on some of the cells and genes, successive halving."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from velotime._status import InputError
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Sums
from velotime.inference.em import Run, Schedule, run_em
from velotime.inference.evidence.agreement import listen
from velotime.inference.knowledge.pieces import Root, Terminals
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import TimePrior
from velotime.inference.model.noise import Noise
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.observations import Observations
from velotime.inference.search.starts import (
    Geometry,
    Grouping,
    Start,
    assignment,
    farthest,
    fates,
    late_groups,
    orderings,
    share_early,
    tips,
    towards_tips,
)
from velotime.inference.states import States

# Genes are tried afresh midway and when cold: without that, the ranking after the first round misleads.
FIRST_ROUND, FIRST_RESTARTS = Schedule(annealing=16, hottest=10.0, longest=2, tolerance=0.0), frozenset({8, 16})
LATER_ROUNDS, LATER_RESTARTS = Schedule(annealing=10, hottest=5.0, longest=2, tolerance=0.0), frozenset({0, 5, 10})


EARLIEST = 0.05  # share of the cells, earliest by what is known, whose tip is tried as a root
WITHIN_LABELS = 0.3  # of the clock, over which cells of which the same is known are spread at first
AGAINST = -0.5  # Spearman correlation of two orderings below which one runs against the other


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


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes
    ----------
    problem
        The problem of the short fits.
    trials
        One a start, best first.
    backwards
        The best one's times run backwards, given the same chances. If it wins, it is first of ``trials`` and this is
        the one that it beat.
    """

    problem: SoftProblem
    trials: list[Trial]
    backwards: Trial

    @property
    def best(self) -> Trial:
        """The winner."""
        return self.trials[0]


@dataclass(frozen=True)
class Search:
    """Short fits on some cells and genes.

    Attributes
    ----------
    cells
        Their cells, of which ``geometry.cells`` are the indices.
    geometry
        Where they lie.
    prior_rows
        What is known of them.
    genes
        Which genes they use, ``(genes,)``.
    noise, prior, n_times
        Of the method.
    root, terminals
        What the user knows.
    seed
        Of every k-means: none depends on how many there were before it.
    """

    cells: Cells
    geometry: Geometry
    prior_rows: PriorRows
    genes: BoolArray
    noise: Noise
    prior: TimePrior
    n_times: int
    root: Root | None
    terminals: Terminals | None
    seed: int

    def problem(self, n_lineages: int) -> SoftProblem:
        """The short fits' problem."""
        states = States.grid(self.n_times, n_lineages)
        return SoftProblem(self.cells, states, self.noise, self.prior, RatePrior(states.layout))

    @cached_property
    def first_trials(self) -> list[Trial]:
        """One-lineage fits from every root and spacing, one round each."""
        starts = list(orderings(self.geometry, self._roots))
        if self.prior_rows.knowledge:
            starts.append(self._by_knowledge)
        problem = self.problem(1)
        return [begin_trial(problem, start) for start in starts]

    @cached_property
    def _roots(self) -> IntArray:
        """The given root; or the tips, and the tip of the cells that are known to be earliest, if any are."""
        if self.root is not None:
            return np.array([farthest(self.geometry, np.flatnonzero(self.prior_rows.rows_of(self.root) == 1))])
        if np.ptp(self._expected_time) < 1e-6:
            return tips(self.geometry)
        earliest = np.flatnonzero(self._expected_time <= np.quantile(self._expected_time, EARLIEST))
        return np.append(tips(self.geometry), farthest(self.geometry, earliest))

    @cached_property
    def _expected_time(self) -> FloatArray:
        """Mean time of each cell by what is known alone, ``(cells,)``."""
        states = self.problem(1).states
        return self.prior_rows.expected_time(states, self.prior_rows.initial(states))

    @property
    def _by_knowledge(self) -> Start:
        """Times by what is known, cells alike in that by their distance from the root."""
        root = int(self._roots[-1])
        distance = np.linalg.norm(self.geometry.diffusion - self.geometry.diffusion[root], axis=1)
        known = self._expected_time + WITHIN_LABELS * (rankdata(distance) - 0.5) / len(distance)
        return Start(root, "knowledge", (rankdata(known) - 0.5) / len(known))

    def run(self, n_lineages: int) -> Outcome:
        """All starts with ``n_lineages``, halved until the best is left, which is then tried backwards."""
        problem, trials = self.ranked(n_lineages)
        backwards = self._best_backwards(problem, trials)
        if backwards.bound > trials[0].bound and self.root is None:
            return Outcome(problem, [backwards, *trials], trials[0])
        return Outcome(problem, trials, backwards)

    def ranked(self, n_lineages: int, roots: list[int] | None = None) -> tuple[SoftProblem, list[Trial]]:
        """The trials with ``n_lineages``, best first, and their problem.

        ``roots`` limits the starts with several lineages to these.
        """
        problem = self.problem(n_lineages)
        if n_lineages == 1:
            return problem, halve(problem, self.first_trials)
        return problem, halve(
            problem, [begin_trial(problem, start) for start in self._lineage_starts(n_lineages, roots)]
        )

    def _lineage_starts(self, n_lineages: int, roots: list[int] | None) -> list[Start]:
        """Three starts a root: lineages by the late cells of its best one-lineage fit, by fates, and by far tips."""
        by_root: dict[int, Trial] = {}
        for trial in self.first_trials:
            best = by_root.get(trial.start.root)
            if best is None or trial.bound > best.bound:
                by_root[trial.start.root] = trial
        chosen = [trial for root, trial in by_root.items() if roots is None or root in roots]
        starts, refusal = [], None
        for trial in chosen:
            root, bare, fitted = trial.start.root, trial.start.time, self._times(self.problem(1), trial)
            for how, time, group in (("one lineage", fitted, late_groups), ("fates", bare, fates)):
                try:
                    starts.append(Start(root, how, time, self._membership(time, n_lineages, group)))
                except InputError as error:  # from this root there are not so many groups; from another there may be
                    refusal = error
            if self.terminals is None:
                starts.append(Start(root, "tips", *towards_tips(self.geometry, root, n_lineages)))
        if refusal is not None and all(start.how == "tips" for start in starts):
            raise refusal
        return starts

    def _membership(self, time: FloatArray, n_lineages: int, group: Grouping = late_groups) -> FloatArray | None:
        if n_lineages == 1:
            return None
        if self.terminals is None:
            return group(time, self.geometry.components, n_lineages, self.seed)
        row = self.prior_rows.rows_of(self.terminals)
        own = np.eye(n_lineages)[np.maximum(row - 1, 0)]
        return share_early(time, np.where(row[:, None] > 0, own, 1.0 / n_lineages))

    def _best_backwards(self, problem: SoftProblem, trials: list[Trial]) -> Trial:
        """The best fit that runs against the best one: its reverse, or a start of its own that ended so.

        Either goes on for as many rounds as the best one had, by the counts alone, as roots or labels that forbid it
        would turn it round; what is known is weighed in the end.
        """
        time = self._times(problem, trials[0])
        silent = problem.silent
        rivals = [begin_trial(silent, self._reversed(problem, time))]
        against = [trial for trial in trials[1:] if spearmanr(self._times(problem, trial), time).statistic < AGAINST]
        rivals += [trial if silent is problem else begin_trial(silent, trial.start) for trial in against[:1]]
        rivals = [go_on_until(silent, trial, trials[0].rounds) for trial in rivals]
        rivals = [replace(trial, run=listen(problem, trial.run)) for trial in rivals]
        return max(rivals, key=lambda trial: trial.bound)

    def _reversed(self, problem: SoftProblem, time: FloatArray) -> Start:
        membership = self._backward_membership(1.0 - time, problem.states.layout.n_lineages)
        return Start(int(np.argmax(time)), "reversed", 1.0 - time, membership)

    def _backward_membership(self, time: FloatArray, n_lineages: int) -> FloatArray | None:
        """Lineages of the reversed clock; alike for all cells if its late cells do not fall into groups."""
        try:
            return self._membership(time, n_lineages)
        except InputError:
            return None

    def _times(self, problem: SoftProblem, trial: Trial) -> FloatArray:
        return time_and_lineage(problem, trial.run.parameters)[0]

    def table(self, outcome: Outcome, chosen: Trial) -> pd.DataFrame:
        """Root, how it was started, and log-likelihood below the best, a row per trial.

        ``backwards`` marks the trial that runs against the best one, ``chosen`` the one that the main run goes on
        from: not always the best here, as all genes decide between the two.
        """
        trials = outcome.trials
        if all(trial is not outcome.backwards for trial in trials):
            trials = [*trials, outcome.backwards]
        worth = outcome.problem.cells.worth
        best = max(trial.bound for trial in trials)
        return pd.DataFrame(
            {
                "root_cell": [int(self.geometry.cells[trial.start.root]) for trial in trials],
                "start": [trial.start.how for trial in trials],
                "log_likelihood": [(trial.bound - best) * worth for trial in trials],
                "backwards": [trial is outcome.backwards for trial in trials],
                "chosen": [trial is chosen for trial in trials],
            }
        )


def begin_trial(problem: SoftProblem, start: Start) -> Trial:
    """A first round from a start."""
    heated = replace(problem, restarts=FIRST_RESTARTS)
    statistics = heated.statistics_of(assignment(start, problem.states))
    return Trial(start, run_em(heated, heated.first(statistics), statistics, FIRST_ROUND))


def go_on(problem: SoftProblem, trial: Trial) -> Trial:
    """Another round: heat up, try every gene afresh, cool down; the better of before and after."""
    heated = replace(problem, restarts=LATER_RESTARTS)
    statistics, _ = heated.expect(trial.run.parameters, LATER_ROUNDS.hottest)
    run = run_em(heated, trial.run.parameters, statistics, LATER_ROUNDS)
    return Trial(trial.start, run if run.bound > trial.bound else trial.run, trial.rounds + 1)


def go_on_until(problem: SoftProblem, trial: Trial, rounds: int) -> Trial:
    """As many rounds as another trial had."""
    while trial.rounds < rounds:
        trial = go_on(problem, trial)
    return trial


def halve(problem: SoftProblem, trials: list[Trial]) -> list[Trial]:
    """Let the better half go on until two are left; best first, those that fell out behind.

    Two or fewer go on once: a single round is too short to choose by.
    """
    going = list(trials) if len(trials) > 2 else [go_on(problem, trial) for trial in trials]
    out: list[Trial] = []
    while len(going) > 2:
        going.sort(key=lambda trial: -trial.bound)
        half = (len(going) + 1) // 2
        out = going[half:] + out
        going = [go_on(problem, trial) for trial in going[:half]]
    return sorted(going, key=lambda trial: -trial.bound) + out


def most_variable(observations: Observations, n_genes: int) -> BoolArray:
    """Mark the ``n_genes`` genes whose normalised spliced counts vary most for their mean, ``(genes,)``."""
    normal = observations.spliced / np.maximum(observations.size_spliced, 1e-12)[:, None]
    mean = np.asarray(normal.mean(axis=0)).ravel()
    square = np.asarray((normal * normal).mean(axis=0)).ravel()
    excess = (square - mean**2) / np.maximum(mean, 0.05)
    keep = np.zeros(len(mean), dtype=bool)
    keep[np.argsort(-excess, kind="stable")[:n_genes]] = True
    return keep
