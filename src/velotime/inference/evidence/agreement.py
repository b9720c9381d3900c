r"""Does what is known of the cells agree with the fit? Each piece of knowledge weighed against all the rest.

With q the posterior given everything, a piece with weights w (``_knowledge``), and q' the posterior without the
piece, ``q_ij ~ q'_ij w_ij``, so that

    sum_j q'_ij w_ij = 1 / sum_j (q_ij / w_ij)

is the likelihood of what the piece says of cell i, given its counts, the curves and all other pieces, over that of a
piece that says nothing. Its logarithm, summed over cells, is how many nats speak for the piece, or against it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import spearmanr

from velotime._types import FloatArray
from velotime.compute import Sums
from velotime.inference.em import Run
from velotime.inference.model.posterior import blocks
from velotime.inference.model.problem import SoftParameters, SoftProblem

LISTENING = 5  # iterations in which a fit learns how labels lie on its clock
AGAINST_NATS = 10.0  # nats against a piece, and
AGAINST_PER_CELL = 0.05  # nats a cell that it tells of, from which on it is in conflict
AGAINST_ORDER = -0.2  # Spearman correlation of time with what it says of time, likewise


@dataclass(frozen=True)
class Agreement:
    """How a piece of knowledge and the fit get on.

    Attributes
    ----------
    title
        Name of the piece.
    n_cells
        Cells that it tells something of.
    nats
        Log-likelihood of what it says, given the counts and all other pieces, over that of a piece that says nothing.
    correlation
        Spearman correlation of the cells' latent time with what it says of time, cells that it does not tell of in the
        middle; NaN if it says nothing of time.
    """

    title: str
    n_cells: int
    nats: float
    correlation: float

    @property
    def in_conflict(self) -> bool:
        """Whether nats or order speak against it."""
        least = max(AGAINST_NATS, AGAINST_PER_CELL * self.n_cells)
        return bool(self.nats < -least or self.correlation < AGAINST_ORDER)


def knowledge_nats(problem: SoftProblem, parameters: SoftParameters) -> FloatArray:
    """Nats for each piece given the rest, and last for all pieces together, ``(pieces + 1,)``."""
    rows = problem.cells.prior_rows
    each = [table[source] for source, table in zip(rows.sources.T, parameters.known, strict=True)]
    inverse = [np.exp(-table) for table in (*each, sum(each, np.zeros((rows.n_rows, problem.states.n_states))))]
    total = np.zeros(len(inverse))
    if not each:
        return total
    for cells, q in blocks(problem, parameters):
        row = problem.cells.prior_row[cells]
        for k, table in enumerate(inverse):
            total[k] -= np.log((q * table[row]).sum(axis=1)).sum()
    return total


def listen(problem: SoftProblem, run: Run[SoftParameters, Sums]) -> Run[SoftParameters, Sums]:
    """What a fit of ``problem.silent`` makes of everything that is known, its curves and time prior as they are."""
    rows = problem.cells.prior_rows
    if not rows.knowledge:
        return run
    known = tuple(np.zeros_like(table) for table in rows.initial(problem.states))
    parameters = replace(run.parameters, known=known)
    for _ in range(LISTENING):
        statistics, _ = problem.expect(parameters, 1.0)
        parameters = replace(parameters, known=rows.update(statistics.weight, problem.states))
    statistics, bound = problem.expect(parameters, 1.0)
    return replace(run, parameters=parameters, statistics=statistics, bound=bound)


def agreement(problem: SoftProblem, parameters: SoftParameters, time: FloatArray) -> tuple[Agreement, ...]:
    """Weigh every piece.

    Parameters
    ----------
    problem, parameters
        The fit.
    time
        Latent time of each cell, in the caller's order, ``(cells,)``.
    """
    rows = problem.cells.prior_rows
    time = time[problem.cells.order]
    nats = knowledge_nats(problem, parameters)
    out = []
    for k, (piece, table) in enumerate(zip(rows.knowledge, parameters.known, strict=True)):
        place = piece.places(len(table))[rows.rows_of(piece)]
        told = np.isfinite(place)
        said = np.where(told, place, 0.5)
        correlation = spearmanr(said, time).statistic if np.ptp(said) > 0 and np.ptp(time) > 0 else np.nan
        out.append(Agreement(piece.title, int(told.sum()), float(nats[k]), float(correlation)))
    return tuple(out)
