"""Is there a trajectory at all? Models of the same cells, judged on counts that none of them has seen.

A constant, clusters, and a trajectory are fitted to a part of the counts and judged on the rest (``heldout.scores``).
Clusters enter twice: with as many parameters per gene as the trajectory has, and with the number that does best. With
enough clusters any trajectory can be cut into pieces, so where the best number wins, one more question is asked: do the
cells lie *between* that many points? The cells are scored on the same curves with only that many states, the best ones.
If they score as well as with the whole clock, they are clusters that a curve happens to join; if they score worse, they
fill the clock.

A clock that goes round is fitted as well. It is the account of the cells if it is as likely as the trajectory (its
curves have a parameter less), does not predict held-out counts worse, and if cells lie all the way round: a line
with its ends joined leaves the way back empty.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.special import logsumexp

from velotime._status import InputError
from velotime._types import FloatArray, IntArray
from velotime.inference.em import Schedule, run_em
from velotime.inference.heldout.clusters import cluster_states, fit_clusters
from velotime.inference.heldout.scores import StateModel, predict
from velotime.inference.heldout.thinning import ThinnedCounts, compare
from velotime.inference.model.problem import Cells, SoftProblem
from velotime.inference.observations import Observations
from velotime.inference.search.circle.orders import has_no_gap
from velotime.inference.search.circle.search import CycleSearch
from velotime.inference.search.roots import Search
from velotime.inference.search.trials import Trial

NUMBERS_OF_CLUSTERS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20)
LEAST_CELLS = 20  # a cluster, on average
ERRORS = 2.0  # standard errors by which a model must win
LEAST_GAIN = 0.05  # nats per cell by which it must win: with less, no two cells can be told apart
AS_LIKELY = 0.1  # nats per cell by which a cycle may be behind a line: lines are closed at a cost of 0.2 and more
ROUNDS = 5  # of placing cells in the best few states, and finding these again


@dataclass(frozen=True)
class Comparison:
    """Which kind of model predicts held-out counts best.

    Attributes
    ----------
    verdict
        "trajectory", "cycle", "clusters" or "nothing".
    reason
        Why, in a sentence.
    table
        Held-out log-likelihood per cell of each model, nats, its distance from the best, and the standard error of that
        distance.
    """

    verdict: str
    reason: str
    table: pd.DataFrame


@dataclass(frozen=True)
class _Scores:
    """Held-out log-likelihood of each cell under each model, ``(cells,)``."""

    constant: FloatArray
    clusters: dict[int, FloatArray]
    trajectory: FloatArray
    points: FloatArray
    cycle: FloatArray
    cycle_points: FloatArray
    goes_round: bool
    fair: int
    best: int


def compare_kinds(search: Search, observations: Observations, n_lineages: int, rng: Generator) -> Comparison:
    """Compare constant, clusters and trajectory.

    Parameters
    ----------
    search
        The search on all counts of ``observations``.
    observations
        Cells and genes of the search, counts.
    n_lineages
        Of the trajectory.
    rng
        Thins the counts.

    Raises
    ------
    InputError
        If the noise is no count noise.
    """
    if not search.noise.counts:
        raise InputError("models are compared on held-out counts, which Gaussian noise has not; give raw counts.")
    scores = _score(search, ThinnedCounts.of(observations, rng), n_lineages)
    verdict, reason = _judge(scores)
    names = {
        "constant": scores.constant,
        **{f"{k} clusters": scores.clusters[k] for k in sorted({scores.fair, scores.best})},
        f"trajectory at {scores.best} points": scores.points,
        "trajectory": scores.trajectory,
        f"cycle at {scores.best} points": scores.cycle_points,
        "cycle": scores.cycle,
    }
    return Comparison(verdict, reason, compare(names))


def _score(search: Search, parts: ThinnedCounts, n_lineages: int) -> _Scores:
    cells = Cells.of(parts.train, search.prior_rows, search.noise)
    searched = replace(search, cells=cells)
    problem, best_trial = searched.quick(n_lineages)
    fair = problem.states.layout.n_parameters // 2  # a cluster has one mean per gene and layer
    numbers = {k for k in NUMBERS_OF_CLUSTERS if k * LEAST_CELLS <= cells.n_cells}

    def clusters(k: int) -> StateModel:
        run = fit_clusters(cells, search.noise, search.geometry.components, k, search.seed)
        return cluster_states(cells, search.noise, run.parameters)

    models = {k: clusters(k) for k in sorted({*numbers, fair})}
    scores = {k: model.heldout(parts.test) for k, model in models.items()}
    best = max(scores, key=lambda k: float(scores[k].mean()))
    members = models[best].known.argmax(axis=1)
    trajectory, points = _score_curves(problem, best_trial, parts.test, members)
    circle, around = CycleSearch.of(searched).quick(1)
    cycle, cycle_points = _score_curves(circle, around, parts.test, members)
    # with a parameter less for each gene a cycle that is as likely is the better account of the cells
    as_likely = around.bound > best_trial.bound - AS_LIKELY
    goes_round = as_likely and not _wins(trajectory, cycle) and has_no_gap(circle, around)
    return _Scores(
        constant=clusters(1).heldout(parts.test),
        clusters=scores,
        trajectory=trajectory,
        points=points,
        cycle=cycle,
        cycle_points=cycle_points,
        goes_round=goes_round,
        fair=fair,
        best=best,
    )


def _score_curves(
    problem: SoftProblem, trial: Trial, test: Observations, members: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Held-out log-likelihood of a fit of curves, and with as many states as there are clusters, ``(cells,)`` each."""
    model = StateModel.of_curves(problem, trial.run.parameters)
    unseen = model.unseen(test)
    return predict(model.known, unseen), _at_points(model.known - model.log_weight, unseen, members)


