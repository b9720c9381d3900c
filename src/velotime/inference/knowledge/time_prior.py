"""Priors of time: where cells are on the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from scipy.special import gammaln

from velotime._check import Number, Numbers, Optional, Settings
from velotime._status import InputError
from velotime._types import FloatArray
from velotime.inference.em import Schedule, run_em
from velotime.inference.knowledge.base import COLUMN
from velotime.inference.states import States


@runtime_checkable
class TimePrior(Protocol):
    """Prior of a cell's state; one row for each group of cells that has a prior of its own."""

    @property
    def by(self) -> str | None:
        """The obs column whose labels have a prior each, or None for one prior for all."""

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """Prior before the first posterior, ``(rows, states)``."""

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """Prior from the summed posterior ``(rows, states)`` of each group."""


def _uniform(states: States, n_rows: int) -> FloatArray:
    return np.full((n_rows, states.n_states), 1.0 / states.n_states)


@dataclass(frozen=True)
class UniformPrior(Settings):
    """Every state is as likely as any other, and stays so."""

    by = None

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """``1 / states``."""
        return _uniform(states, n_rows)

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """``1 / states``."""
        return _uniform(states, weight.shape[0])


@dataclass(frozen=True)
class LearnedPrior(Settings):
    """The density of cells over the states, learned with the rest: the Dirichlet-MAP estimate.

    ``pi_j = (n_j + concentration) / sum``, with n_j the expected number of cells in state j. With ``smoothness``, pi is
    the likeliest of all mixtures of normal kernels of that sd along the clock, the same within each lineage: the same
    objective over a smaller set, maximised by EM of the mixture's weights, so that the bound of the whole fit does not
    fall either (up to the fraction of a nat that 100 inner iterations leave, which the loop's tolerance covers).

    Parameters
    ----------
    concentration
        Cells that every state is credited with. The default, 1, keeps empty stretches of the clock reachable and is
        small beside the cells of a populated one.
    smoothness
        Standard deviation of the kernels, as a share of the clock. 0 by default: no smoothing. About 0.05 smooths the
        density where cells are few.
    by
        An obs column: cells of each of its labels have a prior of their own. Labels of fewer than 5 cells are pooled.
    """

    concentration: float = 1.0
    smoothness: float = 0.0
    by: str | None = None

    rules: ClassVar = {"concentration": Number(0), "smoothness": Number(0, 0.5), "by": Optional(COLUMN)}

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """``1 / states``."""
        return _uniform(states, n_rows)

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """``(n_j + concentration) / sum``."""
        raised = weight[:, : states.n_states] + self.concentration + 1e-12
        if self.smoothness > 0:
            by_lineage = raised.reshape(len(raised), states.layout.n_lineages, -1)
            raised = smooth_density(by_lineage, states, self.smoothness).reshape(raised.shape)
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


KAPPAS = 2.0 ** np.arange(0.0, 17.0, 0.5)  # cells that the density of all samples may count for in each
PIECES = 16  # of each lineage, in which densities are compared


@dataclass(frozen=True)
class SharedPrior:
    """A density for each group that is drawn towards that of all: ``pi_b ~ Dirichlet(kappa pi_0)``.

    ``pi_b = (n_b + kappa pi_0) / (N_b + kappa)``, with kappa the likeliest of the summed posteriors of the groups
    (Dirichlet-multinomial): groups of the same composition share one density, groups that differ have their own. One
    group has pi_0.

    Attributes
    ----------
    whole
        What pi_0 is learned by.
    by
        The obs column of the groups.
    """

    whole: LearnedPrior
    by: str | None

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """``1 / states``."""
        return _uniform(states, n_rows)

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """As above."""
        if len(weight) == 1:
            return self.whole.update(weight, states)
        weight = weight[:, : states.n_states]
        common = self.whole.update(weight.sum(axis=0, keepdims=True), states)
        kappa = likeliest_kappa(_in_pieces(weight, states), _in_pieces(common, states)[0])
        raised = weight + kappa * common
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def likeliest_kappa(counts: FloatArray, density: FloatArray) -> float:
    """Kappa under which counts ``(groups, pieces)`` of ``Dirichlet(kappa density)`` are likeliest."""
    alpha = KAPPAS[:, None] * density
    with_counts = gammaln(counts[:, None] + alpha) - gammaln(alpha)
    total = gammaln(KAPPAS) - gammaln(counts.sum(axis=1, keepdims=True) + KAPPAS)
    return float(KAPPAS[np.argmax((with_counts.sum(axis=2) + total).sum(axis=0))])


