"""The soft EM of several samples: each sample's own tables in the E-step, sums of each in the M-step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from velotime._types import BoolArray, FloatArray
from velotime.compute import Sums
from velotime.inference.knowledge.time_prior import TimePrior
from velotime.inference.model.gene_problem import GeneProblem
from velotime.inference.model.layer import LayerData
from velotime.inference.model.mstep import Descent
from velotime.inference.model.noise import Noise
from velotime.inference.model.problem import Cells, Iterate, SoftParameters, SoftProblem
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.blocks import SampledBlocks
from velotime.inference.model.samples.cells import SampledCells
from velotime.inference.model.samples.effects import SampleEffects, with_capture
from velotime.inference.model.samples.genes import SampledGenes, SampledSums, SampleSums, pooled
from velotime.inference.model.samples.learning import Captured, learn_effects, learn_scatter
from velotime.inference.model.samples.swept import Swept
from velotime.inference.model.scores import Scoring
from velotime.inference.states import States

LEARNING = 10  # iterations in which short fits learn how much samples differ
FREE_ROUNDS = 3  # of capture and free means, before there are curves
EXPECTED_AT_LEAST = 20.0  # counts of a gene, of which a sample has none, from which on it counts as not measured there


@dataclass(frozen=True)
class SampledProblem(SoftProblem):
    """E- and M-step where cells are of several samples.

    Attributes
    ----------
    learning
        Iterations in which the spread of capture is learned; then it stays, so that the bound does not fall.
    """

    learning: int = LEARNING

    def again(self, restart: int, moves: frozenset[int] = frozenset()) -> SampledProblem:
        """The same, with what is learned of how samples differ in spread."""
        return replace(super().again(restart, moves), learning=0)  # type: ignore[return-value,call-arg]

    @property
    def _sampled(self) -> SampledCells | SampledBlocks:
        """The cells, which know their samples."""
        assert isinstance(self.cells, SampledCells | SampledBlocks)
        return self.cells

    @property
    def _parts(self) -> tuple[Cells, ...]:
        return self._sampled.parts

    @property
    def _names(self) -> tuple[str, ...]:
        return self._sampled.names

    def _alone(self, cells: Cells) -> SoftProblem:
        return SoftProblem(cells, self.states, self.noise, self.time_prior, self.rate_prior)

    @property
    def seen(self) -> list[int]:
        """Samples that have cells."""
        return [b for b, cells in enumerate(self._parts) if cells.n_cells]

    def strata(self, parameters: SoftParameters) -> Iterator[tuple[SoftProblem, SoftParameters]]:
        """The problem of each sample that has cells, and its parameters."""
        for b in self.seen:
            yield self._alone(self._parts[b]), of_sample(parameters, b)

    def joined(self, parts: list[Sums]) -> Sums:
        """Sums of the strata together."""
        rest = iter(parts)
        empty = Sums.zero(self.cells.unspliced.n_genes, len(parts[0].weight), self.states.n_states)
        return SampledSums.of([next(rest) if cells.n_cells else empty for cells in self._parts])

    # ------------------------------------------------------------------ E-step
    def expect(self, parameters: SoftParameters, temperature: float) -> tuple[Sums, float]:
        """Sums under the posterior of each sample, and the bound per cell."""
        assert parameters.effects is not None
        strata = list(self.strata(parameters))
        parts, total = [], -float(self.rate_prior.penalty(parameters.theta).sum()) - parameters.effects.penalty
        swept = self.sweep_each([part.scoring(own, temperature) for part, own in strata])
        for (part, own), one in zip(strata, swept, strict=True):
            total += temperature * one.log_evidence + part.rest(own, one.left_out)
            parts.append(one.sums)
        return self.joined(parts), total / self.cells.n_cells

    def expect_by(self, parameters: SoftParameters, genes: BoolArray, temperature: float) -> Sums:
        """Sums of all genes under the posterior that ``genes`` alone give."""
        swept = self.sweep_each([part.scoring(own, temperature, genes) for part, own in self.strata(parameters)])
        return self.joined([one.sums for one in swept])

    def sweep_each(self, scorings: list[Scoring]) -> Iterator[Swept]:
        """What a sweep tells of each sample that has cells, each with its own curves."""
        for one in self._sampled.sweep_each(self.states.backend, scorings):
            yield replace(one, sums=one.sums.first_states(self.states.n_states))

    def all_posteriors(self, parameters: SoftParameters, n: float = 1.0) -> Iterator[tuple[slice, FloatArray]]:
        """Posterior of all cells, each by the curves of its sample; n is 1 for counts."""
        assert n == 1.0
        scorings = [part.scoring(own) for part, own in self.strata(parameters)]
        for at, q in self._sampled.posteriors_each(self.states.backend, scorings):
            yield at, q[:, : self.states.n_states]

    # ------------------------------------------------------------------ M-step
    def first(self, statistics: Sums) -> SoftParameters:
        """Parameters from statistics alone: capture by free means, then every shape of every gene."""
        u, s = (self.noise.initial_scatter(d) for d in (self.cells.unspliced, self.cells.spliced))
        bare = SoftParameters(np.zeros((len(u), 0)), u, s, np.zeros((0, 0)), effects=self._first_effects(statistics))
        for _ in range(FREE_ROUNDS):
            genes = self.gene_problem(bare, statistics)
            means = genes.unspliced.means(1.0), genes.spliced.means(1.0)
            assert bare.effects is not None
            layers = self._captured(bare, statistics, means)
            bare = replace(bare, effects=learn_effects(bare.effects, layers, spread_too=True))
        found = self.restart(self.gene_problem(bare, statistics), None)
        return self._rest(bare, statistics, found, spread_too=True)

    def _first_effects(self, statistics: Sums) -> SampleEffects:
        """No differences, but for genes of which a sample has no count where it should have."""
        parts = _by_sample(statistics)
        counts = np.stack([sum(layer.value.sum(axis=1) for layer in part.layers) for part in parts], axis=1)
        size = np.array([part.spliced.size.sum() for part in parts])
        expected = counts.sum(axis=1, keepdims=True) * size / max(float(size.sum()), 1e-12)
        n_cells = np.array([cells.n_cells for cells in self._parts], dtype=np.float64)
        return SampleEffects.none(self._names, n_cells, (counts > 0) | (expected < EXPECTED_AT_LEAST))

    def maximise(self, parameters: SoftParameters, statistics: Sums, iteration: int) -> SoftParameters:
        """Curves, then capture and scatter, then time prior and how labels lie on the clock."""
        genes, problem = self._curves(parameters, statistics, iteration)
        parameters = parameters if self.profile is None else self.with_background_of(problem, parameters)
        updated = self._rest(parameters, statistics, genes, spread_too=iteration < self.learning)
        return self._on_other_clocks(updated, statistics, iteration)

    def _rest(self, parameters: SoftParameters, statistics: Sums, genes: Descent, *, spread_too: bool) -> Iterate:
        means = self.states.means(genes.theta)
        assert parameters.effects is not None
        layers = self._captured(parameters, statistics, means)
        effects = learn_effects(parameters.effects, layers, spread_too=spread_too)
        scatters, factors = [parameters.unspliced_scatter, parameters.spliced_scatter], effects.log_dispersion.copy()
        for k, layer in enumerate(layers):
            data = [_layer(cells, k) for cells in self._parts]
            scatters[k], factors[k] = learn_scatter(layer, factors[k], data, effects.log_capture[k])
        return Iterate(
            genes.theta,
            scatters[0],
            scatters[1],
            self.time_prior.update(self.cells.prior_rows.by_group(statistics.weight), self.states),
            self.cells.prior_rows.update(statistics.weight, self.states),
            effects=replace(effects, log_dispersion=factors),
            parting=parameters.parting,
            damping=genes.damping,
        )

    def _captured(
        self, parameters: SoftParameters, statistics: Sums, means: tuple[FloatArray, FloatArray]
    ) -> tuple[Captured, Captured]:
        assert parameters.effects is not None
        parts, effects = _by_sample(statistics), parameters.effects
        scatter = zip((parameters.unspliced_scatter, parameters.spliced_scatter), effects.log_dispersion, strict=True)
        u, s = (
            Captured.of(
                self.noise, [part.layers[k] for part in parts], means[k], own, effects.share, effects.besides[k]
            )
            for k, own in enumerate(scatter)
        )
        return u, s

    def gene_problem(self, parameters: SoftParameters, statistics: Sums) -> SampledGenes:
        """The M-step's problem at these parameters."""
        effects, parts = parameters.effects, _by_sample(statistics)
        assert effects is not None
        samples = tuple(
            SampleSums(
                *part.layers,
                effects.log_capture[:, :, b],
                scatters(parameters, b),
                float(effects.share[b]),
                effects.background_of(b),
            )
            for b, part in enumerate(parts)
        )
        return SampledGenes(
            self.states,
            self.noise,
            self.rate_prior,
            *pooled(samples),
            parameters.unspliced_scatter,
            parameters.spliced_scatter,
            samples=samples,
            spread=effects.spread,
        )

    @property
    def background_profile(self) -> FloatArray:
        """Mean count of each gene at size factor 1, two rows for each sample, ``(2 * samples, genes)``."""
        nothing = np.zeros((2, self.cells.unspliced.n_genes))
        parts = [self._alone(cells).background_profile if cells.n_cells else nothing for cells in self._parts]
        return np.concatenate(parts)

    def with_background_of(self, genes: GeneProblem, parameters: SoftParameters) -> SoftParameters:
        """Parameters with the background of an M-step's problem, and the captures that go with it."""
        assert isinstance(genes, SampledGenes)
        assert parameters.effects is not None
        capture = np.stack([one.log_capture for one in genes.samples], axis=2)
        found = [one.background for one in genes.samples if one.background is not None]
        background = np.stack(found, axis=2) if found else None
        return replace(parameters, effects=replace(parameters.effects, log_capture=capture, background=background))

    def statistics_of(self, assignment: FloatArray) -> Sums:
        """Sums of each sample under a given posterior ``(cells, states)``, in the caller's order of cells."""
        parts = [self._alone(cells).statistics_of(assignment) for cells in self._parts if cells.n_cells]
        return self.joined(parts)


