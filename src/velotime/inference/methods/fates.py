r"""Lineages before they part: one trunk, and shares that make the posterior of a cell's lineage that of its fate.

Nothing in the model keeps lineages together before they part, and where cells differ in something else, such as the
cell cycle, lineages take that up: early cells are then sure of a lineage that says nothing of their fate, and which of
their kinds goes with which fate is chance (by it, five seeds of the pancreas ended 760 nats apart). So once lineages
have formed, it is measured when they part: the difference of two lineages' means, in standard deviations of a cell's
counts, along the difference that the last fifth of the cells has,

    d_g(t) = (mu_gk(t) - mu_gl(t)) / sd_g(t),    P(t) = d(t) . r / |r|,   r the mean d of these cells.

Until P reaches one for good, lineages score alike: a cell's log-likelihood is the mean of theirs there, a bound from
below that is met where curves are the same, so that curves gain nothing by telling early cells apart.

Before lineages part their curves are the same: counts say nothing of a cell's lineage, and EM leaves the shares there
where they began, equal. What is known of the fates of these cells is how many cells go into each lineage afterwards.
So, with the curves fitted, shares are drawn backwards along the clock, the share at a time towards that at the next:

    rho_k(t) = (i_k(t) + c rho_k(t + 1)) / (i(t) + c),   i_k(t) = n_k(t) - (1 - r(t)) n(t) rho_k(t),

with n the expected numbers of cells, and r the share of what all labels would tell of rho that counts do tell (Louis,
J. R. Stat. Soc. B 44:226, 1982), from p, a cell's posterior of lineages given its time:

    r(t) = 1 - sum_ik n_ik(t) (1 - p_ik(t)) / (n(t) (1 - sum_k rho_k(t)^2)).

Where counts tell nothing, r = 0 and the share is that of the next time; where they tell all, cells count themselves and
c cells are credited. Before any lineages part, all times have the shares of all cells afterwards: those just after are
few, and where they stand tells little of where early cells go. As shares of fates they are right if lineages grow, die
and were sampled alike.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np

from velotime._types import FloatArray
from velotime.inference.knowledge.time_prior import LearnedPrior, SharedPrior
from velotime.inference.methods.soft_fit import SoftRun
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.scores import average, columns_of, together

MOST_CELLS = 5000  # of each group, from which shares are learned
CREDIT = 100.0  # cells: the share at a branching is known to 0.05 from so many
LEAST_CREDIT = 1e-6  # likewise, so that no share of the trunk is zero
ROUNDS = 50
CLOSE = 1e-4  # change of a share that ends the rounds
LEAST = 1e-12
LATE = 0.2  # of the cells by time, along whose difference it is measured when lineages part
APART = 1.0  # standard deviations of a cell's counts between lineages that have parted


def with_trunk(problem: SoftProblem, run: SoftRun) -> SoftRun:
    """The same fit with lineages that are one until they part; its E-step made again. One lineage stays as it is."""
    if problem.states.layout.n_lineages == 1:
        return run
    parting = parting_times(problem, run.parameters)
    prior = run.parameters.prior.copy()
    for columns in columns_of(together(parting, problem.states), len(problem.states.times)):
        average(prior, columns)
    parameters = replace(run.parameters, parting=parting, prior=prior)
    statistics, bound = problem.expect(parameters, 1.0)
    return replace(run, parameters=parameters, statistics=statistics, bound=bound)


def parting_times(problem: SoftProblem, parameters: SoftParameters) -> FloatArray:
    """Time from which on each pair of lineages is told apart, ``(lineages, lineages)``; 0 where none is told."""
    n_lineages = problem.states.layout.n_lineages
    scatter = parameters.unspliced_scatter, parameters.spliced_scatter
    layers = [
        (means.reshape(len(means), n_lineages, -1), problem.noise.variance_terms(own)[:, :, None])
        for means, own in zip(problem.means(parameters), scatter, strict=True)
    ]
    density = parameters.prior.mean(axis=0).reshape(n_lineages, -1)
    parting = np.zeros((n_lineages, n_lineages))
    for k, other in combinations(range(n_lineages), 2):
        pairs = [(means[:, k], means[:, other], terms) for means, terms in layers]
        apart = np.concatenate([_difference(*pair) for pair in pairs])
        first = _first_apart(apart, np.minimum(density[k], density[other]))
        parting[k, other] = parting[other, k] = problem.states.times[first]
    return parting


def _difference(one: FloatArray, other: FloatArray, terms: FloatArray) -> FloatArray:
    """Of two lineages' means, in standard deviations of a count at size factor 1, ``(genes, times)``."""
    mean = 0.5 * (one + other)
    return np.asarray((one - other) / np.sqrt(terms[0] + terms[1] * mean + terms[2] * mean**2 + LEAST))


def _first_apart(apart: FloatArray, weight: FloatArray) -> int:
    """The first time from which on differences ``(genes, times)`` reach ``APART`` along those of late cells."""
    late = weight * (np.cumsum(weight) > (1 - LATE) * weight.sum())
    direction = apart @ late
    along = direction @ apart / max(float(np.linalg.norm(direction)), LEAST)
    below = np.flatnonzero(along < APART)
    return int(below[-1]) + 1 if len(below) and below[-1] + 1 < len(along) else 0


