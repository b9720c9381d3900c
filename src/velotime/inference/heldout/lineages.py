"""The number of lineages by held-out counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd
from numpy.random import Generator

from velotime._status import InputError
from velotime._types import FloatArray
from velotime.inference.heldout.scores import StateModel
from velotime.inference.heldout.thinning import ThinnedCounts, compare
from velotime.inference.model.problem import Cells
from velotime.inference.observations import Observations
from velotime.inference.search.trials import Search


@dataclass(frozen=True)
class LineageChoice:
    """The number of lineages that held-out counts ask for.

    Attributes
    ----------
    n_lineages
        The number.
    at_bound
        Whether it is the largest that was allowed, so that more might do still better.
    table
        Held-out log-likelihood by number of lineages.
    """

    n_lineages: int
    at_bound: bool
    table: pd.DataFrame


def choose_n_lineages(search: Search, observations: Observations, most: int, rng: Generator) -> LineageChoice:
    """Smallest number of lineages whose held-out log-likelihood is within one standard error of the best.

    Numbers are tried from 1 on, each from the two best roots of the one before, until one does no better.

    Parameters
    ----------
    search
        The search on all counts of ``observations``.
    observations
        Cells and genes of the search.
    most
        Largest number that is tried.
    rng
        Thins the counts.
    """
    parts = ThinnedCounts.of(observations, rng)
    thinned = replace(search, cells=Cells.of(parts.train, search.prior_rows, search.noise))
    scores: dict[str, FloatArray] = {}
    roots: list[int] | None = None
    for k in range(1, most + 1):
        try:
            problem, trials = thinned.ranked(k, roots)
        except InputError:  # the late cells fall into fewer groups
            break
        scores[str(k)] = StateModel.of_curves(problem, trials[0].run.parameters).heldout(parts.test)
        if k > 1:
            roots = list(dict.fromkeys(trial.start.root for trial in trials))[:2]
            if scores[str(k)].mean() < scores[str(k - 1)].mean():
                break
    table = compare(scores).rename(columns={"model": "n_lineages"})
    table["n_lineages"] = table["n_lineages"].astype(int)
    chosen = int(table.loc[table["behind"] >= -table["standard_error"], "n_lineages"].min())
    return LineageChoice(chosen, chosen == most, table)