def scatters(parameters: SoftParameters, sample: int) -> FloatArray:
    """The noise model's parameter of both layers in a sample, ``(2, genes)``."""
    assert parameters.effects is not None
    both = np.stack([parameters.unspliced_scatter, parameters.spliced_scatter])
    return np.asarray(both * np.exp(parameters.effects.log_dispersion[:, [sample]]))


def of_sample(parameters: SoftParameters, sample: int) -> SoftParameters:
    """The parameters of a sample, as those of a fit of it alone."""
    assert parameters.effects is not None
    u, s = scatters(parameters, sample)
    theta = with_capture(parameters.theta, parameters.effects.log_capture[:, :, sample])
    background = parameters.effects.background_of(sample)
    return SoftParameters(theta, u, s, parameters.prior, parameters.known, background, parting=parameters.parting)


def problem_of(cells: Cells, states: States, noise: Noise, time_prior: TimePrior, rate_prior: RatePrior) -> SoftProblem:
    """The problem of these cells: that of several samples where they are of several."""
    kind = SampledProblem if isinstance(cells, SampledCells | SampledBlocks) else SoftProblem
    return kind(cells, states, noise, time_prior, rate_prior)


def _by_sample(statistics: Sums) -> tuple[Sums, ...]:
    assert isinstance(statistics, SampledSums)
    return statistics.by_sample


def _layer(cells: Cells, k: int) -> LayerData:
    return cells.spliced if k else cells.unspliced
