"""What ``SoftEM`` gives: its result, and where its starts leave off."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import pandas as pd

from velotime._status import Status
from velotime._types import BoolArray, FloatArray
from velotime.compute import Sums
from velotime.inference.em import Run, Trace
from velotime.inference.evidence.agreement import Agreement
from velotime.inference.evidence.arrow import Arrow
from velotime.inference.evidence.fit_verdict import FitVerdict
from velotime.inference.labels import Groups
from velotime.inference.methods.left_out import LeftOut
from velotime.inference.methods.origins import Origin
from velotime.inference.model.leaving.cells import Beside
from velotime.inference.model.leaving.state import NotCycling
from velotime.inference.model.problem import Cells, SoftParameters, SoftProblem
from velotime.inference.results.cells import CellTable
from velotime.inference.results.genes import GeneTable
from velotime.inference.search.geometry.tree import LineageVotes
from velotime.inference.search.trials import Trial
from velotime.inference.states import States

#: A run of the loop on the soft EM's problem.
SoftRun: TypeAlias = Run[SoftParameters, Sums]


@dataclass(frozen=True)
class SoftFit:
    """Result of ``SoftEM``.

    Attributes
    ----------
    status
        How the loop ended.
    trace
        Bound and temperature of each iteration.
    log_likelihood
        Log-likelihood of the counts, nats.
    states
        The states: times and lineages.
    parameters
        Curves, scatter, time prior and how labels lie on the clock.
    groups
        Groups of cells with a time prior of their own.
    knowledge
        How each piece of what is known of the cells agrees with the fit.
    cells, genes
        Results a cell and a gene.
    lineage_names
        One a lineage.
    lineage_votes, at_bound
        The number of lineages in draws of the cells, where the data chose it, and whether more were not allowed.
    starts
        Table of the starts tried: root cell, spacing, log-likelihood on the cells of the starts below the best.
    arrow
        Evidence for the direction of time.
    fit_verdict
        Whether the model fits.
    background_shares
        Share of all unspliced and of all spliced counts that is background, ``(2,)``; zero where there is none.
    origin
        Where a clock that goes round begins, and what says so; None on a line.
    seconds_starts, seconds
        Wall time of the starts, and of everything.
    samples
        Where there are several: cells, mean time, log-likelihood per cell and gain per cell of the curves over
        constant means of each, a row per sample.
    left_out
        Genes that are left out of the clock, where there are any.
    not_cycling
        Cells that do not cycle, where that was asked: everything else is of the others.
    """

    status: Status
    trace: Trace
    log_likelihood: float
    states: States
    parameters: SoftParameters
    groups: Groups
    knowledge: tuple[Agreement, ...]
    cells: CellTable
    genes: GeneTable
    lineage_names: tuple[str, ...]
    lineage_votes: LineageVotes | None
    at_bound: bool
    starts: pd.DataFrame
    arrow: Arrow
    fit_verdict: FitVerdict
    background_shares: FloatArray
    origin: Origin | None
    seconds_starts: float
    seconds: float
    samples: pd.DataFrame | None = None
    left_out: LeftOut | None = None
    not_cycling: Beside | None = None


@dataclass(frozen=True)
class Found:
    """What the search found.

    Attributes
    ----------
    trial
        The winner's short fit.
    curves
        The winner's parameters of all genes, with which the main run begins.
    states, genes
        States of both, and which genes the short fit knows, ``(genes,)``.
    starts
        Table of the starts tried.
    arrow
        Evidence for the direction of time.
    fit_verdict
        Whether the model fits.
    lineage_votes, at_bound
        The number of lineages in draws of the cells, where the data chose it, and whether more were not allowed.
    not_cycling
        The state of cells that do not cycle, with which the main run begins; None where all do.
    """

    trial: Trial
    curves: SoftParameters
    states: States
    genes: BoolArray
    starts: pd.DataFrame
    arrow: Arrow
    fit_verdict: FitVerdict
    lineage_votes: LineageVotes | None
    at_bound: bool
    not_cycling: NotCycling | None = None

    @property
    def n_lineages(self) -> int:
        """Number of lineages."""
        return self.states.layout.n_lineages


@dataclass(frozen=True)
class Beginning:
    """Where the starts leave off.

    Attributes
    ----------
    problem
        Of all genes, and of all cells or as many as EM begins with.
    first
        Parameters to begin with.
    found
        What the search found.
    everyone
        All cells; those of the problem if they are all.
    """

    problem: SoftProblem
    first: SoftParameters
    found: Found
    everyone: Cells

    @property
    def of_everyone(self) -> Beginning:
        """The same with all cells in the problem."""
        rate_prior = replace(self.problem.rate_prior, n_cells=self.everyone.n_cells)
        return replace(self, problem=replace(self.problem, cells=self.everyone, rate_prior=rate_prior))
