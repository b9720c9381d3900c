"""The search for root, direction and lineages: short fits on some of the cells and genes, from every end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr

from velotime._status import InputError
from velotime._types import BoolArray, FloatArray, IntArray
from velotime.inference.em import Watcher, watch_nothing
from velotime.inference.evidence.rivals import CLEAR_PER_CELL, IN_A_HALF
from velotime.inference.journal import NO_JOURNAL, Chapter, Journal, recalled
from velotime.inference.knowledge.pieces import Root, Terminals
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import TimePrior
from velotime.inference.model.mstep import restart_by_shapes
from velotime.inference.model.noise import Noise
from velotime.inference.model.posterior import time_and_lineage
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.problem import problem_of
from velotime.inference.search.geometry.starts import (
    SAME_ORDER,
    Geometry,
    Grouping,
    Start,
    farthest,
    fates,
    late_groups,
    orderings,
    share_early,
    tips,
    towards_tips,
)
from velotime.inference.search.geometry.tree import LineageVotes, Tree, middle_start, tree_starts
from velotime.inference.search.rivals import REVERSED_CLOCK, Candidate, candidates_of
from velotime.inference.search.trials import Trial, best_by_root
from velotime.inference.states import States
from velotime.inference.tally import Tally

EARLIEST = 0.05  # share of the cells, earliest by what is known, whose tip is tried as a root
FEW_CELLS = 300  # fewer of a line scatter up to 0.3 of its length off it; so many, up to 0.06
WITHIN_LABELS = 0.3  # of the clock, over which cells of which the same is known are spread at first


@dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes
    ----------
    problem
        The problem of the short fits.
    trials
        All that was tried, best first.
    candidates
        The best fit of each root and the reversed clock, best first, with what halves of the genes say of them.
    """

    problem: SoftProblem
    trials: list[Trial]
    candidates: list[Candidate]

    @property
    def best(self) -> Trial:
        """The winner."""
        return self.candidates[0].trial

    @property
    def n_lineages(self) -> int:
        """Number of lineages."""
        return self.problem.states.layout.n_lineages

    @property
    def least_lineage_agreement(self) -> float:
        """How far halves of the genes agree on the lineage on which they do least; NaN where none were asked."""
        halves = self.candidates[0].halves
        return float("nan") if halves is None else halves.least_lineage_agreement


