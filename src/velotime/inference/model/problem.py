"""The soft EM as a problem for the loop: posterior over states, sums over cells, curves to sums."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from velotime._types import BoolArray, FloatArray, IntArray
from velotime.compute import Backend, Layer, Sums, SweepModel, pad_states
from velotime.inference.knowledge.prior_rows import PriorRows
from velotime.inference.knowledge.time_prior import TimePrior
from velotime.inference.model.background.learning import learn_background
from velotime.inference.model.background.means import with_background
from velotime.inference.model.clock import LEAVE_ROOM, Warp, best_warp, try_warp, warp_density
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.layer import LayerData
from velotime.inference.model.leaving.state import NotCycling, SumsBeside, all_layers
from velotime.inference.model.mstep import Descent, Restart, begin, improve, restart
from velotime.inference.model.noise import Noise
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.effects import SampleEffects
from velotime.inference.model.scores import Scoring, together
from velotime.inference.model.sums import sums_under, with_all_rows
from velotime.inference.observations import Observations
from velotime.inference.states import States

N_LEVELS = 32  # steps of the ladder that size factors are rounded to
RUN_OF_CELLS = 1024  # of a fine grid: their posterior and what is computed of it take some 10 MB
STEPS = 2  # Levenberg-Marquardt steps per M-step


@dataclass(frozen=True)
class Cells:
    """The cells of a fit, in the order in which the sweep is fastest: by size factor.

    Attributes
    ----------
    order
        ``order[k]`` is the caller's index of the k-th cell here.
    unspliced, spliced
        What does not change during a fit, of each layer.
    prior_rows
        Groups of cells with a time prior of their own, and what is known of each cell.
    n_averaged
        Cells that each value is a mean of, as many as say the same.
    """

    order: IntArray
    unspliced: LayerData
    spliced: LayerData
    prior_rows: PriorRows
    n_averaged: float = 1.0

    @classmethod
    def of(
        cls, observations: Observations, prior_rows: PriorRows, noise: Noise, drawn: IntArray | None = None
    ) -> Cells:
        """Round size factors, sort the cells by them and read both layers.

        Of ``drawn`` cells only, if they are given, of which ``prior_rows`` are; sparse values are not copied for it.
        """
        n_levels = N_LEVELS if noise.counts else 1
        u = LayerData.of(observations.unspliced, observations.size_unspliced, n_levels, drawn)
        s = LayerData.of(observations.spliced, observations.size_spliced, n_levels, drawn)
        rank = observations.content_rank
        order = np.lexsort((rank if drawn is None else rank[drawn], u.level, s.level))
        return cls(order, u.cells(order), s.cells(order), prior_rows.take(order), observations.n_averaged)

    def genes(self, index: IntArray) -> Cells:
        """The same cells with these genes only."""
        return replace(self, unspliced=self.unspliced.genes(index), spliced=self.spliced.genes(index))

    def at(self, index: IntArray) -> Cells:
        """Some of the cells, in this order, in memory."""
        u, s = self.unspliced.cells(index), self.spliced.cells(index)
        return Cells(self.order[index], u, s, self.prior_rows.take(index), self.n_averaged)

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.order)

    @property
    def worth(self) -> float:
        """How many independent cells say as much as these."""
        return self.n_cells / self.n_averaged

    @cached_property
    def layers(self) -> tuple[Layer, Layer]:
        """Both layers as the sweep reads them."""
        u, s = self.unspliced, self.spliced
        return Layer.of(u.given, u.level, u.size, u.rows), Layer.of(s.given, s.level, s.size, s.rows)

    def sweep(self, backend: Backend, model: SweepModel) -> tuple[Sums, float]:
        """Sums under the posterior, a row of weights for each row of the prior, and the log evidence of all cells."""
        row = self.prior_row
        sums, log_evidence = backend.accumulate(*self.layers, model, row, row)
        return with_all_rows(sums, self.prior_rows.n_rows), float(log_evidence.sum(dtype=np.float64))

    def posteriors(self, backend: Backend, model: SweepModel) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells, a run of them at a time, in this order."""
        for first in range(0, self.n_cells, RUN_OF_CELLS):
            cells = slice(first, min(first + RUN_OF_CELLS, self.n_cells))
            yield cells, backend.posterior(*self.layers, model, self.prior_row, cells=cells)[0]

    @cached_property
    def prior_row(self) -> IntArray:
        """Row of the prior of each cell, ``(cells,)``, int32."""
        return self.prior_rows.row.astype(np.int32)


