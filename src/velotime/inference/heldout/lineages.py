"""The number of lineages by held-out counts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from numpy.random import Generator

from velotime._status import InputError
from velotime._types import FloatArray
from velotime.inference.heldout.thinning import ThinnedCounts, compare, heldout_log_likelihood
from velotime.inference.model.problem import Cells
from velotime.inference.observations import Observations
from velotime.inference.search.trials import Search


def choose_n_lineages(
    search: Search, observations: Observations, most: int, rng: Generator
) -> tuple[int, pd.DataFrame]:
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
        scores[str(k)] = heldout_log_likelihood(problem, trials[0].run.parameters, parts.test)
        if k > 1:
            roots = list(dict.fromkeys(trial.start.root for trial in trials))[:2]
            if scores[str(k)].mean() < scores[str(k - 1)].mean():
                break
    table = compare(scores).rename(columns={"model": "n_lineages"})
    table["n_lineages"] = table["n_lineages"].astype(int)
    return int(table.loc[table["behind"] >= -table["standard_error"], "n_lineages"].min()), table
