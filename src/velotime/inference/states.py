"""Parameters of the genes and states of the cells, which a curve joins (``curves``).

A *state* is a pair (lineage, time). The states are numbered lineage by lineage, so that arrays over states are
``(genes, lineages * times)``; only this numbering knows of lineages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from velotime._types import FloatArray, IntArray
from velotime.compute import NUMBA, Backend, CurveTargets
from velotime.inference.curves.line import SWITCH
from velotime.inference.curves.protocol import Clock, Curve
from velotime.kinetics import SwitchParameter

N_SHARED = 6  # parameters that all lineages of a gene share; two more per lineage


@dataclass(frozen=True)
class Layout:
    """Where each parameter stands in ``theta``, ``(genes, 6 + n_own lineages)``.

    Columns 0 to 5 are log beta, log gamma, t_on, log level_0, log level_1 and log scaling. Of the switch model columns
    6 + 2k and 7 + 2k are log(t_off - t_on) and log level_2 of lineage k; curves on a circle have no last level and one
    lineage.
    """

    n_lineages: int = 1
    curve: Curve = SWITCH

    @property
    def n_parameters(self) -> int:
        """Parameters per gene."""
        return N_SHARED + self.curve.n_own * self.n_lineages

    def columns(self, lineage: int) -> IntArray:
        """Columns of the parameters of one lineage, in the order of ``SwitchParameter``."""
        own = N_SHARED + self.curve.n_own * lineage
        return np.array([*range(N_SHARED), *range(own, own + self.curve.n_own)])

    @property
    def durations(self) -> slice:
        """Columns of log(t_off - t_on), one per lineage."""
        return slice(N_SHARED, None, self.curve.n_own)

    @property
    def last_levels(self) -> slice:
        """Columns of log level_2, one per lineage; none of the periodic switch."""
        return slice(N_SHARED + 1, None, 2)

    def repeat(self, theta: FloatArray) -> FloatArray:
        """Parameters ``(genes, parameters)`` of curves that are the same in all lineages, from those of one lineage."""
        return np.hstack([theta[:, :N_SHARED], np.tile(theta[:, N_SHARED:], self.n_lineages)])

    def average(self, theta: FloatArray) -> FloatArray:
        """Parameters of one lineage, ``(genes, 8)``: its last switch is the mean over lineages."""
        last = theta[:, N_SHARED:].reshape(len(theta), self.n_lineages, 2).mean(axis=1)
        return np.hstack([theta[:, :N_SHARED], last])

    def spread(self, shared: list[float], own: list[float]) -> FloatArray:
        """One number per parameter from those of the shared ones and those of a lineage's own."""
        return np.array([*shared, *(own * self.n_lineages)])


@dataclass(frozen=True)
class States:
    """The table of states: every time of the grid in every lineage.

    Attributes
    ----------
    times
        The time grid, ``(times,)``, from 0 to 1, relative.
    layout
        Lineages and their columns.
    backend
        What computes on them.
    """

    times: FloatArray
    layout: Layout
    backend: Backend = NUMBA

    @classmethod
    def grid(cls, n_times: int, n_lineages: int = 1, curve: Curve = SWITCH) -> States:
        """Evenly spaced times from 0 to 1."""
        return cls(curve.clock.grid(n_times), Layout(n_lineages, curve))

    def at(self, times: FloatArray) -> States:
        """The same lineages at other times."""
        return replace(self, times=times)

    @property
    def curve(self) -> Curve:
        """The curve of the genes."""
        return self.layout.curve

    @property
    def clock(self) -> Clock:
        """How times lie to each other."""
        return self.layout.curve.clock

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.times.shape[0]) * self.layout.n_lineages

    @cached_property
    def time(self) -> FloatArray:
        """Time of each state, ``(states,)``."""
        return np.tile(self.times, self.layout.n_lineages)

    @cached_property
    def lineage(self) -> IntArray:
        """Lineage of each state, ``(states,)``."""
        return np.repeat(np.arange(self.layout.n_lineages), self.times.shape[0])

    def means(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Expected unspliced and spliced counts at size factor 1, each ``(genes, states)``."""
        return self.curve.means(self.backend, theta, self.times, self.columns)

    def information(
        self, theta: FloatArray, unspliced: CurveTargets, spliced: CurveTargets
    ) -> tuple[FloatArray, FloatArray]:
        """Gradient of the log-likelihood ``(genes, parameters)`` and Fisher information of all parameters."""
        return self.curve.information(self.backend, theta, self.times, self.columns, unspliced, spliced)

    def velocities(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """du/dt and ds/dt at size factor 1, relative units, each ``(genes, states)``."""
        curves = [self.curve.velocity(theta[:, c], self.times) for c in self.columns]
        return np.hstack([u for u, _ in curves]), np.hstack([s for _, s in curves])

    def jacobians(self, theta: FloatArray) -> list[tuple[FloatArray, FloatArray, FloatArray, FloatArray]]:
        """A lineage's means and their derivatives by its parameters, one tuple per lineage."""
        return [self.curve.jacobian(theta[:, c], self.times) for c in self.columns]

    @cached_property
    def columns(self) -> IntArray:
        """Columns of the parameters of each lineage, ``(lineages, parameters of one)``."""
        return np.stack([self.layout.columns(k) for k in range(self.layout.n_lineages)])


def natural_rates(theta: FloatArray) -> dict[str, FloatArray]:
    """The shared parameters on their natural scale, each ``(genes,)``; rates relative to the total time.

    ``alpha_k = level_k gamma`` is in spliced counts (at size factor 1) per unit of time.
    """
    p = SwitchParameter
    gamma = np.exp(theta[:, p.LOG_GAMMA])
    return {
        "beta": np.exp(theta[:, p.LOG_BETA]),
        "gamma": gamma,
        "t_on": theta[:, p.T_ON],
        "alpha_0": np.exp(theta[:, p.LOG_LEVEL_0]) * gamma,
        "alpha_1": np.exp(theta[:, p.LOG_LEVEL_1]) * gamma,
        "scaling": np.exp(theta[:, p.LOG_SCALING]),
    }
