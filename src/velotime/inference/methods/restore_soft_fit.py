"""A fit by ``SoftEM`` taken up again from what was stored of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velotime._types import FloatArray
from velotime.inference.labels import CellLabels, match_groups
from velotime.inference.methods.soft_em import SoftEM
from velotime.inference.methods.soft_fit import SoftFit
from velotime.inference.model.leaving.state import NotCycling
from velotime.inference.model.problem import SoftParameters
from velotime.inference.model.rate_prior import RatePrior
from velotime.inference.model.samples.cells import cells_of
from velotime.inference.model.samples.effects import SampleEffects
from velotime.inference.model.samples.problem import problem_of
from velotime.inference.observations import Observations
from velotime.inference.results.restored_fit import Restored
from velotime.inference.states import Layout, States


@dataclass(frozen=True)
class StoredCurves:
    """What a ``SoftEM`` fit learned.

    Attributes
    ----------
    theta
        Parameters of each gene, ``(genes, parameters)``.
    unspliced_scatter, spliced_scatter
        Of the noise model, ``(genes,)``.
    times
        The time grid, ``(times,)``.
    prior
        Time prior, ``(groups, states)``.
    groups
        Names of the groups.
    known
        Log weights of each piece of knowledge, ``(rows of the piece, states)`` each.
    background
        Counts in every cell whatever its state, at size factor 1, ``(2, genes)``; None for nothing.
    effects
        What each of several samples has of its own.
    not_cycling
        The state of cells that do not cycle; None where all do.
    parting
        Time from which on counts tell two lineages apart, ``(lineages, lineages)``; None for always.
    """

    theta: FloatArray
    unspliced_scatter: FloatArray
    spliced_scatter: FloatArray
    times: FloatArray
    prior: FloatArray
    groups: tuple[str, ...] = ("all",)
    known: tuple[FloatArray, ...] = ()
    background: FloatArray | None = None
    effects: SampleEffects | None = None
    not_cycling: NotCycling | None = None
    parting: FloatArray | None = None


def restore(method: SoftEM, observations: Observations, labels: CellLabels, stored: StoredCurves) -> Restored:
    """Take up a fit of ``method`` to these observations again."""
    curve = method.clock.curve
    layout = Layout((stored.theta.shape[1] - Layout(0).n_parameters) // curve.n_own, curve)
    rows = method.prior_rows(labels)
    cells = cells_of(observations, rows, method.noise)
    problem = problem_of(
        cells,
        States(stored.times, layout),
        method.noise,
        method.time_prior,
        RatePrior(layout, cells.n_cells, cells.n_averaged),
    )
    prior = match_groups(stored.prior, stored.groups, rows.groups.names)
    known = tuple(  # a label that the fitted cells do not have carries no information
        np.pad(table, ((0, max(int(n) + 1 - len(table), 0)), (0, 0)))
        for table, n in zip(stored.known, rows.sources.max(axis=0), strict=True)
    )
    effects = stored.effects
    if effects is not None and isinstance(observations, Observations):
        effects = effects.named(observations.sample_names)
    scatter = stored.unspliced_scatter, stored.spliced_scatter
    parameters = SoftParameters(stored.theta, *scatter, prior, known, stored.background)
    parameters = replace(parameters, effects=effects, not_cycling=stored.not_cycling, parting=stored.parting)
    return Restored(problem, parameters)


def place_all(method: SoftEM, observations: Observations, labels: CellLabels, fit: SoftFit) -> Restored:
    """Any cells on the curves of a fit of ``method`` to some of them."""
    parameters = fit.parameters
    stored = StoredCurves(
        parameters.theta,
        parameters.unspliced_scatter,
        parameters.spliced_scatter,
        fit.states.times,
        parameters.prior,
        fit.groups.names,
        parameters.known,
        parameters.background,
        parameters.effects,
        None if fit.not_cycling is None else fit.not_cycling.state,
        parameters.parting,
    )
    return restore(method, observations, labels, stored)