def _at_points(known: FloatArray, unseen: FloatArray, members: IntArray) -> FloatArray:
    """Held-out log-likelihood with as many states as there are clusters, the best ones for the cells, ``(cells,)``.

    Each cluster takes the state that its cells like best, each cell then the best of these, and so on.
    """
    points = PointProblem(known)
    chosen = run_em(points, members, members, Schedule(0, 1.0, ROUNDS, 0.0)).parameters
    weights = WeightProblem(known[:, chosen])
    even = np.full(len(chosen), 1.0 / len(chosen))
    weight = run_em(weights, even, weights.expect(even, 1.0)[0], Schedule(0, 1.0, 4 * ROUNDS, 0.0)).parameters
    return predict(known[:, chosen] + np.log(weight), unseen[:, chosen])


@dataclass(frozen=True)
class PointProblem:
    """Few states for all cells, each cell in one of them; parameters are the states chosen.

    Attributes
    ----------
    known
        Scores of the cells in every state, ``(cells, states)``.
    """

    known: FloatArray

    def expect(self, parameters: IntArray, temperature: float) -> tuple[IntArray, float]:
        """The best of the chosen states for each cell, ``(cells,)``, and the mean score there."""
        del temperature
        scores = self.known[:, parameters]
        return scores.argmax(axis=1), float(scores.max(axis=1).mean())

    def maximise(self, parameters: IntArray, statistics: IntArray, iteration: int) -> IntArray:
        """The best of all states for the cells of each."""
        del parameters, iteration
        best = [self.known[statistics == k].sum(axis=0).argmax() for k in np.unique(statistics)]
        return np.unique(best)


@dataclass(frozen=True)
class WeightProblem:
    """Weights of a mixture of states that stay as they are.

    Attributes
    ----------
    known
        Scores of the cells in these states, ``(cells, states)``.
    """

    known: FloatArray

    def expect(self, parameters: FloatArray, temperature: float) -> tuple[FloatArray, float]:
        """Mean posterior, ``(states,)``, and the log-likelihood per cell."""
        del temperature
        log_q = self.known + np.log(parameters)
        evidence = logsumexp(log_q, axis=1, keepdims=True)
        return np.exp(log_q - evidence).mean(axis=0), float(evidence.mean())

    def maximise(self, parameters: FloatArray, statistics: FloatArray, iteration: int) -> FloatArray:
        """The mean posterior; no weight becomes zero."""
        del parameters, iteration
        return statistics + 1e-12


def _judge(scores: _Scores) -> tuple[str, str]:
    """The order that the cells have is the better of trajectory and cycle; it must then beat the clusters."""
    best, fair = scores.clusters[scores.best], scores.clusters[scores.fair]
    name, order, points = "trajectory", scores.trajectory, scores.points
    if scores.goes_round:
        name, order, points = "cycle", scores.cycle, scores.cycle_points
    found = [kind for kind, score in (("clusters", best), (name, order)) if _wins(score, scores.constant)]
    if not found:
        return "nothing", "No model tells the cells apart: one mean for all predicts unseen counts as well."
    if name not in found or not _wins(order, fair):
        return "clusters", f"{scores.fair} clusters, with as many parameters, predict unseen counts as well or better."
    over = ", and a clock that begins and ends no better" if name == "cycle" else ""
    if _wins(order, best):
        return name, f"The {name} predicts unseen counts better than any number of clusters{over}."
    if _wins(order, points):
        return (
            name,
            f"The {name} does better than {scores.fair} clusters, which have as many parameters{over}; {scores.best} "
            "clusters do as well, but the cells lie between them, all along the clock.",
        )
    return "clusters", f"{scores.best} clusters do as well as the {name}, and the cells do not lie between them."


def _wins(one: FloatArray, other: FloatArray) -> bool:
    gain = one - other
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return bool(gain.mean() > max(ERRORS * error, LEAST_GAIN))
