r"""One state more than a clock that goes round has: cells that do not cycle, with free means.

A cell does not cycle with probability pi, and then its counts have means r_g of their own, with the scatter that the
genes have on their curves. With pi_j the prior of the states of the circle,

    p(x_i) = (1 - pi) sum_j pi_j p(x_i | l_i mu_j) + pi p(x_i | l_i r).

It is one column more of the E-step's tables and sums; the curves are fitted to the other columns. Its means and its
share are learned in the M-step: the means are those of its cells, who are credited with one cell that has the mean of
all (a gamma prior, so that a state without cells is like all of them).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from velotime._types import FloatArray
from velotime.compute import LEAST_MEAN, LayerSums, Sums
from velotime.inference.model.background.means import Pair

CREDIT = 1.0  # cells' worth of the mean of all
LEAST_SHARE = 1e-4
FEWEST = 10.0  # cells that its means are taken to be learned from


@dataclass(frozen=True)
class NotCycling:
    """The state.

    Attributes
    ----------
    means
        Of both layers at size factor 1, ``(2, genes)``.
    share
        Of the cells: pi.
    """

    means: FloatArray
    share: float

    @classmethod
    def of(cls, sums: Sums) -> NotCycling:
        """From sums over all states, of which it is the last."""
        means = [np.maximum(layer.means(CREDIT)[:, -1], LEAST_MEAN) for layer in sums.layers]
        weight = sums.weight.sum(axis=0)
        share = float(weight[-1] / max(float(weight.sum()), 1e-12))
        return cls(np.stack(means), float(np.clip(share, LEAST_SHARE, 1.0 - LEAST_SHARE)))

    def beside(self, means: Pair) -> Pair:
        """Means of both layers on the circle, ``(genes, states)`` each, and here, in the last column."""
        u, s = (np.column_stack([circle, own]) for circle, own in zip(means, self.means, strict=True))
        return u, s

    def log_prior(self, circle: FloatArray) -> FloatArray:
        """Log prior of all states, ``(rows, states + 1)``, from that of the states of the circle."""
        return np.pad(circle + np.log1p(-self.share), ((0, 0), (0, 1)), constant_values=np.log(self.share))

    def price(self, n_cells: int) -> float:
        """What its means cost, nats: half of ``log n`` each, with n its cells (Schwarz 1978)."""
        return 0.5 * self.means.size * float(np.log(max(self.share * n_cells, FEWEST)))


@dataclass(frozen=True)
class SumsBeside(Sums):
    """Sums over the states of the circle, and over all states, of which the last is that of cells that do not cycle."""

    all_states: Sums

    @classmethod
    def of(cls, sums: Sums) -> SumsBeside:
        """From those over all states."""
        n = sums.weight.shape[1]
        circle = sums.first_states(n - 1)
        return cls(circle.unspliced, circle.spliced, circle.weight, sums)


def all_layers(sums: Sums) -> tuple[LayerSums, LayerSums]:
    """Sums of both layers over all states that there are."""
    return sums.all_states.layers if isinstance(sums, SumsBeside) else sums.layers
