"""What a fit says of each of several samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.model.background.choice import background_shares
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.genes import SampledGenes
from velotime.inference.model.samples.problem import SampledProblem


def sample_table(
    problem: SoftProblem, parameters: SoftParameters, statistics: Sums, time: FloatArray, margins: FloatArray | None
) -> pd.DataFrame | None:
    """What each sample says by itself, beside the joint fit, a row per sample; None for one.

    Columns: cells, mean time, nats per cell by which the curves beat constant means, nats per cell by which the
    reported direction beats its closest rival, and shares of unspliced and of spliced counts that are background.

    Parameters
    ----------
    problem, parameters, statistics
        The fit.
    time
        Time of each cell, in the caller's order, ``(cells,)``.
    margins
        As ``Arrow.by_sample``.
    """
    genes = problem.gene_problem(parameters, statistics)
    if not isinstance(genes, SampledGenes) or parameters.effects is None:
        return None
    assert isinstance(problem, SampledProblem)
    rows, effects = {}, parameters.effects
    parts = list(genes.parts(parameters.theta))
    for b, (stratum, at) in zip(problem.seen, problem.strata(parameters), strict=True):
        part, theta = parts[b]
        u, s = (np.repeat(sums.overall_mean, len(sums.size), axis=1) for sums in (part.unspliced, part.spliced))
        gain = float((part.log_likelihood(part.states.means(theta)) - part.log_likelihood_at((u, s))).sum())
        own, besides = time[stratum.cells.order], background_shares(stratum, at)
        rows[effects.names[b]] = {
            "n_cells": len(own),
            "mean_time": float(problem.states.clock.mean(np.full(len(own), 1 / len(own)), own)),
            "gain_per_cell": gain / len(own),
            "direction_per_cell": np.nan if margins is None else float(margins[b]),
            "background_unspliced": float(besides[0]),
            "background_spliced": float(besides[1]),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
