"""The reported fit and its rivals: fitted by the counts alone, on all genes of the search and on two halves of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.curves.line import SWITCH
from velotime.inference.curves.protocol import Clock
from velotime.inference.evidence.agreement import listen
from velotime.inference.evidence.rivals import Rival
from velotime.inference.model.layer import LayerData
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import SoftProblem
from velotime.inference.search.geometry.starts import Start
from velotime.inference.search.geometry.tree import ranks
from velotime.inference.search.trials import CLOSE, Trial, begin_trial, close_ones, go_on
from velotime.inference.tally import Tally

SAME_TIMES = 0.8  # Spearman correlation of fitted times above which a fit is no rival: it says the same
FAR = 1.5  # nats per cell behind the best, beyond which only the closest rival is tried on halves of the genes
REVERSED_CLOCK = "reversed"  # how a start came about that runs the best fit's clock backwards
REVERSED = -0.5  # and below which a rival runs the other way, so that no other need be made
NEARLY = (0.0, 0.05)  # nats per cell behind in one half, about what is asked: other halves are tried as well
N_WAYS = 3  # of halving the genes
LATE = 0.7  # share of the cells that come before those whose lineages are compared


@dataclass(frozen=True)
class Halves:
    """One start fitted to each of two disjoint halves of the genes.

    Attributes
    ----------
    bounds
        Bound per cell of either fit.
    times
        Times from either, ``(cells,)`` each.
    lineages
        Posterior over lineages from either, ``(cells, lineages)`` each.
    clock
        How times lie to each other.
    """

    bounds: tuple[float, float]
    times: tuple[FloatArray, FloatArray]
    lineages: tuple[FloatArray, FloatArray]
    clock: Clock = SWITCH.clock

    @property
    def agreement(self) -> float:
        """Correlation of the times."""
        return self.clock.correlation(*self.times)

    @property
    def lineage_agreement(self) -> float:
        """Share of the late cells whose lineage is the same in both, above chance (Cohen's kappa)."""
        table = self._late_lineages
        return float("nan") if len(table) == 1 else kappa(table)

    @property
    def least_lineage_agreement(self) -> float:
        """The same of the lineage, against all others, that both agree on least."""
        table = self._late_lineages
        return float("nan") if len(table) == 1 else min(kappa(against_the_rest(table, k)) for k in range(len(table)))

    @property
    def _late_lineages(self) -> FloatArray:
        """Shares of the late cells by their lineage in either half, ``(lineages, lineages)``."""
        k = self.lineages[0].shape[1]
        mean = np.mean(self.times, axis=0)
        late = mean > np.quantile(mean, LATE)
        table = np.zeros((k, k))
        np.add.at(table, tuple(q[late].argmax(axis=1) for q in self.lineages), 1 / max(int(late.sum()), 1))
        return table


@dataclass(frozen=True)
class Candidate:
    """A trial that may be reported, or else is a rival.

    Attributes
    ----------
    trial
        As the search found it, with all that is known of the cells.
    bound
        Bound per cell by the counts alone.
    known
        What is known of the cells says of it, nats per cell.
    time
        Its times, ``(cells,)``.
    halves
        The same start on halves of the genes; None where it is far behind on all of them.
    clock
        How times lie to each other.
    others
        Likewise on other halves, where the first left it open.
    """

    trial: Trial
    bound: float
    known: float
    time: FloatArray
    halves: Halves | None
    clock: Clock = SWITCH.clock
    others: tuple[Halves, ...] = ()

    @property
    def total(self) -> float:
        """Bound per cell with all that is known."""
        return self.bound + self.known

    def behind(self, best: Candidate) -> tuple[float, float] | None:
        """By how much it is behind another in each half, nats per cell; None where either was not tried on them.

        NaN in a half in which it ended with the times that the other has on all genes: its start found them too, so it
        is no rival there. Where the genes were halved in several ways, the lesser and the greater of both, as the
        median way has them.
        """
        if self.halves is None or best.halves is None:
            return None
        ways = zip((self.halves, *self.others), (best.halves, *best.others), strict=False)
        each = np.array([self._behind_in(own, other, best.time) for own, other in ways])
        ordered = each if len(each) == 1 else np.sort(np.nan_to_num(each, nan=np.inf), axis=1)
        one, two = np.median(ordered, axis=0)
        return float(one) if one < np.inf else float("nan"), float(two) if two < np.inf else float("nan")

    def nearly_lost_to(self, best: Candidate) -> bool:
        """Whether one half of the genes leaves open if it is behind."""
        behind = self.behind(best)
        return behind is not None and NEARLY[0] < np.nanmin((*behind, np.inf)) < NEARLY[1]

    def _behind_in(self, own: Halves, other: Halves, time: FloatArray) -> tuple[float, float]:
        one, two = (b - o for b, o in zip(other.bounds, own.bounds, strict=True))
        joined = [self.clock.correlation(time, mine) > SAME_TIMES for mine in own.times]
        return float("nan") if joined[0] else float(one), float("nan") if joined[1] else float(two)

    def as_rival_of(self, best: Candidate, cells: IntArray, n_averaged: float) -> Rival:
        """By how much it is behind."""
        halves = self.behind(best)
        return Rival(
            root=int(cells[self.trial.start.root]),
            how=self.trial.start.how,
            margin=(best.bound - self.bound) / n_averaged,
            halves=None if halves is None else (halves[0] / n_averaged, halves[1] / n_averaged),
            known=best.known - self.known,
            correlation=self.clock.correlation(best.time, self.time),
        )


def kappa(table: FloatArray) -> float:
    """Cohen's kappa of two labels of the same cells, from their shares by both, ``(labels, labels)``."""
    chance = float(table.sum(axis=1) @ table.sum(axis=0))
    return float((np.trace(table) - chance) / max(1 - chance, 1e-12))


def against_the_rest(table: FloatArray, k: int) -> FloatArray:
    """The same shares of one label and all others, ``(2, 2)``."""
    own, one, two = float(table[k, k]), float(table[k].sum()), float(table[:, k].sum())
    return np.array([[own, one - own], [two - own, float(table.sum()) - one - two + own]])


def candidates_of(problem: SoftProblem, trials: list[Trial], tally: Tally) -> list[Candidate]:
    """The best trial, those of other roots whose times differ, and the reversed clock; best first.

    Parameters
    ----------
    problem
        The short fits' problem.
    trials
        The best of each root.
    tally
        Counts the fits.
    """
    ordered = sorted(trials, key=lambda trial: -trial.bound)
    times = [time_and_lineage(problem, trial.run.parameters)[0] for trial in ordered]
    clock = problem.states.clock
    correlation = [clock.correlation(times[0], time) for time in times]
    kept = [k for k, c in enumerate(correlation) if k == 0 or not c > SAME_TIMES]
    chosen = [ordered[k] for k in kept]
    again = 0 if problem.silent is problem else 1  # fits of each by the counts alone, where more is known
    tally.begin("rivals", 2 + again * (len(chosen) + 1))
    if all(correlation[k] > REVERSED for k in kept):
        chosen.append(_reversed(problem, ordered[0], tally))
    tally.expect(again * len(chosen))
    alone = [_by_counts(problem, trial, tally) for trial in chosen]
    far = [ordered[0].bound - trial.bound > FAR for trial in chosen]
    near = [k for k in range(len(chosen)) if k < 2 or not far[k]]
    halves = dict(zip(near, _on_halves(problem.silent, [chosen[k].start for k in near], tally), strict=True))
    found = [
        Candidate(trial, bound, known, time, halves.get(k), clock)
        for k, (trial, (bound, known, time)) in enumerate(zip(chosen, alone, strict=True))
    ]
    return _halved_again(problem.silent, sorted(found, key=lambda candidate: -candidate.total), tally)


def _halved_again(problem: SoftProblem, candidates: list[Candidate], tally: Tally) -> list[Candidate]:
    """Best first; the best and those that a half of the genes leaves open on other halves too."""
    best = candidates[0]
    again = [k for k, candidate in enumerate(candidates) if k and candidate.nearly_lost_to(best)]
    if not again:
        return candidates
    starts = [candidates[k].trial.start for k in (0, *again)]
    ways = zip(*(_on_halves(problem, starts, tally, way) for way in range(1, N_WAYS)), strict=True)
    others = dict(zip((0, *again), ways, strict=True))
    return [replace(candidate, others=others.get(k, ())) for k, candidate in enumerate(candidates)]


def _reversed(problem: SoftProblem, best: Trial, tally: Tally) -> Trial:
    """The same lineages with the clock run backwards, by the counts alone; another round where it comes close."""
    time, lineages = time_and_lineage(problem, best.run.parameters)
    membership = lineages if lineages.shape[1] > 1 else None
    start = Start(
        int(np.argmax(time)), REVERSED_CLOCK, ranks(1.0 - time), membership, problem.states.clock.reversed_heat
    )
    silent = problem.silent
    trial = tally.counted(begin_trial(silent, start))
    if best.bound - trial.bound < CLOSE:
        trial = tally.counted(go_on(silent, trial))
    return trial if silent is problem else replace(trial, run=listen(problem, trial.run))


def _by_counts(problem: SoftProblem, trial: Trial, tally: Tally) -> tuple[float, float, FloatArray]:
    """Bound by the counts alone, what is known says of it, both per cell, and its times."""
    silent = problem.silent
    if silent is problem:
        return trial.bound, 0.0, time_and_lineage(problem, trial.run.parameters)[0]
    alone = tally.counted(go_on(silent, _silenced(silent, trial)))
    known = listen(problem, alone.run)
    return alone.bound, known.bound - alone.bound, time_and_lineage(problem, known.parameters)[0]


def _silenced(silent: SoftProblem, trial: Trial) -> Trial:
    """A trial as the counts alone see it."""
    parameters = replace(trial.run.parameters, known=())
    statistics, bound = silent.expect(parameters, 1.0)
    return replace(trial, run=replace(trial.run, parameters=parameters, statistics=statistics, bound=bound))


def _on_halves(problem: SoftProblem, starts: list[Start], tally: Tally, way: int = 0) -> list[Halves]:
    """Every start on two disjoint halves of the genes."""
    fits, most = [], 2 * len(starts)  # of a half: every start may go on
    tally.begin("rivals on halves of the genes", 2 * most)
    for later, genes in zip((most, 0), halves_of(problem.cells.spliced, way), strict=True):
        half = replace(problem, cells=problem.cells.genes(genes))
        trials = [tally.counted(begin_trial(half, start)) for start in starts]
        close = close_ones(trials, CLOSE / 4)
        tally.expect(len(close) + later)
        for k in close:
            trials[k] = tally.counted(go_on(half, trials[k]))
        fits.append([(trial.bound, *time_and_lineage(half, trial.run.parameters)) for trial in trials])
    return [
        Halves((one[0], two[0]), (one[1], two[1]), (one[2], two[2]), problem.states.clock)
        for one, two in zip(fits[0], fits[1], strict=True)
    ]


def halves_of(spliced: LayerData, way: int = 0) -> tuple[IntArray, IntArray]:
    """Two disjoint halves of the genes that hold as many counts: by abundance, in the order A, B, B, A.

    ``way`` gives others, in which half of either is exchanged: 1 for every other four genes, 2 for every other eight.
    """
    return halves_by(spliced.value_per_level.sum(axis=0), way)


def halves_by(total: FloatArray, way: int = 0) -> tuple[IntArray, IntArray]:
    """The same from how many counts each gene has, ``(genes,)``."""
    order = np.argsort(-total, kind="stable")
    place = np.arange(len(order))
    first = (place % 2) == (place // 2 % 2)
    if way:
        first ^= place // (4 * way) % 2 == 1
    return np.sort(order[first]), np.sort(order[~first])
