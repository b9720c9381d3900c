"""What a fit says of each of several samples."""

from __future__ import annotations

import numpy as np
import pandas as pd

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.model.problem import SoftParameters, SoftProblem
from velotime.inference.model.samples.genes import SampledGenes


def sample_table(
    problem: SoftProblem, parameters: SoftParameters, statistics: Sums, time: FloatArray
) -> pd.DataFrame | None:
    """Cells, mean time, and nats per cell by which the curves beat constant means, a row per sample; None for one.

    Parameters
    ----------
    problem, parameters, statistics
        The fit.
    time
        Time of each cell, in the caller's order, ``(cells,)``.
    """
    genes = problem.gene_problem(parameters, statistics)
    if not isinstance(genes, SampledGenes) or parameters.effects is None:
        return None
    rows, effects = {}, parameters.effects
    seen = [b for b, one in enumerate(genes.samples) if one.spliced.size.sum() > 0]
    parts = list(genes.parts(parameters.theta))
    for b, (_, stratum, _) in zip(seen, problem.strata(parameters), strict=True):
        part, theta = parts[b]
        u, s = (np.repeat(sums.overall_mean, len(sums.size), axis=1) for sums in (part.unspliced, part.spliced))
        gain = float((part.log_likelihood(part.states.means(theta)) - part.log_likelihood((u, s))).sum())
        own = time[stratum.cells.order]
        rows[effects.names[b]] = {"n_cells": len(own), "mean_time": float(own.mean()), "gain_per_cell": gain / len(own)}
    return pd.DataFrame.from_dict(rows, orient="index")
