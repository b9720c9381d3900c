r"""Shares of labelled counts that fitted curves expect, for any rates of the genes.

Of the counts of gene g in a cell at time t of the clock those are new that were made in the window ``[t - w, t]``, with
``w = tau/H`` after tau hours of labelling (``kinetics.labelling``). Rates of single genes are known to some 50 %, so
shares are computed on a lattice of log rates around the fitted ones, everything else of a curve as it was fitted. They
do not depend on how much of unspliced is caught, and those of unspliced not on gamma.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.inference.states import States
from velotime.kinetics import SwitchParameter, labelled_shares

NODES = np.linspace(-1.8, 1.8, 7)  # of log rates, from the fitted ones: two standard errors of the worst known
MOST_STATES = 64  # of the clock; neighbours are taken together
TINY = 1e-7


@dataclass(frozen=True)
class LabelledCounts:
    """Counts of one layer of cells that were labelled for equally long and belong to one sample.

    Attributes
    ----------
    layer
        0 for unspliced, 1 for spliced.
    hours
        For which the label was there.
    sample
        Number of the sample, which has one conversion.
    labelled
        Labelled counts of groups of cells, ``(genes, groups)``.
    counts
        All counts, shared out over the states by the posterior of the cells, ``(genes, groups, states)``.
    """

    layer: int
    hours: float
    sample: int
    labelled: FloatArray
    counts: FloatArray

    @cached_property
    def total(self) -> FloatArray:
        """All counts of groups of cells, ``(genes, groups)``."""
        return np.asarray(self.counts.sum(axis=2))


@dataclass(frozen=True)
class Windows:
    """Windows of any length on fitted curves.

    Attributes
    ----------
    states, theta
        States of the posterior, and parameters of the genes, ``(genes, parameters)``.
    """

    states: States
    theta: FloatArray

    def shares(self, counts: LabelledCounts, length: float) -> FloatArray:
        """Expected at each node, ``(genes, beta nodes, gamma nodes, groups)``; of unspliced one gamma node."""
        posterior = self._merged(counts.counts) / np.maximum(counts.total, TINY)[:, :, None]
        n_gamma = len(NODES) if counts.layer else 1
        out = np.empty((len(self.theta), len(NODES), n_gamma, counts.total.shape[1]))
        for i, k in np.ndindex(len(NODES), n_gamma):
            theta, now = self._curves[i, k if counts.layer else len(NODES) // 2]
            rates = np.exp(theta[:, [SwitchParameter.LOG_BETA]]), np.exp(theta[:, [SwitchParameter.LOG_GAMMA]])
            before = self._few.at(self._few.times - length).means(theta)
            new = labelled_shares(before, now, length, rates)[counts.layer]
            out[:, i, k] = (posterior @ new[:, :, None])[:, :, 0]
        return np.clip(out, TINY, 1 - TINY)

    @cached_property
    def _curves(self) -> dict[tuple[int, int], tuple[FloatArray, tuple[FloatArray, FloatArray]]]:
        """Parameters and means at each node; all of unspliced is caught."""
        found = {}
        for i, k in np.ndindex(len(NODES), len(NODES)):
            theta = self.theta.copy()
            theta[:, SwitchParameter.LOG_SCALING] = 0.0
            theta[:, SwitchParameter.LOG_BETA] += NODES[i]
            theta[:, SwitchParameter.LOG_GAMMA] += NODES[k]
            found[i, k] = theta, self._few.means(theta)
        return found

    @cached_property
    def _firsts(self) -> IntArray:
        """The first of the times that are taken together."""
        n_times = len(self.states.times)
        return np.arange(0, n_times, -(-n_times // MOST_STATES))

    @cached_property
    def _few(self) -> States:
        """States in the middle of those that are taken together."""
        size = np.diff(np.append(self._firsts, len(self.states.times)))
        return self.states.at(np.add.reduceat(self.states.times, self._firsts) / size)

    def _merged(self, over_states: FloatArray) -> FloatArray:
        """Sums over states that are taken together, lineage by lineage."""
        by_lineage = over_states.reshape(*over_states.shape[:-1], -1, len(self.states.times))
        return np.add.reduceat(by_lineage, self._firsts, axis=-1).reshape(*over_states.shape[:-1], -1)