@dataclass(frozen=True)
class SoftParameters:
    """Everything the soft EM learns.

    Attributes
    ----------
    theta
        Curves: parameters of each gene, ``(genes, parameters)``.
    unspliced_scatter, spliced_scatter
        The noise model's parameter, ``(genes,)``.
    prior
        Time prior, ``(groups, states)``.
    known
        Log weights of each piece of knowledge, ``(rows of the piece, states)`` each.
    background
        Counts of both layers that are in every cell whatever its state, at size factor 1, ``(2, genes)``; None for
        nothing. See ``background``.
    effects
        What each of several samples has of its own.
    not_cycling
        The state of cells that do not cycle; None where all do.
    parting
        Time until which two lineages explain counts alike, ``(lineages, lineages)``; None: never.
    """

    theta: FloatArray
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray
    prior: FloatArray
    known: tuple[FloatArray, ...] = ()
    background: FloatArray | None = None
    effects: SampleEffects | None = field(default=None, kw_only=True)
    not_cycling: NotCycling | None = field(default=None, kw_only=True)
    parting: FloatArray | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Iterate(SoftParameters):
    """The same as the M-step leaves them in a run, with where its optimiser stands.

    Attributes
    ----------
    damping
        Of each gene's next step, ``(genes,)``.
    """

    damping: FloatArray = field(kw_only=True)


