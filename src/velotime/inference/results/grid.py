"""Grids of time finer than that of the fit, and values carried from one to the other."""

from __future__ import annotations

import numpy as np

from velotime._types import FloatArray
from velotime.inference.states import States

FINER = 4  # times of the last posterior for each of the fit's: its quantiles are finer than the grid


def finer(states: States) -> States:
    """The same lineages on a grid with four times as many steps."""
    return states.at(states.clock.finer(states.times, FINER))


def between(values: FloatArray, states: States, fine: States) -> FloatArray:
    """Values of states ``(..., states)`` at those of a finer grid, linear between times."""
    by_lineage = values.reshape(*values.shape[:-1], states.layout.n_lineages, len(states.times))
    filled = states.clock.carry(by_lineage, states.times, fine.times)
    return np.asarray(filled.reshape(*values.shape[:-1], -1))