@dataclass(frozen=True)
class Search:
    """Short fits on some cells and genes.

    Attributes
    ----------
    cells
        Their cells, of which ``geometry.cells`` are the indices.
    geometry
        Where they lie.
    tree
        The tree of ends.
    ring
        How far the cells are from a tree, see :func:`ring_of`; 0 where they are fitted as a circle.
    from_root
        Way from the given root to every cell, ``(cells,)``; None if none is given.
    votes
        The number of lineages in draws of the cells; None where it is given.
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
    middle
        Whether two lineages from the middle of the longest way are tried as well.
    journal
        Keeps what is done.
    watch
        Called after each short fit.
    off_clock
        Cells that are on no clock, and left out: indices as in ``geometry.cells``; None if that was not asked.
    """

    cells: Cells
    geometry: Geometry
    tree: Tree
    ring: float
    from_root: FloatArray | None
    votes: LineageVotes | None
    prior_rows: PriorRows
    genes: BoolArray
    noise: Noise
    prior: TimePrior
    n_times: int
    root: Root | None
    terminals: Terminals | None
    seed: int
    middle: bool = False
    journal: Journal = NO_JOURNAL
    watch: Watcher = watch_nothing
    off_clock: IntArray | None = None

    def problem(self, n_lineages: int) -> SoftProblem:
        """The short fits' problem."""
        states = States.grid(self.n_times, n_lineages)
        problem = problem_of(self.cells, states, self.noise, self.prior, RatePrior(states.layout))
        return replace(problem, restart=restart_by_shapes)

    @property
    def n_lineages(self) -> int:
        """The number that geometry finds, within its bound."""
        assert self.votes is not None
        return min(self._n_counted, self.votes.most)

    @property
    def at_bound(self) -> bool:
        """Whether geometry finds more lineages than it may, or as many as there are ends to be looked for."""
        if self.votes is None or self.votes.dropped:
            return False
        n, most = self._n_counted, self.votes.most
        return n > most or n == most == len(self.tree.ends) - 1

    @property
    def _n_counted(self) -> int:
        """Lineages to each end that is no noise, from another or from the root."""
        assert self.votes is not None
        return len(self._tree_of(self.votes.n_lineages).ends) - 1

    def left_out(self, n_lineages: int) -> int:
        """Branches, beyond doubt, for which so many lineages have no place; 0 where geometry found the number.

        One that halves of the genes gave up is not beyond doubt in few cells, which scatter as far by chance.
        """
        few = len(self.geometry.cells) < FEW_CELLS
        counted = self.votes is not None and (few or not self.votes.dropped)
        return 0 if counted else max(self.tree.n_sure - n_lineages, 0)

    def share_off(self) -> float:
        """Share of the cells that are on no clock: none where it begins and ends."""
        return 0.0

    def _tree_of(self, n_lineages: int) -> Tree:
        """The tree with as many lineages from one of its ends; from a root between them there is one more."""
        tree = self.tree.first(n_lineages + 1)
        return tree if self.from_root is None else tree.rooted(self.from_root)

    @property
    def from_the_middle(self) -> Search:
        """The same with a start of two lineages from the middle of the longest way."""
        return replace(self, middle=True, journal=Chapter(self.journal, "middle"))

    # ------------------------------------------------------------------ starts
    def starts(self, n_lineages: int) -> list[list[Start]]:
        """The starts of each root: of the ends of the tree, of the diffusion map's tips, and by what is known.

        Tips that order the cells as an end of the tree does are left out.

        Raises
        ------
        InputError
            If the late cells fall into fewer groups from every root, and the tree has fewer ends.
        """
        groups = self._of_tree(n_lineages)
        seen = [of_root[0].time for of_root in groups]
        refusal = None
        for start in orderings(self.geometry, self._roots):
            if any(spearmanr(start.time, other).statistic > SAME_ORDER for other in seen):
                continue
            try:
                groups.append(self._of_tip(start, n_lineages))
                seen.append(start.time)
            except InputError as error:  # from this root there are not so many groups; from another there may be
                refusal = error
        if self.prior_rows.knowledge and self.root is None:
            groups.append([self._by_knowledge(n_lineages)])
        if not groups and refusal is not None:
            raise refusal
        return groups

    def _of_tree(self, n_lineages: int) -> list[list[Start]]:
        tree = self._tree_of(n_lineages).first(n_lineages + 1)
        if len(tree.ends) <= n_lineages and self.terminals is None:
            return []
        roots = range(len(tree.ends)) if self.root is None else range(1)
        groups = [[self._lineages_of(start, n_lineages) for start in tree_starts(tree, root)] for root in roots]
        return [*groups, [middle_start(tree)]] if self.middle else groups

    def _lineages_of(self, start: Start, n_lineages: int) -> Start:
        """A start from the tree, its lineages by labels where there are any."""
        if self.terminals is not None:
            return replace(start, membership=self._by_labels(start.time, n_lineages))
        return start

    def _of_tip(self, start: Start, n_lineages: int) -> list[Start]:
        if n_lineages == 1:
            return [start]
        if self.terminals is not None:
            return [replace(start, membership=self._by_labels(start.time, n_lineages))]
        further = [replace(start, how="fates", membership=self._grouped(start.time, n_lineages, fates))]
        far = Start(start.root, "tips", *towards_tips(self.geometry, start.root, n_lineages))
        return [*further, far]

    def _grouped(self, time: FloatArray, n_lineages: int, group: Grouping) -> FloatArray:
        return group(time, self.geometry.components, n_lineages, self.seed)

    def _by_labels(self, time: FloatArray, n_lineages: int) -> FloatArray:
        assert self.terminals is not None
        row = self.prior_rows.rows_of(self.terminals)
        own = np.eye(n_lineages)[np.maximum(row - 1, 0)]
        return share_early(time, np.where(row[:, None] > 0, own, 1.0 / n_lineages))

    @cached_property
    def _roots(self) -> IntArray:
        """The given root; or the tips, and the tip of the cells that are known to be earliest, if any are."""
        if self.root is not None:
            return np.array([self._tree_of(1).ends[0]])
        return tips(self.geometry)

    @cached_property
    def _expected_time(self) -> FloatArray:
        """Mean time of each cell by what is known alone, ``(cells,)``."""
        states = self.problem(1).states
        return self.prior_rows.expected_time(states, self.prior_rows.initial(states))

    def _by_knowledge(self, n_lineages: int) -> Start:
        """Times by what is known, cells alike in that by their distance from the root."""
        earliest = np.flatnonzero(self._expected_time <= np.quantile(self._expected_time, EARLIEST))
        root = farthest(self.geometry, earliest)
        distance = np.linalg.norm(self.geometry.diffusion - self.geometry.diffusion[root], axis=1)
        known = self._expected_time + WITHIN_LABELS * (rankdata(distance) - 0.5) / len(distance)
        time = (rankdata(known) - 0.5) / len(known)
        if n_lineages == 1:
            return Start(root, "knowledge", time)
        if self.terminals is not None:
            return Start(root, "knowledge", time, self._by_labels(time, n_lineages))
        return Start(root, "knowledge", time, self._grouped(time, n_lineages, late_groups))

    # ------------------------------------------------------------------ fits
    def quick(self, n_lineages: int) -> tuple[SoftProblem, Trial]:
        """The best fit alone, without rivals."""
        problem = self.problem(n_lineages)
        best, _ = best_by_root(problem, self.starts(n_lineages), Tally(self.watch))
        return problem, max(best, key=lambda trial: trial.bound)

    def run(self, n_lineages: int) -> Outcome:
        """The best fit of each root and the reversed clock; the likeliest wins unless both halves object."""
        return self._best_of(n_lineages, lambda: self.starts(n_lineages))

    def run_from(self, starts: list[list[Start]]) -> Outcome:
        """The same from these starts of each root, all with as many lineages."""
        membership = starts[0][0].membership
        return self._best_of(1 if membership is None else membership.shape[1], lambda: starts)

    def _best_of(self, n_lineages: int, starts: Callable[[], list[list[Start]]]) -> Outcome:
        problem = self.problem(n_lineages)
        tried, candidates = recalled(self.journal, "trials", lambda: self._tried(problem, starts()))
        if self.root is None:
            candidates = refereed(candidates)
        everything = [*tried, *(c.trial for c in candidates if c.trial.start.how == REVERSED_CLOCK)]
        return Outcome(problem, sorted(everything, key=lambda trial: -trial.bound), candidates)

    def _tried(self, problem: SoftProblem, starts: list[list[Start]]) -> tuple[list[Trial], list[Candidate]]:
        """All trials, and the best of each root with the reversed clock."""
        tally = Tally(self.watch)
        best, tried = best_by_root(problem, starts, tally, self.journal)
        return tried, candidates_of(problem, best, tally)

    def table(self, outcome: Outcome, chosen: Trial) -> pd.DataFrame:
        """Root, how it was started, and log-likelihood below the best, a row per trial.

        ``backwards`` marks the reversed clock, ``chosen`` the one that the main run goes on from: not always the best
        here, as all genes decide between it and its closest rival.
        """
        trials, worth = outcome.trials, outcome.problem.cells.worth
        best = max(trial.bound for trial in trials)
        return pd.DataFrame(
            {
                "root_cell": [int(self.geometry.cells[trial.start.root]) for trial in trials],
                "start": [trial.start.how for trial in trials],
                "log_likelihood": [(trial.bound - best) * worth for trial in trials],
                "backwards": [trial.start.how == "reversed" for trial in trials],
                "chosen": [trial is chosen for trial in trials],
            }
        )


def refereed(candidates: list[Candidate]) -> list[Candidate]:
    """Best first; but a candidate that beats the best in both halves of the genes goes before it."""
    best = candidates[0]
    for k, other in enumerate(candidates[1:], start=1):
        behind = other.behind(best)
        if behind is not None and all(best.known - other.known + b < -IN_A_HALF * CLEAR_PER_CELL for b in behind):
            return [other, *candidates[:k], *candidates[k + 1 :]]
    return candidates


def times_of(problem: SoftProblem, trial: Trial) -> FloatArray:
    """Posterior mean times of a trial, ``(cells,)``."""
    return time_and_lineage(problem, trial.run.parameters)[0]