@dataclass(frozen=True)
class SoftProblem:
    """E- and M-step of the soft EM on given cells.

    Attributes
    ----------
    cells
        The cells.
    states
        Their possible states.
    noise, time_prior, rate_prior
        The model.
    restarts
        Iterations in which every gene is tried again from scratch.
    restart
        How that is done.
    clock_moves
        Iterations in which other clocks are tried for the same cells.
    profile
        Where the background is learned, what it is a share of: counts of each gene, ``(2, genes)``. Else None, and it
        stays what it is in the parameters.
    make_room
        The iteration in which the times of the cells are moved a little inwards from both ends, if any:
        annealing spreads the cells over the whole clock, and those at an end need room to move.
    """

    cells: Cells
    states: States
    noise: Noise
    time_prior: TimePrior
    rate_prior: RatePrior
    restarts: frozenset[int] = frozenset()
    restart: Restart = restart
    clock_moves: frozenset[int] = frozenset()
    make_room: int | None = None
    profile: FloatArray | None = None

    @property
    def silent(self) -> SoftProblem:
        """The same problem as if nothing but the groups were known of the cells."""
        rows = self.cells.prior_rows
        return replace(self, cells=replace(self.cells, prior_rows=rows.silent)) if rows.knowledge else self

    @property
    def restarting(self) -> SoftProblem:
        """The same problem on the clock that was found, with every gene tried again in the first iteration."""
        return self.again(0)

    def again(self, restart: int, moves: frozenset[int] = frozenset()) -> SoftProblem:
        """The same problem with every gene tried again in one iteration, and in some, if it has any, other clocks."""
        moves = moves if self.clock_moves else frozenset()
        return replace(self, restarts=frozenset({restart}), clock_moves=moves, make_room=None)

    def means(self, parameters: SoftParameters) -> tuple[FloatArray, FloatArray]:
        """Expected counts of both layers at size factor 1, curve and background, each ``(genes, states)``."""
        return with_background(self.states.means(parameters.theta), parameters.background)

    def strata(self, parameters: SoftParameters) -> Iterator[tuple[SoftProblem, SoftParameters]]:
        """Cells with parameters of their own: their problem and their parameters.

        All cells here; each sample where there are several.
        """
        yield self, parameters

    def joined(self, parts: list[Sums]) -> Sums:
        """Sums of the strata together."""
        return parts[0]

    def expect(self, parameters: SoftParameters, temperature: float) -> tuple[Sums, float]:
        """Sums under the posterior, and the bound per cell (at a higher temperature, its heated counterpart)."""
        model, rest = self.sweep_model(parameters, temperature)
        statistics, log_evidence = self.sweep(model, parameters.not_cycling)
        return statistics, (temperature * log_evidence + rest - self.penalty(parameters)) / self.cells.n_cells

    def penalty(self, parameters: SoftParameters) -> float:
        """Minus log prior density of all parameters, and the price of the means of cells that do not cycle, nats."""
        price = 0.0 if parameters.not_cycling is None else parameters.not_cycling.price(self.cells.n_cells)
        return float(self.rate_prior.penalty(parameters.theta).sum()) + price

    def expect_by(self, parameters: SoftParameters, genes: BoolArray, temperature: float) -> Sums:
        """Sums of all genes under the posterior that ``genes`` alone give; the parameters are those of ``genes``."""
        model, _ = self.sweep_model(parameters, temperature, genes)
        return self.sweep(model, parameters.not_cycling)[0]

    def sweep(self, model: SweepModel, beside: NotCycling | None = None) -> tuple[Sums, float]:
        """Sums under the posterior and log evidence of all cells; ``beside`` is a state that the model has besides."""
        sums, log_evidence = self.cells.sweep(self.states.backend, model)
        n_states = self.states.n_states
        if beside is not None:
            return SumsBeside.of(sums.first_states(n_states + 1)), log_evidence
        return sums.first_states(n_states), log_evidence

    def posterior(self, model: SweepModel, cells: slice) -> tuple[FloatArray, FloatArray]:
        """Posterior ``(cells, states)`` and log evidence of a run of cells, in the sweep's order."""
        q, evidence = self.states.backend.posterior(*self.cells.layers, model, self.cells.prior_row, cells=cells)
        return q[:, : self.states.n_states], evidence

    def posteriors(self, model: SweepModel) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells, a run of them at a time, in the sweep's order."""
        for cells, q in self.cells.posteriors(self.states.backend, model):
            yield cells, q[:, : self.states.n_states]

    def all_posteriors(self, parameters: SoftParameters, n: float = 1.0) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells to the power 1/n, a run of them at a time, in the sweep's order."""
        scoring = self.scoring(parameters)
        model = scoring.model(scoring.layers())
        return self.posteriors(replace(model, log_prior=model.log_prior / np.float32(n), temperature=n))

    def sweep_model(
        self, parameters: SoftParameters, temperature: float = 1.0, genes: BoolArray | None = None
    ) -> tuple[SweepModel, float]:
        """Tables for the sweep, and the log-likelihood that they leave out.

        With ``genes`` the scores come from these alone and the second value has no meaning.
        """
        scoring = self.scoring(parameters, temperature, genes)
        u, s = layers = scoring.layers()
        left_out = u.left_out(self.cells.unspliced), s.left_out(self.cells.spliced)
        return scoring.model(layers), 0.0 if genes is not None else self.rest(parameters, left_out)

    def rest(self, parameters: SoftParameters, left_out: tuple[float, float]) -> float:
        """The part of the log-likelihood that tables of both layers leave out, with what depends on no state, nats."""
        u = left_out[0] + float(self.noise.constant(self.cells.unspliced, parameters.unspliced_scatter).sum())
        return u + (left_out[1] + float(self.noise.constant(self.cells.spliced, parameters.spliced_scatter).sum()))

    def scoring(self, parameters: SoftParameters, temperature: float = 1.0, genes: BoolArray | None = None) -> Scoring:
        """What tables for the sweep are made of; with ``genes``, of which the parameters are, these alone score."""
        cells, beside = self.cells, parameters.not_cycling
        known = cells.prior_rows.log_prior(parameters.prior, parameters.known, temperature)
        known = known if beside is None else beside.log_prior(known)
        extra = pad_states(known.shape[1]) - known.shape[1]
        return Scoring(
            self.noise,
            self.states,
            parameters.theta,
            (parameters.unspliced_scatter, parameters.spliced_scatter),
            parameters.background,
            (cells.unspliced.levels, cells.spliced.levels),
            np.pad(known.astype(np.float32), ((0, 0), (0, extra)), constant_values=-np.inf),
            temperature,
            genes,
            beside,
            together(parameters.parting, self.states),
        )

    def first(self, statistics: Sums) -> SoftParameters:
        """Parameters from statistics alone: every shape of every gene is tried."""
        scatter = tuple(self.noise.initial_scatter(d) for d in (self.cells.unspliced, self.cells.spliced))
        problem = GeneProblem(self.states, self.noise, self.rate_prior, *statistics.layers, *scatter)
        genes = self.restart(problem, None)
        return self._rest_of_m_step(statistics, genes, *scatter)

    def maximise(self, parameters: SoftParameters, statistics: Sums, iteration: int) -> SoftParameters:
        """Curves, then scatter, then time prior and how labels lie on the clock."""
        scatter = parameters.unspliced_scatter, parameters.spliced_scatter
        genes, problem = self._curves(parameters, statistics, iteration)
        rest = self._rest_of_m_step(statistics, genes, *scatter, problem.background)
        return self._on_other_clocks(replace(rest, parting=parameters.parting), statistics, iteration)

    def _curves(self, parameters: SoftParameters, statistics: Sums, iteration: int) -> tuple[Descent, GeneProblem]:
        """Curves, and the problem that they are of: with the background as it is now, where that is learned."""
        problem = self.gene_problem(parameters, statistics)
        if iteration in self.restarts:
            genes = self.restart(problem, parameters.theta)
        else:
            damping = parameters.damping if isinstance(parameters, Iterate) else None
            genes = improve(problem, begin(problem, parameters.theta, damping), STEPS)
        return (genes, problem) if self.profile is None else learn_background(problem, genes, self.profile)

    def _on_other_clocks(self, updated: Iterate, statistics: Sums, iteration: int) -> Iterate:
        """The same on the clocks that this iteration tries, where they are better."""
        if iteration in self.clock_moves:
            warp = best_warp(self.gene_problem(updated, statistics), updated.theta)
            updated = updated if warp is None else self._follow(updated, statistics, warp)
        return self._follow(updated, statistics, LEAVE_ROOM) if iteration == self.make_room else updated

    def _follow(self, parameters: Iterate, statistics: Sums, warp: Warp) -> Iterate:
        """Curves and time prior on another clock."""
        genes = try_warp(self.gene_problem(parameters, statistics), parameters.theta, warp)
        prior = warp_density(parameters.prior, self.states, warp)
        moved = replace(parameters, theta=genes.theta, damping=genes.damping, prior=prior)
        return moved if moved.parting is None else replace(moved, parting=warp(moved.parting))

    def _rest_of_m_step(
        self,
        statistics: Sums,
        genes: Descent,
        u_scatter: FloatArray,
        s_scatter: FloatArray,
        background: FloatArray | None = None,
    ) -> Iterate:
        means, cells = with_background(self.states.means(genes.theta), background), self.cells
        beside = NotCycling.of(statistics.all_states) if isinstance(statistics, SumsBeside) else None
        u_means, s_means = means if beside is None else beside.beside(means)
        u_sums, s_sums = all_layers(statistics)
        u_scatter = self.noise.update_scatter(u_scatter, u_sums, u_means, cells.unspliced)
        s_scatter = self.noise.update_scatter(s_scatter, s_sums, s_means, cells.spliced)
        return Iterate(
            genes.theta,
            u_scatter,
            s_scatter,
            self.time_prior.update(cells.prior_rows.by_group(statistics.weight), self.states),
            cells.prior_rows.update(statistics.weight, self.states),
            background,
            damping=genes.damping,
            not_cycling=beside,
        )

    def gene_problem(self, parameters: SoftParameters, statistics: Sums) -> GeneProblem:
        """The M-step's problem at these parameters, for looking at single genes."""
        return GeneProblem(
            self.states,
            self.noise,
            self.rate_prior,
            *statistics.layers,
            parameters.unspliced_scatter,
            parameters.spliced_scatter,
            parameters.background,
        )

    @property
    def background_profile(self) -> FloatArray:
        """What a background is a share of: mean count of each gene at size factor 1, ``(2, genes)``."""
        layers = self.cells.unspliced, self.cells.spliced
        return np.stack([layer.value_per_level.sum(axis=0) / layer.size.sum() for layer in layers])

    def with_background_of(self, genes: GeneProblem, parameters: SoftParameters) -> SoftParameters:
        """Parameters with the background of an M-step's problem."""
        return replace(parameters, background=genes.background)

    def statistics_of(self, assignment: FloatArray) -> Sums:
        """Sums under a posterior ``(cells, states)``, in the caller's order; a state more if some are off the clock."""
        cells = self.cells
        q = assignment[cells.order]
        sums = sums_under(cells.unspliced, cells.spliced, q, cells.prior_row, cells.prior_rows.n_rows)
        return SumsBeside.of(sums) if q.shape[1] > self.states.n_states else sums