def with_fates(problem: SoftProblem, run: SoftRun) -> SoftRun:
    """The same fit with shares of the lineages carried back to before they part; its E-step made again.

    A fit of one lineage stays as it is, as does a time prior that is not learned.
    """
    layout = problem.states.layout
    if layout.n_lineages == 1 or not isinstance(problem.time_prior, LearnedPrior | SharedPrior):
        return run
    prior, trunk = run.parameters.prior.copy(), _n_trunk(problem, run.parameters)
    for group, (likelihood, worth) in _likelihoods(problem, run.parameters).items():
        by_lineage = prior[group].reshape(layout.n_lineages, -1)
        prior[group] = (by_lineage.sum(axis=0) * carried_back(likelihood, by_lineage, worth, trunk)).ravel()
    parameters = replace(run.parameters, prior=prior)
    statistics, bound = problem.expect(parameters, 1.0)
    return replace(run, parameters=parameters, statistics=statistics, bound=bound)


def _n_trunk(problem: SoftProblem, parameters: SoftParameters) -> int:
    """How many times there are before any two lineages part."""
    if parameters.parting is None:
        return 0
    pairs = parameters.parting[~np.eye(len(parameters.parting), dtype=bool)]
    return int(np.searchsorted(problem.states.times, pairs.min()))


def carried_back(likelihood: FloatArray, prior: FloatArray, worth: float = 1.0, trunk: int = 0) -> FloatArray:
    """Shares of the lineages at each time, ``(lineages, times)``; they sum to one at each.

    Parameters
    ----------
    likelihood
        Of each cell's counts in each state, up to a factor of the cell, ``(cells, lineages, times)``.
    prior
        Of the states, ``(lineages, times)``.
    worth
        Cells that each of them stands for.
    trunk
        Times before any lineages part.
    """
    density = prior.sum(axis=0)
    shares = prior / density
    for _ in range(ROUNDS):
        q = likelihood * (density * shares)
        q /= q.sum(axis=(1, 2), keepdims=True)
        before, shares = shares, _backwards(_told(q, shares, worth), trunk)
        if np.abs(shares - before).max() < CLOSE:
            break
    return np.asarray(shares)


def _told(q: FloatArray, shares: FloatArray, worth: float) -> FloatArray:
    """What counts tell of the share of each lineage, in cells, ``(lineages, times)``."""
    at_time = q.sum(axis=1, keepdims=True)
    of_lineage = q / np.maximum(at_time, LEAST)
    n = worth * q.sum(axis=0)
    untold = worth * (q * (1 - of_lineage)).sum(axis=(0, 1))
    everything = n.sum(axis=0) * (1 - (shares**2).sum(axis=0))
    told = np.clip(1 - untold / np.maximum(everything, LEAST), 0, 1)
    return np.asarray(np.maximum(n - (1 - told) * n.sum(axis=0) * shares, 0))


def _backwards(told: FloatArray, trunk: int = 0) -> FloatArray:
    """Shares from the last time to the first; on the trunk those of all cells after it."""
    shares = np.empty_like(told)
    after, credit = np.full(len(told), 1 / len(told)), 1.0
    for t in range(told.shape[1] - 1, -1, -1):
        found = told[:, t] + credit * after
        after = shares[:, t] = found / found.sum()
        credit = CREDIT
    later = told[:, trunk:].sum(axis=1, keepdims=True) + LEAST_CREDIT * shares[:, trunk : trunk + 1]
    shares[:, :trunk] = later / later.sum()
    return shares


def _likelihoods(problem: SoftProblem, parameters: SoftParameters) -> dict[int, tuple[FloatArray, float]]:
    """Of some cells of each group: the likelihood of each state, and how many cells one of them stands for."""
    found: dict[int, list[FloatArray]] = {}
    sizes = np.bincount(problem.cells.prior_rows.group[problem.cells.prior_rows.row], minlength=len(parameters.prior))
    steps = -(-sizes // MOST_CELLS)
    rows = problem.cells.prior_rows
    for at, q in problem.all_posteriors(parameters):
        groups = rows.group[rows.row[at]]
        for group in np.unique(groups):
            some = q[groups == group][:: max(1, steps[group])]
            found.setdefault(int(group), []).append(_without(some, parameters.prior[group], problem))
    whole = {group: np.concatenate(parts) for group, parts in found.items()}
    return {group: (one, sizes[group] / len(one)) for group, one in whole.items()}


def _without(q: FloatArray, prior: FloatArray, problem: SoftProblem) -> FloatArray:
    """Posterior over prior, scaled to a largest value of one, ``(cells, lineages, times)``."""
    ratio = q[:, : len(prior)].astype(float) / prior
    ratio /= ratio.max(axis=1, keepdims=True)
    return np.asarray(ratio.reshape(len(q), problem.states.layout.n_lineages, -1))
