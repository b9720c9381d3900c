"""``SoftEM``: one clock for all genes, a posterior of time for every cell."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator

from velotime._check import Either, Instance, Names, Number, OneOf, Optional, Settings, Whole
from velotime._types import IntArray
from velotime.compute import ArrayBackend
from velotime.inference.em import Schedule, Stage, Watcher, watch_nothing
from velotime.inference.evidence.agreement import agreement
from velotime.inference.evidence.predictive import predictive_checks
from velotime.inference.heldout.comparison import Comparison, compare_kinds
from velotime.inference.heldout.lineages import searched
from velotime.inference.journal import NO_JOURNAL, Chapter, Journal, recalled
from velotime.inference.knowledge.base import COLUMN, Knowledge
from velotime.inference.knowledge.pieces import Root, Terminals
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import LearnedPrior, SharedPrior, TimePrior
from velotime.inference.labels import CellLabels, Groups
from velotime.inference.methods.clocks import Cycle, Line
from velotime.inference.methods.fates import with_fates
from velotime.inference.methods.left_out import fit_left_out
from velotime.inference.methods.passes import from_zero, full_passes, main_run
from velotime.inference.methods.protocol import Reads
from velotime.inference.methods.soft_fit import Beginning, Found, SoftFit
from velotime.inference.methods.soft_rules import Pieces, check_together
from velotime.inference.model.background.choice import Background, LearnedBackground, background_shares
from velotime.inference.model.leaving.cells import Beside, first_state
from velotime.inference.model.noise import NegativeBinomial, Noise
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.cells import cells_drawn, cells_of
from velotime.inference.model.samples.problem import SampledProblem, problem_of
from velotime.inference.observations import Observations
from velotime.inference.results.cells import cell_table
from velotime.inference.results.genes import gene_table
from velotime.inference.results.samples.table import sample_table
from velotime.inference.results.uncertainty import doubts
from velotime.inference.search.begin import Starts, go_on, hand_over
from velotime.inference.search.finals import finals
from velotime.inference.search.geometry.starts import Geometry
from velotime.inference.search.number.grown import PlacedCells
from velotime.inference.states import States


@dataclass(frozen=True)
class SoftEM(Settings):
    """Expectation-maximisation with a soft assignment of every cell to the times of one clock.

    Every gene follows the switch model on a clock that all genes share; the E-step finds the posterior of each cell's
    time from all genes, the M-step the curves from the sums over cells.

    Parameters
    ----------
    noise
        How counts scatter: ``NegativeBinomial()`` (default, as real counts are overdispersed), ``Poisson()`` or
        ``Gaussian()`` (for normalised values).
    prior
        Prior of time: ``LearnedPrior()`` (default, as cells never cover the clock evenly), ``UniformPrior()`` or
        ``FixedPrior(weights)``.
    n_times
        Times of the grid. The default, 64, is finer than most cells can be placed.
    max_cells
        Cells at most on which EM runs from hot to cold, ``50000`` by default. Of more, as many are drawn at random, and
        all cells go through a few last iterations: the curves are then nearly where they would have come with all. None
        means all from the beginning.
    backend
        What computes the passes over all cells: the compiled code on this machine's cores by default, or
        ``ArrayBackend(...)``, PyTorch or CuPy on a GPU.
    hottest
        Temperature at which the annealing begins, 5 by default, as the search hands over curves that are nearly right;
        1 means no annealing.
    annealing
        Iterations of annealing, 8 by default; 0 leaves it out.
    max_iterations
        Iterations at temperature 1 after which the fit stops, from when every gene was tried again last.
    tolerance
        Converged when the bound a cell changes by less, in nats.
    start_cells, start_genes, start_times
        Size of the short fits that choose root, direction and lineages.
    n_lineages
        Number of lineages; by default "auto": one from the root to each other end of the tree of the cells, counted on
        several draws of them.
    most_lineages
        Bound for "auto". The default, 5, is what a tree of six ends can show; a warning says where it ends there.
    lineages
        ``Terminals(column, labels)``: one lineage for each of these labels; goes before ``n_lineages``.
    root
        ``Root(column, label)`` or ``Root(cell=name)``, where time begins; searched for by default.
    background
        Molecules that are in every cell whatever its state: ``LearnedBackground()`` or ``NoBackground()``.
    knowledge
        What else is known of the cells, one piece or several: ``Ends``, ``Markers``, ``TimeLabels``. Each enters the
        prior of the cells' times, in the starts as in the fit, for both directions alike; none is a hard cut.
    clock
        ``Line()`` (default), a clock that begins and ends, or ``Cycle()``, one that goes round.
    samples
        The obs column with the sample of each cell, where there are several: each has captures of its own for every
        gene and layer, a factor on dispersions, and, if ``prior`` is learned for all cells, a time prior drawn towards
        that of all; background as well, where it pays. Size factors are relative to the mean of the sample. With one
        sample the fit is the same as without. Default: none, all cells were captured alike.
    without
        Genes that are left out of the clock, such as those of the cell cycle where cells differentiate and divide: they
        say nothing of time, and get curves at the times that the others give. Size factors hold their counts as before.
    """

    noise: Noise = field(default_factory=NegativeBinomial)
    prior: TimePrior = field(default_factory=LearnedPrior)
    n_times: int = 64
    max_cells: int | None = 50_000
    backend: ArrayBackend | None = None
    hottest: float = 5.0
    annealing: int = 8
    max_iterations: int = 40
    tolerance: float = 1e-3
    start_cells: int = 1200
    start_genes: int = 200
    start_times: int = 32
    n_lineages: int | Literal["auto"] = "auto"
    most_lineages: int = 5
    lineages: Terminals | None = None
    root: Root | None = None
    knowledge: tuple[Knowledge, ...] = ()
    background: Background = field(default_factory=LearnedBackground)
    clock: Line | Cycle = field(default_factory=Line)
    samples: str | None = None
    without: tuple[str, ...] = ()

    rules: ClassVar = {
        "noise": Instance(Noise, "NegativeBinomial(), Poisson() or Gaussian()"),
        "prior": Instance(TimePrior, "LearnedPrior(), UniformPrior() or FixedPrior(...)"),
        "n_times": Whole(8),
        "max_cells": Optional(Whole(20)),
        "backend": Optional(Instance(ArrayBackend, "ArrayBackend(...)")),
        "hottest": Number(1, cure="1 means no annealing. The default is 5."),
        "annealing": Whole(0),
        "max_iterations": Whole(1),
        "tolerance": Number(0),
        "start_cells": Whole(20),
        "start_genes": Whole(1),
        "start_times": Whole(8),
        "n_lineages": Either((Whole(1), OneOf(("auto",)))),
        "most_lineages": Whole(1),
        "lineages": Optional(Instance(Terminals, "Terminals(...)", cure="E.g. vt.Terminals('clusters', ['A', 'B']).")),
        "root": Optional(Instance(Root, "Root(...)", cure="E.g. vt.Root('clusters', 'Ductal').")),
        "knowledge": Pieces(),
        "background": Instance(Background, "LearnedBackground() or NoBackground()"),
        "clock": Instance((Line, Cycle), "Line() or Cycle(...)"),
        "samples": Optional(COLUMN),
        "without": Names("names of genes"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        check_together(self)

    def fit(
        self,
        observations: Observations,
        geometry: Geometry,
        *,
        rng: Generator,
        labels: CellLabels | None = None,
        others: Observations | None = None,
        watch: Watcher = watch_nothing,
        journal: Journal = NO_JOURNAL,
    ) -> SoftFit:
        """Fit the model.

        Parameters
        ----------
        observations
            Counts of the genes to fit.
        geometry
            Where some of the cells lie; the starts come from there.
        rng
            Draws the cells of the short fits.
        labels
            Names of the cells and the obs columns in ``columns``; may be left out if there are none.
        others
            Counts of the genes that are left out of the clock, if any.
        watch
            Called once per iteration, short fit and stage.
        journal
            Keeps what is done, so that the same call goes on from there if this one is cut off.
        """
        began = time.perf_counter()
        watch(Stage("starts"))
        labels = CellLabels.plain(observations.n_cells) if labels is None else labels
        start = self.begin(observations, geometry, rng=rng, labels=labels, journal=journal, watch=watch)
        (checking,) = rng.spawn(1)
        seconds_starts = time.perf_counter() - began
        watch(Stage("fit"))
        found, schedule = start.found, Schedule(self.annealing, self.hottest, self.max_iterations, self.tolerance)
        run = main_run(start.problem, start.first, schedule, watch, Chapter(journal, "main"))
        run = self.background.settle(start.problem, run, schedule, watch, Chapter(journal, "background"))
        if start.everyone is not start.problem.cells:
            start = start.of_everyone  # what was read of some cells is let go
            watch(Stage("all cells"))
            run = full_passes(start.problem, run, schedule, watch, Chapter(journal, "all cells"))
        watch(Stage("intervals and checks"))
        beside = Beside.of(start.problem, run.parameters)  # all that follows is of cells on the clock
        problem, run = beside.without(start.problem, run)
        run, origin = from_zero(self.clock, problem, with_fates(problem, run), beside.labels(labels))
        doubt = doubts(problem, run.parameters, run.statistics)
        cells = cell_table(start.problem, run.parameters, doubt).only(beside.on_clock)
        checks = predictive_checks(problem, run.parameters, checking)
        return SoftFit(
            status=run.status,
            trace=run.trace,
            log_likelihood=run.bound * problem.cells.n_cells + problem.penalty(run.parameters),
            states=problem.states,
            parameters=run.parameters,
            groups=problem.cells.prior_rows.groups,
            knowledge=agreement(problem, run.parameters, cells.mean),
            cells=cells,
            genes=gene_table(problem, run.parameters, run.statistics, doubt, checks),
            lineage_names=self._lineage_names(problem.states.layout.n_lineages),
            lineage_votes=found.lineage_votes,
            at_bound=found.at_bound,
            starts=found.starts,
            arrow=found.arrow,
            fit_verdict=found.fit_verdict,
            background_shares=background_shares(problem, run.parameters),
            origin=origin,
            seconds_starts=seconds_starts,
            seconds=time.perf_counter() - began,
            samples=sample_table(problem, run.parameters, run.statistics, cells.mean, found.arrow.by_sample),
            left_out=None if others is None else fit_left_out(problem, run.parameters, doubt, beside.counts(others)),
            not_cycling=beside if self.clock.not_cycling else None,
        )

    def begin(
        self,
        observations: Observations,
        geometry: Geometry,
        *,
        rng: Generator,
        labels: CellLabels,
        journal: Journal = NO_JOURNAL,
        watch: Watcher = watch_nothing,
    ) -> Beginning:
        """Root, direction and lineages from short fits, and what the main run begins with; arguments as above."""
        *finding, drawing = rng.spawn(4)  # what one draws does not depend on what another drew
        rows, searching = self.prior_rows(labels), Chapter(journal, "search")
        find = partial(self._find, observations, geometry, labels, finding, searching, watch)
        found = recalled(searching, "found", find)
        everyone = cells_of(observations, rows, self.noise)
        some, most = everyone, self.max_cells or everyone.n_cells  # on which EM begins
        if everyone.n_cells > most:
            some = cells_drawn(observations, rows, self.noise, observations.draw(most, drawing))
        problem = self._problem(some, found.n_lineages)
        return Beginning(problem, recalled(searching, "first", lambda: self._first(problem, found)), found, everyone)

    def _first(self, problem: SoftProblem, found: Found) -> SoftParameters:
        """The winner's curves; or all again, where more is known, or to learn samples' captures from all cells."""
        if self.pieces in ((), (self.root,)) and not isinstance(problem, SampledProblem):
            return replace(go_on(problem, found.curves), not_cycling=found.not_cycling)
        return hand_over(problem, found.genes, found.states, found.trial, self.hottest)

    def _find(
        self,
        observations: Observations,
        geometry: Geometry,
        labels: CellLabels,
        rngs: list[Generator],
        journal: Journal,
        watch: Watcher,
    ) -> Found:
        """The search."""
        searching, thinning, sampling = rngs
        rows, landmarks = self.prior_rows(labels), self.landmarks(labels)
        search = self._starts.search(observations, geometry, rows, landmarks, searching, counted=self._is_open)
        search = self.clock.search(replace(search, journal=journal, watch=watch))
        if search.votes is None:
            outcome = search.run(self._n_lineages)
        else:
            placed = PlacedCells(geometry.cells, observations.select_cells(geometry.cells), rows.take(geometry.cells))
            search, outcome = searched(search, observations, placed, thinning)
        final = finals(search, observations, outcome, sampling)
        return Found(
            trial=final.trial,
            curves=final.curves,
            states=outcome.problem.states,
            genes=search.genes,
            starts=search.table(outcome, final.trial),
            arrow=final.arrow,
            fit_verdict=final.fit,
            lineage_votes=search.votes,
            at_bound=search.at_bound,
            not_cycling=first_state(observations, geometry.cells, search.off_clock),
        )

    def compare(
        self,
        observations: Observations,
        geometry: Geometry,
        *,
        rng: Generator,
        n_lineages: int = 1,
        labels: CellLabels | None = None,
    ) -> Comparison:
        """Compare the trajectory with a constant and with clusters, on held-out counts.

        Parameters
        ----------
        observations, geometry, rng, labels
            As for :meth:`fit`.
        n_lineages
            Used where the method leaves the number open ("auto"), such as the number that a fit found.
        """
        labels = CellLabels.plain(observations.n_cells) if labels is None else labels
        searching, thinning = rng.spawn(2)
        search = self._starts.search(observations, geometry, self.prior_rows(labels), self.landmarks(labels), searching)
        some = observations.select_cells(search.geometry.cells).select_genes(np.flatnonzero(search.genes))
        return compare_kinds(search, some, n_lineages if self._is_open else self._n_lineages, thinning)

    @property
    def reads(self) -> Reads:
        """Counts for a count noise, values for Gaussian noise."""
        return Reads.COUNTS if self.noise.counts else Reads.VALUES

    @property
    def columns(self) -> tuple[str, ...]:
        """The obs columns that the settings refer to."""
        by = tuple(column for column in (self.time_prior.by, self.samples) if column is not None)
        return tuple(dict.fromkeys((*by, *(column for piece in self.pieces for column in piece.columns))))

    @property
    def marker_genes(self) -> tuple[str, ...]:
        """The genes that the settings refer to."""
        pieces = (*self.pieces, *(() if self.clock.markers is None else (self.clock.markers,)))
        return tuple(dict.fromkeys(gene for piece in pieces for gene in piece.genes))

    @property
    def time_prior(self) -> TimePrior:
        """The prior of time: one for each sample, drawn towards that of all, where it is learned and samples differ."""
        if self.samples is None or not isinstance(self.prior, LearnedPrior) or self.prior.by is not None:
            return self.prior
        return SharedPrior(self.prior, self.samples)

    def prior_rows(self, labels: CellLabels) -> PriorRows:
        """What is known of each cell, by these settings."""
        return PriorRows.of(Groups.of(labels, self.time_prior.by), self.pieces, labels)

    def landmarks(self, labels: CellLabels) -> IntArray:
        """Cells of which the starts must hold up to 100: those that may be the root."""
        return np.zeros(0, dtype=np.int64) if self.root is None else self.root.candidates(labels)

    @property
    def pieces(self) -> tuple[Knowledge, ...]:
        """Everything that is known of the cells."""
        return tuple(piece for piece in (self.lineages, self.root, *self.knowledge) if piece is not None)

    @property
    def _is_open(self) -> bool:
        """Whether the number of lineages is left to the data."""
        return self.lineages is None and self.n_lineages == "auto" and isinstance(self.clock, Line)

    @property
    def _n_lineages(self) -> int:
        """The number of lineages where it is given; the least where it is not."""
        if self.lineages is not None:
            return len(self.lineages.labels)
        return 1 if self.n_lineages == "auto" else self.n_lineages

    def _lineage_names(self, n_lineages: int) -> tuple[str, ...]:
        return tuple(str(k) for k in range(n_lineages)) if self.lineages is None else self.lineages.labels

    @property
    def _starts(self) -> Starts:
        size = self.start_cells, self.start_genes, self.start_times
        return Starts(self.noise, self.time_prior, *size, self.root, self.lineages, self.most_lineages)

    def _problem(self, cells: Cells, n_lineages: int) -> SoftProblem:
        states = States.grid(self.n_times, n_lineages, self.clock.curve)
        states = states if self.backend is None else replace(states, backend=self.backend)
        half = self.annealing // 2
        rate_prior = RatePrior(states.layout, cells.n_cells, cells.n_averaged)
        problem = problem_of(cells, states, self.noise, self.time_prior, rate_prior)
        if isinstance(problem, SampledProblem):
            problem = replace(problem, learning=max(self.annealing, 1))
        return self.clock.moves(problem, half, self.annealing)
