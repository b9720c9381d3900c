"""Expected values of genes in cells: products of the cells' posterior and a table of the states.

With q the posterior, ``(cells, states)``, and a table of one value for each state and gene, ``(states, genes)``, the
expectation of the value is ``q @ table``. Its rank is the number of states, so no array of cells x genes has to be
kept: any block is computed where it is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse

from velotime._types import FloatArray, IntArray
from velotime.inference.results.grid import between
from velotime.inference.states import States
from velotime.kinetics import SwitchParameter, switch_means, switch_velocity

TAIL = 1e-4  # probability of a cell's least likely states, together, that is not kept
BLOCK_OF_CELLS = 4096


class Expectations(Protocol):
    """Values of some genes in some cells, each ``(cells, genes)``, float32."""

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Unspliced and spliced counts at size factor 1."""

    def velocity(self) -> FloatArray:
        """ds/dt, relative units."""

    def velocity_u(self) -> FloatArray:
        """du/dt, relative units."""


@dataclass(frozen=True)
class OverStates:
    """Of cells with a posterior over states.

    Attributes
    ----------
    states
        The states of the posterior.
    theta
        Parameters of the genes, ``(genes, 6 + 2 lineages)``.
    posterior
        CSR, ``(cells, states)``, rows sum to 1.
    """

    states: States
    theta: FloatArray
    posterior: sparse.csr_array

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Unspliced and spliced counts at size factor 1."""
        u, s = self.states.means(self.theta)
        return self._expect(u), self._expect(s)

    def unspliced(self) -> FloatArray:
        """Unspliced counts at size factor 1."""
        return self._expect(self.states.means(self.theta)[0])

    def spliced(self) -> FloatArray:
        """Spliced counts at size factor 1."""
        return self._expect(self.states.means(self.theta)[1])

    def velocity(self) -> FloatArray:
        """ds/dt, relative units."""
        return self._expect(self.states.velocities(self.theta)[1])

    def velocity_u(self) -> FloatArray:
        """du/dt, relative units."""
        return self._expect(self.states.velocities(self.theta)[0])

    def velocity_sd(self, variance: FloatArray, coarse: States) -> FloatArray:
        """Standard deviation of ds/dt, from uncertain time and an uncertain curve.

        The curve's own ``variance`` is given for the states of a coarser grid, ``(genes, coarse states)``.
        """
        curve = self.states.velocities(self.theta)[1].T
        middle = curve.mean(axis=0)  # off before squaring, so that little cancels
        square = (curve - middle) ** 2 + between(variance, coarse, self.states).T
        out = np.empty((self.posterior.shape[0], len(self.theta)), dtype=np.float32)
        for cells, q in dense_blocks(self.posterior):
            q = q.astype(np.float64)
            out[cells] = np.sqrt(np.maximum(q @ square - (q @ (curve - middle)) ** 2, 0.0))
        return out

    def _expect(self, table: FloatArray) -> FloatArray:
        """``q @ table`` of a table ``(genes, states)``."""
        columns = np.ascontiguousarray(table.T, dtype=np.float32)
        out = np.empty((self.posterior.shape[0], columns.shape[1]), dtype=np.float32)
        for cells, q in dense_blocks(self.posterior):
            np.matmul(q, columns, out=out[cells])
        return out


@dataclass(frozen=True)
class AtTimes:
    """Of cells with one time each, on a single lineage.

    Attributes
    ----------
    theta
        Parameters of the genes, ``(genes, 8)``.
    time
        Of the cells, ``(cells,)``, relative.
    """

    theta: FloatArray
    time: FloatArray

    def means(self) -> tuple[FloatArray, FloatArray]:
        """Unspliced and spliced at the time of each cell."""
        u, s = (np.ascontiguousarray(values.T, dtype=np.float32) for values in switch_means(self.theta, self.time))
        return u, s

    def velocity(self) -> FloatArray:
        """ds/dt at the time of each cell."""
        return self._velocities(1)

    def velocity_u(self) -> FloatArray:
        """du/dt at the time of each cell."""
        return self._velocities(0)

    def _velocities(self, layer: int) -> FloatArray:
        out = np.empty((len(self.time), len(self.theta)), dtype=np.float32)
        for cells in cell_blocks(len(self.time)):
            out[cells] = switch_velocity(self.theta, self.time[cells])[layer].T
        return out


def cell_blocks(n_cells: int) -> Iterator[slice]:
    """All cells, block by block."""
    for first in range(0, n_cells, BLOCK_OF_CELLS):
        yield slice(first, min(first + BLOCK_OF_CELLS, n_cells))


def dense_blocks(posterior: sparse.csr_array) -> Iterator[tuple[slice, FloatArray]]:
    """A sparse posterior as dense blocks of cells."""
    for cells in cell_blocks(posterior.shape[0]):
        yield cells, posterior[cells].toarray()


def without_tail(q: FloatArray) -> sparse.csr_array:
    """A posterior ``(cells, states)`` as CSR, float32, without its tail.

    The least likely states of each cell go, 1e-4 of probability together at most, and the rest is scaled to sum to 1:
    the expectation of a value that differs by d between states changes by 1e-4 d at most.
    """
    order = np.argsort(q, axis=1)
    ascending = np.take_along_axis(q, order, axis=1)
    cut = np.cumsum(ascending, axis=1, dtype=np.float64) <= TAIL * q.sum(axis=1, dtype=np.float64)[:, None]
    keep = np.empty(q.shape, dtype=bool)
    np.put_along_axis(keep, order, ~cut, axis=1)
    kept = np.where(keep, q, 0.0)
    kept /= kept.sum(axis=1, dtype=np.float64)[:, None]
    return sparse.csr_array(kept.astype(np.float32))


def stack_cells(blocks: list[sparse.csr_array], order: IntArray) -> sparse.csr_array:
    """Blocks of cells below each other; row k of all of them belongs to cell ``order[k]``."""
    whole = sparse.csr_array(sparse.vstack(blocks, format="csr"))
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return sparse.csr_array(whole[back])


def draw_states(posterior: sparse.csr_array, n_draws: int, rng: np.random.Generator) -> IntArray:
    """States drawn from each cell's posterior, ``(cells, draws)``, ascending.

    Stratified: one draw from each of ``n_draws`` equal parts of the posterior (systematic sampling), so that the
    share of a state among the draws is off by less than ``1 / n_draws``.
    """
    drawn = np.empty((posterior.shape[0], n_draws), dtype=np.int32)
    for cells, q in dense_blocks(posterior):
        below = np.cumsum(q, axis=1, dtype=np.float64)
        below /= below[:, -1:]
        at = (rng.random((len(q), 1)) + np.arange(n_draws)) / n_draws
        drawn[cells] = [np.searchsorted(row, points, side="right") for row, points in zip(below, at, strict=True)]
    return np.asarray(np.minimum(drawn, posterior.shape[1] - 1))


def columns_of(theta: FloatArray) -> list[FloatArray]:
    """The eight parameters of the switch model of each lineage, ``(genes, 8)`` each."""
    n_shared = len(SwitchParameter) - 2
    return [theta[:, [*range(n_shared), k, k + 1]] for k in range(n_shared, theta.shape[1], 2)]


def with_others(values: FloatArray, off_clock: FloatArray | None, others: FloatArray | float = 0.0) -> FloatArray:
    """Values of cells that may be off the clock, ``(cells, genes)``, float32.

    Parameters
    ----------
    values
        Theirs if they are on it.
    off_clock
        Probability that they are not, ``(cells,)``; None where all are.
    others
        Value of cells that are not, ``(genes,)``: 0, such as for velocities, by default; NaN where it is not known, and
        left out of account.
    """
    if off_clock is None:
        return values
    share = np.where(np.isnan(others), 0.0, off_clock[:, None])
    return np.asarray(values * (1.0 - share) + share * np.nan_to_num(others), dtype=np.float32)