def _in_pieces(weight: FloatArray, states: States) -> FloatArray:
    """Summed over neighbouring times, ``(rows, lineages * pieces)``."""
    n_times = len(states.times)
    starts = np.arange(0, n_times, max(1, n_times // PIECES))
    by_lineage = weight.reshape(len(weight), states.layout.n_lineages, n_times)
    return np.asarray(np.add.reduceat(by_lineage, starts, axis=2).reshape(len(weight), -1))


SMOOTHING_STEPS = 100  # EM iterations for the weights of the kernels


def smooth_density(weight: FloatArray, states: States, sd: float) -> FloatArray:
    """Likeliest mixture of normal kernels, one at each time, for weights ``(..., times)``; sums are kept.

    With ``K[k, j]`` kernel k at time j (rows sum to 1) and phi its weights, ``sum_j n_j log (phi K)_j`` is maximised by
    ``phi_k <- phi_k sum_j K[k, j] n_j / (phi K)_j / sum n``, which never lowers it.
    """
    kernel = np.exp(-0.5 * (states.clock.away(states.times[:, None], states.times) / sd) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    total = weight.sum(axis=-1, keepdims=True)
    problem = KernelWeights(kernel, weight / total)
    ratio, _ = problem.expect(problem.share, 1.0)
    phi = run_em(problem, problem.share, ratio, Schedule(0, 1.0, SMOOTHING_STEPS, 0.0)).parameters
    return np.asarray((phi @ kernel) * total)


@dataclass(frozen=True)
class KernelWeights:
    """Weights phi of the kernels as a problem of the loop.

    Attributes
    ----------
    kernel
        ``(kernels, times)``, rows sum to 1.
    share
        ``n_j / sum n``, ``(..., times)``.
    """

    kernel: FloatArray
    share: FloatArray

    def expect(self, parameters: FloatArray, temperature: float) -> tuple[FloatArray, float]:
        """``n_j / (phi K)_j`` and the log-likelihood of the shares."""
        del temperature
        density = parameters @ self.kernel
        return self.share / density, float((self.share * np.log(density)).sum())

    def maximise(self, parameters: FloatArray, statistics: FloatArray, iteration: int) -> FloatArray:
        """The update above."""
        del iteration
        return np.asarray(parameters * (statistics @ self.kernel.T))


@dataclass(frozen=True)
class FixedPrior(Settings):
    """A density of cells over latent time that is known and stays as given.

    Parameters
    ----------
    weights
        The density at evenly spaced times from 0 to 1, any number of them from two on; it is interpolated on the
        time grid and shared equally between lineages. Need not sum to 1.
    """

    weights: tuple[float, ...] = field(default=(1.0, 1.0))
    by = None

    rules: ClassVar = {"weights": Numbers(Number(0), 2)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not sum(self.weights) > 0:
            raise InputError(f"FixedPrior(weights={self.weights!r}): must not all be zero.")

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """The weights on the grid."""
        given = np.asarray(self.weights)
        on_grid = np.interp(states.time, np.linspace(0, 1, len(given)), given)
        return np.repeat((on_grid / on_grid.sum())[None], n_rows, axis=0)

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """The weights on the grid."""
        return self.initial(states, weight.shape[0])


@dataclass(frozen=True)
class GrowingPrior(Settings):
    """The density of cells that divide evenly, once a turn of a clock that goes round (``clock=Cycle()``).

    For every cell that divides there are two that have just done so: ``2 ln 2 2^-phase``, with phase 0 at the division.
    Where that is on the clock is learned: of all times of the grid the one at which the density goes best with the
    cells' posterior.

    Examples
    --------
    >>> import velotime as vt
    >>> vt.SoftEM(clock=vt.Cycle(), prior=vt.GrowingPrior()).prior
    GrowingPrior()
    """

    by = None

    def initial(self, states: States, n_rows: int) -> FloatArray:
        """Uniform: nothing is known of the division yet."""
        return _uniform(states, n_rows)

    def update(self, weight: FloatArray, states: States) -> FloatArray:
        """The density from its best origin on."""
        n = states.n_states
        edges = np.exp2(-np.arange(n + 1) / n)
        density = 2 * (edges[:-1] - edges[1:])  # the integral over each step
        shifted = np.stack([np.roll(density, k) for k in range(n)])
        best = shifted[(np.log(shifted) @ weight.sum(axis=0)).argmax()]
        return np.repeat(best[None], len(weight), axis=0)
